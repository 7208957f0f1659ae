use std::time::{Duration, Instant};

use super::world::{World, plain_get};

/// A figure; panics when it is not shown.
fn figure(text: &str, name: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in\n{text}")).parse().unwrap()
}

#[tokio::test]
async fn commits_calls_streams_and_the_store_are_counted_as_they_happen() {
    let mut world = World::new();
    let server = world.start_local();
    let private = server.text("private");
    let client = server.client();
    let alice = client.register("alice", "correct horse battery").await;
    let socket = client.connect(&alice).await;
    let text = plain_get(&private, "/metrics").await.1;
    for (name, least) in [
        ("sealpost_store_commit_seconds_count", 2.0),
        ("sealpost_store_commit_operations_sum", 2.0),
        ("sealpost_streams", 1.0),
        ("sealpost_streams_opened_total", 1.0),
        ("sealpost_http_requests_total{class=\"2xx\",route=\"/v1/accounts\"}", 1.0),
        ("sealpost_process_memory_bytes", 1_000_000.0),
        ("sealpost_process_descriptors", 10.0),
        ("sealpost_store_looked_at_seconds", 1_700_000_000.0),
        ("sealpost_store_database_bytes", 4_096.0),
        ("sealpost_store_free_bytes", 1.0),
        ("sealpost_build_info{version=\"0.1.0\"}", 1.0),
    ] {
        assert!(figure(&text, name) >= least, "{name} is {}", figure(&text, name));
    }
    assert_eq!(client.call("DELETE", "/v1/sessions", &alice.token, "").await.0, 200);
    let begin = Instant::now();
    while figure(&plain_get(&private, "/metrics").await.1, "sealpost_streams_closed_total{reason=\"session_ended\"}")
        < 1.0
    {
        assert!(begin.elapsed() < Duration::from_secs(60));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop(socket);
}
