use std::sync::atomic::Ordering;
use std::time::Duration;

use sealpost_client::native::{HttpClient, TransportError};
use zeroize::Zeroizing;

use super::server::{Authority, answer, connector, read_request, start};

const PATIENCE: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_request_carries_method_path_bearer_and_body_and_the_connection_is_kept() {
    let authority = Authority::new(&["localhost"]);
    let (address, count) = start(&authority, |_, mut stream| async move {
        while let Some(request) = read_request(&mut stream).await {
            let request = request.to_ascii_lowercase();
            assert!(request.starts_with("post /v1/sessions http/1.1"), "{request}");
            assert!(request.contains("authorization: bearer token"), "{request}");
            assert!(request.contains("content-type: application/json"), "{request}");
            assert!(request.ends_with("{\"a\":1}"), "{request}");
            answer(&mut stream, "429 Too Many Requests\r\nRetry-After: 7", "{}").await;
        }
    })
    .await;
    let client = HttpClient::new(connector(address, &authority.trust()));
    for _ in 0..3 {
        let body = Some(Zeroizing::new(b"{\"a\":1}".to_vec()));
        let response = client.request("POST", "/v1/sessions", Some("token"), body, PATIENCE).await.unwrap();
        assert_eq!((response.status, response.retry_after), (429, Some(7)));
    }
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_kept_connection_that_has_died_is_replaced_once() {
    let authority = Authority::new(&["localhost"]);
    let (address, count) = start(&authority, |number, mut stream| async move {
        // The first connection answers once, then swallows the second request and dies.
        if read_request(&mut stream).await.is_some() {
            answer(&mut stream, "200 OK", "{}").await;
        }
        if number == 0 {
            let _ = read_request(&mut stream).await;
        }
    })
    .await;
    let client = HttpClient::new(connector(address, &authority.trust()));
    for _ in 0..2 {
        assert_eq!(client.request("GET", "/v1/server", None, None, PATIENCE).await.unwrap().status, 200);
    }
    assert_eq!(count.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn an_endless_answer_is_cut() {
    let authority = Authority::new(&["localhost"]);
    let (address, _) = start(&authority, |_, mut stream| async move {
        let _ = read_request(&mut stream).await;
        answer(&mut stream, "200 OK", &"x".repeat(5 * 1024 * 1024)).await;
    })
    .await;
    let client = HttpClient::new(connector(address, &authority.trust()));
    let result = client.request("GET", "/v1/server", None, None, PATIENCE).await;
    assert_eq!(result, Err(TransportError::TooLarge));
}

#[tokio::test]
async fn a_silent_server_is_given_up() {
    let authority = Authority::new(&["localhost"]);
    let (address, _) = start(&authority, |_, stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let client = HttpClient::new(connector(address, &authority.trust()));
    let result = client.request("GET", "/v1/server", None, None, Duration::from_millis(300)).await;
    assert_eq!(result, Err(TransportError::Timeout));
}
