//! Connections: TCP, and TLS on top where the address asks for it.

use std::fmt;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio_rustls::TlsConnector;

use super::error::{TlsFailure, TransportError};
use super::roots::Roots;
use super::trust::ServerTrust;
use super::url::BaseUrl;

/// Longest wait for a connection, handshake included: a slow mobile line needs seconds, a dead host should not take more.
const CONNECT_PATIENCE: Duration = Duration::from_secs(15);

/// A byte stream in both directions.
pub trait Io: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// Opens connections to one server.
#[derive(Clone)]
pub struct Connector {
    base: BaseUrl,
    tls: Option<Arc<ClientConfig>>,
}

impl Connector {
    /// Returns a connector to this address that trusts this.
    ///
    /// # Errors
    /// [`TransportError::Tls`] when the trust cannot be used.
    pub fn new(base: BaseUrl, trust: &ServerTrust) -> Result<Self, TransportError> {
        let roots = if base.is_tls() { trust.roots()? } else { Roots::none() };
        Self::with_roots(base, roots)
    }

    /// Returns a connector to this address that accepts these authorities.
    ///
    /// # Errors
    /// [`TransportError::Tls`] when TLS cannot be set up.
    pub fn with_roots(base: BaseUrl, roots: Roots) -> Result<Self, TransportError> {
        let tls = if base.is_tls() { Some(Arc::new(roots.client_config()?)) } else { None };
        Ok(Self { base, tls })
    }

    /// Makes every connection begin anew, as a new client's does: TLS sessions are never resumed.
    #[must_use]
    pub fn without_resumption(mut self) -> Self {
        if let Some(tls) = &mut self.tls {
            Arc::make_mut(tls).resumption = Resumption::disabled();
        }
        self
    }

    /// Returns the server's address.
    #[must_use]
    pub const fn base(&self) -> &BaseUrl {
        &self.base
    }

    /// Opens a connection.
    ///
    /// # Errors
    /// [`TransportError`]
    pub async fn connect(&self) -> Result<Box<dyn Io>, TransportError> {
        in_time(async { self.connect_on(open_tcp(&self.base).await?).await }).await
    }

    /// Opens a connection that comes from this address of this machine.
    ///
    /// # Errors
    /// [`TransportError`]
    pub async fn connect_from(&self, source: Ipv4Addr) -> Result<Box<dyn Io>, TransportError> {
        in_time(async { self.connect_on(open_tcp_from(&self.base, source).await?).await }).await
    }

    /// Begins TLS on a TCP connection to the server, where its address asks for it.
    ///
    /// # Errors
    /// [`TransportError`]
    pub async fn connect_on(&self, tcp: TcpStream) -> Result<Box<dyn Io>, TransportError> {
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

/// Opens a TCP connection that sends small frames at once.
pub(crate) async fn open_tcp(base: &BaseUrl) -> Result<TcpStream, TransportError> {
    prompt(base, TcpStream::connect((base.host(), base.port())).await)
}

async fn open_tcp_from(base: &BaseUrl, source: Ipv4Addr) -> Result<TcpStream, TransportError> {
    let opened = async {
        let mut found = lookup_host((base.host(), base.port())).await?.filter(|address| address.is_ipv4());
        let address = found.next().ok_or_else(|| std::io::Error::other("the server has no IPv4 address"))?;
        let socket = TcpSocket::new_v4()?;
        socket.bind((source, 0).into())?;
        socket.connect(address).await
    };
    prompt(base, opened.await)
}

fn prompt(base: &BaseUrl, opened: std::io::Result<TcpStream>) -> Result<TcpStream, TransportError> {
    let prompt = opened.and_then(|tcp| tcp.set_nodelay(true).map(|()| tcp));
    prompt.map_err(|error| TransportError::from_io(&base.authority(), &error))
}

/// Returns the name that the certificate must be for.
pub(crate) fn server_name(base: &BaseUrl) -> Result<ServerName<'static>, TransportError> {
    ServerName::try_from(base.host().to_owned()).map_err(|_| TransportError::Tls(TlsFailure::NameMismatch))
}

async fn in_time<T>(work: impl Future<Output = Result<T, TransportError>>) -> Result<T, TransportError> {
    tokio::time::timeout(CONNECT_PATIENCE, work).await.map_err(|_| TransportError::Timeout)?
}
