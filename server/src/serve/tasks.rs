//! What goes on beside the calls: expiry, the certificate's renewal, and the sweep of a node that has others beside it.

use std::sync::Arc;
use std::time::Duration;

use crate::service::Core;
use crate::tls::{Certificates, names};

/// Between two looks for what has expired.
const EXPIRY_INTERVAL: Duration = Duration::from_secs(60);
/// Between two looks at the certificate.
const CERTIFICATE_INTERVAL: Duration = Duration::from_secs(3600);
/// Between two sweeps of the connected devices' queues: hints of other nodes may be lost.
const SWEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Begins them; they end with the process.
pub(super) fn begin(core: &Arc<Core>, certificates: Option<Arc<Certificates>>, host: String) {
    let expiring = Arc::clone(core);
    actix_web::rt::spawn(async move {
        loop {
            match expiring.expire().await {
                Ok(0) => {}
                Ok(rows) => tracing::info!(rows, "messages expired"),
                Err(error) => tracing::warn!(%error, "expired messages could not be removed"),
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
