//! The threads that hold the database: one that writes, a few that read, and one that writes the log back.

pub(super) mod cache;
pub(super) mod checkpoint;
mod device_row;
pub(super) mod job;
pub(super) mod readers;
pub(super) mod shared;
mod transactions;
pub(super) mod tx;
pub(super) mod writer;
