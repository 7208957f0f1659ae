//! Connections: plain or with TLS, from any address of this machine.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;

use super::Endpoint;

/// Sockets that come from one address: below what a server allows one network by default.
const SOCKETS_PER_ADDRESS: usize = 500;

/// A connection.
pub(crate) trait Io: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// Trusts this authority and nobody else. Sessions are never resumed, so that each connection costs what a new client's does.
pub(crate) fn tls_config(ca: &std::path::Path) -> Result<Arc<rustls::ClientConfig>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca).context("the server's authority cannot be read")?)?;
    let mut config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = rustls::client::Resumption::disabled();
    Ok(Arc::new(config))
}

/// The address that the `index`-th of many sockets comes from: 127.0.1.0 and up.
pub(crate) fn source(index: usize) -> Ipv4Addr {
    let network = u32::try_from(index / SOCKETS_PER_ADDRESS).unwrap_or_default();
    Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 0, 1, 0)).saturating_add(network % 60_000))
}

impl Endpoint {
    /// A connection from the usual address.
    pub(crate) async fn connect(&self) -> Result<Box<dyn Io>> {
        self.protect(TcpStream::connect(self.address).await?).await
    }

    /// A connection from the address that the `index`-th of many sockets comes from.
    pub(crate) async fn connect_as(&self, index: usize) -> Result<Box<dyn Io>> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::new(IpAddr::V4(source(index)), 0))?;
        self.protect(socket.connect(self.address).await?).await
    }

    async fn protect(&self, stream: TcpStream) -> Result<Box<dyn Io>> {
        stream.set_nodelay(true)?;
        match &self.tls {
            None => Ok(Box::new(stream)),
            Some(config) => {
                let name = ServerName::from(self.address.ip());
                Ok(Box::new(TlsConnector::from(Arc::clone(config)).connect(name, stream).await?))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_sockets_come_from_many_addresses() {
        assert_eq!(source(499), Ipv4Addr::new(127, 0, 1, 0));
        assert_eq!(source(500), Ipv4Addr::new(127, 0, 1, 1));
        assert_eq!(source(500 * 300), Ipv4Addr::new(127, 0, 2, 44));
    }
}
