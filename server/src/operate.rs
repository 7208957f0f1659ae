//! The operator's commands besides serving: on the server's folder, its store, its keys, or the running server.

pub mod admin;
pub mod audit;
pub mod doctor;
pub mod maintenance;
pub mod migrate;
pub mod moving;
pub mod secrets;
pub mod store_args;
