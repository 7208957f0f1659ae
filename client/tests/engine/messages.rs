//! Messages: sent, received, acked, in order, once.

use sealpost_api::frames::{ClientFrame, ServerFrame};
use sealpost_api::problem::ProblemCode;
use sealpost_client::engine::{
    Command, CommandError, Effect, Event, Input, InvalidCommand, Notice, NoticeBody, Outcome,
};
use sealpost_client::vault::Log;

use crate::support::{Fate, Wire, World, name};

#[test]
fn a_message_to_someone_online_is_shown_and_acked() {
    let mut world = World::with(&["alice", "bobby"]);
    world.sent(0, "bobby", "hello");
    assert_eq!(world.shown(1), ["hello"]);
    assert_eq!(world.shown_messages(1)[0].peer, "alice");
    let address = world.address(1);
    assert!(world.server.device(address).queue.is_empty());
    world.sent(1, "alice", "hello back");
    assert_eq!(world.shown(0), ["hello back"]);
    assert_eq!(world.warnings(0), []);
    assert_eq!(world.warnings(1), []);
}

#[test]
fn messages_that_wait_are_shown_in_order_when_the_device_comes_back() {
    let mut world = World::with(&["alice", "bobby"]);
    world.offline(1);
    for index in 0..20 {
        world.sent(0, "bobby", &format!("message {index}"));
    }
    world.online(1);
    let expected: Vec<String> = (0..20).map(|index| format!("message {index}")).collect();
    assert_eq!(world.shown(1), expected);
    assert_eq!(world.count(1, |event| *event == Event::Drained), 2);
    assert_eq!(world.warnings(1), []);
}

#[test]
fn both_sides_have_the_whole_conversation_in_their_history() {
    let mut world = World::with(&["alice", "bobby"]);
    for index in 0..5 {
        world.sent(0, "bobby", &format!("from alice {index}"));
        world.sent(1, "alice", &format!("from bobby {index}"));
    }
    for (client, other) in [(0, "bobby"), (1, "alice")] {
        let history = world.query(client, |engine, context| engine.history(context, &name(other), None, 100).unwrap());
        assert_eq!(history.len(), 10);
        assert!(history.iter().all(|entry| entry.accepted_at.is_some() && entry.peer == other));
        let newest = world.query(client, |engine, context| engine.history(context, &name(other), None, 3).unwrap());
        assert_eq!(newest, history[7..]);
    }
}

#[test]
fn three_messages_before_the_first_reply_decrypt_in_any_order_of_arrival() {
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let mut world = World::with(&["alice", "bobby"]);
        world.offline(1);
        for text in ["first", "second", "third"] {
            world.sent(0, "bobby", text);
        }
        let address = world.address(1);
        let queue = &mut world.server.device(address).queue;
        let rows: Vec<u64> = queue.keys().copied().collect();
        let items: Vec<_> = queue.values().cloned().collect();
        for (row, index) in rows.iter().zip(order) {
            queue.insert(*row, items[index].clone());
        }
        world.online(1);
        assert_eq!(world.shown(1), ["first", "second", "third"], "{order:?}");
        assert_eq!(world.warnings(1), [], "{order:?}");
    }
}

#[test]
fn two_who_write_to_each_other_at_once_end_in_one_session() {
    let mut world = World::with(&["alice", "bobby"]);
    world.offline(0);
    world.offline(1);
    world.begin(0, Command::Send { to: name("bobby"), text: "a".to_owned() });
    world.begin(1, Command::Send { to: name("alice"), text: "b".to_owned() });
    world.run();
    for round in 0..5 {
        world.sent(0, "bobby", &format!("a{round}"));
        world.sent(1, "alice", &format!("b{round}"));
    }
    assert_eq!(world.shown(0), ["b", "b0", "b1", "b2", "b3", "b4"]);
    assert_eq!(world.shown(1), ["a", "a0", "a1", "a2", "a3", "a4"]);
    assert_eq!(world.server.bundles_taken, 2);
}

