use std::sync::Arc;

use sealpost_server::process::metrics::Metrics;

use super::world::{Options, World, eventually, text};

/// RFC 6455 *internal error*.
const INTERNAL: u16 = 1011;

#[actix_web::test]
async fn threat_56_a_panic_in_a_stream_ends_that_stream_alone() {
    let metrics = Arc::new(Metrics::new().unwrap());
    let world = World::start_with(Options { metrics: metrics.clone(), ..Options::default() }).await;
    let (alice, bob) = (world.person("alice").await, world.person("bob").await);
    let mut receiver = world.online(&bob.devices[0]).await;
    let mut sender = world.online(&alice.devices[0]).await;
    world.clock.panic_once();
    sender.send(text(1, &bob, "text")).await;
    assert_eq!(sender.closed().await, Some(INTERNAL));
    assert!(metrics.render(0).contains("sealpost_panics_total 1\n"));
    // Nothing of it is left behind: its owner comes back and repeats, the other stream has gone on.
    eventually(async || world.core().hub.connections() == 1).await;
    let mut sender = world.online(&alice.devices[0]).await;
    sender.send(text(1, &bob, "text")).await;
    sender.sent().await;
    assert_eq!(receiver.delivered().await.ciphertext.as_ref(), b"text");
}
