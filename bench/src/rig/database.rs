//! Databases that a bench creates and drops.

use anyhow::{Context as _, Result};
use mongodb::Client;

/// Drops a database, on a thread of its own, because the caller can be a destructor inside a runtime.
pub(super) fn drop(address: &str) -> Result<()> {
    let address = address.to_owned();
    let dropping = std::thread::spawn(move || {
        super::runtime()?.block_on(async {
            let client = Client::with_uri_str(&address).await?;
            client.default_database().context("the address names no database")?.drop().await?;
            client.shutdown().await;
            anyhow::Ok(())
        })
    });
    dropping.join().map_err(|_| anyhow::anyhow!("the thread that drops it failed"))?
}
