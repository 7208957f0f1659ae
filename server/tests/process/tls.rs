//! What the listener and the proxy offer, as the TLS tester of Debian sees it.

use sealpost_sabotage::{Countermeasure, without};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::nginx::{Proxied, raw};
use super::world::{Client, World};

/// Checks of the short form: protocols and kinds of ciphers. `SEALPOST_TESTSSL=full` runs all, which takes minutes, and
/// looks at the rating.
const SHORT: &[&str] = &["--protocols", "--std"];

/// Findings of severity MEDIUM and above that are as they should be, and why.
const ALLOWED: &str = include_str!("testssl.allow");

fn findings(folder: &Path, url: &str, ca: &Path) -> Vec<Value> {
    let full = std::env::var("SEALPOST_TESTSSL").is_ok_and(|form| form == "full");
    let report = folder.join("testssl.json");
    let output = Command::new("testssl")
        .args(["--quiet", "--warnings", "off", "--color", "0", "--nodns", "none", "--add-ca"])
        .arg(ca)
        .arg("--jsonfile")
        .arg(&report)
        .args(if full { &[][..] } else { SHORT })
        .arg(url)
        .stdin(Stdio::null())
        .output()
        .expect("testssl is missing: apt-get install testssl.sh");
    let text = fs::read_to_string(&report)
        .unwrap_or_else(|_| panic!("no report: {}", String::from_utf8_lossy(&output.stdout)));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// A browser that was here once is told to return over TLS only, for two years.
async fn insists_on_tls(client: &Client) {
    let (answer, _) =
        raw(client.tls().await.unwrap(), b"GET /v1/server HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    let headers = answer.to_lowercase();
    assert!(headers.contains("strict-transport-security: max-age=63072000\r\n"), "{answer}");
}

fn check(name: &str, findings: &[Value]) {
    let allowed: Vec<&str> = ALLOWED
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    let text = |finding: &Value, field: &str| finding[field].as_str().unwrap_or_default().to_owned();
    let bad: Vec<String> = findings
        .iter()
        .filter(|finding| {
            let severity = text(finding, "severity");
            ["MEDIUM", "HIGH", "CRITICAL", "FATAL"].contains(&severity.as_str())
                && !allowed.contains(&text(finding, "id").split(' ').next().unwrap_or_default())
        })
        .map(ToString::to_string)
        .collect();
    assert!(bad.is_empty(), "{name}: {bad:#?}");
    let found = |id: &str| findings.iter().find(|finding| finding["id"] == id).map(|finding| text(finding, "finding"));
    for protocol in ["SSLv2", "SSLv3", "TLS1", "TLS1_1"] {
        let said = found(protocol).unwrap_or_else(|| panic!("{name}: {protocol} was not looked at"));
        assert!(said.contains("not offered"), "{name}: {protocol} {said}");
    }
    for protocol in ["TLS1_2", "TLS1_3"] {
        let said = found(protocol).unwrap_or_default();
        assert!(said.starts_with("offered"), "{name}: {protocol} {said}");
    }
    let strong = found("cipherlist_STRONG").unwrap_or_default();
    assert!(strong.starts_with("offered"), "{name}: ciphers {strong}");
    for weak in ["NULL", "aNULL", "EXPORT", "LOW", "3DES_IDEA", "AVERAGE"] {
        let said = found(&format!("cipherlist_{weak}")).unwrap_or_else(|| panic!("{name}: {weak} was not looked at"));
        assert!(said.starts_with("not offered"), "{name}: {weak} {said}");
    }
    if let Some(grade) = found("overall_grade") {
        println!("{name}: rated {grade}");
        assert!(grade.starts_with('A'), "{name}: rated {grade}");
    }
}

#[tokio::test]
async fn threat_55_the_listener_offers_no_weak_tls_and_no_way_around_it() {
    let mut world = World::new();
    let server = world.start_local();
    let url = server.text("url");
    // Plain HTTP on the TLS port is not answered, not even by a redirect.
    let address = url.strip_prefix("https://").unwrap();
    let plain = tokio::net::TcpStream::connect(address).await.unwrap();
    let (answer, closed) = raw(plain, b"GET /v1/stream HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n").await;
    assert!(closed && !answer.contains("HTTP/"), "{answer:?}");
    insists_on_tls(&server.client()).await;
    check("the listener", &findings(&world.file(""), &url, server.text("ca").as_ref()));
}

/// What nginx offers when nobody tells it.
fn untold(text: String) -> String {
    if !without(Countermeasure::StrictTransport) {
        return text;
    }
    let strict = ["ssl_protocols", "ssl_ciphers", "ssl_prefer", "ssl_ecdh", "add_header Strict"];
    text.lines()
        .filter(|line| !strict.iter().any(|word| line.trim_start().starts_with(word)))
        .collect::<Vec<_>>()
        .join("\n")
}

#[tokio::test]
async fn threat_55_nginx_offers_no_weak_tls_and_no_way_around_it() {
    let proxied = Proxied::start(&[], untold);
    let plain = tokio::net::TcpStream::connect(proxied.proxy_address()).await.unwrap();
    let (answer, _) = raw(plain, b"GET /v1/server HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400 "), "{answer:?}");
    check("nginx", &findings(&proxied.world.file(""), &proxied.url(), &proxied.ca()));
    insists_on_tls(&proxied.client()).await;
}
