//! A TLS server that says what a test tells it to.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use sealpost_client::native::{BaseUrl, Connector, ServerTrust};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

pub(crate) type Stream = TlsStream<TcpStream>;

/// A private authority and a certificate of it.
pub(crate) struct Authority {
    pub(crate) der: Vec<u8>,
    pub(crate) pem: String,
    acceptor: TlsAcceptor,
}

impl Authority {
    /// With a server certificate for these names.
    pub(crate) fn new(names: &[&str]) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let leaf = CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
        let chain = vec![leaf.der().clone(), issuer.der().clone()];
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        Self { der: issuer.der().to_vec(), pem: issuer.pem(), acceptor: TlsAcceptor::from(Arc::new(config)) }
    }

    pub(crate) fn trust(&self) -> ServerTrust {
        ServerTrust::pin(&self.der).unwrap()
    }
}

/// Serves each connection with `serve`; counts connections.
pub(crate) async fn start<F, Fut>(authority: &Authority, serve: F) -> (SocketAddr, Arc<AtomicUsize>)
where
    F: Fn(usize, Stream) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (acceptor, count) = (authority.acceptor.clone(), Arc::new(AtomicUsize::new(0)));
    let counter = count.clone();
    let serve = Arc::new(serve);
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let (acceptor, serve, number) = (acceptor.clone(), serve.clone(), counter.fetch_add(1, Ordering::SeqCst));
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(tcp).await {
                    serve(number, stream).await;
                }
            });
        }
    });
    (address, count)
}

pub(crate) fn base(address: SocketAddr) -> BaseUrl {
    format!("https://localhost:{}", address.port()).parse().unwrap()
}

pub(crate) fn connector(address: SocketAddr, trust: &ServerTrust) -> Connector {
    Connector::new(base(address), trust).unwrap()
}

/// Reads one request, head and body; `None` at the end of the connection.
pub(crate) async fn read_request(stream: &mut Stream) -> Option<String> {
    let mut text = Vec::new();
    loop {
        let mut byte = [0_u8; 1];
        if stream.read(&mut byte).await.ok()? == 0 {
            return None;
        }
        text.push(byte[0]);
        if text.ends_with(b"\r\n\r\n") {
            break;
        }
    }
    let head = String::from_utf8(text).unwrap();
    let length = head
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:").map(|n| n.trim().parse().unwrap()))
        .unwrap_or(0);
    let mut body = vec![0_u8; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(head + &String::from_utf8(body).unwrap())
}

pub(crate) async fn answer(stream: &mut Stream, status: &str, body: &str) {
    let text = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    stream.write_all(text.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
}
