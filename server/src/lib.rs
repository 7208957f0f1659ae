//! The Sealpost server: accounts, devices, prekeys and queued ciphertexts over HTTPS and secure WebSockets.
//!
//! `http` and `ws` are the adapters to actix; they decode, call one method of `service` and encode. `service` holds the
//! rules and knows neither actix nor a database. `store` and `relay` are traits with their back ends beside them.

pub mod admin;
pub mod audit;
pub mod catch;
pub mod config;
pub mod doctor;
pub mod domain;
pub mod files;
#[cfg(fuzzing)]
pub mod fuzzing;
pub mod hardening;
pub mod http;
pub mod logging;
pub mod maintenance;
pub mod metrics;
pub mod migrate;
pub mod moving;
pub mod relay;
pub mod secrets;
pub mod serve;
pub mod service;
pub mod store;
pub mod tls;
pub mod ws;
