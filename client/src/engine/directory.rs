//! The directory: names pinned to an account and its identity key, and the device list that identity has signed.
//!
//! Trust on first use. What is pinned moves only forward: to a newer list under the same identity. Another identity, or
//! another account under the name, is kept aside and shown until a person accepts it; nothing is sent to it before.

mod book;
mod identities;
mod lists;
mod look_ups;
mod strangers;

pub(crate) use book::Directory;
pub(crate) use lists::ListOutcome;
