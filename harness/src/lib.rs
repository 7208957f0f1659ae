//! What tests, benches and torture share, and the product never depends on.
//!
//! - [`database`] starts databases;
//! - [`scan`] looks for secrets in files;
//! - [`sources`] reads a crate's sources, and tells which file uses which: the tests of the architecture call it.

pub mod database;
pub mod scan;
pub mod sources;
