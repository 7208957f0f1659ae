//! A profile in use by this process, which carries out tasks on it: its own, and those that come over the socket.

use std::cell::Cell;

use sealpost_client::front::Client;
use tokio::sync::watch;

/// A profile in use.
pub(crate) struct Owner {
    /// Runs the engine.
    pub(crate) client: Client,
    /// The server's address, to be shown.
    pub(crate) server: Option<String>,
    /// Whether a task that goes on prints what becomes of the outbox, so that the others need not.
    pub(crate) is_followed: Cell<bool>,
    /// Turns true when a person stops this process.
    pub(crate) stop: watch::Receiver<bool>,
}

impl Owner {
    /// Takes over a running client.
    pub(crate) const fn new(client: Client, server: Option<String>, stop: watch::Receiver<bool>) -> Self {
        Self { client, server, is_followed: Cell::new(false), stop }
    }
}
