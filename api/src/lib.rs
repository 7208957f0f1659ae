//! Everything that crosses Sealpost's wire, once: JSON bodies, protobuf frames, problem codes and limits.
//!
//! Server and clients share this crate, so that they cannot drift apart. It holds shapes and their checks, no behaviour:
//! no I/O, no clock, no randomness. Binary values are unpadded base64url in JSON ([`encoding::B64`]) and raw bytes in
//! frames ([`frames`]).

pub mod accounts;
pub mod close;
pub mod devices;
pub mod encoding;
pub mod frames;
pub mod ids;
pub mod limits;
pub mod password;
pub mod prekeys;
pub mod problem;
pub mod server;
pub mod sessions;
pub mod username;
