//! What tests, benches and torture share, and the product never depends on.
//!
//! - [`sources`] reads a crate's sources, and tells which file uses which: the tests of the architecture call it.

pub mod sources;
