use super::scene::{Scene, receive, run, send, texts};

#[test]
fn a_message_survives_kill_9_of_the_server_between_accept_and_delivery() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.person("alice"), scene.person("bob"));
    for text in ["one", "two", "three"] {
        send(&alice, &bob, text);
        scene.server.kill().unwrap();
        scene.server.restart().unwrap();
    }
    assert_eq!(texts(&receive(&bob)), ["one", "two", "three"]);
    assert_eq!(texts(&run(&bob, &["receive", "--timeout", "2"]).lines), [""; 0]);
}

#[test]
fn what_is_sent_while_the_server_is_away_waits_in_the_outbox() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.person("alice"), scene.person("bob"));
    send(&alice, &bob, "first");
    scene.server.kill().unwrap();
    let ended = run(&alice, &["send", "bob", "second"]);
    assert!(ended.code == Some(3) && ended.has("queued"), "{ended:?}");
    scene.server.restart().unwrap();
    let ended = run(&alice, &["send", "bob", "third"]);
    assert_eq!(ended.lines.iter().filter(|line| super::scene::event(line) == "sent").count(), 2, "{ended:?}");
    assert_eq!(texts(&receive(&bob)), ["first", "second", "third"]);
}
