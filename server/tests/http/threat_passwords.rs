//! Guessing passwords, and what a password is.

use hyper::Method;
use sealpost_api::accounts::{ChangePasswordRequest, CurrentIdentityRequest};
use sealpost_api::problem::ProblemCode;
use sealpost_server::base::config::TrustedProxies;
use sealpost_server::service::limiter::LimitTable;

use crate::account::{Account, AccountCalls as _, Device, DeviceCalls as _, PASSWORD, password, server_id};
use crate::server::{DAY, Options, TestServer};

/// What is guessed with, as attackers do.
const COMMON: &str = include_str!("../../src/domain/common_passwords.txt");

/// Pairs of name and password that are tried in one simulated day. `SEALPOST_STUFFING_PAIRS=100000` tries as many as the
/// threat table names, on 20 accounts; the default is for every build.
fn pairs() -> u64 {
    std::env::var("SEALPOST_STUFFING_PAIRS").ok().and_then(|text| text.parse().ok()).unwrap_or(3_000)
}

/// Pairs for each account: some three times what its limit allows in a day.
const PAIRS_PER_ACCOUNT: u64 = 5_000;

#[tokio::test]
async fn threat_31_a_day_of_guesses_gets_what_the_limit_allows_and_the_owner_logs_in_meanwhile() {
    let mut options = Options { trusted_proxies: TrustedProxies::loopback(), ..Options::default() };
    for (name, limit) in LimitTable::default().iter().filter(|(name, _)| name.rule().name.starts_with("login_")) {
        options.limits.set(name.rule().name, *limit).unwrap();
    }
    let server = TestServer::start(options).await;
    let mut people = Vec::new();
    for number in 0..pairs().div_ceil(PAIRS_PER_ACCOUNT) {
        people.push(Account::register(&server, &format!("user{number}")).await);
    }
    let count = people.len() as u64;
    let mut tried = vec![0_u64; people.len()];
    let mut refused = 0_u64;
    let mut logins = 0_u64;
    let step = DAY / pairs();
    let mut guesses = COMMON.lines().cycle();
    for number in 0..pairs() {
        server.clock.advance(step);
        let victim = usize::try_from(number % count).unwrap();
        let guess = guesses.next().unwrap();
        let body = if number % 2 == 0 {
            let ask = CurrentIdentityRequest { username: people[victim].name.clone(), password: password(guess) };
            ("/v1/identity/current", serde_json::to_vec(&ask).unwrap())
        } else {
            // The right device's name with a thief's key.
            let mut thief = Device::new(people[victim].id(), 1);
            thief.address = people[victim].device.address;
            let request = thief.login_request(server_id(&server), &people[victim].name, guess);
            ("/v1/sessions", serde_json::to_vec(&request).unwrap())
        };
        let from = format!("198.51.{}.{}", number % 2, number % 200);
        let headers = [("content-type", "application/json"), ("x-forwarded-for", &from)];
        let reply = server.call(Method::POST, body.0, &headers, body.1).await;
        match reply.status {
            401 => tried[victim] += 1,
            429 => refused += 1,
            other => panic!("{other} {}", String::from_utf8_lossy(&reply.body)),
        }
        if number % 500 == 0 {
            let name = people[victim].name.clone();
            assert_eq!(people[victim].device.log_in(&server, &name, PASSWORD).await.status, 200, "the owner");
            logins += 1;
        }
    }
    // At once 10, and then one a minute.
    let allowed = 10 + DAY / 60_000;
    println!(
        "{} pairs: at most {} of {allowed} guesses an account, {refused} refused, {logins} logins of owners",
        pairs(),
        tried.iter().max().unwrap()
    );
    assert!(tried.iter().all(|tried| *tried <= allowed), "{tried:?}");
    assert_eq!(tried.iter().sum::<u64>() + refused, pairs());
    assert!(logins > 0 && refused > 0);
}

