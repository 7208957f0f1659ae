//! Debian's nginx in front of the real server, with the configuration that ships.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use super::world::{Client, Running, World};

pub(super) const TEMPLATE: &str = include_str!("../../../docker/nginx/nginx.conf.template");
const PATIENCE: Duration = Duration::from_secs(30);
/// Nothing more is expected after this much silence; a connection that stays open is not an answer.
const SILENCE: Duration = Duration::from_millis(1_500);

/// A server that trusts its proxy, and the proxy.
pub(super) struct Proxied {
    pub(super) server: Running,
    pub(super) world: World,
    nginx: Child,
    issuer: World,
    port: u16,
    folder: tempfile::TempDir,
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
        let folder = tempfile::tempdir().unwrap();
        // nginx's workers are another user when it is started by root.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        for _ in 0..5 {
            let port = free_port();
            let tls = issuer.data().join("tls");
            let text = TEMPLATE
                .replace("${SEALPOST_LISTEN}", &format!("127.0.0.1:{port}"))
                .replace("${SEALPOST_CERTIFICATE}", tls.join("server.pem").to_str().unwrap())
                .replace("${SEALPOST_CERTIFICATE_KEY}", tls.join("server.key").to_str().unwrap())
                .replace("${SEALPOST_NODES}", &format!("server {node};"))
                .replace("${SEALPOST_NGINX_RUN}", folder.path().to_str().unwrap());
            assert!(!text.contains("${SEALPOST"), "a name of the template is not replaced");
            let configuration = folder.path().join("nginx.conf");
            fs::write(&configuration, change(text)).unwrap();
            let log = fs::File::create(folder.path().join("log")).unwrap();
            let mut nginx = Command::new("nginx")
                .arg("-p")
                .arg(folder.path())
                .arg("-c")
                .arg(&configuration)
                .args(["-e", "stderr", "-g", "daemon off;"])
                .stdin(Stdio::null())
                .stdout(log.try_clone().unwrap())
                .stderr(log)
                .spawn()
                .expect("nginx is missing: apt-get install nginx-light");
            if serves(&mut nginx, port) {
                return Self { server, world, nginx, issuer, port, folder };
            }
            let said = fs::read_to_string(folder.path().join("log")).unwrap();
            assert!(said.contains("Address already in use"), "nginx does not start:\n{said}");
        }
        panic!("no port stays free");
    }

    pub(super) fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    pub(super) fn ca(&self) -> PathBuf {
        self.issuer.data().join("tls/ca.pem")
    }

    /// A client of the proxy.
    pub(super) fn client(&self) -> Client {
        Client::at("127.0.0.1", self.port, self.ca())
    }

    /// What nginx logged, its errors too.
    pub(super) fn nginx_log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    pub(super) fn proxy_address(&self) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), self.port)
    }

    pub(super) fn server_address(&self) -> SocketAddr {
        self.server.text("url").strip_prefix("http://").unwrap().parse().unwrap()
    }
}

impl Drop for Proxied {
    fn drop(&mut self) {
        // Killed, it would leave its workers behind.
        let _ended_before = kill_process(Pid::from_child(&self.nginx), Signal::TERM);
        let _ended_before = self.nginx.wait();
    }
}

pub(super) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

pub(super) fn serves(nginx: &mut Child, port: u16) -> bool {
    let begin = Instant::now();
    while begin.elapsed() < PATIENCE {
        if nginx.try_wait().unwrap().is_some() {
            return false;
        }
        if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("nginx does not come up");
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
