use sealpost_api::frames::ServerFrame;

use super::world::World;

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
    let mut texts = Vec::new();
    loop {
        match receiver.frame().await {
            ServerFrame::Deliver(deliver) => texts.push(String::from_utf8(deliver.ciphertext.to_vec()).unwrap()),
            // It has no one-time prekeys.
            ServerFrame::PrekeysLow { .. } => {}
            ServerFrame::Drained => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(texts, (1..=20).map(|number| format!("text {number}")).collect::<Vec<_>>());
}
