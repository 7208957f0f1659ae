//! What every front does: the command line, a bot, a terminal UI, a web page.
//!
//! A front shows things to a person or a script, and takes what they want done. This module is the part that all of them
//! share: it holds no files, sockets, clocks or tasks. A front brings its runtime's clock and its own reasons to give up as
//! a [`Limit`], and says in closures how it shows things.
//!
//! ```text
//! front ─▶ Client ─▶ DriverHandle
//!            ├ command, query     with another log-in where the session has ended and the password is at hand
//!            ├ send               puts a message into the outbox, connects, and waits for what becomes of it
//!            ├ settle             waits until the outbox is empty, and tells what became of older messages
//!            └ show_new           shows what was not shown, and marks it afterwards
//! ```
//!
//! [`pin`] decides which server a profile talks to, and whose certificates it accepts.

mod claims;
mod client;
mod limit;
#[cfg(feature = "native")]
mod native;
mod notices;
mod outbox;
pub mod pin;
mod send;
#[cfg(test)]
#[cfg(feature = "native")]
mod tests;
mod trouble;

pub use client::Client;
pub use limit::{Limit, Reached};
#[cfg(feature = "native")]
pub use native::ServerError;
pub use notices::Shown;
pub use outbox::{Outbox, Settled};
pub use send::Delivery;
pub use trouble::Trouble;
