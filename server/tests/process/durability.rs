use std::fs;

use sealpost_api::frames::ServerFrame;

use super::world::{Socket, World};

/// The texts that wait, until the queue is drained.
pub(super) async fn texts(receiver: &mut Socket) -> Vec<String> {
    let mut texts = Vec::new();
    loop {
        match receiver.frame().await {
            ServerFrame::Deliver(deliver) => texts.push(String::from_utf8(deliver.ciphertext.to_vec()).unwrap()),
            // It has no one-time prekeys.
            ServerFrame::PrekeysLow { .. } => {}
            ServerFrame::Drained => return texts,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn what_was_accepted_before_a_kill_is_delivered_once_after_it() {
    let mut world = World::new();
    let server = world.start_local();
    let client = server.client();
    let (alice, bob) = (
        client.register("alice", "correct horse battery").await,
        client.register("bob", "correct horse battery").await,
    );
    let mut socket = client.connect(&alice).await;
    while socket.frame().await != ServerFrame::Drained {}
    for number in 1..=20 {
        socket.send(number, &bob, &format!("text {number}")).await;
        assert!(matches!(socket.frame().await, ServerFrame::Sent(sent) if sent.number.0 == number));
    }
    server.kill();

    let server = world.start_local();
    let client = server.client();
    let mut socket = client.connect(&alice).await;
    while socket.frame().await != ServerFrame::Drained {}
    socket.send(20, &bob, "text 20").await;
    assert!(
        matches!(socket.frame().await, ServerFrame::Sent(sent) if sent.accepted_at == 0),
        "the retry of an accepted number stores nothing"
    );
    let mut receiver = client.connect(&bob).await;
    assert_eq!(texts(&mut receiver).await, (1..=20).map(|number| format!("text {number}")).collect::<Vec<_>>());
}

/// A write that may not be durable ends the process, which says why; what it had accepted is there afterwards.
#[tokio::test]
async fn a_store_that_stops_ends_the_process_with_its_reason() {
    let mut world = World::new();
    let mut server = world.start_where_writes_can_fail();
    let client = server.client();
    let (alice, bob) = (
        client.register("alice", "correct horse battery").await,
        client.register("bob", "correct horse battery").await,
    );
    let mut socket = client.connect(&alice).await;
    while socket.frame().await != ServerFrame::Drained {}
    socket.send(1, &bob, "before").await;
    assert!(matches!(socket.frame().await, ServerFrame::Sent(_)));
    // Above the log of the server, below what the write-ahead log needs for the next message.
    server.limit_files(64 * 1024);
    socket.send(2, &bob, &"x".repeat(90_000)).await;
    loop {
        match socket.next().await {
            Ok(ServerFrame::Refused(refused)) => assert!(refused.maybe_stored, "nobody knows what the disk holds"),
            Ok(other) => panic!("{other:?}"),
            Err(_) => break,
        }
    }
    let status = server.ended();
    assert!(status.code().is_some_and(|code| code != 0), "{status}");
    let log = server.log();
    let last = log.lines().last().unwrap();
    assert!(last.starts_with("sealpost-server: the store has stopped: a write could not be made durable"), "{log}");

    let server = world.start_local();
    let mut receiver = server.client().connect(&bob).await;
    let texts = texts(&mut receiver).await;
    assert_eq!(texts.first().map(String::as_str), Some("before"));
}

/// Without its reserve the server runs, says so, and accepts nothing.
#[tokio::test]
async fn below_the_reserve_the_server_is_not_ready_and_says_why() {
    let mut world = World::new();
    fs::write(world.file("c.toml"), "[store]\nreserve_bytes = 9000000000000000000\n").unwrap();
    let config = world.file("c.toml").display().to_string();
    let server = world.start(&["--listen", "127.0.0.1:0", "--config", &config]);
    let client = server.client();
    assert!(server.log().contains("reserve_bytes"), "{}", server.log());
    assert_eq!(client.get("/healthz").await.0, 200);
    assert_eq!(client.get("/readyz").await.0, 507);
    let refused = client.try_register("alice", "correct horse battery", None).await.err().unwrap();
    assert!(refused.0 == 507 && refused.1.contains("\"code\":\"disk_full\""), "{refused:?}");
}
