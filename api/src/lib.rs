//! Everything that crosses Sealpost's wire, once: endpoints, JSON bodies, protobuf frames, problem codes and limits.
//!
//! Server and clients share this crate, so that they cannot drift apart. It holds shapes and their checks, no behaviour:
//! no I/O, no clock, no randomness. Binary values are unpadded base64url in JSON ([`encoding::B64`]) and raw bytes in
//! frames ([`frames`]). Each call of the HTTP API is a type that implements [`endpoint::Endpoint`].
//!
//! # Feature
//!
//! - `openapi`: the OpenAPI document (`openapi::document`). Only a server needs it.

pub mod accounts;
pub mod close;
pub mod devices;
pub mod encoding;
pub mod endpoint;
pub mod endpoints;
pub mod frames;
pub mod ids;
pub mod limits;
#[cfg(feature = "openapi")]
pub mod openapi;
pub mod password;
pub mod prekeys;
pub mod problem;
pub mod server;
pub mod sessions;
pub mod stream;
pub mod username;
