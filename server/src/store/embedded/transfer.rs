//! A whole store, for `sealpost-server move`.

mod database;
mod put;
mod source;
mod target;

pub use self::database::EmbeddedTransfer;
