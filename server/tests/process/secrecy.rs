use std::fs;

use sealpost_api::frames::ServerFrame;

use super::world::{World, plain_get};

#[tokio::test]
async fn threat_68_metrics_and_health_details_are_on_the_private_listener_alone() {
    let mut world = World::new();
    let server = world.start_local();
    let (client, private) = (server.client(), server.text("private"));
    assert_eq!(client.get("/metrics").await.0, 404);
    assert_eq!(client.get("/readyz").await.0, 200);
    assert!(!client.get("/readyz").await.1.contains("fsync"));
    assert!(plain_get(&private, "/metrics").await.1.contains("sealpost_messages_accepted_total 0"));
    assert!(plain_get(&private, "/readyz").await.1.contains("\"durability\":\"fsync\""));
    assert_eq!(plain_get(&private, "/v1/server").await.0, 404);
}

#[tokio::test]
async fn no_password_token_ciphertext_name_or_key_is_in_the_logs_or_metrics() {
    let mut world = World::new();
    let server = world.start(&["--listen", "127.0.0.1:0", "--log", "info,sealpost_server=trace,actix_web=debug"]);
    let client = server.client();
    let alice = client.register("canary_name_a", "canary password 1").await;
    let bob = client.register("canary_name_b", "canary password 2").await;
    let mut socket = client.connect(&alice).await;
    while socket.frame().await != ServerFrame::Drained {}
    socket.send(1, &bob, "canary ciphertext").await;
    assert!(matches!(socket.frame().await, ServerFrame::Sent(_)));
    for (method, path, body) in [
        ("POST", "/v1/accounts", "{\"username\":\"canary_name_c\",\"password\":\"canary password 3\"}"),
        ("GET", "/v1/accounts/by-name/canary_name_b", ""),
        (
            "PUT",
            "/v1/account/password",
            "{\"old_password\":\"canary password 4\",\"new_password\":\"canary password 5\"}",
        ),
        ("GET", "/v1/canary_path?token=canary_query", ""),
    ] {
        client.call(method, path, &alice.token, body).await;
    }
    client.call("GET", "/v1/sessions", "canary.bad.token", "").await;
    let metrics = plain_get(&server.text("private"), "/metrics").await.1;
    let log = server.log();
    assert!(log.contains("serving"), "something is logged");
    let keys = fs::read_to_string(world.data().join("token_keys.json")).unwrap();
    let seed =
        serde_json::from_str::<serde_json::Value>(&keys).unwrap()["keys"][0]["seed"].as_str().unwrap().to_owned();
    let account = alice.address.account.to_string();
    for secret in ["canary", alice.token.as_str(), bob.token.as_str(), seed.as_str(), account.as_str()] {
        assert!(!log.contains(secret), "the log holds {secret}:\n{log}");
        assert!(!metrics.contains(secret), "the metrics hold {secret}");
    }
}

#[tokio::test]
async fn threat_39_a_token_in_a_url_is_refused_and_no_token_is_ever_logged() {
    let mut world = World::new();
    let server = world.start(&["--listen", "127.0.0.1:0", "--log", "trace,mio=info"]);
    let client = server.client();
    let alice = client.register("alice", "correct horse battery").await;
    let token = &alice.token;
    assert_eq!(client.call("GET", "/v1/sessions", token, "").await.0, 200);
    drop(client.connect(&alice).await);
    for parameter in ["access_token", "token", "bearer", "authorization", "ticket", "jwt"] {
        for path in ["/v1/sessions", "/v1/account/export", "/v1/stream"] {
            let (status, _) = client.get(&format!("{path}?{parameter}={token}")).await;
            // A stream's request fails for another reason first: it is no handshake.
            assert_eq!(status, if path == "/v1/stream" { 400 } else { 401 }, "{path} {parameter}");
        }
    }
    assert_eq!(client.get(&format!("/v1/{token}")).await.0, 404);
    assert_eq!(client.call("DELETE", &format!("/v1/sessions/{token}"), token, "").await.0, 400);
    let log = server.log();
    assert!(log.contains("request_id"), "requests are logged");
    for part in token.split('.').skip(1).chain([token.as_str()]) {
        let line = log.lines().find(|line| line.contains(part));
        assert_eq!(line, None, "a token is in the log");
    }
}

#[test]
fn a_normal_program_holds_nothing_that_leaves_a_countermeasure_out() {
    let program = fs::read(env!("CARGO_BIN_EXE_sealpost-server")).unwrap();
    let switch = b"SEALPOST_SABOTAGE";
    let found = program.windows(switch.len()).any(|bytes| bytes == switch);
    // The special build has it, so the search would find it.
    assert_eq!(found, cfg!(sealpost_sabotage));
}
