//! Connections: TCP, and TLS on top where the address asks for it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::error::TransportError;
use super::trust::{ServerTrust, server_name};
use super::url::BaseUrl;

/// Longest wait for a connection, handshake included: a slow mobile line needs seconds, a dead host should not take more.
const CONNECT_PATIENCE: Duration = Duration::from_secs(15);

/// A byte stream in both directions.
pub(crate) trait Io: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// Opens connections to one server.
#[derive(Clone)]
pub struct Connector {
    base: BaseUrl,
    tls: Option<Arc<ClientConfig>>,
}

impl Connector {
    /// Connections to this address, believing this.
    ///
    /// # Errors
    /// [`TransportError::Tls`] when the trust cannot be used.
    pub fn new(base: BaseUrl, trust: &ServerTrust) -> Result<Self, TransportError> {
        let tls = if base.is_tls() { Some(Arc::new(trust.client_config()?)) } else { None };
        Ok(Self { base, tls })
    }

    /// The server's address.
    #[must_use]
    pub const fn base(&self) -> &BaseUrl {
        &self.base
    }

    /// A new connection.
    pub(crate) async fn connect(&self) -> Result<Box<dyn Io>, TransportError> {
        tokio::time::timeout(CONNECT_PATIENCE, self.open()).await.map_err(|_| TransportError::Timeout)?
    }

    async fn open(&self) -> Result<Box<dyn Io>, TransportError> {
        let tcp = open_tcp(&self.base).await?;
        let Some(tls) = &self.tls else { return Ok(Box::new(tcp)) };
        let stream = TlsConnector::from(tls.clone())
            .connect(server_name(&self.base)?, tcp)
            .await
            .map_err(|error| TransportError::from_io(&self.base.authority(), &error))?;
        Ok(Box::new(stream))
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Connector({})", self.base)
    }
}

/// A TCP connection that sends small frames at once.
pub(crate) async fn open_tcp(base: &BaseUrl) -> Result<TcpStream, TransportError> {
    let unreachable = |error: std::io::Error| TransportError::from_io(&base.authority(), &error);
    let tcp = TcpStream::connect((base.host(), base.port())).await.map_err(unreachable)?;
    tcp.set_nodelay(true).map_err(unreachable)?;
    Ok(tcp)
}
