//! Which fields cross the wire: every answer against a committed list, every request against its schema.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use hyper::Method;
use sealpost_api::accounts::{ChangePasswordRequest, CurrentIdentityRequest, DeleteAccountRequest};
use sealpost_api::encoding::RefreshToken;
use sealpost_api::endpoint::Access;
use sealpost_api::endpoints;
use sealpost_api::ids::SessionId;
use sealpost_api::prekeys::{TakeBundlesRequest, UploadPrekeysRequest};
use sealpost_api::problem::ProblemCode;
use serde_json::{Value, json};

use super::requests::{Actor, call};
use super::schema;
use crate::account::{
    Account, AccountCalls as _, Device, DeviceCalls as _, PASSWORD, one_time_prekeys, password, path_id,
    publish_request, server_id,
};
use crate::server::{Options, Reply, TestServer};

/// Set to anything, this environment variable has the list written anew instead of compared.
const UPDATE: &str = "SEALPOST_UPDATE_FIELDS";

/// What was answered, by route or, for problems, by status.
#[derive(Default)]
struct Answers(BTreeMap<String, BTreeSet<String>>);

impl Answers {
    #[track_caller]
    fn note(&mut self, route: &str, reply: &Reply) {
        assert_eq!(reply.status, 200, "{route}: {}", String::from_utf8_lossy(&reply.body));
        self.note_as(route, reply);
    }

    #[track_caller]
    fn note_as(&mut self, name: &str, reply: &Reply) {
        let body: Value = serde_json::from_slice(&reply.body).unwrap();
        collect(&body, "", self.0.entry(name.to_owned()).or_default());
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for (name, fields) in &self.0 {
            writeln!(text, "{name}").unwrap();
            fields.iter().for_each(|field| writeln!(text, "    {field}").unwrap());
        }
        text
    }
}

/// The names that lead to each value, and its type; `[]` is any element of an array.
fn collect(value: &Value, path: &str, fields: &mut BTreeSet<String>) {
    let kind = match value {
        Value::Object(object) => {
            for (name, value) in object {
                collect(value, &if path.is_empty() { name.clone() } else { format!("{path}.{name}") }, fields);
            }
            return;
        }
        Value::Array(elements) => {
            elements.iter().for_each(|element| collect(element, &format!("{path}[]"), fields));
            if !elements.is_empty() {
                return;
            }
            "empty array"
        }
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
    };
    fields.insert(format!("{path}: {kind}"));
}

