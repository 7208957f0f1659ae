//! Operators of a query language where a value should be. The bodies are typed, so that nothing but a string can stand where a
//! string belongs; what is in a string is data, whatever it says.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::TryStreamExt as _;
use mongodb::bson::{Document, doc};
use sealpost_api::endpoint::{Access, Metadata};
use sealpost_api::endpoints::all;
use sealpost_api::problem::ProblemCode;
use sealpost_api::sessions::LoginRequest;
use sealpost_server::domain::clock::{Clock as _, SystemClock};
use sealpost_server::store::Store;
use sealpost_server::store::mongodb::MongoStore;
use serde_json::{Value, json};

use super::requests::{Actor, call};
use super::schema;
use crate::server::{Options, TestServer};
use sealpost_harness::database::Engine;

/// What a document database would take for a query, and what another parser would take for a value.
fn operators() -> Vec<Value> {
    vec![
        json!({"$gt": ""}),
        json!({"$ne": null}),
        json!({"$where": "sleep(10000) || true"}),
        json!({"$regex": ".*", "$options": "s"}),
        json!({"$in": ["victim"]}),
        json!({"$expr": {"$function": {"body": "function() { return true }", "args": [], "lang": "js"}}}),
        json!({"$oid": "000000000000000000000000"}),
        json!({"": ""}),
        json!([{"$gt": ""}]),
        json!([["$gt", ""]]),
        json!(true),
        json!(1.5),
    ]
}

/// Strings that end a query's string and go on with a query.
const SQL: [&str; 8] = [
    "victim' OR '1'='1",
    "victim'--",
    "'; DROP TABLE accounts; --",
    "victim\" OR \"\"=\"",
    "victim'/*",
    "%",
    "victim\0",
    "' UNION SELECT password_hash FROM accounts --",
];

/// A server with one account, and what is stored there.
struct Scene {
    server: TestServer,
    actor: Actor,
    /// Where it is stored, unless that is the embedded store.
    mongodb: Option<(mongodb::Database, Arc<Engine>)>,
}

impl Scene {
    async fn embedded() -> Self {
        Self::new(Options::default(), None).await
    }

    async fn on_mongodb() -> Self {
        let engine = Engine::shared().unwrap();
        let address = engine.database();
        let store: Arc<dyn Store> =
            Arc::new(MongoStore::open(&address, &rand_bytes(), SystemClock.now()).await.unwrap());
        let beside = mongodb::Client::with_uri_str(&address).await.unwrap().default_database().unwrap();
        Self::new(Options { store: Some(store), ..Options::default() }, Some((beside, engine))).await
    }

    async fn new(options: Options, mongodb: Option<(mongodb::Database, Arc<Engine>)>) -> Self {
        let server = TestServer::start(options).await;
        let actor = Actor::register(&server, "victim", "a password of its own").await;
        Self { server, actor, mongodb }
    }

    /// Every row or document, as text.
    async fn dump(&self) -> BTreeMap<String, Vec<String>> {
        let Some((database, _)) = &self.mongodb else { return self.server.dump() };
        let mut dump = BTreeMap::new();
        for name in database.list_collection_names().await.unwrap() {
            let all = database.collection::<Document>(&name).find(doc! {}).await.unwrap();
            let mut texts: Vec<String> = all.map_ok(|document| document.to_string()).try_collect().await.unwrap();
            texts.sort();
            dump.insert(name, texts);
        }
        assert!(dump["accounts"].len() == 1 && dump.len() >= 9, "{dump:?}");
        dump
    }
}

fn rand_bytes() -> [u8; 48] {
    std::array::from_fn(|_| rand::random())
}

fn bodies() -> impl Iterator<Item = &'static Metadata> {
    all().filter(|route| route.body)
}

fn token<'a>(route: &Metadata, actor: &'a Actor) -> &'a str {
    if route.access == Access::Anyone { "" } else { &actor.device.access }
}

/// The bodies of a route in which one thing is an operator, or of another kind than it should be, and what that is.
fn bad_bodies(document: &Value, route: &Metadata, body: &Value) -> Vec<(String, Value)> {
    let mut bad: Vec<(String, Value)> = Vec::new();
    let mut objects = vec![String::new()];
    let fields = schema::request_fields(document, route);
    for field in &fields {
        let pointer = field.pointer();
        assert!(body.pointer(&pointer).is_some(), "{}: the test's body lacks {pointer}", route.path);
        if field.kind == "object" {
            objects.push(pointer.clone());
        }
        let wrong_kind = if field.kind == "string" { json!(7) } else { json!("7") };
        for operator in operators().into_iter().chain([wrong_kind]) {
            let mut body = body.clone();
            *body.pointer_mut(&pointer).unwrap() = operator;
            bad.push((pointer.clone(), body));
        }
    }
    // A name with an operator or a path in it, at every level.
    for pointer in objects {
        for name in ["$where", "$set", "$", "account.username", "device.0", "__proto__", "constructor.prototype"] {
            let mut body = body.clone();
            let object = body.pointer_mut(&pointer).unwrap().as_object_mut().unwrap();
            object.insert(name.to_owned(), json!("1"));
            bad.push((format!("{pointer}/{name}"), body));
        }
    }
    // The fields' values without their names.
    let outer = fields.iter().filter(|field| field.path.len() == 1);
    bad.push(("an array".to_owned(), outer.map(|field| body[field.name()].clone()).collect()));
    bad
}

