use std::net::SocketAddr;
use std::time::{Duration, Instant};

use sealpost_api::frames::{ClientFrame, ServerFrame};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::world::{Running, Socket, World};

/// Messages that arrive meanwhile. `SEALPOST_HALF_OPEN_MESSAGES=1000` is the long form.
const MESSAGES: u64 = 150;
/// Read by the socket before its network is gone, and not acknowledged.
const READ_BEFORE: u64 = 20;
/// Three pings take a second and a half; a busy machine may take longer.
const PATIENCE: Duration = Duration::from_secs(30);
const CONFIG: &str = "[stream]\nping_millis = 500\n\
    [limits.send_pair]\nburst = 100000\ntokens = 100000\nper_seconds = 1\n";

/// A network that can stop carrying anything, without telling either side.
struct Network {
    port: u16,
    cut: watch::Sender<bool>,
}

impl Network {
    async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = listener.local_addr().unwrap().port();
        let (cut, is_cut) = watch::channel(false);
        tokio::spawn(async move {
            loop {
                let (near, _) = listener.accept().await.unwrap();
                let far = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], port))).await.unwrap();
                let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
                tokio::spawn(carry(near_in, far_out, is_cut.clone()));
                tokio::spawn(carry(far_in, near_out, is_cut.clone()));
            }
        });
        Self { port: own, cut }
    }
}

async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut cut: watch::Receiver<bool>) {
    let is_cut = tokio::select! {
        _ = tokio::io::copy(&mut from, &mut to) => false,
        _ = cut.wait_for(|cut| *cut) => true,
    };
    if is_cut {
        // Both ends stay open, and nothing is read any more.
        std::future::pending().await
    }
}

async fn drained(socket: &mut Socket) -> Vec<sealpost_api::frames::Deliver> {
    let mut all = Vec::new();
    loop {
        match socket.frame().await {
            ServerFrame::Deliver(deliver) => {
                socket.put(ClientFrame::Ack { ids: vec![deliver.id] }).await;
                all.push(deliver);
            }
            ServerFrame::Drained => return all,
            _ => {}
        }
    }
}

async fn until_nobody_is_connected(server: &Running) {
    let begin = Instant::now();
    while server.metric("sealpost_streams").await > 0 {
        assert!(begin.elapsed() < PATIENCE, "it is still connected");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn threat_23_a_half_open_socket_is_dropped_and_everything_is_shown_once() {
    let messages = std::env::var("SEALPOST_HALF_OPEN_MESSAGES").map_or(MESSAGES, |text| text.parse().unwrap());
    let mut world = World::new();
    let server = world.start_configured(CONFIG);
    let client = server.client();
    let (alice, bob) = (
        client.register("alice", "correct horse battery").await,
        client.register("bob", "correct horse battery").await,
    );
    let network = Network::to(client.port()).await;
    let mut half_open = server.client().through(network.port).connect(&bob).await;
    assert_eq!(drained(&mut half_open).await, []);
    let mut sender = client.connect(&alice).await;
    drained(&mut sender).await;
    for number in 1..=messages {
        sender.send(number, &bob, &format!("text {number}")).await;
        assert!(matches!(sender.frame().await, ServerFrame::Sent(_)));
        if number <= READ_BEFORE {
            assert!(matches!(half_open.frame().await, ServerFrame::Deliver(_)));
        }
        if number == READ_BEFORE {
            network.cut.send(true).unwrap();
        }
    }
    drop(sender);
    until_nobody_is_connected(&server).await;

    let mut elsewhere = client.connect(&bob).await;
    let shown: Vec<_> = drained(&mut elsewhere).await.into_iter().map(|deliver| deliver.ciphertext).collect();
    assert_eq!(shown, (1..=messages).map(|number| format!("text {number}")).collect::<Vec<_>>());
    let begin = Instant::now();
    while server.metric("sealpost_rows_acknowledged_total").await < messages {
        assert!(begin.elapsed() < PATIENCE, "the acknowledgements are not durable");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    drop(elsewhere);
    until_nobody_is_connected(&server).await;
    assert_eq!(drained(&mut client.connect(&bob).await).await, [], "what was acknowledged is gone");
}
