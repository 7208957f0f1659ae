//! The real binary in a folder of its own, and a client that speaks to it over TLS.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, Signal, kill_process, prlimit};
use rustls::pki_types::ServerName;
use sealpost_api::accounts::RegisterRequest;
use sealpost_api::frames::{ServerFrame, Welcome};
use sealpost_api::server::ServerInfo;
use sealpost_api::sessions::SessionGrant;
use sealpost_crypto::{DeviceAddress, UnixMillis};
use sealpost_harness::people::{Account, Device};
use sealpost_harness::server::Server;
use sealpost_transport::ServerTrust;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

mod socket;

pub(super) use socket::Socket;

/// Far longer than a start, a stop or an answer takes, on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder, and what runs in it.
pub(super) struct World {
    folder: tempfile::TempDir,
    data: PathBuf,
    runs: usize,
}

/// A running server; killed when dropped.
pub(super) struct Running {
    server: Server,
    pub(super) ready: serde_json::Value,
}

impl World {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { data: folder.path().join("data"), folder, runs: 0 }
    }

    /// With its data folder elsewhere.
    pub(super) fn with_data(data: PathBuf) -> Self {
        Self { data, ..Self::new() }
    }

    pub(super) fn data(&self) -> PathBuf {
        self.data.clone()
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The program, without what the environment of the tests may say.
    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sealpost-server"));
        command.env_clear().env("HOME", self.folder.path()).stdin(Stdio::null());
        // Only the special build without countermeasures reads it.
        command.envs(std::env::var_os("SEALPOST_SABOTAGE").map(|row| ("SEALPOST_SABOTAGE", row)));
        command
    }

    /// `serve` with these flags.
    pub(super) fn serve(&self, flags: &[&str]) -> Command {
        let mut command = self.command();
        command.arg("serve").arg("--data").arg(self.data()).args(flags);
        command
    }

    pub(super) fn start(&mut self, flags: &[&str]) -> Running {
        let command = self.serve(flags);
        self.start_command(command)
    }

    /// On this machine, where a write beyond [`Running::limit_files`] fails instead of killing: an ignored signal stays
    /// ignored across `exec`.
    pub(super) fn start_where_writes_can_fail(&mut self) -> Running {
        let mut command = Command::new("/bin/sh");
        command
            .env_clear()
            .env("HOME", self.folder.path())
            .stdin(Stdio::null())
            .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_sealpost-server"), "serve"])
            .args(["--listen", "127.0.0.1:0", "--data"])
            .arg(self.data());
        self.start_command(command)
    }

    pub(super) fn start_command(&mut self, mut command: Command) -> Running {
        self.runs += 1;
        let (log, ready) = (self.file(&format!("log{}", self.runs)), self.file(&format!("ready{}.json", self.runs)));
        let server = Server::start(&mut command, &ready, &log).unwrap();
        Running { ready: server.facts().clone(), server }
    }

    /// On this machine, on any free port.
    pub(super) fn start_local(&mut self) -> Running {
        self.start(&["--listen", "127.0.0.1:0"])
    }

    /// On this machine, with this configuration file.
    pub(super) fn start_configured(&mut self, config: &str) -> Running {
        let file = self.file("config.toml");
        fs::write(&file, config).unwrap();
        self.start(&["--listen", "127.0.0.1:0", "--config", file.to_str().unwrap()])
    }

    /// Runs `serve` where it must refuse, and gives what it said.
    pub(super) fn refused(&self, flags: &[&str]) -> String {
        self.refused_command(self.serve(flags))
    }

    /// The same with a command of one's own.
    pub(super) fn refused_command(&self, mut command: Command) -> String {
        let (said, ready) = (self.file("refused.log"), self.file("refused.json"));
        let mut child = command
            .arg("--ready-file")
            .arg(&ready)
            .stdout(Stdio::null())
            .stderr(fs::File::create(&said).unwrap())
            .spawn()
            .unwrap();
        let begin = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if ready.exists() || begin.elapsed() > PATIENCE {
                child.kill().unwrap();
                child.wait().unwrap();
                panic!("it should have been refused");
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        assert!(!status.success(), "it should have been refused");
        fs::read_to_string(said).unwrap()
    }
}

impl Running {
    pub(super) fn text(&self, name: &str) -> String {
        self.ready[name].as_str().unwrap_or_else(|| panic!("no {name} in {}", self.ready)).to_owned()
    }

    pub(super) fn log(&self) -> String {
        self.server.log()
    }