/// Demands that every one of them is refused as no body of its call, and that nothing is stored otherwise than before.
async fn operators_in_bodies_are_refused(scene: &Scene) {
    let (document, before, Scene { server, actor, .. }) = (schema::document(), scene.dump().await, scene);
    let mut tried = 0;
    for route in bodies() {
        let (path, body) = actor.request(server, route, &actor.names());
        for (what, body) in bad_bodies(&document, route, &body.unwrap()) {
            let what = format!("{} {what}: {body}", route.path);
            let reply = call(server, route, &path, token(route, actor), Some(&body)).await;
            assert_eq!(reply.status, 400, "{what}: {}", String::from_utf8_lossy(&reply.body));
            assert_eq!(reply.problem().code, ProblemCode::MalformedBody.as_str(), "{what}");
            assert_eq!(scene.dump().await, before, "{what}");
            tried += 1;
        }
    }
    println!("{tried} bodies were refused");
    assert!(tried >= 700, "{tried}");
}

async fn operators_in_paths_and_queries_are_names(scene: &Scene) {
    let (before, Scene { server, actor, .. }) = (scene.dump().await, scene);
    let token = &actor.device.access;
    for text in ["%7B%22%24gt%22%3A%22%22%7D", "%24where", "victim%27--", "%25", "a.b", "victim%00", "*"] {
        server.get(&format!("/v1/accounts/by-name/{text}"), token).await.refused(ProblemCode::NotFound);
        let malformed = ProblemCode::MalformedRequest;
        server.get(&format!("/v1/accounts/{text}/devices"), token).await.refused(malformed);
        server.delete(&format!("/v1/sessions/{text}"), token).await.refused(malformed);
        let devices = format!("/v1/accounts/{}/devices?after", crate::account::path_id(actor.device.address.account));
        server.get(&format!("{devices}={text}"), token).await.refused(malformed);
        server.get(&format!("{devices}[$gt]={text}"), token).await.refused(malformed);
    }
    assert_eq!(scene.dump().await, before);
}

#[tokio::test]
async fn threat_58_an_operator_in_any_field_of_any_body_is_refused_and_stores_nothing() {
    operators_in_bodies_are_refused(&Scene::embedded().await).await;
}

#[tokio::test]
async fn an_operator_in_any_field_is_refused_by_a_server_on_mongodb() {
    operators_in_bodies_are_refused(&Scene::on_mongodb().await).await;
}

#[tokio::test]
async fn operators_in_paths_and_queries_name_nothing() {
    operators_in_paths_and_queries_are_names(&Scene::embedded().await).await;
}

#[tokio::test]
async fn operators_in_paths_and_queries_name_nothing_on_mongodb() {
    operators_in_paths_and_queries_are_names(&Scene::on_mongodb().await).await;
}

#[tokio::test]
async fn sql_in_any_string_is_data() {
    let (document, Scene { server, actor, .. }) = (schema::document(), Scene::embedded().await);
    let before = server.dump();
    for route in bodies() {
        let (path, body) = actor.request(&server, route, &actor.names());
        let body = body.unwrap();
        for field in schema::request_fields(&document, route).into_iter().filter(|field| field.kind == "string") {
            // A new password may hold anything; it is looked at below.
            if ["new_password", "invite"].contains(&field.name())
                || (field.name(), route.path) == ("password", "/v1/accounts")
            {
                continue;
            }
            for text in SQL {
                let mut body = body.clone();
                *body.pointer_mut(&field.pointer()).unwrap() = json!(text);
                let reply = call(&server, route, &path, token(route, &actor), Some(&body)).await;
                assert!((400..404).contains(&reply.status) || reply.status == 422, "{}: {body}", reply.status);
                assert_eq!(server.dump(), before, "{} {}: {text}", route.path, field.pointer());
            }
        }
    }
    // As a password it is one like any other: this one lets in, and nothing near it.
    for (number, text) in (0..).zip(SQL) {
        let password = format!("{text} padding");
        let mut other = Actor::register(&server, &format!("person{number}"), &password).await;
        let log_in = all().find(|route| (route.path, route.body) == ("/v1/sessions", true)).unwrap();
        other.device.session = sealpost_api::ids::SessionId::from_bytes(rand::random());
        let (path, body) = other.request(&server, log_in, &other.names());
        let mut request: LoginRequest = serde_json::from_value(body.unwrap()).unwrap();
        request.password = crate::account::password(&format!("{text} padding "));
        server.post(&path, "", &request).await.refused(ProblemCode::LoginFailed);
        request.password = crate::account::password(&password);
        assert_eq!(server.post(&path, "", &request).await.status, 200, "{text}");
    }
    assert_eq!(server.dump()["accounts"].len(), before["accounts"].len() + SQL.len());
}
