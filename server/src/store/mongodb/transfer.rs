//! A whole store, for `sealpost-server move`.

mod database;
mod documents;
mod source;
mod target;

pub use self::database::MongoTransfer;
