//! Accepting messages, many at a time: what arrives while one batch is written is the next one, and shares its round
//! trips.
//!
//! A batch is a few steps, each for all of its messages: read the lists, windows and counters; decide; reserve room and
//! sequences in the queues; insert the copies; read the versions of the lists again; write the notices; record the
//! numbers in the senders' windows; answer. What goes wrong with one message does not affect the others. `Accepted` is
//! answered only once the number is durable, and a number is recorded only when all copies are. If a batch breaks off
//! in between, the sender's repetition heals it, because it finds the copies by their unique index; or the queue is
//! counted again.
//!
//! All messages of one sender account go through the same lane, one batch after the other, so that their rows are in
//! the order in which they were sent. That holds also after the sender has moved to another node: that one begins only
//! after the epoch rose, and the sequences of a queue only rise.

mod accepting;
mod batch;
mod copies;
mod numbers;
mod outcome;
mod plan;
mod room;
mod view;
mod write;

pub(super) use self::accepting::Accepting;
