//! What every layer may use: private files, panics, and the values of the configuration.

pub mod catch;
pub mod config;
pub mod files;
pub mod hardening;
