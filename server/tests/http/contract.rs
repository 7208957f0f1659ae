use std::collections::BTreeSet;

use hyper::Method;
use sealpost_api::endpoint::Access;
use sealpost_api::endpoints;
use sealpost_api::problem::ProblemCode;
use sealpost_server::edge::http::routes;
use sealpost_server::edge::http::routes::listing;
use serde_json::Value;

use crate::account::{Account, AccountCalls as _};
use crate::server::{Options, TestServer};

#[tokio::test]
async fn the_served_document_and_the_table_of_routes_agree() {
    let server = TestServer::start(Options::default()).await;
    let document: Value = server.call(Method::GET, "/v1/openapi.json", &[], Vec::new()).await.json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut documented = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            documented.insert((method.to_uppercase(), path.clone()));
            let route = endpoints::all()
                .find(|route| route.path == path && route.method.as_str() == method.to_uppercase())
                .unwrap();
            assert_eq!(operation["security"].is_array(), route.access != Access::Anyone, "{method} {path}");
            assert_eq!(operation["requestBody"].is_object(), route.body, "{method} {path}");
            let parameters = operation["parameters"]
                .as_array()
                .map_or(0, |list| list.iter().filter(|one| one["in"] == "path").count());
            assert_eq!(parameters, path.matches('{').count(), "{method} {path}");
            for code in route.problems() {
                let described = operation["responses"][code.status().to_string()]["description"].as_str().unwrap();
                assert!(described.contains(code.as_str()), "{method} {path}: {}", code.as_str());
            }
        }
    }
    let table: BTreeSet<_> =
        endpoints::all().map(|route| (route.method.as_str().to_owned(), route.path.to_owned())).collect();
    assert_eq!(documented, table);
    assert_eq!(listing().lines().count(), table.len());
    assert_eq!(routes::routes().count(), table.len());
    // Every reference leads somewhere.
    let text = document.to_string();
    for reference in text.split("\"#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(document["components"]["schemas"][name].is_object(), "{name}");
    }
}

#[test]
fn the_protocol_page_lists_every_endpoint() {
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/protocol.md");
    let page = std::fs::read_to_string(page).unwrap();
    let table: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
    for endpoint in endpoints::all() {
        let call = format!("`{} {}", endpoint.method.as_str(), endpoint.path);
        let listed = |line: &&str| line.contains(&format!("{call}`")) || line.contains(&format!("{call}?"));
        assert!(table.iter().any(listed), "{call}` is not in docs/protocol.md");
    }
}

#[test]
fn the_document_describes_every_answer_number_and_text() {
    let document = serde_json::to_value(sealpost_server::edge::http::document()).unwrap();
    assert_eq!(document["servers"][0]["url"], "/");
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            for (status, response) in operation["responses"].as_object().unwrap() {
                let text = response["description"].as_str().unwrap();
                assert!(!text.is_empty(), "{method} {path} {status}");
            }
        }
    }
    let text = document.to_string();
    for internal in ["::", "[`", "\"int32", "\"int64", "u-int"] {
        assert!(!text.contains(internal), "{internal}");
    }
    let mut numbers = 0;
    walk(&document["components"]["schemas"], &mut |schema| {
        let is = |kind: &str| schema["type"] == kind || schema["type"][0] == kind;
        if is("integer") {
            numbers += 1;
            assert!(schema["format"].as_str().unwrap().starts_with("uint"), "{schema}");
            assert!(schema["minimum"].is_u64(), "{schema}");
            assert!(schema["maximum"].is_u64() || schema["format"] == "uint64", "{schema}");
        }
        if schema["format"] == "base64url" {
            assert!(schema["minLength"].is_u64() && schema["maxLength"].is_u64() && schema["pattern"].is_string());
        }
    });
    assert!(numbers >= 30, "{numbers}");
}

/// Shows every schema within a value.
fn walk(value: &Value, show: &mut impl FnMut(&Value)) {
    match value {
        Value::Object(members) => {
            if members.contains_key("type") && !members["type"].is_object() {
                show(value);
            }
            members.values().for_each(|member| walk(member, show));
        }
        Value::Array(elements) => elements.iter().for_each(|element| walk(element, show)),
        _ => {}
    }
}

#[tokio::test]
async fn every_route_that_needs_a_session_refuses_everyone_else_before_it_reads_anything() {
    let server = TestServer::start(Options::default()).await;
    let alice = Account::register(&server, "alice").await;
    assert_eq!(server.delete("/v1/sessions/current", &alice.device.access).await.status, 200);
    for route in endpoints::all().filter(|route| route.access == Access::Session) {
        let path = route.path.replace("{username}", "alice").replace("{account_id}", "x").replace("{session_id}", "x");
        let method: Method = route.method.as_str().parse().unwrap();
        let ended = format!("Bearer {}", alice.device.access);
        for headers in [&[][..], &[("authorization", "Bearer x")][..], &[("authorization", ended.as_str())][..]] {
            let reply = server.call(method.clone(), &path, headers, b"not json".to_vec()).await;
            reply.refused(ProblemCode::Unauthenticated);
        }
    }
}

#[tokio::test]
async fn unknown_paths_and_methods_are_problems_too() {
    let server = TestServer::start(Options::default()).await;
    for path in ["/", "/v1", "/v1/accounts/x", "/v2/server", "/v1/server/", "//v1/server", "/v1/../healthz", "/%2e%2e"]
    {
        let reply = server.call(Method::GET, path, &[], Vec::new()).await;
        assert!(["not_found", "method_not_allowed"].contains(&reply.problem().code.as_str()), "{path}");
    }
    for method in [Method::PATCH, Method::OPTIONS, Method::TRACE, Method::DELETE] {
        let reply = server.call(method, "/v1/server", &[], Vec::new()).await;
        reply.refused(ProblemCode::MethodNotAllowed);
        assert_eq!(reply.headers.get("allow").unwrap(), "GET");
    }
    let reply = server.call(Method::PUT, "/v1/prekeys", &[], Vec::new()).await;
    assert_eq!(reply.headers.get("allow").unwrap(), "GET, POST, DELETE");
}

#[tokio::test]
async fn a_stopped_store_is_a_5xx_that_says_nothing() {
    let server = TestServer::start(Options::default()).await;
    let alice = Account::register(&server, "alice").await;
    assert_eq!(server.call(Method::GET, "/readyz", &[], Vec::new()).await.status, 200);
    server.services.core().store.close().await;
    for reply in [
        server.get("/v1/sessions", &alice.device.access).await,
        server.get("/readyz", "").await,
        server.post("/v1/accounts", "", &Account::new("bob").register_request(&server)).await,
    ] {
        assert!(reply.status >= 500);
        let text = String::from_utf8(reply.body).unwrap();
        assert!(!text.contains("store") || text.contains("The server cannot store anything now"), "{text}");
    }
    assert_eq!(server.call(Method::GET, "/healthz", &[], Vec::new()).await.status, 200);
}

#[tokio::test]
async fn with_tls_clients_are_told_to_insist_on_it() {
    let plain = TestServer::start(Options::default()).await;
    assert!(
        plain.call(Method::GET, "/healthz", &[], Vec::new()).await.headers.get("strict-transport-security").is_none()
    );
    let tls = TestServer::start(Options { tls: true, ..Options::default() }).await;
    let reply = tls.call(Method::GET, "/healthz", &[], Vec::new()).await;
    assert_eq!(reply.headers.get("strict-transport-security").unwrap(), "max-age=63072000");
    let not_found = tls.call(Method::GET, "/nothing", &[], Vec::new()).await;
    assert!(not_found.headers.get("strict-transport-security").is_some());
}
