//! The tasks beside the calls: expiry, renewal of the certificate, and following other nodes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::base::catch::catching;
use crate::domain::clock::Clock;
use crate::edge::tls::{Certificates, names};
use crate::process::metrics::Metrics;
use crate::service::Core;
use crate::service::nodes::Hearing;
use crate::store::factory::OpenedStore;

/// The interval of expiry.
const EXPIRY_INTERVAL: Duration = Duration::from_secs(60);
/// The interval of checking the certificate.
const CERTIFICATE_INTERVAL: Duration = Duration::from_secs(3600);
/// The pause before a task that panicked starts again.
const AGAIN_AFTER: Duration = Duration::from_millis(200);
/// The shortest interval of taking the figures of the whole store.
const FIGURES_INTERVAL: Duration = Duration::from_secs(15);
/// The share of one reader's time that taking the figures uses at most, as a divisor: a store with millions of rows is looked
/// at less often.
const FIGURES_SHARE: u32 = 20;

/// Takes the figures of the store from time to time, so that a scrape costs nothing.
pub(super) fn watch_store(opened: OpenedStore, clock: Arc<dyn Clock>, metrics: Arc<Metrics>) {
    actix_web::rt::spawn(async move {
        loop {
            let begun = Instant::now();
            match opened.store().figures(clock.now()).await {
                Ok(figures) => metrics.looked(&figures, &opened.file_sizes(), clock.now().0),
                Err(error) => tracing::warn!(%error, "the store could not be looked at for the metrics"),
            }
            tokio::time::sleep(FIGURES_INTERVAL.max(begun.elapsed().saturating_mul(FIGURES_SHARE))).await;
        }
    });
}

/// Starts the tasks, which end with the process.
pub(super) fn begin(core: &Arc<Core>, certificates: Option<Arc<Certificates>>, host: String) {
    let expiring = Arc::clone(core);
    actix_web::rt::spawn(async move {
        loop {
            match catching(|| expiring.metrics.panicked(), expiring.expire()).await {
                Ok(Ok(0)) => {}
                Ok(Ok(rows)) => tracing::info!(rows, "messages expired"),
                Ok(Err(error)) => tracing::warn!(%error, "expired messages could not be removed"),
                Err(error) => tracing::error!(%error, "expired messages could not be removed"),
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
}

/// Starts the tasks of a node that shares its store; they end with the process.
pub(super) fn follow_others(core: &Arc<Core>, hearing: Arc<Hearing>) {
    if core.relay.is_local() {
        return;
    }
    again(core, &hearing, async |core, hearing| core.follow_wakes(hearing).await);
    again(core, &hearing, async |core, hearing| core.follow_sessions(hearing).await);
    again(core, &hearing, async |core, hearing| core.follow_devices(hearing).await);
}

/// Runs a task that never ends, and starts it again if it panics.
fn again(core: &Arc<Core>, hearing: &Arc<Hearing>, follow: impl AsyncFn(&Core, &Hearing) + 'static) {
    let (core, hearing) = (Arc::clone(core), Arc::clone(hearing));
    actix_web::rt::spawn(async move {
        loop {
            if let Err(error) = catching(|| core.metrics.panicked(), follow(&core, &hearing)).await {
                tracing::error!(%error, "what other nodes do could not be followed");
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    });
}
