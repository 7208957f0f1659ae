//! What each command does, written once for this process's own tasks and for those that come over the socket.

pub(crate) mod account;
pub(crate) mod devices;
pub(crate) mod history;
pub(crate) mod outbox;
pub(crate) mod people;
pub(crate) mod receive;
pub(crate) mod send;
pub(crate) mod sessions;
pub(crate) mod status;
