//! Crashes, lost replies and failed commits at any point lose nothing and double nothing.

use proptest::prelude::*;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use sealpost_client::engine::{Command, Outcome};

use crate::support::{Fate, World, name};

const FAULTS: [Fate; 4] = [Fate::Lose, Fate::Kill, Fate::KillAfter, Fate::FailCommit];

/// Fails the `at`-th thing that is on its way, and nothing else.
fn fail_once(world: &mut World, at: usize, fault: Fate) {
    let mut count = 0;
    world.fate = Box::new(move |_| {
        count += 1;
        if count == at + 1 { fault } else { Fate::Arrive }
    });
}

#[test]
fn a_registration_that_is_repeated_after_a_fault_at_any_point_ends_with_one_working_account() {
    for fault in FAULTS {
        for at in 0..4 {
            let mut world = World::with(&["bobby"]);
            let alice = world.add();
            fail_once(&mut world, at, fault);
            let id = world.begin(
                alice,
                Command::Register {
                    username: name("alice"),
                    password: sealpost_api::password::Password::new(crate::support::world::PASSWORD.to_owned()),
                    invite: None,
                },
            );
            world.pass(2_000);
            world.fate = Box::new(|_| Fate::Arrive);
            if world.outcome(alice, id).is_none() {
                let outcome = world.register(alice, "alice");
                assert!(matches!(outcome, Ok(Outcome::Account(_))), "{fault:?} at {at}: {outcome:?}");
            }
            assert_eq!(world.server.store.accounts.len(), 2, "{fault:?} at {at}");
            world.online(alice);
            world.sent(0, "alice", "hello");
            assert_eq!(world.shown(alice), ["hello"], "{fault:?} at {at}");
        }
    }
}

#[test]
fn a_first_message_survives_a_fault_at_any_point() {
    for fault in FAULTS {
        for at in 0..12 {
            let mut world = World::with(&["alice", "bobby"]);
            fail_once(&mut world, at, fault);
            world.begin(0, Command::Send { to: name("bobby"), text: "hello".to_owned() });
            world.run();
            world.fate = Box::new(|_| Fate::Arrive);
            for client in 0..2 {
                world.begin(client, Command::GoOnline);
            }
            world.pass(60_000);
            assert_eq!(world.shown(1), ["hello"], "{fault:?} at {at}");
            assert_eq!(world.warnings(1), [], "{fault:?} at {at}");
            world.sent(1, "alice", "hello back");
            assert_eq!(world.shown(0), ["hello back"], "{fault:?} at {at}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn under_random_faults_everything_is_shown_once_and_in_order(seed in any::<u64>(), rate in 1_u32..25) {
        let mut world = World::with(&["alice", "bobby"]);
        let mut rng = StdRng::seed_from_u64(seed);
        let mut faults = StdRng::seed_from_u64(seed ^ 1);
        world.fate = Box::new(move |_| {
            if faults.random_range(0..100) < rate { FAULTS[faults.random_range(0..FAULTS.len())] } else { Fate::Arrive }
        });
        let mut expected = [Vec::new(), Vec::new()];
        for index in 0..40 {
            let from = rng.random_range(0..2_usize);
            let text = format!("{index}");
            world.begin(from, Command::Send { to: name(["bobby", "alice"][from]), text: text.clone() });
            expected[1 - from].push(text);
            for _ in 0..rng.random_range(0..30) {
                world.step();
            }
            if rng.random_bool(0.2) {
                world.pass(1_000);
            }
        }
        world.fate = Box::new(|_| Fate::Arrive);
        for _ in 0..3 {
            for client in 0..2 {
                world.begin(client, Command::GoOnline);
            }
            world.pass(60_000);
        }
        for (client, expected) in expected.into_iter().enumerate() {
            prop_assert_eq!(world.shown(client), expected);
            prop_assert_eq!(world.warnings(client), vec![]);
            prop_assert!(world.query(client, |engine, _| engine.outbox()).is_empty());
            let address = world.address(client);
            prop_assert!(world.server.device(address).queue.is_empty());
        }
    }
}
