//! Accounts, logins and tokens.

use sealpost_api::password::Password;
use sealpost_api::problem::ProblemCode;
use sealpost_client::engine::{Command, CommandError, Event, InvalidCommand, Outcome, RequestFailure};

use crate::support::world::PASSWORD;
use crate::support::{Fate, Wire, World, name};

#[test]
fn a_taken_name_is_refused_and_another_can_be_tried() {
    let mut world = World::with(&["alice"]);
    let other = world.add();
    let taken = Err(CommandError::Refused { code: ProblemCode::UsernameTaken, retry_after: None });
    assert_eq!(world.register(other, "alice"), taken);
    assert!(matches!(world.register(other, "alison"), Ok(Outcome::Account(_))));
    assert_eq!(world.register(other, "alan"), Err(CommandError::Invalid(InvalidCommand::HasAccount)));
}

#[test]
fn without_an_account_only_registering_and_logging_in_are_possible() {
    let mut world = World::new();
    let client = world.add();
    let none = Err(CommandError::Invalid(InvalidCommand::NoAccount));
    assert_eq!(world.send(client, "alice", "hi"), Some(none.clone()));
    assert_eq!(world.command(client, Command::GoOnline), Some(none.clone()));
    assert_eq!(world.login(client, "alice", false), none);
    assert_eq!(world.query(client, |engine, _| engine.whoami()), None);
}

#[test]
fn a_wrong_password_is_refused_and_the_right_one_works_afterwards() {
    let mut world = World::with(&["alice"]);
    world.command(0, Command::Logout);
    let password = Password::new("wrong password".to_owned());
    let wrong = Command::Login { username: name("alice"), password, new_identity: false };
    let failed = Err(CommandError::Refused { code: ProblemCode::LoginFailed, retry_after: None });
    assert_eq!(world.command(0, wrong), Some(failed));
    assert!(matches!(world.login(0, "alice", false), Ok(Outcome::Account(_))));
    world.online(0);
}

#[test]
fn access_tokens_are_renewed_for_as_long_as_the_stream_is_open() {
    let mut world = World::with(&["alice", "bobby"]);
    world.pass(3 * 3_600_000);
    assert!(world.clients[0].stream.is_some());
    world.sent(0, "bobby", "still here");
    assert_eq!(world.shown(1), ["still here"]);
    assert_eq!(world.count(0, |event| matches!(event, Event::Offline { .. })), 0);
}

#[test]
fn a_lost_answer_to_a_refresh_locks_nobody_out() {
    let mut world = World::with(&["alice"]);
    world.offline(0);
    world.kill(0);
    world.pass(3_600_000);
    world.fate = Box::new(|wire| match wire {
        Wire::Response(..) => Fate::Kill,
        _ => Fate::Arrive,
    });
    world.begin(0, Command::GoOnline);
    world.run();
    world.pass(3_600_000);
    world.fate = Box::new(|_| Fate::Arrive);
    world.online(0);
    assert_eq!(world.count(0, |event| *event == Event::NeedsLogin), 0);
}

#[test]
fn a_session_ended_elsewhere_is_begun_again_with_the_password_at_hand_and_else_asked_for() {
    let mut world = World::with(&["alice"]);
    world.server.store.sessions.clear();
    world.break_stream(0, Some(sealpost_api::close::UNAUTHENTICATED));
    world.pass(5_000);
    assert!(world.clients[0].stream.is_some(), "logged in again by itself");
    world.kill(0);
    world.server.store.sessions.clear();
    world.pass(3_600_000);
    assert_eq!(world.command(0, Command::GoOnline), Some(Err(CommandError::NotLoggedIn)));
    assert_eq!(world.count(0, |event| *event == Event::NeedsLogin), 1);
    world.login(0, "alice", false).unwrap();
    world.online(0);
}

#[test]
fn a_changed_password_is_the_one_that_works() {
    let mut world = World::with(&["alice"]);
    let new = "battery staple horse";
    let change =
        |old: &str| Command::ChangePassword { old: Password::new(old.to_owned()), new: Password::new(new.to_owned()) };
    let wrong = Err(CommandError::Refused { code: ProblemCode::PasswordWrong, retry_after: None });
    assert_eq!(world.command(0, change("not this one")), Some(wrong));
    assert_eq!(world.command(0, change(PASSWORD)), Some(Ok(Outcome::Done)));
    assert_eq!(world.server.account("alice").password, new);
    assert_eq!(world.command(0, change(PASSWORD)), Some(Ok(Outcome::Done)), "the same again is the same");
    let sessions = world.command(0, Command::ListSessions);
    assert!(matches!(sessions, Some(Ok(Outcome::Sessions(rows))) if rows.len() == 1 && rows[0].current));
}

#[test]
fn after_a_log_out_nothing_is_sent_and_the_history_stays() {
    let mut world = World::with(&["alice", "bobby"]);
    world.sent(0, "bobby", "hi");
    assert_eq!(world.command(0, Command::Logout), Some(Ok(Outcome::Done)));
    assert_eq!(world.clients[0].stream, None);
    assert_eq!(world.send(0, "bobby", "later"), Some(Err(CommandError::NotLoggedIn)));
    let history = world.query(0, |engine, context| engine.history(context, &name("bobby"), None, 10).unwrap());
    assert_eq!(history.len(), 2);
    world.login(0, "alice", false).unwrap();
    world.online(0);
    world.pass(1_000);
    assert_eq!(world.shown(1), ["hi", "later"]);
}

#[test]
fn commands_that_need_the_server_say_when_it_cannot_be_reached() {
    let mut world = World::with(&["alice"]);
    world.offline(0);
    world.server_down = true;
    let id = world.begin(0, Command::LookUp(name("bobby")));
    world.pass(10_000);
    assert_eq!(world.outcome(0, id), Some(Err(CommandError::Unreachable)));
    assert_eq!(RequestFailure::Unreachable.to_string(), "the server could not be reached");
}

#[test]
fn secrets_are_not_in_the_debug_form_of_effects_and_commands() {
    let mut world = World::new();
    let client = world.add();
    let seen = std::rc::Rc::new(std::cell::RefCell::new(String::new()));
    let log = seen.clone();
    world.fate = Box::new(move |wire| {
        log.borrow_mut().push_str(&format!("{wire:?}"));
        Fate::Arrive
    });
    world.register(client, "alice").unwrap();
    world.online(client);
    assert!(seen.borrow().contains("/v1/accounts"));
    assert!(!seen.borrow().contains(PASSWORD));
    assert!(!seen.borrow().contains("access_token"));
}
