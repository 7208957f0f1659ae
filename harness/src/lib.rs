//! What tests, benches and torture share, and the product never depends on.
//!
//! - [`server`] runs the server's process;
//! - [`database`], [`relay`] and [`proxy`] run what stands beside it;
//! - [`cli`] drives the command line;
//! - [`people`] makes accounts with real keys, and the requests of their clients;
//! - [`scan`] looks for secrets in files;
//! - [`sources`] reads a crate's sources, and tells which file uses which: the tests of the architecture call it.

pub mod cli;
pub mod database;
pub mod people;
pub mod ports;
pub mod proxy;
pub mod relay;
pub mod scan;
pub mod server;
pub mod sources;
