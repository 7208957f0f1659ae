//! Accounts that take what is everybody's: one-time prekeys and names. The clock is the test's, so a day passes at once.

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::Arc;

use parking_lot::Mutex;
use sealpost_api::prekeys::{DeviceBundle, PrekeyStatus, TakeBundlesRequest, UploadPrekeysRequest};
use sealpost_api::problem::ProblemCode;
use sealpost_server::process::metrics::Metrics;
use sealpost_server::service::limiter::LimitTable;
use sealpost_server::service::{Caller, ServiceError};

use crate::account::{Account, AccountCalls as _, one_time_prekeys};
use crate::server::{DAY, HOUR, MINUTE, Options, TestServer};

/// A server that counts, with the limits on bundles and look-ups as they come.
async fn counting_server() -> (TestServer, Arc<Metrics>) {
    let metrics = Arc::new(Metrics::new().unwrap());
    let mut options = Options { metrics: metrics.clone(), ..Options::default() };
    for (name, limit) in LimitTable::default().iter().filter(|(name, _)| name.rule().name.starts_with("lookup_")) {
        options.limits.set(name.rule().name, *limit).unwrap();
    }
    (TestServer::start(options).await, metrics)
}

/// A figure as an operator sees it; 0 when it was never counted.
fn figure(metrics: &Metrics, name: &str) -> u64 {
    let text = metrics.render(0);
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).map_or(0, |value| value.parse().unwrap())
}

/// Bundles that went out without a one-time prekey.
fn bundles_without(metrics: &Metrics) -> u64 {
    figure(metrics, "sealpost_limited_total{limit=\"bundle_pair\"}")
        + figure(metrics, "sealpost_limited_total{limit=\"bundle_target\"}")
        + figure(metrics, "sealpost_prekeys_exhausted_total")
}

/// An account with 100 one-time prekeys.
async fn victim(server: &TestServer) -> Account {
    let alice = Account::register(server, "alice").await;
    let request =
        UploadPrekeysRequest { key_epoch: 1, one_time_prekeys: one_time_prekeys(31..=100), signed_prekey: None };
    let status: PrekeyStatus = server.post("/v1/prekeys", &alice.device.access, &request).await.json();
    assert_eq!(status.one_time_left, 100);
    alice
}

async fn caller(server: &TestServer, account: &Account) -> Caller {
    server.services.authenticate(&account.device.access).await.unwrap()
}

async fn take(server: &TestServer, who: &Caller, from: &Account) -> Result<DeviceBundle, ServiceError> {
    let answer = server.services.take_bundles(who, from.id(), &TakeBundlesRequest { devices: None }).await?;
    Ok(answer.bundles.into_iter().next().expect("the device has a bundle"))
}

#[tokio::test]
async fn threat_1_one_account_needs_fifteen_hours_for_a_hundred_keys() {
    let (server, metrics) = counting_server().await;
    let alice = victim(&server).await;
    let mallory = caller(&server, &Account::register(&server, "mallory").await).await;
    let (mut given, mut without, mut minutes) = (BTreeSet::new(), 0, 0);
    while given.len() < 100 && minutes < 24 * 60 {
        // Twice a minute, which is more than anybody is let.
        for _ in 0..2 {
            match take(&server, &mallory, &alice).await {
                Ok(bundle) => {
                    assert!(bundle.signed_prekey.is_some(), "a session can be begun all the same");
                    match bundle.one_time_prekey {
                        Some(key) => assert!(given.insert(key.id), "{} was given twice", key.id),
                        None => without += 1,
                    }
                }
                Err(error) => assert_eq!(error.code, ProblemCode::RateLimited),
            }
        }
        if given.len() < 100 {
            server.clock.advance(MINUTE);
            minutes += 1;
        }
    }
    assert_eq!(given.len(), 100);
    assert!(minutes * MINUTE >= 15 * HOUR, "all were gone after {minutes} minutes");
    assert_eq!(minutes, 94 * 10, "six at once, and then one in ten minutes");
    // With nothing left, an honest session can still be begun, and it is counted.
    let honest = caller(&server, &Account::register(&server, "honest").await).await;
    let bundle = take(&server, &honest, &alice).await.unwrap();
    assert!(bundle.signed_prekey.is_some() && bundle.one_time_prekey.is_none());
    assert_eq!(bundles_without(&metrics), without + 1);
    assert_eq!(figure(&metrics, "sealpost_prekeys_exhausted_total"), 1);
}

