//! What the tests share.

pub(crate) mod server;
mod stream;
pub(crate) mod vault;
pub(crate) mod world;

pub(crate) use world::{Fate, Wire, World, name};
