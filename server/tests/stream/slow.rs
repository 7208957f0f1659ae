use std::time::{Duration, Instant};

use sealpost_api::limits::CIPHERTEXT_MAX_BYTES;
use sealpost_server::service::stream::StreamSettings;

use super::world::{Options, World, eventually, message};

/// Filling every buffer on the way takes a moment, and then it has half a second.
const PROMPTLY: Duration = Duration::from_secs(15);

#[actix_web::test]
async fn threat_47_who_does_not_read_is_dropped_and_holds_up_nobody_else() {
    let stream = StreamSettings {
        write_timeout: Duration::from_millis(500),
        // Unanswered pings would end it too, but later; this is not about them.
        ping_interval: Duration::from_secs(3600),
        ..StreamSettings::default()
    };
    let world = World::start_with(Options { stream, ..Options::default() }).await;
    let (alice, bob) = (world.person("alice").await, world.person("bob").await);
    let carol = world.person("carol").await;
    let mut sender = world.online(&alice.devices[0]).await;
    let mut other = world.online(&carol.devices[0]).await;
    for number in 1..=400 {
        sender.send(message(number, &bob, vec![bob.devices[0].copy(vec![7; CIPHERTEXT_MAX_BYTES])])).await;
        sender.sent().await;
    }
    let waiting = world.queued(&bob.devices[0]).await;
    // It asks for answers and reads none, so that more and more waits to be written.
    let mut deaf = world.socket(&bob.devices[0]).await;
    eventually(async || world.core().hub.is_connected(&bob.devices[0].address)).await;
    let begin = Instant::now();
    let mut nonce = 0;
    while world.core().hub.is_connected(&bob.devices[0].address) {
        assert!(begin.elapsed() < PROMPTLY, "it is still connected");
        deaf.ping_without_reading(nonce).await;
        if nonce % 1_000 == 0 {
            other.is_quiet().await;
        }
        nonce += 1;
    }
    other.is_quiet().await;
    assert_eq!(world.queued(&bob.devices[0]).await, waiting, "what it did not take stays");
}
