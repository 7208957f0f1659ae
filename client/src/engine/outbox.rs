//! The outbox: what is written here and not accepted yet. First in, first out for each recipient, one at a time, so that
//! nothing can overtake.
//!
//! A message's place in each recipient device's sequence is fixed when it is first encrypted. A number belongs to its
//! bytes for ever: after a lost answer the same bytes go out under the same number; what is encrypted anew takes a new
//! one.

mod flight;
mod message;
mod outcome;
mod queue;
mod recovery;
mod repairs;
mod sender;
mod sending;
mod sent;

pub(crate) use message::{Item, Lane, Recipient};
pub(crate) use queue::Outbox;
pub(crate) use recovery::Recovered;

/// Reads bytes as each record of the outbox.
#[cfg(fuzzing)]
pub(crate) fn read_any_record(bytes: &[u8]) {
    use super::codec::parse;
    let _ = parse::<sender::Sender>(bytes, "a record");
    let _ = parse::<Item>(bytes, "a record");
    let _ = parse::<sent::SentRecord>(bytes, "a record");
}
