use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::world::World;

const UPGRADE: &str = "GET /v1/stream HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                       sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
/// Far longer than an answer takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is answered to these bytes until the server closes, or until the text has come.
async fn answered(world: &World, request: &str, until: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", world.port())).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let (mut all, mut part) = (Vec::new(), [0; 4096]);
    let read = async {
        loop {
            let read = stream.read(&mut part).await.unwrap();
            all.extend_from_slice(&part[..read]);
            if read == 0 || String::from_utf8_lossy(&all).contains(until) {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, read).await.expect("neither an end nor an answer");
    String::from_utf8_lossy(&all).into_owned()
}

#[actix_web::test]
async fn an_answer_to_a_request_before_the_upgrade_is_not_lost() {
    let world = World::start().await;
    let both = format!("GET /v1/server HTTP/1.1\r\nhost: x\r\n\r\n{UPGRADE}\r\n");
    let said = answered(&world, &both, "HTTP/1.1 101 ").await;
    let (first, _) = said.split_once("HTTP/1.1 101 ").unwrap_or_else(|| panic!("no stream: {said}"));
    assert!(first.starts_with("HTTP/1.1 200 ") && first.ends_with('}'), "{first}");
}

#[actix_web::test]
async fn what_the_parser_does_not_take_for_an_upgrade_becomes_no_stream() {
    let world = World::start().await;
    for other in ["websocket, h2c", "xwebsocket", "websocket,"] {
        let request = UPGRADE.replace("upgrade: websocket", &format!("upgrade: {other}"));
        let said = answered(&world, &format!("{request}\r\n"), "\"code\"").await;
        assert!(said.starts_with("HTTP/1.1 400 "), "{other}: {said}");
    }
}

#[actix_web::test]
async fn an_upgrade_that_a_route_does_not_offer_is_answered_at_once_and_closed() {
    let world = World::start().await;
    for (request, status) in [
        (UPGRADE.replace("/v1/stream", "/v1/server"), 200),
        (UPGRADE.replace("/v1/stream", "/nothing"), 404),
        (UPGRADE.replace("GET /v1/stream", "POST /v1/sessions"), 415),
        (UPGRADE.replace("sec-websocket-version: 13", "sec-websocket-version: 12"), 400),
    ] {
        let said = answered(&world, &format!("{request}\r\n"), "(until it closes)").await;
        assert!(said.starts_with(&format!("HTTP/1.1 {status} ")), "{status}: {said}");
        assert!(said.contains("connection: close"), "{said}");
    }
}
