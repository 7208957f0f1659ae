use std::collections::BTreeSet;

use sealpost_api::prekeys::{PrekeyIds, PrekeyStatus, TakeBundlesRequest, TakeBundlesResponse, UploadPrekeysRequest};
use sealpost_api::problem::ProblemCode;
use sealpost_crypto::AccountId;

use crate::account::{Account, AccountCalls as _, one_time_prekeys, path_id};
use crate::server::{DAY, HOUR, MINUTE, Options, TestServer};

fn upload(ids: std::ops::RangeInclusive<u32>) -> UploadPrekeysRequest {
    UploadPrekeysRequest { key_epoch: 1, one_time_prekeys: one_time_prekeys(ids), signed_prekey: None }
}

async fn take(server: &TestServer, who: &Account, from: &Account) -> TakeBundlesResponse {
    let path = format!("/v1/accounts/{}/bundles", path_id(from.id()));
    server.post(&path, &who.device.access, &TakeBundlesRequest { devices: None }).await.json()
}

async fn status(server: &TestServer, who: &Account) -> PrekeyStatus {
    server.get("/v1/prekeys", &who.device.access).await.json()
}

#[tokio::test]
async fn an_upload_may_be_repeated_and_an_id_keeps_its_key() {
    let server = TestServer::start(Options::default()).await;
    let alice = Account::register(&server, "alice").await;
    let epoch = status(&server, &alice).await.key_epoch;
    let mut request = UploadPrekeysRequest { key_epoch: epoch, ..upload(31..=60) };
    request.signed_prekey = Some(alice.device.signed_prekey(2, server.now()));
    let first: PrekeyStatus = server.post("/v1/prekeys", &alice.device.access, &request).await.json();
    assert_eq!((first.one_time_left, first.max_issued_id, first.signed_prekey_id, first.low), (60, 60, 2, false));
    let again: PrekeyStatus = server.post("/v1/prekeys", &alice.device.access, &request).await.json();
    assert_eq!(again, first);
    let ids: PrekeyIds = server.get("/v1/prekeys/ids", &alice.device.access).await.json();
    assert_eq!(ids.ids, (1..=60).collect::<Vec<_>>());

    let mut other_key = UploadPrekeysRequest { key_epoch: epoch, ..upload(60..=61) };
    let reply = server.post("/v1/prekeys", &alice.device.access, &other_key).await;
    reply.refused(ProblemCode::PrekeyConflict);
    assert_eq!(reply.problem().prekey_id, Some(60));
    other_key.key_epoch += 1;
    server.post("/v1/prekeys", &alice.device.access, &other_key).await.refused(ProblemCode::KeyEpochConflict);
    let more = UploadPrekeysRequest { key_epoch: epoch, ..upload(100..=199) };
    assert_eq!(server.post("/v1/prekeys", &alice.device.access, &more).await.status, 200);
    let full = UploadPrekeysRequest { key_epoch: epoch, ..upload(200..=299) };
    server.post("/v1/prekeys", &alice.device.access, &full).await.refused(ProblemCode::PrekeysFull);
    let discarded: PrekeyStatus = server.delete("/v1/prekeys", &alice.device.access).await.json();
    assert_eq!((discarded.one_time_left, discarded.max_issued_id, discarded.low), (0, 199, true));
}

#[tokio::test]
async fn each_part_of_an_upload_is_checked() {
    let server = TestServer::start(Options::default()).await;
    let alice = Account::register(&server, "alice").await;
    let bob = Account::register(&server, "bob").await;
    let epoch = status(&server, &alice).await.key_epoch;
    let upload = |ids| UploadPrekeysRequest { key_epoch: epoch, ..upload(ids) };
    let token = &alice.device.access;
    server.post("/v1/prekeys", token, &upload(31..=131)).await.refused(ProblemCode::OneTimePrekeysInvalid);
    let mut twice = upload(31..=32);
    twice.one_time_prekeys[1].id = 31;
    server.post("/v1/prekeys", token, &twice).await.refused(ProblemCode::OneTimePrekeysInvalid);
    let signed_by = |prekey| UploadPrekeysRequest { signed_prekey: Some(prekey), ..upload(31..=31) };
    let foreign = signed_by(bob.device.signed_prekey(2, server.now()));
    server.post("/v1/prekeys", token, &foreign).await.refused(ProblemCode::SignedPrekeyInvalid);
    let old = signed_by(alice.device.signed_prekey(2, server.now().saturating_sub(45 * DAY)));
    server.post("/v1/prekeys", token, &old).await.refused(ProblemCode::SignedPrekeyExpired);
    let long = signed_by(alice.device.signed_prekey(2, server.now().saturating_add(HOUR + 1)));
    server.post("/v1/prekeys", token, &long).await.refused(ProblemCode::SignedPrekeyExpired);
    assert_eq!(status(&server, &alice).await.max_issued_id, 30, "nothing of it was stored");
}

