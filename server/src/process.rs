//! The serving process: it builds the layers below, runs them, and reports on them.

pub mod cli;
pub mod logging;
pub mod metrics;
pub mod serve;
pub mod settings;
