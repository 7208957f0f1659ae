//! What the tests share.

#[path = "support/server.rs"]
pub(crate) mod server;
#[path = "support/stream.rs"]
mod stream;
#[path = "support/vault.rs"]
pub(crate) mod vault;
#[path = "support/world.rs"]
pub(crate) mod world;

pub(crate) use world::{Fate, Wire, World, name};
