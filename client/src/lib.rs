//! What every Sealpost client shares.
//!
//! [`engine`] decides everything and does no I/O; [`vault`] is the port to its memory. With the feature `native` come the
//! adapters: a vault in an encrypted SQLite file, and a transport over rustls.

#[cfg(feature = "native")]
pub mod driver;
pub mod engine;
pub mod vault;

#[cfg(feature = "native")]
pub mod native;
