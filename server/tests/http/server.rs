//! A real server on a free port with the embedded store in a temporary folder, or another one, and calls that check the
//! contract.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::web;
use http_body_util::{BodyExt as _, Full};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use sealpost_api::endpoint::Metadata;
use sealpost_api::endpoints;
use sealpost_api::problem::{Problem, ProblemClass, ProblemCode};
use sealpost_api::server::RegistrationPolicy;
use sealpost_crypto::UnixMillis;
use sealpost_server::base::config::Limit;
use sealpost_server::base::config::TrustedProxies;
use sealpost_server::domain::clock::{Clock, SystemRandom};
use sealpost_server::edge::http::{self, Http, HttpSettings};
use sealpost_server::edge::ws::OriginPolicy;
use sealpost_server::process::serve::serve_plain;
use sealpost_server::relay::local::LocalRelay;
use sealpost_server::service::hub::Hub;
use sealpost_server::service::limiter::{LimitTable, Limiter};
use sealpost_server::service::passwords::{PasswordSettings, Passwords};
use sealpost_server::service::stream::StreamSettings;
use sealpost_server::service::tokens::{TokenKey, TokenKeyId, Tokens};
use sealpost_server::service::{Core, NoMetrics, RetiredNamesKey, ServiceMetrics, ServiceSettings, Services};
use sealpost_server::store::embedded::{EmbeddedOptions, EmbeddedStore};
use sealpost_server::store::{QueueLimits, Store};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::net::TcpStream;

pub(crate) const MINUTE: u64 = 60_000;
pub(crate) const HOUR: u64 = 60 * MINUTE;
pub(crate) const DAY: u64 = 24 * HOUR;

/// The key that signs access tokens, so that a test can sign what the server would not.
pub(crate) const TOKEN_KEY_ID: &str = "today";
/// Its seed.
pub(crate) const TOKEN_SEED: [u8; 32] = [0x77; 32];

/// A clock that stands until it is told to move.
pub(crate) struct ManualClock(AtomicU64);

impl ManualClock {
    pub(crate) fn advance(&self, millis: u64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> UnixMillis {
        UnixMillis(self.0.load(Ordering::SeqCst))
    }
}

/// What a test changes of the defaults.
pub(crate) struct Options {
    pub(crate) registration: RegistrationPolicy,
    pub(crate) limits: LimitTable,
    pub(crate) passwords: PasswordSettings,
    pub(crate) body_timeout: Duration,
    pub(crate) tls: bool,
    pub(crate) trusted_proxies: TrustedProxies,
    pub(crate) metrics: Arc<dyn ServiceMetrics>,
    /// Instead of the embedded one.
    pub(crate) store: Option<Arc<dyn Store>>,
}

impl Default for Options {
    /// Limits that no test meets unless it is about them, and hashes that cost nothing.
    fn default() -> Self {
        let mut limits = LimitTable::default();
        let raised = Limit { burst: 100_000, tokens: 100_000, per_seconds: 1 };
        let about_load = [
            "requests_address",
            "register_address",
            "login_account",
            "login_device",
            "login_address",
            "login_server",
            "password_account",
            "publish_account",
            "upload_device",
            "lookup_account",
            "lookup_address",
        ];
        for name in about_load {
            limits.set(name, raised).unwrap();
        }
        Self {
            registration: RegistrationPolicy::Open,
            limits,
            passwords: PasswordSettings {
                memory_kib: 8,
                passes: 1,
                threads: 2,
                queue_max: 50,
                pepper: None,
                ..PasswordSettings::default()
            },
            body_timeout: Duration::from_secs(10),
            tls: false,
            trusted_proxies: TrustedProxies::default(),
            metrics: Arc::new(NoMetrics),
            store: None,
        }
    }
}

pub(crate) struct TestServer {
    pub(crate) services: Services,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) address: SocketAddr,
    handle: ServerHandle,
    folder: tempfile::TempDir,
}

impl Drop for TestServer {
    fn drop(&mut self) {
        // The command is sent at once; the future only waits for its end.
        drop(self.handle.stop(false));
    }
}

