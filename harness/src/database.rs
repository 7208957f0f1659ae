//! Databases for tests.

mod engine;
mod secantusdb;

pub use engine::Engine;
pub use secantusdb::Database;