    /// Bytes of memory that the process has in use, and the most it ever had.
    pub(super) fn memory(&self) -> (u64, u64) {
        let status = fs::read_to_string(format!("/proc/{}/status", self.server.pid())).unwrap();
        let kib = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1_024
        };
        (kib("VmRSS:"), kib("VmHWM:"))
    }

    pub(super) fn pid(&self) -> u32 {
        self.server.pid()
    }

    /// One of the metrics without labels.
    pub(super) async fn metric(&self, name: &str) -> u64 {
        let metrics = plain_get(&self.text("private"), "/metrics").await.1;
        let value = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.unwrap_or_else(|| panic!("no {name} in {metrics}")).parse().unwrap()
    }

    pub(super) fn signal(&self, signal: Signal) {
        kill_process(self.server.process(), signal).unwrap();
    }

    /// From now on no file of the process can grow beyond this many bytes.
    pub(super) fn limit_files(&self, bytes: u64) {
        let limit = Rlimit { current: Some(bytes), maximum: None };
        prlimit(Some(self.server.process()), Resource::Fsize, limit).unwrap();
    }

    pub(super) fn kill(self) {
        self.server.kill().unwrap();
    }

    /// Waits for its end.
    pub(super) fn ended(&mut self) -> ExitStatus {
        self.server.ended().unwrap()
    }

    pub(super) fn client(&self) -> Client {
        let url = self.text("url");
        let authority = url.split_once("://").unwrap().1.to_owned();
        let (host, port) = authority.rsplit_once(':').unwrap();
        let ca = self.ready["ca"].as_str().map(PathBuf::from);
        Client { host: host.to_owned(), port: port.parse().unwrap(), ca, address: None, source: None }
    }
}

/// A client that trusts the server's authority and nothing else; of a server without TLS, a client without.
#[derive(Clone)]
pub(super) struct Client {
    host: String,
    port: u16,
    ca: Option<PathBuf>,
    /// Whom a proxy in front of the server would name as the peer.
    address: Option<String>,
    /// The address that it connects from.
    source: Option<Ipv4Addr>,
}

/// A connection, with TLS or without.
pub(super) trait Io: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + std::marker::Send {}

impl<T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + std::marker::Send> Io for T {}

/// An answer: status and body.
pub(super) type Answer = (u16, String);

/// A GET without TLS.
pub(super) async fn plain_get(url: &str, path: &str) -> Answer {
    let authority = url.strip_prefix("http://").unwrap();
    let stream = TcpStream::connect(authority).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\n\r\n");
    exchange(stream, request.as_bytes()).await
}

