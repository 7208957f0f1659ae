//! Starts a worker on a thread of its own.

use tokio::sync::{mpsc, oneshot, watch};

use super::adapters::Clock;
use super::handle::{DriverHandle, Link};
use super::network::Server;
use super::worker::{Reports, Worker};
use crate::engine::EngineError;
use crate::vault::Vault;

/// Starts drivers.
#[derive(Debug)]
pub struct Driver;

impl Driver {
    /// Opens the engine of this vault and runs it on a thread of its own. Without a server every request is answered as
    /// unreachable, which is enough for what only needs the vault.
    ///
    /// # Errors
    /// When the engine cannot go on with what is in the vault, or there are no threads left.
    pub fn start(vault: Vault, server: Option<Server>, clock: Box<dyn Clock>) -> Result<DriverHandle, EngineError> {
        let (asks, asked) = mpsc::unbounded_channel();
        let (link_reports, link) = watch::channel(Link::Down);
        let (network_reports, network) = watch::channel(None);
        let (opened, opening) = std::sync::mpsc::sync_channel(1);
        let (end, ended) = oneshot::channel::<()>();
        std::thread::Builder::new()
            .name("sealpost-driver".to_owned())
            .spawn(move || {
                // Dropped last, after the vault, so that a program that waits for the end can open the vault again.
                let _end = end;
                let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
                let local = tokio::task::LocalSet::new();
                let reports = Reports { link: link_reports, network: network_reports };
                match Worker::open(vault, server, clock, reports) {
                    Ok(worker) => {
                        let _ = opened.send(Ok(()));
                        local.block_on(&runtime, worker.run(asked));
                    }
                    Err(error) => {
                        let _ = opened.send(Err(error));
                    }
                }
            })
            .map_err(|_| EngineError::Internal)?;
        // The thread sends before it does anything else, or ends and so closes the channel.
        opening.recv().map_err(|_| EngineError::Internal)??;
        Ok(DriverHandle::new(asks, link, network, ended))
    }
}
