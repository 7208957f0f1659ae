//! The profile's Unix socket, over which other commands of a profile go through its owner.
//!
//! The asker sends one request; the owner answers with lines and, at last, the outcome. The asker acknowledges lines after
//! it has written them, so that nothing counts as printed that was not. The socket is 0600 in a folder of mode 0700: only
//! the user whose vault it is can connect.

pub(crate) mod asker;
pub(crate) mod frames;
pub(crate) mod peer;
pub(crate) mod server;
