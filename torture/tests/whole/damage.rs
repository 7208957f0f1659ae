use rusqlite::Connection;

use super::scene::{Scene, events, receive, send, texts};

#[test]
fn a_message_that_was_corrupted_in_the_store_is_reported_asked_for_again_and_shown() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.person("alice"), scene.person("bob"));
    send(&alice, &bob, "hello");
    assert_eq!(texts(&receive(&bob)), ["hello"]);
    send(&bob, &alice, "hello yourself");
    assert_eq!(texts(&receive(&alice)), ["hello yourself"]);

    send(&alice, &bob, "this one will be damaged");
    send(&alice, &bob, "this one will not");
    scene.server.kill().unwrap();
    let store = Connection::open(scene.database()).unwrap();
    let damaged = store
        .execute(
            "UPDATE queue SET ciphertext = CAST(substr(ciphertext, 1, length(ciphertext) - 1) || x'00' AS BLOB) \
             WHERE id = (SELECT min(id) FROM queue)",
            [],
        )
        .unwrap();
    assert_eq!(damaged, 1);
    store.close().unwrap();
    scene.server.restart().unwrap();

    let first = receive(&bob);
    assert!(events(&first).contains(&"undecryptable"), "{first:?}");
    assert_eq!(texts(&first), ["this one will not"]);
    receive(&alice);
    let second = receive(&bob);
    assert_eq!(texts(&second), ["this one will be damaged"]);
    assert!(events(&second).contains(&"session_repaired"), "{second:?}");
    receive(&alice);

    send(&alice, &bob, "and on it goes");
    assert_eq!(texts(&receive(&bob)), ["and on it goes"]);
    send(&bob, &alice, "both ways");
    assert_eq!(texts(&receive(&alice)), ["both ways"]);
}
