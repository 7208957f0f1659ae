//! People with real keys: what a client keeps, and the requests that it makes of it.
//!
//! Nothing is sent here. A test sends the requests over its own wire, whole or damaged.

mod account;
mod device;

pub use account::{Account, publish_request};
pub use device::{Device, one_time_prekeys, path_id};
