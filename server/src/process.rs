//! The process that serves: builds the layers below, runs them, and tells how they do.

pub mod cli;
pub mod logging;
pub mod metrics;
pub mod serve;
pub mod settings;
