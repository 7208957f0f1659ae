use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sealpost_api::frames::{ClientFrame, ServerFrame};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use super::world::{Socket, World, plain_get};

/// A connection that nothing comes from for so long is open: one too many is closed at once, and the server itself gives up
/// a handshake that does not begin only after five seconds.
const OPEN_AFTER: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection from this address of the machine.
async fn from(address: [u8; 4], port: u16) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((address, 0).into()).unwrap();
    socket.connect(([127, 0, 0, 1], port).into()).await.unwrap()
}

/// Those that the server has not closed.
async fn open(streams: Vec<TcpStream>) -> Vec<TcpStream> {
    let looked_at = streams.into_iter().map(|mut stream| async move {
        tokio::time::timeout(OPEN_AFTER, stream.read_u8()).await.is_err().then_some(stream)
    });
    futures_util::future::join_all(looked_at).await.into_iter().flatten().collect()
}

async fn many(address: [u8; 4], port: u16, count: usize) -> Vec<TcpStream> {
    let mut streams = Vec::new();
    for _ in 0..count {
        streams.push(from(address, port).await);
    }
    streams
}

async fn answers(socket: &mut Socket) {
    socket.put(ClientFrame::Ping { nonce: 7 }).await;
    while socket.frame().await != (ServerFrame::Pong { nonce: 7 }) {}
}

#[tokio::test]
async fn threat_52_one_address_gets_its_share_of_connections_and_others_are_served() {
    let mut world = World::new();
    let server = world.start_configured("workers = 1\nconnections_per_address = 20\n");
    let client = server.client();
    let alice = client.register("alice", "correct horse battery").await;
    let mut socket = client.connect(&alice).await;
    let held = open(many([127, 0, 0, 2], client.port(), 60).await).await;
    assert!(held.len() <= 20, "{} are open", held.len());
    assert_eq!(client.get("/healthz").await.0, 200);
    answers(&mut socket).await;
    drop(held);
    let begin = Instant::now();
    while open(vec![from([127, 0, 0, 2], client.port()).await]).await.is_empty() {
        assert!(begin.elapsed() < PATIENCE, "a place is given back");
    }
}

#[tokio::test]
async fn when_every_connection_is_taken_those_that_are_there_go_on_and_the_operator_is_answered() {
    let mut world = World::new();
    let server = world.start_configured("workers = 1\nconnections_max = 32\n");
    let client = server.client();
    let alice = client.register("alice", "correct horse battery").await;
    let mut socket = client.connect(&alice).await;
    let mut all = Vec::new();
    for last in 2..7 {
        all.extend(many([127, 0, 0, last], client.port(), 16).await);
    }
    answers(&mut socket).await;
    assert_eq!(plain_get(&server.text("private"), "/healthz").await.0, 200);
    assert!(plain_get(&server.text("private"), "/metrics").await.1.contains("sealpost_streams 1\n"));
    drop(all);
    assert_eq!(client.get("/healthz").await.0, 200);
}

/// The status of a handshake without a token, and the connection it came on.
async fn handshake(authority: &str, forwarded: &str) -> (String, TcpStream) {
    let mut stream = TcpStream::connect(authority).await.unwrap();
    let request = format!(
        "GET /v1/stream HTTP/1.1\r\nhost: {authority}\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\
         x-forwarded-for: 203.0.113.77, {forwarded}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut status = [0; 12];
    stream.read_exact(&mut status).await.unwrap();
    (String::from_utf8(status.to_vec()).unwrap(), stream)
}

#[tokio::test]
async fn threat_52_behind_a_proxy_each_client_that_it_names_gets_its_share_of_streams() {
    let mut world = World::new();
    let config = "connections_per_address = 3\ntrust_proxy = ['127.0.0.1']\n[stream]\nauth_timeout_millis = 60000\n\
                  [tls]\nmode = 'plain'\nanywhere = false\n";
    let server = world.start_configured(config);
    let url = server.text("url");
    let authority = url.strip_prefix("http://").unwrap();
    let mut held = Vec::new();
    for _ in 0..3 {
        let (status, stream) = handshake(authority, "2001:db8::1").await;
        assert_eq!(status, "HTTP/1.1 101");
        held.push(stream);
    }
    assert_eq!(handshake(authority, "2001:db8::2").await.0, "HTTP/1.1 429", "the same /64");
    let (status, other) = handshake(authority, "2001:db8:0:1::1").await;
    assert_eq!(status, "HTTP/1.1 101", "all come from the proxy's address");
    drop((held, other));
    let begin = Instant::now();
    while handshake(authority, "2001:db8::2").await.0 != "HTTP/1.1 101" {
        assert!(begin.elapsed() < PATIENCE, "a place is given back");
    }
}

#[test]
fn threat_52_too_few_descriptors_are_refused_with_what_helps() {
    let world = World::new();
    let mut command = Command::new("/bin/sh");
    command
        .env_clear()
        .envs(std::env::var_os("SEALPOST_SABOTAGE").map(|row| ("SEALPOST_SABOTAGE", row)))
        .stdin(Stdio::null())
        .args(["-c", "ulimit -n 260; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_sealpost-server"), "serve"])
        .args(["--listen", "127.0.0.1:0", "--workers", "1", "--data"])
        .arg(world.data());
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("260 open files are too few"), "{said}");
    assert!(said.contains("ulimit -n") && said.contains("LimitNOFILE"), "{said}");
}
