//! The engine's records in memory, and the one flush that writes the changed ones at the end of a step.
//!
//! A record says where it lies ([`Record`], [`Row`], [`Entry`]). A part owns its records in one of the containers here,
//! changes them through `edit`, and leaves the writing to `flush`: nothing is saved by hand, and nothing twice in a step.

mod cache;
mod kept;
mod log_rows;
mod record;
mod rows;
mod single;
#[cfg(test)]
mod tests;

pub(crate) use cache::Cache;
pub(crate) use kept::Kept;
pub(crate) use log_rows::LogRows;
pub(crate) use record::{Entry, Record, Row, clear};
pub(crate) use rows::Rows;
pub(crate) use single::Single;
