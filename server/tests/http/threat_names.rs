//! Names: one account each, and none that only looks like another.

use sealpost_api::accounts::RegisterRequest;
use sealpost_api::problem::ProblemCode;
use sealpost_api::server::RegistrationPolicy;
use sealpost_server::service::passwords::PasswordSettings;

use crate::account::{Account, AccountCalls as _, password};
use crate::server::{DAY, Options, TestServer};

const CONFUSABLES: &str = include_str!("confusables.txt");
/// Not from the table: controls, marks that are not seen, other widths, and what folds or composes to a letter.
const TRICKS: [&str; 24] = [
    "\u{202e}alice",
    "ali\u{202e}ecila",
    "alice\u{200b}",
    "ali\u{200d}ce",
    "al\u{ad}ice",
    "\u{feff}alice",
    "alice\u{2060}",
    "alice\u{fe0f}",
    "alic\u{65}\u{301}",
    "alicé",
    "alice\0",
    "\0alice",
    "ali\tce",
    "alice\n",
    "alice ",
    " alice",
    "al ice",
    "al\u{a0}ice",
    "ａｌｉｃｅ",
    "ⓐlice",
    "🄰lice",
    "alİce",
    "alıce",
    "\u{e0061}alice",
];

/// Names that look like one of a few, by one character or by all of them.
fn look_alikes() -> Vec<String> {
    let mut names: Vec<String> = TRICKS.iter().map(|name| (*name).to_owned()).collect();
    for line in CONFUSABLES.lines().filter(|line| !line.starts_with('#')) {
        let mut fields = line.split(' ');
        let letter: char = fields.next().unwrap().parse().unwrap();
        for code in fields {
            let twin = char::from_u32(u32::from_str_radix(code, 16).unwrap()).unwrap();
            names.push(format!("al{letter}ce").replace(letter, &twin.to_string()));
            names.push(format!("{twin}lice"));
        }
    }
    names
}

#[tokio::test]
async fn threat_41_none_of_1500_look_alikes_is_a_name_and_capitals_are_no_difference() {
    let server = TestServer::start(Options::default()).await;
    let alice = Account::register(&server, "alice").await;
    let names = look_alikes();
    assert!(names.len() >= 1_500, "{}", names.len());
    let good = Account::new("alice2").register_request(&server);
    for name in names {
        let request = RegisterRequest { username: name.clone(), ..good.clone() };
        let reply = server.post("/v1/accounts", "", &request).await;
        assert_eq!(reply.status, 422, "{name:?} {:x?}", name.as_bytes());
        reply.refused(ProblemCode::UsernameInvalid);
    }
    for (name, code) in [
        ("Admin", ProblemCode::UsernameReserved),
        ("ADMIN", ProblemCode::UsernameReserved),
        ("sealPOST", ProblemCode::UsernameReserved),
        ("Alice", ProblemCode::UsernameTaken),
        ("ALICE", ProblemCode::UsernameTaken),
    ] {
        let request = RegisterRequest { username: name.to_owned(), ..good.clone() };
        server.post("/v1/accounts", "", &request).await.refused(code);
    }
    for looked_up in ["%EF%BD%81lice", "alice%00", "alice%20", "%E2%80%AEalice"] {
        let reply = server.get(&format!("/v1/accounts/by-name/{looked_up}"), &alice.device.access).await;
        reply.refused(ProblemCode::NotFound);
    }
    assert_eq!(server.get("/v1/accounts/by-name/aLiCe", &alice.device.access).await.status, 200);
}

/// People who ask for names at the same time, as cheaply as can be.
fn crowd(server: &TestServer, name: impl Fn(usize) -> String, count: usize) -> Vec<RegisterRequest> {
    let one = |number| {
        let mut request = Account::new(&name(number)).register_request(server);
        request.device.one_time_prekeys = Vec::new();
        request
    };
    (0..count).map(one).collect()
}

fn roomy() -> PasswordSettings {
    PasswordSettings { queue_max: 1_000, ..Options::default().passwords }
}

#[tokio::test]
async fn threat_43_of_500_registrations_at_once_one_gets_the_name() {
    let server = TestServer::start(Options { passwords: roomy(), ..Options::default() }).await;
    // All of the hashes, then all of the insertions: each finds the name free when it begins.
    let requests =
        crowd(&server, |number| if number % 2 == 0 { "wanted".to_owned() } else { "WANTED".to_owned() }, 500);
    let replies =
        futures_util::future::join_all(requests.iter().map(|request| server.post("/v1/accounts", "", request))).await;
    assert_eq!(replies.iter().filter(|reply| reply.status == 200).count(), 1);
    for reply in replies.iter().filter(|reply| reply.status != 200) {
        reply.refused(ProblemCode::UsernameTaken);
    }
}

#[tokio::test]
async fn an_invite_lets_in_one_of_50_at_once_and_none_once_it_expired() {
    let options = Options { registration: RegistrationPolicy::Invite, passwords: roomy(), ..Options::default() };
    let server = TestServer::start(options).await;
    let invite = server.services.issue_invite(DAY).await.unwrap();
    let mut requests = crowd(&server, |number| format!("user{number}"), 50);
    requests.iter_mut().for_each(|request| request.invite = Some(invite.clone()));
    let replies =
        futures_util::future::join_all(requests.iter().map(|request| server.post("/v1/accounts", "", request))).await;
    assert_eq!(replies.iter().filter(|reply| reply.status == 200).count(), 1);
    for reply in replies.iter().filter(|reply| reply.status != 200) {
        reply.refused(ProblemCode::InviteInvalid);
    }
    let invite = server.services.issue_invite(DAY).await.unwrap();
    let mut late = crowd(&server, |_| "late".to_owned(), 1).remove(0);
    late.invite = Some(invite);
    server.clock.advance(DAY);
    server.post("/v1/accounts", "", &late).await.refused(ProblemCode::InviteInvalid);
}

#[tokio::test]
async fn without_a_good_invite_no_name_is_told_apart_and_no_password_is_hashed() {
    // The only thread is busy for long, so a request that needs it is answered later.
    let passwords = PasswordSettings { memory_kib: 64 * 1_024, passes: 50, threads: 1, queue_max: 1, ..roomy() };
    let options = Options { registration: RegistrationPolicy::Invite, passwords, ..Options::default() };
    let server = TestServer::start(options).await;
    let waits = server.services.core().passwords.hash(password("keeps the only thread"));
    let mut requests = crowd(&server, |_| "alice".to_owned(), 20);
    let calls = async {
        for (request, invite) in
            requests.iter_mut().zip([None, Some(String::new()), Some("x".repeat(100))].iter().cycle())
        {
            request.invite = invite.clone();
            server.post("/v1/accounts", "", request).await.refused(ProblemCode::InviteInvalid);
        }
    };
    tokio::select! {
        biased;
        _ = waits => panic!("the thread was free again"),
        () = calls => {}
    }
}
