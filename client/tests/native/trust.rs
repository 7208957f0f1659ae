use std::time::Duration;

use sealpost_client::native::{HttpClient, ServerTrust, TlsFailure, TransportError, TrustError, probe};

use super::server::{Authority, answer, base, connector, read_request, start};

const PATIENCE: Duration = Duration::from_secs(10);

async fn get(authority: &Authority, trust: &ServerTrust) -> Result<u16, TransportError> {
    let (address, _) = start(authority, |_, mut stream| async move {
        while read_request(&mut stream).await.is_some() {
            answer(&mut stream, "200 OK", "{}").await;
        }
    })
    .await;
    let client = HttpClient::new(connector(address, trust));
    client.request("GET", "/v1/server", None, None, PATIENCE).await.map(|response| response.status)
}

#[tokio::test]
async fn an_authority_that_nobody_pinned_is_refused() {
    let authority = Authority::new(&["localhost"]);
    let refused = Err(TransportError::Tls(TlsFailure::UntrustedAuthority));
    assert_eq!(get(&authority, &ServerTrust::System).await, refused);
    assert_eq!(get(&authority, &Authority::new(&["localhost"]).trust()).await, refused);
}

#[tokio::test]
async fn a_pinned_authority_is_accepted_from_bytes_or_a_pem_file() {
    let authority = Authority::new(&["localhost"]);
    assert_eq!(get(&authority, &authority.trust()).await, Ok(200));
    assert_eq!(get(&authority, &ServerTrust::from_pem(authority.pem.as_bytes()).unwrap()).await, Ok(200));
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let authority = Authority::new(&["elsewhere.example"]);
    assert_eq!(get(&authority, &authority.trust()).await, Err(TransportError::Tls(TlsFailure::NameMismatch)));
}

#[tokio::test]
async fn a_probe_shows_the_authority_and_sends_nothing() {
    let authority = Authority::new(&["localhost"]);
    let (address, count) = start(&authority, |_, mut stream| async move {
        assert!(read_request(&mut stream).await.is_none(), "a probe must not send a request");
    })
    .await;
    let shown = probe(&base(address), PATIENCE).await.unwrap();
    assert!(!shown.trusted_by_system);
    assert_eq!(shown.chain.len(), 2);
    assert_eq!(shown.pin().unwrap(), authority.trust());
    assert_eq!(authority.trust().fingerprint(), Some(shown.ca_fingerprint_sha256));
    assert_eq!(count.load(std::sync::atomic::Ordering::SeqCst), 1);
}

#[test]
fn a_ca_file_holds_one_certificate_of_an_authority() {
    let pem = Authority::new(&["localhost"]).pem;
    for text in ["", "not a certificate", &format!("{pem}{pem}")] {
        assert_eq!(ServerTrust::from_pem(text.as_bytes()), Err(TrustError::NotOneCertificate), "{text}");
    }
    assert_eq!(ServerTrust::pin(b"nonsense"), Err(TrustError::NotAnAuthority));
}

#[tokio::test]
async fn a_dead_address_is_unreachable() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let client = HttpClient::new(connector(address, &ServerTrust::System));
    let result = client.request("GET", "/v1/server", None, None, PATIENCE).await;
    assert!(matches!(result, Err(TransportError::Unreachable { .. })), "{result:?}");
}