/// An answer, already checked against the route table.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    #[track_caller]
    pub(crate) fn json<T: DeserializeOwned>(&self) -> T {
        assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(&self.body));
        serde_json::from_slice(&self.body).unwrap()
    }

    #[track_caller]
    pub(crate) fn problem(&self) -> Problem {
        assert!(self.status >= 400, "{} {}", self.status, String::from_utf8_lossy(&self.body));
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Demands this problem.
    #[track_caller]
    pub(crate) fn refused(&self, code: ProblemCode) {
        assert_eq!(self.problem().code, code.as_str());
    }
}

/// An answer without what may always differ: the time, the request's id, and `connection`, which says whether the request's
/// body was still on its way when it was answered. Status, headers, body.
pub(crate) type Essence = (u16, Vec<(String, String)>, String);

impl Reply {
    pub(crate) fn essence(&self) -> Essence {
        let differing = ["date", "x-request-id", "connection"];
        let headers = self.headers.iter().filter(|(name, _)| !differing.contains(&name.as_str()));
        let mut headers: Vec<_> =
            headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
        headers.sort();
        let id = self.headers.get("x-request-id").unwrap().to_str().unwrap();
        (self.status, headers, String::from_utf8(self.body.clone()).unwrap().replace(id, "(id)"))
    }
}

impl TestServer {
    pub(crate) async fn start(options: Options) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock(AtomicU64::new(1_800_000_000_000)));
        let random = Arc::new(SystemRandom);
        let store = options.store.unwrap_or_else(|| {
            let data = folder.path().join("data");
            Arc::new(EmbeddedStore::open(&data, &EmbeddedOptions::default(), &rand::random()).unwrap())
        });
        let key = |id: &str, seed| TokenKey::from_seed(TokenKeyId::parse(id).unwrap(), seed);
        let keys = [key("yesterday", &[0x11; 32]), key(TOKEN_KEY_ID, &TOKEN_SEED)];
        let tokens = Tokens::new(&keys, store.server_id()).unwrap();
        let core = Core {
            store,
            clock: clock.clone(),
            passwords: Passwords::new(&options.passwords, random.clone()).unwrap(),
            random,
            hub: Arc::new(Hub::new()),
            relay: Arc::new(LocalRelay),
            limiter: Limiter::new(options.limits),
            tokens,
            metrics: options.metrics,
            settings: ServiceSettings {
                registration: options.registration,
                retired_names_key: RetiredNamesKey::from_bytes(rand::random()),
                queue: QueueLimits {
                    messages_max: 10_000,
                    bytes_max: 64 * 1024 * 1024,
                    sender_messages_max: 10_000,
                    dormant_after_millis: 30 * DAY,
                },
                stream: StreamSettings::default(),
            },
        };
        let services = Services::new(Arc::new(core));
        let settings = HttpSettings {
            tls: options.tls,
            trusted_proxies: options.trusted_proxies,
            body_timeout: options.body_timeout,
            origins: OriginPolicy::new(Vec::new()),
        };
        let shared = web::Data::new(Http::new(services.clone(), settings));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = serve_plain(listener, 1, move || http::app(shared.clone())).unwrap();
        let handle = server.handle();
        tokio::spawn(server);
        Self { services, clock, address, handle, folder }
    }

    pub(crate) fn now(&self) -> UnixMillis {
        self.clock.now()
    }

    /// Every row of every table, as text.
    pub(crate) fn dump(&self) -> BTreeMap<String, Vec<String>> {
        let path = self.folder.path().join("data").join("sealpost.db");
        let db = rusqlite::Connection::open_with_flags(path, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        let mut tables = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").unwrap();
        let names: Vec<String> = tables.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        let rows = |name: &str| {
            let mut select = db.prepare(&format!("SELECT * FROM {name}")).unwrap();
            let columns = select.column_count();
            let text =
                |row: &rusqlite::Row<'_>| (0..columns).map(|at| format!("{:?} ", row.get_ref(at).unwrap())).collect();
            select.query_map([], |row| Ok(text(row))).unwrap().map(Result::unwrap).collect()
        };
        names.into_iter().map(|name| (name.clone(), rows(&name))).collect()
    }

    pub(crate) async fn get(&self, path: &str, token: &str) -> Reply {
        self.call(Method::GET, path, &[(AUTHORIZATION.as_str(), &format!("Bearer {token}"))], Vec::new()).await
    }

    pub(crate) async fn delete(&self, path: &str, token: &str) -> Reply {
        self.call(Method::DELETE, path, &[(AUTHORIZATION.as_str(), &format!("Bearer {token}"))], Vec::new()).await
    }

    /// Sends JSON; an empty token sends no `Authorization`.
    pub(crate) async fn send(&self, method: Method, path: &str, token: &str, body: &impl Serialize) -> Reply {
        let bearer = format!("Bearer {token}");
        let mut headers = vec![(CONTENT_TYPE.as_str(), "application/json")];
        if !token.is_empty() {
            headers.push((AUTHORIZATION.as_str(), &bearer));
        }
        self.call(method, path, &headers, serde_json::to_vec(body).unwrap()).await
    }

    pub(crate) async fn post(&self, path: &str, token: &str, body: &impl Serialize) -> Reply {
        self.send(Method::POST, path, token, body).await
    }

    pub(crate) async fn put(&self, path: &str, token: &str, body: &impl Serialize) -> Reply {
        self.send(Method::PUT, path, token, body).await
    }

    /// Any request; the answer is checked against the contract.
    pub(crate) async fn call(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Reply {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        let connection = tokio::spawn(connection);
        let mut request = Request::builder().method(method.clone()).uri(path).header("host", "localhost");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = sender.send_request(request.body(Full::new(bytes::Bytes::from(body))).unwrap()).await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.into_body().collect().await.unwrap().to_bytes().to_vec();
        connection.abort();
        let reply = Reply { status, headers, body };
        check_contract(&method, path, &reply);
        reply
    }
}

/// Returns the endpoint for a request; `None` for a path or method that the API does not have.
fn route_of(method: &Method, path: &str) -> Option<&'static Metadata> {
    let path = path.split('?').next().unwrap();
    let matches = |pattern: &str| {
        let (pattern, path): (Vec<_>, Vec<_>) = (pattern.split('/').collect(), path.split('/').collect());
        pattern.len() == path.len() && pattern.iter().zip(&path).all(|(a, b)| a.starts_with('{') || a == b)
    };
    endpoints::all().find(|endpoint| endpoint.method.as_str() == method.as_str() && matches(endpoint.path))
}

