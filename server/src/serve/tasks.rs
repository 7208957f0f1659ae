//! What goes on beside the calls: expiry, the certificate's renewal, and the sweep of a node that has others beside it.

use std::sync::Arc;
use std::time::Duration;

use sealpost_api::limits::QUEUE_RETENTION_MILLIS;

use crate::service::Core;
use crate::store::StoreError;
use crate::tls::{Certificates, names};

/// Between two looks for what has expired.
const EXPIRY_INTERVAL: Duration = Duration::from_secs(60);
/// Rows expired in one step of the store, so that other writes get their turn.
const EXPIRY_BATCH: usize = 500;
/// Between two looks at the certificate.
const CERTIFICATE_INTERVAL: Duration = Duration::from_secs(3600);
/// Between two sweeps of the connected devices' queues: hints of other nodes may be lost.
const SWEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Begins them; they end with the process.
pub(super) fn begin(core: &Arc<Core>, certificates: Option<Arc<Certificates>>, host: String) {
    let expiring = Arc::clone(core);
    actix_web::rt::spawn(async move {
        loop {
            if let Err(error) = expire(&expiring).await {
                tracing::warn!(%error, "expired messages could not be removed");
            }
            tokio::time::sleep(EXPIRY_INTERVAL).await;
        }
    });
    if let Some(certificates) = certificates {
        let clock = Arc::clone(&core.clock);
        actix_web::rt::spawn(async move {
            loop {
                tokio::time::sleep(CERTIFICATE_INTERVAL).await;
                if let Err(error) = certificates.refresh(&names::machine(&host), clock.now()) {
                    tracing::error!(%error, "the certificate could not be renewed; the old one stays");
                }
            }
        });
    }
    if !core.relay.is_local() {
        let hub = Arc::clone(&core.hub);
        actix_web::rt::spawn(async move {
            loop {
                tokio::time::sleep(SWEEP_INTERVAL).await;
                hub.wake_all();
            }
        });
    }
}

/// Expires everything that is due, step by step, and tells the connected senders.
async fn expire(core: &Core) -> Result<(), StoreError> {
    loop {
        let now = core.clock.now();
        let expired = core.store.expire(now.saturating_sub(QUEUE_RETENTION_MILLIS), now, EXPIRY_BATCH).await?;
        core.wake(&expired.notified);
        if expired.deleted == 0 {
            return Ok(());
        }
        tracing::info!(rows = expired.deleted, "messages expired");
    }
}
