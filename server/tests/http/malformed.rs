//! A 400 says which part of the request is wrong, and repeats nothing that was sent.

use hyper::Method;
use sealpost_api::endpoint::{Access, Metadata};
use sealpost_api::endpoints;
use sealpost_api::problem::ProblemCode;
use serde_json::{Value, json};

use super::requests::{Actor, call};
use super::schema;
use crate::account::PASSWORD;
use crate::server::{Options, Reply, TestServer};

/// What stands for something that a user typed.
const TYPED: &str = "typed_by_a_user";

/// Asserts that a reply is a 400 for a body, and returns the field that it names.
#[track_caller]
fn field_of(reply: &Reply, code: ProblemCode) -> Option<String> {
    reply.refused(code);
    assert!(!String::from_utf8_lossy(&reply.body).contains(TYPED), "{}", String::from_utf8_lossy(&reply.body));
    reply.problem().field
}

/// Sets a field of a body, or removes it.
fn changed(body: &Value, pointer: &str, value: Option<Value>) -> Value {
    let mut body = body.clone();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    match (body.pointer_mut(parent).unwrap(), value) {
        (Value::Object(object), Some(value)) => drop(object.insert(name.to_owned(), value)),
        (Value::Object(object), None) => drop(object.remove(name)),
        (Value::Array(elements), Some(value)) => elements[name.parse::<usize>().unwrap()] = value,
        _ => panic!("{pointer}"),
    }
    body
}

async fn ask(server: &TestServer, actor: &Actor, endpoint: &Metadata, path: &str, body: &Value) -> Reply {
    let token = if endpoint.access == Access::Anyone { "" } else { &actor.device.access };
    call(server, endpoint, path, token, Some(body)).await
}

#[tokio::test]
async fn a_malformed_body_is_answered_with_the_field_that_is_wrong() {
    let (document, server) = (schema::document(), TestServer::start(Options::default()).await);
    let actor = Actor::register(&server, "alice", PASSWORD).await;
    let mut fields = 0;
    for endpoint in endpoints::all().filter(|endpoint| endpoint.body) {
        let (path, body) = actor.request(&server, endpoint, &actor.names());
        let body = body.unwrap();
        let code = ProblemCode::MalformedBody;
        for field in schema::request_fields(&document, endpoint) {
            fields += 1;
            let (pointer, what) = (field.pointer(), format!("{} {}", endpoint.name, field.pointer()));
            // A value of a kind that no field has.
            let wrong = if field.kind == "boolean" { json!(TYPED) } else { json!(true) };
            let reply = ask(&server, &actor, endpoint, &path, &changed(&body, &pointer, Some(wrong))).await;
            assert_eq!(field_of(&reply, code).as_deref(), Some(pointer.as_str()), "{what}");
            if field.name() != "0" && !pointer.ends_with("/0") && field.required {
                let reply = ask(&server, &actor, endpoint, &path, &changed(&body, &pointer, None)).await;
                assert_eq!(field_of(&reply, code).as_deref(), Some(pointer.as_str()), "{what} is missing");
            }
            if field.kind == "object" {
                let unknown = changed(&body, &format!("{pointer}/{TYPED}"), Some(json!(1)));
                let reply = ask(&server, &actor, endpoint, &path, &unknown).await;
                assert_eq!(field_of(&reply, code).as_deref(), Some(pointer.as_str()), "{what} with an unknown field");
            }
        }
        let reply = ask(&server, &actor, endpoint, &path, &changed(&body, &format!("/{TYPED}"), Some(json!(1)))).await;
        assert_eq!(field_of(&reply, code), None, "{}: no field of its own is wrong", endpoint.name);
    }
    assert!(fields >= 70, "{fields}");
}

#[tokio::test]
async fn a_malformed_path_or_query_is_answered_with_the_argument_that_is_wrong() {
    let server = TestServer::start(Options::default()).await;
    let actor = Actor::register(&server, "alice", PASSWORD).await;
    let account = crate::account::path_id(actor.names().account);
    for (method, path, field) in [
        (Method::GET, format!("/v1/accounts/{TYPED}/devices"), Some("account_id")),
        (Method::DELETE, format!("/v1/sessions/{TYPED}"), Some("session_id")),
        (Method::GET, format!("/v1/accounts/{account}/devices?after={TYPED}"), Some("after")),
        (Method::GET, format!("/v1/accounts/{account}/devices?{TYPED}=1"), None),
    ] {
        let bearer = format!("Bearer {}", actor.device.access);
        let reply = server.call(method, &path, &[("authorization", &bearer)], Vec::new()).await;
        assert_eq!(field_of(&reply, ProblemCode::MalformedRequest).as_deref(), field, "{path}");
    }
}
