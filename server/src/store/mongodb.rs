//! The store on MongoDB, for many nodes.
//!
//! Every operation is one step on one document, or a few steps in an order in which a crash between them does no harm,
//! and any node may repeat them; there are no transactions over several documents. Everything that must change together
//! is in one document: an account with its name, password, device list and sessions; the prekeys of a device; a
//! device's window and epoch. Such a document changes by an update that is conditional on what it was decided on.
//!
//! Where several documents belong together, the one that makes the others count is written last when something is
//! added, and first when something is removed:
//!
//! - A new device's prekeys come before the list that names it; nothing finds them without the list.
//! - A message's copies come before the sender's window that records its number, and that before the answer. After a
//!   crash in between, the sender repeats the message, and the unique index on (recipient, sender, number) finds the
//!   copies.
//! - A removed device leaves the list first, in one step with the note that it must be cleaned up. The sweep does what
//!   a crash left undone, and repeats it for a while, because another node may still be writing to the device's queue.
//! - An erased account becomes the note of its erasure in one step, under the same unique index of names.
//!
//! Reads and writes go to the primary; a write is answered once a majority of the members has it in their journals. The
//! connection string cannot change that.
//!
//! From the bottom up: `documents` are what is stored, `collections` the steps on them, and the other files the
//! operations.

mod accept;
mod accounts;
mod acks;
mod admin;
mod at_once;
mod bulk;
mod check;
mod collections;
mod concerns;
mod connect;
mod connections;
mod db;
mod device_lists;
mod devices;
mod documents;
mod doubt;
mod erase;
mod error;
mod expiry;
mod figures;
mod invites;
mod lanes;
mod lease;
mod migrations;
mod moved;
mod nodes;
mod open_error;
mod opening;
mod prekeys;
mod publish;
mod queue;
mod recount;
mod register;
mod removal;
mod restore;
mod sessions;
mod store;
mod suspect;
mod transfer;
mod values;
mod verify;
mod versions;

pub use self::open_error::OpenError;
pub use self::store::MongoStore;
pub use self::transfer::MongoTransfer;