#[tokio::test]
async fn threat_59_every_answer_has_the_fields_of_the_committed_list_and_no_other() {
    let server = TestServer::start(Options::default()).await;
    let mut answers = Answers::default();
    // The document about the document, and the stream, which answers with frames.
    let elsewhere = ["GET /v1/openapi.json", "GET /v1/stream"];
    for path in ["/healthz", "/readyz", "/v1/server"] {
        answers.note(&format!("GET {path}"), &server.call(Method::GET, path, &[], Vec::new()).await);
    }
    let mut alice = Account::new("alice");
    let reply = server.post("/v1/accounts", "", &alice.register_request(&server)).await;
    answers.note("POST /v1/accounts", &reply);
    let reply = alice.device.log_in(&server, "alice", PASSWORD).await;
    answers.note("POST /v1/sessions", &reply);
    let mut phone = Device::new(alice.id(), 2);
    let next = alice.next_list(&[&alice.device, &phone]);
    let publish = publish_request(&next, vec![phone.prekeys(1..=10, server.now())]);
    answers.note("PUT /v1/account/devices", &server.put("/v1/account/devices", &alice.device.access, &publish).await);
    alice.list = next;
    assert_eq!(phone.log_in(&server, "alice", PASSWORD).await.status, 200);
    let next = RefreshToken::from_bytes(rand::random());
    let refresh = alice.device.refresh_request(server_id(&server), &alice.device.refresh, next.hash());
    answers.note("POST /v1/sessions/refresh", &server.post("/v1/sessions/refresh", "", &refresh).await);
    let token = alice.device.access.clone();
    let (id, by_name) = (path_id(alice.id()), "/v1/accounts/by-name/alice");
    answers.note("GET /v1/accounts/by-name/{username}", &server.get(by_name, &token).await);
    let lists = format!("/v1/accounts/{id}/devices");
    answers.note("GET /v1/accounts/{account_id}/devices", &server.get(&lists, &token).await);
    let all = TakeBundlesRequest { devices: None };
    let bundles = format!("/v1/accounts/{id}/bundles");
    answers.note("POST /v1/accounts/{account_id}/bundles", &server.post(&bundles, &token, &all).await);
    let current = CurrentIdentityRequest { username: "alice".to_owned(), password: password(PASSWORD) };
    answers.note("POST /v1/identity/current", &server.post("/v1/identity/current", "", &current).await);
    for path in ["/v1/sessions", "/v1/prekeys", "/v1/prekeys/ids", "/v1/account/export"] {
        answers.note(&format!("GET {path}"), &server.get(path, &token).await);
    }
    let upload =
        UploadPrekeysRequest { key_epoch: 1, one_time_prekeys: one_time_prekeys(31..=32), signed_prekey: None };
    answers.note("POST /v1/prekeys", &server.post("/v1/prekeys", &token, &upload).await);
    // The same ids with other keys: the problem with the most fields.
    let taken = UploadPrekeysRequest { one_time_prekeys: one_time_prekeys(31..=32), ..upload };
    let reply = server.post("/v1/prekeys", &token, &taken).await;
    reply.refused(ProblemCode::PrekeyConflict);
    answers.note_as("problem prekey_conflict", &reply);
    answers.note("DELETE /v1/prekeys", &server.delete("/v1/prekeys", &token).await);
    let one = format!("/v1/sessions/{}", path_id(SessionId::from_bytes([0; 16])));
    answers.note("DELETE /v1/sessions/{session_id}", &server.delete(&one, &token).await);
    let change = ChangePasswordRequest { old_password: password(PASSWORD), new_password: password("another password") };
    answers.note("PUT /v1/account/password", &server.put("/v1/account/password", &token, &change).await);
    let mut renewed = Account::register(&server, "bob").await.renewed();
    let reply = server.post("/v1/identity", "", &renewed.new_identity_request(&server)).await;
    answers.note("POST /v1/identity", &reply);
    renewed.device.access = reply.json::<Value>()["access_token"].as_str().unwrap().to_owned();
    let current = server.delete("/v1/sessions/current", &renewed.device.access).await;
    answers.note("DELETE /v1/sessions/current", &current);
    let carol = Account::register(&server, "carol").await;
    answers.note("DELETE /v1/sessions", &server.delete("/v1/sessions", &carol.device.access).await);
    let dave = Account::register(&server, "dave").await;
    let delete = DeleteAccountRequest { password: password(PASSWORD) };
    let reply = server.post("/v1/account/delete", &dave.device.access, &delete).await;
    answers.note("POST /v1/account/delete", &reply);
    answers.note_as("problem not_found", &server.get("/v1/nothing", "").await);
    let erin = Account::register(&server, "erin").await;
    let reply = server.post("/v1/account/delete", &erin.device.access, &json!({"password": 1})).await;
    reply.refused(ProblemCode::MalformedBody);
    answers.note_as("problem malformed_body", &reply);
    // Every other endpoint, asked by an account that names its own things.
    for route in endpoints::all() {
        let name = format!("{} {}", route.method.as_str(), route.path);
        if !answers.0.contains_key(&name) && !elsewhere.contains(&name.as_str()) {
            let actor = Actor::register(&server, &format!("asker{}", answers.0.len()), PASSWORD).await;
            answers.note(&name, &actor.call(&server, route, &actor.names()).await);
        }
    }
    server.services.core().store.close().await;
    let reply = server.call(Method::GET, "/readyz", &[], Vec::new()).await;
    assert!(reply.status >= 500);
    answers.note_as("problem unavailable", &reply);

    let (list, text) = (Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/http/fields.txt"), answers.text());
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(&list, &text).unwrap();
    }
    let committed = std::fs::read_to_string(&list).unwrap();
    assert_eq!(
        text.lines().collect::<Vec<_>>(),
        committed.lines().collect::<Vec<_>>(),
        "an answer has other fields than {} says; if callers are meant to see them, run the test with {UPDATE}=1",
        list.display()
    );
}

#[tokio::test]
async fn a_field_that_a_request_does_not_have_is_refused_at_every_level() {
    let (document, server) = (schema::document(), TestServer::start(Options::default()).await);
    let actor = Actor::register(&server, "alice", PASSWORD).await;
    let before = server.dump();
    for route in endpoints::all().filter(|route| route.body) {
        let (path, body) = actor.request(&server, route, &actor.names());
        let objects = schema::request_fields(&document, route).into_iter().filter(|field| field.kind == "object");
        for pointer in objects.map(|field| field.pointer()).chain([String::new()]) {
            for (name, value) in [("is_admin", json!(true)), ("generation", json!(9)), ("created_at", json!(0))] {
                let mut body = body.clone().unwrap();
                let object = body.pointer_mut(&pointer).unwrap().as_object_mut().unwrap();
                assert!(object.insert(name.to_owned(), value).is_none());
                let token = if route.access == Access::Anyone { "" } else { &actor.device.access };
                call(&server, route, &path, token, Some(&body)).await.refused(ProblemCode::MalformedBody);
                assert_eq!(server.dump(), before, "{} {pointer}/{name}", route.path);
            }
        }
    }
}