#[tokio::test]
async fn a_bundle_gives_each_one_time_prekey_once_oldest_first() {
    let server = TestServer::start(Options::default()).await;
    let mut alice = Account::register(&server, "alice").await;
    let phone = alice.add_device(&server, 2).await;
    let bob = Account::register(&server, "bob").await;
    let answer = take(&server, &bob, &alice).await;
    assert_eq!(answer.device_list.0.0, alice.list.encoded());
    let [first, second] = answer.bundles.as_slice() else { panic!("a bundle for each device") };
    assert_eq!((first.device_id, second.device_id), (1, 2));
    assert_eq!(second.registration_id.0, phone.address.registration);
    assert_eq!(first.one_time_prekey.as_ref().unwrap().id, 1);
    let path = format!("/v1/accounts/{}/bundles", path_id(alice.id()));
    let only: TakeBundlesResponse =
        server.post(&path, &bob.device.access, &TakeBundlesRequest { devices: Some(vec![1, 99]) }).await.json();
    assert_eq!(only.bundles.len(), 1, "devices that are not in the list have no bundle");
    assert_eq!(only.bundles[0].one_time_prekey.as_ref().unwrap().id, 2);
    for devices in [vec![], vec![0], vec![128], vec![1, 1], (1..=9).collect()] {
        let request = TakeBundlesRequest { devices: Some(devices) };
        server.post(&path, &bob.device.access, &request).await.refused(ProblemCode::MalformedBody);
    }
    let nobody = format!("/v1/accounts/{}/bundles", path_id(AccountId::from_bytes([0; 16])));
    let request = TakeBundlesRequest { devices: None };
    server.post(&nobody, &bob.device.access, &request).await.refused(ProblemCode::NotFound);
}

#[tokio::test]
async fn above_a_burst_of_six_one_key_in_ten_minutes_and_set_up_never_fails() {
    let server = TestServer::start(Options::default()).await;
    let alice = Account::register(&server, "alice").await;
    let bob = Account::register(&server, "bob").await;
    let mut given = Vec::new();
    for _ in 0..20 {
        let bundle = take(&server, &bob, &alice).await.bundles.remove(0);
        assert!(bundle.signed_prekey.is_some(), "a session can be begun all the same");
        given.extend(bundle.one_time_prekey.map(|key| key.id));
    }
    assert_eq!(given, [1, 2, 3, 4, 5, 6]);
    server.clock.advance(10 * MINUTE);
    bob_again(&server, &bob, &alice, Some(7)).await;
    bob_again(&server, &bob, &alice, None).await;
    // Another account is not held back by bob's greed.
    let carol = Account::register(&server, "carol").await;
    bob_again(&server, &carol, &alice, Some(8)).await;
}

async fn bob_again(server: &TestServer, who: &Account, from: &Account, expected: Option<u32>) {
    // Access tokens last ten minutes; a new one is not what this is about.
    let token = server.services.core().tokens.issue(server.now(), &who.device.address, who.device.session, 1).unwrap();
    let path = format!("/v1/accounts/{}/bundles", path_id(from.id()));
    let answer: TakeBundlesResponse =
        server.post(&path, token.reveal(), &TakeBundlesRequest { devices: None }).await.json();
    assert_eq!(answer.bundles[0].one_time_prekey.as_ref().map(|key| key.id), expected);
}

#[tokio::test]
async fn only_above_thirty_an_hour_is_a_bundle_refused() {
    let server = TestServer::start(Options::default()).await;
    let alice = Account::register(&server, "alice").await;
    let bob = Account::register(&server, "bob").await;
    for _ in 0..30 {
        take(&server, &bob, &alice).await;
    }
    let path = format!("/v1/accounts/{}/bundles", path_id(alice.id()));
    let request = TakeBundlesRequest { devices: None };
    let reply = server.post(&path, &bob.device.access, &request).await;
    reply.refused(ProblemCode::RateLimited);
    assert_eq!(reply.problem().retry_after, Some(2 * MINUTE));
    server.clock.advance(2 * MINUTE);
    assert_eq!(server.post(&path, &bob.device.access, &request).await.status, 200);
}

#[tokio::test]
async fn many_accounts_together_get_no_more_than_sixty_keys_an_hour() {
    let server = TestServer::start(Options::default()).await;
    let alice = Account::register(&server, "alice").await;
    let epoch = status(&server, &alice).await.key_epoch;
    let more = UploadPrekeysRequest { key_epoch: epoch, ..upload(31..=130) };
    assert_eq!(server.post("/v1/prekeys", &alice.device.access, &more).await.status, 200);
    let mut given = BTreeSet::new();
    for number in 0..12 {
        let taker = Account::register(&server, &format!("taker{number}")).await;
        for _ in 0..6 {
            given.extend(take(&server, &taker, &alice).await.bundles.remove(0).one_time_prekey.map(|key| key.id));
        }
    }
    assert_eq!(given, (1..=60).collect());
}

#[tokio::test]
async fn when_keys_run_low_the_status_says_so() {
    let server = TestServer::start(Options::default()).await;
    let alice = Account::register(&server, "alice").await;
    let bob = Account::register(&server, "bob").await;
    for _ in 0..5 {
        take(&server, &bob, &alice).await;
    }
    assert_eq!((status(&server, &alice).await.one_time_left, status(&server, &alice).await.low), (25, false));
    take(&server, &bob, &alice).await;
    assert_eq!((status(&server, &alice).await.one_time_left, status(&server, &alice).await.low), (24, true));
}
