//! The driver: gives the [engine](crate::engine) a vault, a network, a clock and randomness, and runs it.
//!
//! ```text
//! front ─▶ DriverHandle ──asks──▶ worker (engine, vault) ──effects──▶ network
//!                       ◀─answers─                      ◀──inputs───
//! ```
//!
//! What has arrived by then (commands, answers, frames, the clock) goes through the engine in **one** vault transaction;
//! only when that is on disk are its effects performed. So what leaves this machine is never more than what a crash would
//! leave behind, and many frames share one sync to disk.
//!
//! If the transaction fails, the engine may have seen what the vault has not: both are dropped together, everyone who
//! waits is told, and a new engine goes on from the vault.
//!
//! The path that most programs want: [`Driver::start`], then a [`Client`](crate::front::Client) around the
//! [`DriverHandle`].
//!
//! The handle and what it answers know no runtime: only channels. With the feature `native` comes the worker that runs on a
//! thread of its own over the native transport.

#[cfg(feature = "native")]
mod adapters;
mod ask;
#[cfg(feature = "native")]
mod core;
mod error;
mod handle;
#[cfg(feature = "native")]
mod network;
mod notes;
mod sending;
#[cfg(feature = "native")]
mod start;
#[cfg(test)]
#[cfg(feature = "native")]
pub(crate) mod tests;
#[cfg(feature = "native")]
mod tokens;
#[cfg(feature = "native")]
mod waiting;
#[cfg(feature = "native")]
mod worker;

pub use sealpost_crypto::UnixMillis;

#[cfg(feature = "native")]
pub use adapters::{Clock, SystemClock};
pub use error::{DriverError, NetworkFailure};
pub use handle::{DriverHandle, Link};
#[cfg(feature = "native")]
pub use network::Server;
pub use notes::{note, set_note};
pub use sending::{SendState, SendToken, Sending};
#[cfg(feature = "native")]
pub use start::Driver;
