//! The public listener: actix's own server with one thing before it, the cap on connections of one network. It is looked at
//! before TLS and before the first byte is read, so that a connection too many costs no handshake.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_http::{HttpService, TlsAcceptorConfig};
use actix_service::{
    IntoServiceFactory as _, Service, ServiceFactory, ServiceFactoryExt as _, apply_fn_factory, map_config,
};
use actix_web::dev::{AppConfig, Server, ServerHandle};
use actix_web::rt::net::TcpStream;
use actix_web::web;
use anyhow::Result;

use super::DRAIN_TIMEOUT;
use crate::config::Config;
use crate::domain::address::{TrustedProxies, client_network};
use crate::http::{self, Http, HttpSettings};
use crate::service::Services;
use crate::service::places::Places;
use crate::tls::Certificates;
use crate::ws::{OriginPolicy, until_ended};

/// A head that comes more slowly than this is not waited for (slowloris).
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// A TLS handshake likewise.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection that ends may still say this long what nobody reads, so that the last answer is not lost with it.
const LINGER_TIMEOUT: Duration = Duration::from_secs(2);
/// An answer is asked for more when less than this waits to be written. A peer that does not read keeps it waiting, so it is no
/// more than one TLS record takes.
const WRITE_BUFFER_BYTES: usize = 16 * 1024;
/// An idle HTTP connection is kept this long.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// From the end of an answer to the end of the next head: what is idle for as long as it may be has yet the time of a head.
const REQUEST_GAP: Duration = KEEP_ALIVE.saturating_add(HEAD_TIMEOUT);

/// Begins to serve. `connections_max` is for each worker.
pub(super) fn start(
    config: &Config,
    connections_max: usize,
    listener: TcpListener,
    certificates: Option<&Arc<Certificates>>,
    services: Services,
) -> Result<ServerHandle> {
    let settings = HttpSettings {
        tls: certificates.is_some(),
        trusted_proxies: config.trust_proxy.clone(),
        body_timeout: http::BODY_TIMEOUT,
        origins: OriginPolicy::new(config.allowed_origins.clone()),
    };
    let share = share(config, connections_max);
    let shared = web::Data::new(Http::new(services, settings).with_streams(Places::new(share)));
    // All who come through a proxy share its address; there the streams alone are counted, by the client that it names.
    let (places, proxies) = (Places::new(share), config.trust_proxy.clone());
    let tls = certificates.map(|certificates| certificates.server_config()).transpose()?;

    let server = Server::build()
        .workers(config.workers)
        .max_concurrent_connections(connections_max)
        .shutdown_timeout(DRAIN_TIMEOUT.as_secs())
        .disable_signals();
    let stopping = server.graceful_shutdown_signal();
    // The service has another type for each kind of connection, so this is no closure.
    macro_rules! http {
        () => {{
            let stopping = stopping.clone();
            HttpService::build()
                .graceful_shutdown_signal(move || {
                    let stopping = stopping.clone();
                    async move { stopping.notified().await }
                })
                .keep_alive(KEEP_ALIVE)
                .client_request_timeout(if sealpost_crypto::sabotage::left_out(45) {
                    Duration::ZERO
                } else {
                    HEAD_TIMEOUT
                })
                .client_disconnect_timeout(LINGER_TIMEOUT)
                .tcp_nodelay(true)
                .h1_write_buffer_size(WRITE_BUFFER_BYTES)
                .finish(map_config(
                    http::app(shared.clone()).into_factory().map_err(|error| error.error_response()),
                    |()| AppConfig::default(),
                ))
        }};
    }
    let server = match tls {
        Some(tls) => server.listen("sealpost", listener, move || {
            let timeout = TlsAcceptorConfig::default().handshake_timeout(HANDSHAKE_TIMEOUT);
            limited(Arc::clone(&places), proxies.clone(), http!().rustls_0_23_with_config(tls.clone(), timeout))
        }),
        None => {
            server.listen("sealpost", listener, move || limited(Arc::clone(&places), proxies.clone(), http!().tcp()))
        }
    };
    let server = server?.run();
    let handle = server.handle();
    actix_web::rt::spawn(server);
    Ok(handle)
}

/// What one network may have open: what is configured, and never more than half of all there is.
fn share(config: &Config, connections_max: usize) -> usize {
    config.connections_per_address.min(connections_max.saturating_mul(config.workers) / 2).max(1)
}

/// Closes a connection at once whose network has all its places; any other keeps its place until it ends, or until its next
/// request is too long in coming. Those of trusted proxies take none.
fn limited<F>(
    places: Arc<Places>,
    proxies: TrustedProxies,
    factory: F,
) -> impl ServiceFactory<TcpStream, Config = (), Response = (), Error = F::Error, InitError = F::InitError>
where
    F: ServiceFactory<TcpStream, Config = (), Response = ()>,
{
    apply_fn_factory(factory, move |stream: TcpStream, service| {
        let peer = stream.peer_addr().ok().map(|peer| peer.ip());
        let of_proxy = peer.is_some_and(|peer| proxies.contains(peer));
        let place = peer.filter(|_| !of_proxy).and_then(|peer| places.take(client_network(peer)));
        let served = (of_proxy || place.is_some()).then(|| (place, service.call(stream)));
        async move {
            match served {
                Some((_place, served)) => {
                    http::paced(until_ended(served), REQUEST_GAP).await.flatten().unwrap_or(Ok(()))
                }
                None => Ok(()),
            }
        }
    })
}