#[test]
fn a_thousand_queued_messages_go_out_with_bounded_flight_and_in_order() {
    let mut world = World::with(&["alice", "bobby"]);
    world.offline(0);
    for index in 0..1000 {
        world.begin(0, Command::Send { to: name("bobby"), text: format!("{index}") });
        world.begin(0, Command::GoOffline);
    }
    world.online(0);
    world.pass(60_000);
    let expected: Vec<String> = (0..1000).map(|index| format!("{index}")).collect();
    assert_eq!(world.shown(1), expected);
    assert_eq!(world.count(0, |event| matches!(event, Event::Sent { .. })), 1000);
    assert_eq!(world.sends_on_wire, 1000);
}

#[test]
fn no_more_than_256_numbers_are_unanswered() {
    let names: Vec<String> = (0..300).map(|index| format!("user{index}")).collect();
    let mut world = World::with(&["alice"]);
    for name in &names {
        let client = world.add();
        world.register(client, name).unwrap();
    }
    for to in &names {
        world.begin(0, Command::Send { to: name(to), text: "hi".to_owned() });
    }
    // Answers to messages are held back; everything else goes on.
    let mut held = Vec::new();
    while let Some((client, life, wire)) = world.wires.pop_front() {
        if matches!(&wire, Wire::ToServer(_, frame) if frame.len() > 300) {
            held.push((client, life, wire));
        } else {
            world.wires.push_front((client, life, wire));
            world.step();
        }
    }
    assert_eq!(held.len(), 256);
    world.wires.extend(held);
    world.pass(60_000);
    assert_eq!(world.count(0, |event| matches!(event, Event::Sent { .. })), 300);
}

#[test]
fn a_message_refused_for_now_is_sent_again_with_the_same_bytes() {
    let mut world = World::with(&["alice", "bobby"]);
    world.sent(0, "bobby", "before");
    world.server.refusals = vec![(ProblemCode::RateLimited, 5_000), (ProblemCode::RateLimited, 5_000)];
    let id = world.begin(0, Command::Send { to: name("bobby"), text: "patience".to_owned() });
    world.run();
    assert_eq!(world.outcome(0, id), None);
    let number = world.query(0, |engine, _| engine.outbox()[0].number);
    world.pass(11_000);
    match world.outcome(0, id) {
        Some(Ok(Outcome::Sent(receipt))) => assert_eq!(Some(receipt.number), number),
        other => panic!("{other:?}"),
    }
    assert_eq!(world.shown(1), ["before", "patience"]);
}

#[test]
fn a_message_given_up_leaves_no_gap() {
    let mut world = World::with(&["alice", "bobby"]);
    world.sent(0, "bobby", "before");
    world.server.refusals = vec![(ProblemCode::QueueFull, 0)];
    let outcome = world.send(0, "bobby", "refused");
    assert_eq!(outcome, Some(Err(CommandError::Refused { code: ProblemCode::QueueFull, retry_after: None })));
    let history = world.query(0, |engine, context| engine.history(context, &name("bobby"), None, 10).unwrap());
    assert_eq!(history.len(), 1, "what was refused for good is not kept");
    world.sent(0, "bobby", "after");
    assert_eq!(world.shown(1), ["before", "after"]);
    assert_eq!(world.warnings(1), []);
}

#[test]
fn an_unknown_recipient_is_refused_and_nothing_is_kept() {
    let mut world = World::with(&["alice"]);
    let outcome = world.send(0, "nobody", "hello");
    assert_eq!(outcome, Some(Err(CommandError::Refused { code: ProblemCode::NotFound, retry_after: None })));
    assert!(world.query(0, |engine, _| engine.outbox()).is_empty());
}

#[test]
fn texts_out_of_bounds_and_messages_to_oneself_are_refused() {
    let mut world = World::with(&["alice", "bobby"]);
    let too_long = "x".repeat(65_537);
    for (to, text, invalid) in [
        ("bobby", "", InvalidCommand::TextLength),
        ("bobby", too_long.as_str(), InvalidCommand::TextLength),
        ("alice", "hello me", InvalidCommand::ToSelf),
    ] {
        assert_eq!(world.send(0, to, text), Some(Err(CommandError::Invalid(invalid))));
    }
    let longest = "ü".repeat(32_768);
    world.sent(0, "bobby", &longest);
    assert_eq!(world.shown(1), [longest]);
}