/// Every answer of every test conforms to what the table, and so the OpenAPI document, says of its route.
#[track_caller]
fn check_contract(method: &Method, path: &str, reply: &Reply) {
    let header = |name: &str| reply.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    let id = header("x-request-id").expect("every answer has a request id");
    assert_eq!(header("x-content-type-options").as_deref(), Some("nosniff"));
    assert_eq!(header("cache-control").as_deref(), Some("no-store"));
    let route = route_of(method, path);
    if reply.status < 400 {
        assert!(route.is_some() && reply.status == 200, "{method} {path}: {}", reply.status);
        assert_eq!(header("content-type").as_deref(), Some("application/json"));
        return;
    }
    assert_eq!(header("content-type").as_deref(), Some("application/problem+json"), "{method} {path}");
    let problem = reply.problem();
    let code = ProblemCode::parse(&problem.code).expect("codes come from the table");
    assert_eq!((problem.status, code.status(), problem.title.as_str()), (reply.status, reply.status, code.title()));
    assert_eq!(problem.request_id.as_deref(), Some(id.as_str()));
    assert_eq!(header("retry-after"), problem.retry_after.map(|millis| millis.div_ceil(1_000).to_string()));
    match route {
        Some(route) => assert!(route.problems().contains(&code), "{method} {path}: {} is not declared", problem.code),
        None => assert!(
            [ProblemCode::NotFound, ProblemCode::MethodNotAllowed, ProblemCode::RateLimited].contains(&code),
            "{}",
            problem.code
        ),
    }
    if code.class() == ProblemClass::Server {
        let body: Value = serde_json::from_slice(&reply.body).unwrap();
        let allowed = ["type", "title", "status", "code", "request_id", "retry_after"];
        assert!(body.as_object().unwrap().keys().all(|key| allowed.contains(&key.as_str())), "{body}");
    }
}
