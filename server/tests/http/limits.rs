use hyper::Method;
use sealpost_api::accounts::CurrentIdentityRequest;
use sealpost_api::problem::ProblemCode;
use sealpost_server::base::config::{Limit, TrustedProxies};
use sealpost_server::service::limiter::LimitTable;

use crate::account::{Account, AccountCalls as _, DeviceCalls as _, PASSWORD, password};
use crate::server::{MINUTE, Options, TestServer};

/// The defaults for the limits named, and no others in the way.
fn with_default(names: &[&str]) -> Options {
    let mut options = Options::default();
    for (name, limit) in LimitTable::default().iter() {
        if names.contains(&name.rule().name) {
            options.limits.set(name.rule().name, *limit).unwrap();
        }
    }
    options
}

#[tokio::test]
async fn guessing_a_password_is_limited_and_locks_no_device_out() {
    let server = TestServer::start(with_default(&["login_account", "login_device"])).await;
    let mut alice = Account::register(&server, "alice").await;
    let guess = CurrentIdentityRequest { username: "alice".to_owned(), password: password("a wrong guess") };
    for _ in 0..10 {
        server.post("/v1/identity/current", "", &guess).await.refused(ProblemCode::LoginFailed);
    }
    let reply = server.post("/v1/identity/current", "", &guess).await;
    reply.refused(ProblemCode::RateLimited);
    assert_eq!(reply.problem().retry_after, Some(MINUTE));
    // A guess with the right device's name but without its key counts the same.
    let mut thief = Account::new("alice").device;
    thief.address = alice.device.address;
    thief.log_in(&server, "alice", "a wrong guess").await.refused(ProblemCode::RateLimited);
    assert_eq!(
        alice.device.log_in(&server, "alice", PASSWORD).await.status,
        200,
        "the owner's device has its own count"
    );
    server.clock.advance(MINUTE);
    server.post("/v1/identity/current", "", &guess).await.refused(ProblemCode::LoginFailed);
}

#[tokio::test]
async fn names_that_do_not_exist_are_limited_alike() {
    let server = TestServer::start(with_default(&["login_account"])).await;
    Account::register(&server, "alice").await;
    for name in ["alice", "nobody"] {
        let guess = CurrentIdentityRequest { username: name.to_owned(), password: password("a wrong guess") };
        for _ in 0..10 {
            server.post("/v1/identity/current", "", &guess).await.refused(ProblemCode::LoginFailed);
        }
        server.post("/v1/identity/current", "", &guess).await.refused(ProblemCode::RateLimited);
    }
}

#[tokio::test]
async fn looking_up_names_is_limited() {
    let server = TestServer::start(with_default(&["lookup_account"])).await;
    let alice = Account::register(&server, "alice").await;
    for number in 0..100 {
        server
            .get(&format!("/v1/accounts/by-name/user{number}"), &alice.device.access)
            .await
            .refused(ProblemCode::NotFound);
    }
    let reply = server.get("/v1/accounts/by-name/alice", &alice.device.access).await;
    reply.refused(ProblemCode::RateLimited);
    assert_eq!(reply.headers.get("retry-after").unwrap(), "900");
}

#[tokio::test]
async fn one_address_gets_so_many_registrations_and_requests() {
    let server = TestServer::start(with_default(&["register_address"])).await;
    for number in 0..20 {
        Account::register(&server, &format!("user{number}")).await;
    }
    let request = Account::new("one.more").register_request(&server);
    server.post("/v1/accounts", "", &request).await.refused(ProblemCode::RateLimited);

    let mut options = Options { trusted_proxies: TrustedProxies::loopback(), ..Options::default() };
    options.limits.set("requests_address", Limit { burst: 3, tokens: 1, per_seconds: 60 }).unwrap();
    let server = TestServer::start(options).await;
    let from = async |address: &str| {
        let reply = server.call(Method::GET, "/healthz", &[("x-forwarded-for", address)], Vec::new()).await;
        reply.status
    };
    for _ in 0..3 {
        // What the client itself claims stands before what the proxy adds, and is not believed.
        assert_eq!(from("198.51.100.1, 192.0.2.1").await, 200);
    }
    assert_eq!(from("198.51.100.2, 192.0.2.1").await, 429);
    assert_eq!(from("192.0.2.2").await, 200);
    for _ in 0..3 {
        from("2001:db8::1").await;
    }
    assert_eq!(from("2001:db8::ffff").await, 429, "a /64 counts once");
}