#[test]
fn a_send_while_the_server_is_down_is_kept_and_sent_by_the_next_connection() {
    let mut world = World::with(&["alice", "bobby"]);
    world.offline(0);
    world.server_down = true;
    let id = world.begin(0, Command::Send { to: name("bobby"), text: "later".to_owned() });
    world.pass(10_000);
    assert_eq!(world.outcome(0, id), Some(Err(CommandError::Unreachable)));
    world.kill(0);
    world.server_down = false;
    world.online(0);
    assert_eq!(world.shown(1), ["later"]);
    assert_eq!(world.count(0, |event| matches!(event, Event::Sent { id: None, .. })), 1);
}

#[test]
fn a_lost_answer_makes_no_second_message() {
    let mut world = World::with(&["alice", "bobby"]);
    world.sent(0, "bobby", "one");
    let mut lost = false;
    world.fate = Box::new(move |wire| match wire {
        Wire::ToClient(_, input) if !lost && format!("{input:?}").contains("Sent(") => {
            lost = true;
            Fate::Lose
        }
        _ => Fate::Arrive,
    });
    let id = world.begin(0, Command::Send { to: name("bobby"), text: "two".to_owned() });
    world.pass(5_000);
    assert!(matches!(world.outcome(0, id), Some(Ok(Outcome::Sent(_)))));
    assert_eq!(world.shown(1), ["one", "two"]);
}

#[test]
fn a_new_connection_of_the_device_ends_the_old_one_for_good() {
    let mut world = World::with(&["alice"]);
    world.break_stream(0, Some(sealpost_api::close::REPLACED));
    world.pass(3_600_000);
    assert_eq!(world.clients[0].stream, None);
    world.online(0);
    assert!(world.clients[0].stream.is_some());
}

#[test]
fn printed_notices_are_not_shown_again() {
    let mut world = World::with(&["alice", "bobby"]);
    world.sent(0, "bobby", "one");
    let position = world.notices(1)[0].position;
    world.query(1, |engine, context| engine.mark_printed(context, position).unwrap());
    assert!(world.notices(1).is_empty());
    world.sent(0, "bobby", "two");
    world.kill(1);
    assert_eq!(world.shown(1), ["two"]);
}

#[test]
fn what_is_taken_in_together_is_acked_together() {
    let mut world = World::with(&["alice", "bobby"]);
    world.server.paused = true;
    for text in ["1", "2", "3"] {
        world.sent(0, "bobby", text);
    }
    world.server.paused = false;
    let stream = world.clients[1].stream.unwrap();
    let frames = world.server.deliveries(stream);
    let inputs = frames.into_iter().filter(|frame| matches!(frame, ServerFrame::Deliver(_))).map(Input::Frame);
    let effects = world.query(1, |engine, context| engine.handle_all(context, inputs).unwrap());
    let acks: Vec<usize> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::SendFrame(frame) => match ClientFrame::decode(frame.clone()).unwrap() {
                ClientFrame::Ack { ids } => Some(ids.len()),
                _ => None,
            },
            _ => None,
        })
        .collect();
    assert_eq!(acks, [3]);
}

#[test]
fn notices_about_messages_that_are_gone_are_no_end() {
    let mut world = World::with(&["alice", "bobby"]);
    for text in ["1", "2", "3", "4"] {
        world.sent(0, "bobby", text);
    }
    for entry in &world.shown_messages(1)[..3] {
        world.query(1, |_, context| context.vault.remove(Log::History, entry.position).unwrap());
    }
    let page = world.query(1, |engine, context| engine.notices(context, 0, 1).unwrap());
    assert!(matches!(&page[..], [Notice { body: NoticeBody::Message(entry), .. }] if entry.text == "4"), "{page:?}");
}

#[test]
fn a_message_that_may_have_been_accepted_stays_in_the_history_when_another_sending_is_refused() {
    let mut world = World::with(&["alice", "bobby"]);
    world.sent(0, "bobby", "first");
    world.server.refusals = vec![(ProblemCode::NumberConflict, 0), (ProblemCode::CiphertextTooLarge, 0)];
    let outcome = world.send(0, "bobby", "perhaps");
    assert!(matches!(outcome, Some(Err(CommandError::Refused { .. }))), "{outcome:?}");
    let history = world.query(0, |engine, context| engine.history(context, &name("bobby"), None, 9).unwrap());
    assert_eq!(history.last().unwrap().text, "perhaps");
}