#[tokio::test]
async fn threat_1_fifty_accounts_together_get_no_more_than_a_device_gives() {
    let (server, metrics) = counting_server().await;
    let alice = victim(&server).await;
    let honest = caller(&server, &Account::register(&server, "honest").await).await;
    let mut attackers = Vec::new();
    for number in 0..50 {
        attackers.push(caller(&server, &Account::register(&server, &format!("attacker{number}")).await).await);
    }
    let (mut given, mut without) = (0_u64, 0_u64);
    for minute in 0..=45 {
        // At first all of them, as often as each is given a key; then a few every minute.
        let (first, count) = if minute == 0 { (0, 300) } else { (minute, 5) };
        for attacker in attackers.iter().cycle().skip(first).take(count) {
            match take(&server, attacker, &alice).await.unwrap().one_time_prekey {
                Some(_) => given += 1,
                None => without += 1,
            }
        }
        assert!(given <= 60 + minute as u64, "{given} after {minute} minutes");
        if minute % 5 == 0 {
            let bundle = take(&server, &honest, &alice).await.unwrap();
            assert!(bundle.signed_prekey.is_some(), "an honest session can always be begun");
            match bundle.one_time_prekey {
                Some(_) => given += 1,
                None => without += 1,
            }
        }
        server.clock.advance(MINUTE);
    }
    assert!(given >= 60, "the test reaches the limit");
    assert_eq!(bundles_without(&metrics), without);
}

/// Collects what is logged on this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn threat_34_twenty_accounts_list_few_names_in_a_day_and_raise_the_alarm() {
    let (server, metrics) = counting_server().await;
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).with_max_level(tracing::Level::WARN);
    let _logging = tracing::subscriber::set_default(subscriber.finish());
    let mut crawlers = Vec::new();
    for number in 0..20_u8 {
        crawlers.push(caller(&server, &Account::register(&server, &format!("crawler{number}")).await).await);
    }
    // Every one from an address of its own, so that only what is counted for accounts holds them back.
    let mut found = 0_u64;
    for _ in 0..DAY / (5 * MINUTE) {
        for (number, crawler) in (0..).zip(&crawlers) {
            while server.services.account_by_name(crawler, [number; 16], "crawler7").await.is_ok() {
                found += 1;
                assert!(found < 10_000, "nothing stops them");
            }
        }
        server.clock.advance(5 * MINUTE);
    }
    let (burst, a_day) = (100, DAY / (15 * MINUTE));
    assert!(found <= 20 * (burst + a_day), "{found}");
    assert!(found >= 20 * burst, "{found}");
    // More than the threshold is refused in every hour: 12 refusals for each crawler.
    let alarms = figure(&metrics, "sealpost_lookup_alarms_total");
    assert!((23..=24).contains(&alarms), "{alarms}");
    let log = String::from_utf8(log.0.lock().clone()).unwrap();
    assert_eq!(log.matches("listing the names").count() as u64, alarms, "{log}");
    assert!(!log.contains("crawler"), "nobody is named: {log}");
}

#[tokio::test]
async fn threat_34_an_address_is_limited_however_many_accounts_it_has() {
    let (server, _) = counting_server().await;
    let mut found = 0_u64;
    let mut crawlers = Vec::new();
    for number in 0..20 {
        crawlers.push(caller(&server, &Account::register(&server, &format!("crawler{number}")).await).await);
    }
    for _ in 0..24 {
        for crawler in &crawlers {
            while server.services.account_by_name(crawler, [1; 16], "crawler7").await.is_ok() {
                found += 1;
                assert!(found < 10_000, "nothing stops them");
            }
        }
        server.clock.advance(HOUR);
    }
    assert!((400..=400 + 24 * 60).contains(&found), "{found}");
}
