//! Debian's nginx in front of the real server, with the configuration that ships.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use sealpost_harness::proxy::Nginx;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use super::world::{Client, Running, World};

const PATIENCE: Duration = Duration::from_secs(30);
/// Nothing more is expected after this much silence; a connection that stays open is not an answer.
const SILENCE: Duration = Duration::from_millis(1_500);

/// A server that trusts its proxy, and the proxy.
pub(super) struct Proxied {
    pub(super) server: Running,
    pub(super) world: World,
    nginx: Nginx,
    issuer: World,
}

impl Proxied {
    /// `change` alters the configuration, to show what it is good for; most leave it alone.
    pub(super) fn start(flags: &[&str], change: impl Fn(String) -> String) -> Self {
        // The built-in authority of another server issues the proxy's certificate.
        let mut issuer = World::new();
        drop(issuer.start_local());
        let mut world = World::new();
        let base = ["--listen", "127.0.0.1:0", "--plain-http", "--trust-proxy=127.0.0.1"];
        let server = world.start(&[&base, flags].concat());
        let node = server.text("url").strip_prefix("http://").unwrap().to_owned();
        let nginx = Nginx::running(&issuer.data().join("tls"), &format!("server {node};"), change).unwrap();
        Self { server, world, nginx, issuer }
    }

    pub(super) fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.nginx.port())
    }

    pub(super) fn ca(&self) -> PathBuf {
        self.issuer.data().join("tls/ca.pem")
    }

    /// A client of the proxy.
    pub(super) fn client(&self) -> Client {
        Client::at("127.0.0.1", self.nginx.port(), self.ca())
    }

    /// What nginx logged, its errors too.
    pub(super) fn nginx_log(&self) -> String {
        self.nginx.log()
    }

    pub(super) fn proxy_address(&self) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), self.nginx.port())
    }

    pub(super) fn server_address(&self) -> SocketAddr {
        self.server.text("url").strip_prefix("http://").unwrap().parse().unwrap()
    }
}

/// A connection that comes from this address of the loopback network.
pub(super) async fn connect_from(source: [u8; 4], to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from((source, 0))).unwrap();
    socket.connect(to).await.unwrap()
}

/// Sends the bytes as they are; everything that comes back until the peer closes or falls silent, and whether it closed.
pub(super) async fn raw(mut stream: impl AsyncRead + AsyncWrite + Unpin, bytes: &[u8]) -> (String, bool) {
    // The peer may refuse before it has read everything.
    let _refused_early = stream.write_all(bytes).await;
    let _refused_early = stream.flush().await;
    let mut answer = Vec::new();
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let silence = if answer.is_empty() { PATIENCE } else { SILENCE };
        match tokio::time::timeout(silence, stream.read(&mut buffer)).await {
            Ok(Ok(0) | Err(_)) => return (String::from_utf8_lossy(&answer).into_owned(), true),
            Ok(Ok(length)) => answer.extend_from_slice(&buffer[..length]),
            Err(_) => return (String::from_utf8_lossy(&answer).into_owned(), false),
        }
    }
}