/// Sends a request and reads the answer to its end. A server that has heard enough need not take all of it.
pub(super) async fn exchange(
    mut stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    request: &[u8],
) -> Answer {
    let _refused = stream.write_all(request).await;
    let mut answer = Vec::new();
    // A peer that closes without TLS's goodbye has still answered.
    let _cut = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

impl Client {
    pub(super) fn at(host: &str, port: u16, ca: PathBuf) -> Self {
        Self { host: host.to_owned(), port, ca: Some(ca), address: None, source: None }
    }

    pub(super) fn trusting(self, ca: &Path) -> Self {
        Self { ca: Some(ca.to_owned()), ..self }
    }

    /// As if a proxy had this peer.
    pub(super) fn coming_from(&self, address: &str) -> Self {
        Self { address: Some(address.to_owned()), ..self.clone() }
    }

    /// Connecting from another address of this machine.
    pub(super) fn bound_to(&self, source: Ipv4Addr) -> Self {
        Self { source: Some(source), ..self.clone() }
    }

    async fn tcp(&self) -> std::io::Result<TcpStream> {
        let Some(source) = self.source else { return TcpStream::connect((self.host.as_str(), self.port)).await };
        let socket = TcpSocket::new_v4()?;
        socket.bind((source, 0).into())?;
        socket.connect(([127, 0, 0, 1], self.port).into()).await
    }

    async fn stream(&self) -> Box<dyn Io> {
        if self.ca.is_some() {
            Box::new(self.tls().await.unwrap())
        } else {
            let stream = self.tcp().await.unwrap();
            stream.set_nodelay(true).unwrap();
            Box::new(stream)
        }
    }

    /// By another way to the same server.
    pub(super) fn through(self, port: u16) -> Self {
        Self { port, ..self }
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) async fn tls(&self) -> std::io::Result<TlsStream<TcpStream>> {
        self.tls_on(self.tcp().await?).await
    }

    pub(super) async fn tls_on(&self, stream: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
        let config = ServerTrust::from_pem(&fs::read(self.ca.as_ref().unwrap()).unwrap()).unwrap();
        let config = config.roots().unwrap().client_config().unwrap();
        let name = ServerName::try_from(self.host.clone()).unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }

    pub(super) async fn call(&self, method: &str, path: &str, token: &str, body: &str) -> Answer {
        let forwarded = self.address.as_ref().map(|address| format!("x-forwarded-for: {address}\r\n"));
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\
             content-type: application/json\r\n{}content-length: {}\r\n\r\n{body}",
            self.host,
            forwarded.unwrap_or_default(),
            body.len(),
        );
        exchange(self.stream().await, request.as_bytes()).await
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        let request = format!("GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", self.host);
        exchange(self.stream().await, request.as_bytes()).await
    }

    pub(super) async fn register(&self, name: &str, password: &str) -> Person {
        self.try_register(name, password, None).await.unwrap()
    }

    pub(super) async fn try_register(
        &self,
        name: &str,
        password: &str,
        invite: Option<String>,
    ) -> Result<Person, Answer> {
        let info: ServerInfo = serde_json::from_str(&self.get("/v1/server").await.1).unwrap();
        let (request, device) = registration(&info, name, password, invite);
        let answer = self.call("POST", "/v1/accounts", "", &serde_json::to_string(&request).unwrap()).await;
        let grant: SessionGrant = serde_json::from_str(&answer.1).map_err(|_| answer)?;
        let token = grant.access_token.reveal().to_owned();
        Ok(Person { name: name.to_owned(), address: device.address, device, token })
    }

    /// Returns the body of a login on the person's device, with a new session id.
    pub(super) async fn login_body(&self, person: &Person, password: &str) -> String {
        let info: ServerInfo = serde_json::from_str(&self.get("/v1/server").await.1).unwrap();
        let request = person.device.login_request_anew(info.server_id.0, &person.name, password);
        serde_json::to_string(&request).unwrap()
    }

    /// A stream that has read its `Welcome`.
    pub(super) async fn connect(&self, person: &Person) -> Socket {
        self.welcomed(person).await.0
    }

    /// A stream and its `Welcome`.
    pub(super) async fn welcomed(&self, person: &Person) -> (Socket, Welcome) {
        let mut socket = self.upgrade(person, self.stream().await, &[]).await;
        match socket.frame().await {
            ServerFrame::Welcome(welcome) => (socket, welcome),
            other => panic!("{other:?}"),
        }
    }

    /// A stream and its `Welcome`, where that may fail: the server may be dead, dying or not yet born.
    pub(super) async fn try_welcomed(&self, person: &Person) -> Result<(Socket, Welcome), String> {
        let opened = async {
            let tcp = self.tcp().await.map_err(|error| error.to_string())?;
            tcp.set_nodelay(true).map_err(|error| error.to_string())?;
            let stream: Box<dyn Io> = match self.ca {
                Some(_) => Box::new(self.tls_on(tcp).await.map_err(|error| error.to_string())?),
                None => Box::new(tcp),
            };
            let (socket, _) = tokio_tungstenite::client_async(self.stream_request(person), stream)
                .await
                .map_err(|error| error.to_string())?;
            let mut socket = Socket { socket };
            match socket.next().await {
                Ok(ServerFrame::Welcome(welcome)) => Ok((socket, welcome)),
                other => Err(format!("{other:?}")),
            }
        };
        tokio::time::timeout(Duration::from_secs(10), opened)
            .await
            .unwrap_or_else(|_| Err("nothing in 10 s".to_owned()))
    }

    fn stream_request(&self, person: &Person) -> tokio_tungstenite::tungstenite::handshake::client::Request {
        let scheme = if self.ca.is_some() { "wss" } else { "ws" };
        let mut request = format!("{scheme}://{}:{}/v1/stream", self.host, self.port).into_client_request().unwrap();
        let token = format!("Bearer {}", person.token).parse().unwrap();
        request.headers_mut().insert("authorization", token);
        request
    }

    /// A stream on this connection, with these headers in its request, that has read nothing.
    pub(super) async fn upgrade(
        &self,
        person: &Person,
        stream: Box<dyn Io>,
        headers: &[(&'static str, &'static str)],
    ) -> Socket {
        let mut request = self.stream_request(person);
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let (socket, response) = tokio_tungstenite::client_async(request, stream).await.unwrap();
        assert!(response.headers().get("sec-websocket-extensions").is_none(), "no extension is ever taken");
        Socket { socket }
    }
}

/// Makes the body of a registration, with its device.
pub(super) fn registration(
    info: &ServerInfo,
    name: &str,
    password: &str,
    invite: Option<String>,
) -> (RegisterRequest, Device) {
    let account = Account::new(name);
    let about = (info.server_id.0, UnixMillis(info.now));
    let request = RegisterRequest { invite, ..account.registration(about, password, []) };
    (request, account.device)
}

/// A registered account with one device.
pub(super) struct Person {
    pub(super) name: String,
    pub(super) address: DeviceAddress,
    pub(super) device: Device,
    pub(super) token: String,
}
