//! The Sealpost server: accounts, devices, prekeys and queued ciphertexts over HTTPS and secure WebSockets.
//!
//! The modules are layers. Each may use those below it and none above it:
//!
//! - [`process`] builds the server, runs it and measures it.
//! - [`operate`] holds the operator's commands.
//! - [`edge`] adapts HTTP, WebSocket and TLS to the services.
//! - [`service`] holds the rules, and knows neither actix nor a database.
//! - [`store`] and [`relay`] are traits with their back ends beside them.
//! - [`domain`] holds values and rules that need nothing else.
//! - [`base`] holds what every layer may use.

pub mod base;
pub mod domain;
pub mod edge;
#[cfg(fuzzing)]
pub mod fuzzing;
pub mod operate;
pub mod process;
pub mod relay;
pub mod service;
pub mod store;
