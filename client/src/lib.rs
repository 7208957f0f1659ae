//! What every Sealpost client shares.
//!
//! [`engine`] decides everything and does no I/O; [`vault`] is the port to its memory. [`driver`] runs an engine, and
//! [`front`] is what a program for people or scripts does with a running driver. With the feature `native` come the
//! adapters: a vault in an encrypted SQLite file, a transport over rustls, and a driver on a thread of its own.

#[cfg(feature = "front")]
pub mod driver;
pub mod engine;
#[cfg(feature = "front")]
pub mod front;
pub mod vault;

#[cfg(feature = "native")]
pub mod native;
