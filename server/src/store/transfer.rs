//! Everything that a store holds, in a form that no back end owns: for `sealpost-server move`.
//!
//! A source is read while nothing else uses it, in pages and in one fixed order, so that reading it again gives the
//! same; a target takes every page any number of times. One-time prekeys have no form here: a prekey that was given
//! away may not be given again, and nothing proves that a copy is not used a second time. Instead the key epoch rises,
//! and devices upload new ones.

mod digest;
mod moved;
mod plan;
mod ports;

pub use self::digest::{Counts, Digest};
pub use self::moved::{MovedAccount, MovedDevice, MovedMessage, MovedNotice, MovedSession};
pub use self::plan::{BeginError, MovePlan, Progress, Totals};
pub use self::ports::{TransferSource, TransferTarget};
