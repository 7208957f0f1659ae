//! The public listener: actix's server with a cap on the connections of one network. The cap is checked before TLS and
//! before the first byte is read, so that an excess connection costs no handshake.

use sealpost_sabotage::{Countermeasure, or_planted};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_codec::{AsyncRead, AsyncWrite, Framed};
use actix_http::body::BoxBody;
use actix_http::h1::{Codec, ExpectHandler};
use actix_http::{HttpService, Request, Response, TlsAcceptorConfig};
use actix_service::{
    IntoServiceFactory, Service, ServiceFactory, ServiceFactoryExt as _, apply_fn_factory, map_config,
};
use actix_web::Error;
use actix_web::dev::{AppConfig, Server, ServerHandle, ServiceResponse};
use actix_web::rt::net::TcpStream;
use actix_web::web;
use anyhow::Result;

use crate::base::config::{Config, TrustedProxies};
use crate::domain::address::client_network;
use crate::edge::http::{self, Http, HttpSettings};
use crate::edge::tls::Certificates;
use crate::edge::ws::{OriginPolicy, UpgradeFailed, Upgrades, with_streams};
use crate::service::Services;
use crate::service::places::Places;

/// How long the end of a stream may take when the server stops; what is still open then is cut.
pub(super) const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest time for a request's head (slowloris).
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest time for a TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an ending connection can still deliver its last answer.
const LINGER_TIMEOUT: Duration = Duration::from_secs(2);
/// How long an idle HTTP connection is kept.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// The longest time from the end of an answer to the end of the next head: the allowed idle time plus the time for a
/// head.
const REQUEST_GAP: Duration = KEEP_ALIVE.saturating_add(HEAD_TIMEOUT);

/// Starts serving. `connections_max` is for each worker.
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
    // Clients behind a proxy share its address, so only their streams are counted, by the client that the proxy names.
    let (places, proxies) = (Places::new(share), config.trust_proxy.clone());
    let tls = certificates.map(|certificates| certificates.server_config()).transpose()?;

    let server = Server::build()
        .workers(config.workers)
        .max_concurrent_connections(connections_max)
        .shutdown_timeout(DRAIN_TIMEOUT.as_secs())
        .disable_signals();
    let stopping = server.graceful_shutdown_signal();
    let stopping = async move || stopping.notified().await;
    let app = move || http::app(shared.clone());
    let server = match tls {
        Some(tls) => server.listen("sealpost", listener, move || {
            let timeout = TlsAcceptorConfig::default().handshake_timeout(HANDSHAKE_TIMEOUT);
            let http = http_service(app.clone(), stopping.clone()).rustls_0_23_with_config(tls.clone(), timeout);
            limited(Arc::clone(&places), proxies.clone(), http)
        }),
        None => server.listen("sealpost", listener, move || {
            limited(Arc::clone(&places), proxies.clone(), http_service(app.clone(), stopping.clone()).tcp())
        }),
    };
    let server = server?.run();
    let handle = server.handle();
    actix_web::rt::spawn(server);
    Ok(handle)
}

/// Serves an application without TLS and without caps, with the given number of workers, as the tests of its parts do.
///
/// # Errors
/// An error if the listener cannot be used.
pub fn serve_plain<A, S>(
    listener: TcpListener,
    workers: usize,
    app: impl Fn() -> A + Clone + Send + 'static,
) -> std::io::Result<Server>
where
    A: IntoServiceFactory<S, Request> + 'static,
    S: ServiceFactory<Request, Config = AppConfig, Response = ServiceResponse<BoxBody>, Error = Error, InitError = ()>
        + 'static,
    S::Service: 'static,
{
    let server = Server::build().workers(workers).shutdown_timeout(DRAIN_TIMEOUT.as_secs()).disable_signals();
    let stopping = server.graceful_shutdown_signal();
    let stopping = async move || stopping.notified().await;
    let server = server.listen("plain", listener, move || {
        apply_fn_factory(http_service(app.clone(), stopping.clone()).tcp(), |stream: TcpStream, service| {
            with_streams(service.call(stream))
        })
    });
    Ok(server?.run())
}

/// Creates the HTTP service of one worker: the application for requests and for upgrades.
#[expect(clippy::type_complexity, reason = "actix's factories have no shorter names")]
fn http_service<T, A, S>(
    app: impl Fn() -> A,
    stopping: impl AsyncFn() + Clone + 'static,
) -> HttpService<
    T,
    impl ServiceFactory<
        Request,
        Config = (),
        Response = ServiceResponse<BoxBody>,
        Error = Response<BoxBody>,
        InitError = (),
        Service = impl Service<
            Request,
            Response = ServiceResponse<BoxBody>,
            Error = Response<BoxBody>,
            Future = impl Sized + 'static,
        > + 'static,
        Future = impl Sized + 'static,
    >,
    BoxBody,
    ExpectHandler,
    impl ServiceFactory<
        (Request, Framed<T, Codec>),
        Config = (),
        Response = (),
        Error = UpgradeFailed,
        InitError = (),
        Future = impl Sized + 'static,
    >,
>
where
    T: AsyncRead + AsyncWrite + Unpin + 'static,
    A: IntoServiceFactory<S, Request>,
    S: ServiceFactory<Request, Config = AppConfig, Response = ServiceResponse<BoxBody>, Error = Error, InitError = ()>
        + 'static,
    S::Service: 'static,
{
    let app = || {
        let app = app().into_factory().map_err(|error: Error| Response::<BoxBody>::from(error.error_response()));
        map_config(app, |()| AppConfig::default())
    };
    HttpService::build()
        .graceful_shutdown_signal(move || {
            let stopping = stopping.clone();
            async move { stopping().await }
        })
        .keep_alive(KEEP_ALIVE)
        .client_request_timeout(or_planted(Countermeasure::HeadTimeout, HEAD_TIMEOUT, Duration::ZERO))
        .client_disconnect_timeout(LINGER_TIMEOUT)
        .tcp_nodelay(true)
        .upgrade(Upgrades::new(app()))
        .finish(app())
}

/// Returns the most open connections of one network: the configured number, and never more than half of all.
fn share(config: &Config, connections_max: usize) -> usize {
    config.connections_per_address.min(connections_max.saturating_mul(config.workers) / 2).max(1)
}

/// Closes a connection at once if its network has no free place. Any other keeps its place until it ends, or until its
/// next request takes too long. Connections of trusted proxies take no place.
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
        let served = (of_proxy || place.is_some()).then(|| (place, Box::pin(service.call(stream))));
        async move {
            match served {
                Some((_place, served)) => http::paced(with_streams(served), REQUEST_GAP).await.unwrap_or(Ok(())),
                None => Ok(()),
            }
        }
    })
}
