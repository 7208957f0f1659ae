//! The stored records that more than one part reads. Those of a single part lie with that part.

mod contact;
mod held;
mod me;
mod peer;

pub(crate) use contact::{Contact, unknown_label};
pub(crate) use held::Held;
pub(crate) use me::{Me, StoredMe};
pub(crate) use peer::{Gap, InSequence, Peer};
