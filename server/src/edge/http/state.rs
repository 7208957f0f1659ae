//! What the handlers and the guard share.

use std::sync::Arc;
use std::time::Duration;

use crate::base::config::TrustedProxies;
use crate::edge::ws::OriginPolicy;
use crate::service::Services;
use crate::service::places::Places;

/// A body must have arrived within this time, because actix's own time-out covers only the head. Together with the time that a
/// refused connection lingers, a slow sender is cut off after 10 s.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(8);

/// The settings of the adapter itself.
#[derive(Clone, Debug)]
pub struct HttpSettings {
    /// Whether clients reach this server by TLS. Only then are they told to insist on it.
    pub tls: bool,
    /// The proxies whose last entry in `X-Forwarded-For` names the client. The header is ignored from anyone else: a client
    /// could otherwise choose the address that its limits count for.
    pub trusted_proxies: TrustedProxies,
    /// How long a body may take to arrive.
    pub body_timeout: Duration,
    /// The pages that may open the stream.
    pub origins: OriginPolicy,
}

/// The services and the adapter's settings, shared by all workers.
pub struct Http {
    pub(super) services: Services,
    pub(super) settings: HttpSettings,
    pub(super) streams: Arc<Places>,
}

impl Http {
    /// Makes the shared state. Streams are unlimited until [`with_streams`](Self::with_streams).
    #[must_use]
    pub fn new(services: Services, settings: HttpSettings) -> Self {
        Self { services, settings, streams: Places::new(usize::MAX) }
    }

    /// Limits the streams to these places.
    #[must_use]
    pub fn with_streams(self, streams: Arc<Places>) -> Self {
        Self { streams, ..self }
    }
}

/// The network that a request counts for. The guard puts it into the request's extensions.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClientNetwork(pub [u8; 16]);