#[tokio::test]
async fn threat_31_none_of_the_commonest_passwords_can_be_set() {
    let server = TestServer::start(Options::default()).await;
    let alice = Account::register(&server, "alice").await;
    let good = Account::new("bob").register_request(&server);
    let common: Vec<&str> = COMMON.lines().step_by(3).collect();
    assert!(common.len() >= 3_000);
    for (number, text) in common.iter().enumerate() {
        let text = if number % 2 == 0 { (*text).to_owned() } else { text.to_uppercase() };
        let request = sealpost_api::accounts::RegisterRequest { password: password(&text), ..good.clone() };
        server.post("/v1/accounts", "", &request).await.refused(ProblemCode::PasswordCommon);
    }
    let change = ChangePasswordRequest { old_password: password(PASSWORD), new_password: password(common[0]) };
    server.put("/v1/account/password", &alice.device.access, &change).await.refused(ProblemCode::PasswordCommon);
}

#[tokio::test]
async fn guesses_without_a_key_are_limited_for_the_whole_server_and_devices_are_not() {
    let mut options = Options { trusted_proxies: TrustedProxies::loopback(), ..Options::default() };
    for (name, limit) in LimitTable::default().iter().filter(|(name, _)| name.rule().name == "login_server") {
        options.limits.set(name.rule().name, *limit).unwrap();
    }
    let server = TestServer::start(options).await;
    let mut alice = Account::register(&server, "alice").await;
    let guess = async |number: u64| {
        let ask = CurrentIdentityRequest { username: format!("user{number}"), password: password("a wrong guess") };
        let from = format!("198.51.100.{number}");
        let headers = [("content-type", "application/json"), ("x-forwarded-for", from.as_str())];
        let body = serde_json::to_vec(&ask).unwrap();
        server.call(Method::POST, "/v1/identity/current", &headers, body).await.status
    };
    for number in 0..30 {
        assert_eq!(guess(number).await, 401);
    }
    assert_eq!(guess(31).await, 429);
    assert_eq!(alice.device.log_in(&server, "alice", PASSWORD).await.status, 200);
    server.clock.advance(100);
    assert_eq!(guess(32).await, 401);
}

#[tokio::test]
async fn threat_42_a_password_is_every_byte_of_it_and_no_other() {
    let server = TestServer::start(Options::default()).await;
    let long = "x".repeat(1_000);
    let longest = "ä".repeat(512);
    let texts = [
        long.as_str(),
        longest.as_str(),
        " leading",
        "trailing ",
        "\t both \n",
        "nul\0inside",
        "nul at the end\0",
        "emoji 🦀🦀👩‍👩‍👧",
        "Ünïcode é",
        "Ünïcode e\u{301}",
        "        ",
        "\u{feff}mark before",
    ];
    for (number, text) in texts.iter().enumerate() {
        let name = format!("user{number}");
        let mut person = Account::new(&name);
        let mut request = person.register_request(&server);
        request.password = password(text);
        let registered = server.post("/v1/accounts", "", &request).await;
        assert_eq!(registered.status, 200, "{text:?}");
        assert_eq!(person.device.log_in(&server, &name, text).await.status, 200, "{text:?}");
        let mut last = text.as_bytes().to_vec();
        let end = last.len() - 1;
        last[end] ^= 1;
        let near = [
            String::from_utf8(last).unwrap_or_else(|_| format!("{text}!")),
            text.trim().to_owned(),
            text.trim_start_matches('\u{feff}').to_owned() + "\0",
            format!("{text} "),
            format!(" {text}"),
            text.split('\0').next().unwrap().to_owned() + "!",
            text.chars().take(64).collect(),
            text.chars().take(72).collect(),
            text.to_uppercase(),
            text.replace('é', "e\u{301}"),
        ];
        for other in near.iter().filter(|other| other.as_str() != *text) {
            person.device.log_in(&server, &name, other).await.refused(ProblemCode::LoginFailed);
        }
    }
}
