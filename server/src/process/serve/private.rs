//! The private listener, with metrics and detailed health. The public one has none of this.

use std::net::TcpListener;
use std::sync::Arc;

use actix_web::dev::ServerHandle;
use actix_web::http::header::{CACHE_CONTROL, ContentType};
use actix_web::{App, HttpResponse, HttpServer, web};
use anyhow::Result;
use serde::Serialize;

use crate::process::metrics::Metrics;
use crate::relay::RelayState;
use crate::service::Services;

/// The most connections, from few scrapers and probes; one worker is enough for them.
const CONNECTIONS_MAX: usize = 64;

struct Shared {
    services: Services,
    metrics: Arc<Metrics>,
}

/// `GET /healthz` and `GET /readyz`.
#[derive(Debug, Serialize)]
struct Health {
    status: &'static str,
    version: &'static str,
    /// The durability that `Sent` promises.
    durability: &'static str,
    /// How the node learns what other nodes did.
    relay: &'static str,
    streams: usize,
    passwords_waiting: usize,
    /// The reason why nothing can be stored now.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

pub(super) fn start(listener: TcpListener, services: Services, metrics: Arc<Metrics>) -> Result<ServerHandle> {
    let shared = web::Data::new(Shared { services, metrics });
    let server = HttpServer::new(move || {
        App::new()
            .app_data(shared.clone())
            .route("/metrics", web::get().to(show_metrics))
            .route("/healthz", web::get().to(healthz))
            .route("/readyz", web::get().to(readyz))
    })
    .workers(1)
    .max_connections(CONNECTIONS_MAX)
    .disable_signals()
    .listen(listener)?
    .run();
    let handle = server.handle();
    actix_web::rt::spawn(server);
    Ok(handle)
}

async fn show_metrics(shared: web::Data<Shared>) -> HttpResponse {
    let relay = &shared.services.core().relay;
    shared.metrics.relay_looked(relay.state(), relay.counts());
    let text = shared.metrics.render(shared.services.core().hub.connections());
    HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).content_type(ContentType::plaintext()).body(text)
}

async fn healthz(shared: web::Data<Shared>) -> HttpResponse {
    HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(health(&shared, None))
}

async fn readyz(shared: web::Data<Shared>) -> HttpResponse {
    match shared.services.core().store.ready().await {
        Ok(()) => HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(health(&shared, None)),
        Err(error) => HttpResponse::ServiceUnavailable()
            .insert_header((CACHE_CONTROL, "no-store"))
            .json(health(&shared, Some(error.to_string()))),
    }
}

fn health(shared: &Shared, reason: Option<String>) -> Health {
    let core = shared.services.core();
    Health {
        // Without its relay a node still delivers, some seconds later. Taking it out would not help.
        status: match (&reason, core.relay.state()) {
            (Some(_), _) => "unavailable",
            (None, RelayState::Disconnected) => "degraded",
            (None, _) => "ok",
        },
        version: env!("CARGO_PKG_VERSION"),
        durability: core.store.durability(),
        relay: core.relay.state().as_str(),
        streams: core.hub.connections(),
        passwords_waiting: core.passwords.waiting(),
        reason,
    }
}
