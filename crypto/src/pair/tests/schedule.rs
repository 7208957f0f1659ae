//! Two people under loss, reordering, replay and new beginnings, in any order; at last they talk, and must have converged.

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone, Copy)]
enum Event {
    /// One of the two begins a session, with or without a one-time prekey.
    Begin { alice: bool, one_time: bool },
    /// One of the two sends, if they have a session.
    Send { alice: bool },
    /// The message at this place of the recipient's queue arrives: first, last or any.
    Deliver { alice: bool, at: usize },
    /// A message that arrived before arrives again.
    Replay { alice: bool, at: usize },
    /// The message at this place is lost.
    Lose { alice: bool, at: usize },
    /// One of the two finds out that it was rolled back.
    ReceiveOnly { alice: bool },
}

fn event() -> impl Strategy<Value = Event> {
    let alice = any::<bool>();
    prop_oneof![
        2 => (alice, any::<bool>()).prop_map(|(alice, one_time)| Event::Begin { alice, one_time }),
        8 => alice.prop_map(|alice| Event::Send { alice }),
        8 => (alice, any::<usize>()).prop_map(|(alice, at)| Event::Deliver { alice, at }),
        2 => (alice, any::<usize>()).prop_map(|(alice, at)| Event::Replay { alice, at }),
        1 => (alice, any::<usize>()).prop_map(|(alice, at)| Event::Lose { alice, at }),
        1 => alice.prop_map(|alice| Event::ReceiveOnly { alice }),
    ]
}

/// One person's end of the wire. `alice` in an event names the recipient of what is delivered.
#[derive(Default)]
struct Inbox {
    queued: Vec<(u32, Vec<u8>)>,
    arrived: Vec<Vec<u8>>,
    shown: HashSet<u32>,
}

struct World {
    two: Two,
    to_alice: Inbox,
    to_bob: Inbox,
    next: u32,
    /// One-time prekeys that each has given out.
    taken: (u32, u32),
    /// Whether messages keep their order, as the server promises: then every one that arrives must be read.
    in_order: bool,
}

impl World {
    fn begin(&mut self, alice: bool, one_time: bool) {
        let taken = if alice { &mut self.taken.1 } else { &mut self.taken.0 };
        let key = (one_time && *taken < 50).then(|| {
            *taken += 1;
            *taken
        });
        if alice { self.two.alice_begins(key) } else { self.two.bob_begins(key) }
    }

    fn send(&mut self, alice: bool) {
        let sessions = if alice { &self.two.at_alice } else { &self.two.at_bob };
        if !sessions.has_sending_session() {
            return;
        }
        let number = self.next;
        self.next += 1;
        let text = number.to_be_bytes();
        if alice {
            self.to_bob.queued.push((number, self.two.alice_sends(&text)));
        } else {
            self.to_alice.queued.push((number, self.two.bob_sends(&text)));
        }
    }

    fn deliver(&mut self, alice: bool, at: usize) -> Result<(), TestCaseError> {
        let inbox = if alice { &mut self.to_alice } else { &mut self.to_bob };
        if inbox.queued.is_empty() {
            return Ok(());
        }
        let at = if self.in_order { 0 } else { at % inbox.queued.len() };
        let (number, message) = inbox.queued.remove(at);
        inbox.arrived.push(message.clone());
        let in_order = self.in_order;
        let shown = &mut inbox.shown;
        // All must decrypt, except that one that was overtaken by more than five chains may be refused.
        match if alice { self.two.alice_reads(&message) } else { self.two.bob_reads(&message) } {
            Ok(text) => {
                prop_assert_eq!(text, number.to_be_bytes());
                prop_assert!(shown.insert(number), "shown twice");
            }
            Err(error) => {
                prop_assert_eq!(error, DecryptError::AuthenticationFailed);
                prop_assert!(!in_order, "a message that kept its order was not read");
            }
        }
        match self.two.needs_new_session.take() {
            Some(Side::Alice) => self.begin(true, false),
            Some(Side::Bob) => self.begin(false, false),
            None => {}
        }
        Ok(())
    }

    fn replay(&mut self, alice: bool, at: usize) -> Result<(), TestCaseError> {
        let inbox = if alice { &self.to_alice } else { &self.to_bob };
        if inbox.arrived.is_empty() {
            return Ok(());
        }
        let message = inbox.arrived[at % inbox.arrived.len()].clone();
        let again = if alice { self.two.alice_reads(&message) } else { self.two.bob_reads(&message) };
        // Older than what is remembered, it only fails to authenticate.
        prop_assert!(
            matches!(again, Err(DecryptError::DuplicateMessage | DecryptError::AuthenticationFailed)),
            "{:?}",
            again
        );
        Ok(())
    }

    fn run(&mut self, event: Event) -> Result<(), TestCaseError> {
        match event {
            Event::Begin { alice, one_time } => self.begin(alice, one_time),
            Event::Send { alice } => self.send(alice),
            Event::Deliver { alice, at } => return self.deliver(alice, at),
            Event::Replay { alice, at } => return self.replay(alice, at),
            Event::Lose { alice, at } => {
                let inbox = if alice { &mut self.to_alice } else { &mut self.to_bob };
                if !inbox.queued.is_empty() {
                    inbox.queued.remove(at % inbox.queued.len());
                }
            }
            Event::ReceiveOnly { alice } => {
                if alice { &mut self.two.at_alice } else { &mut self.two.at_bob }.make_receive_only();
            }
        }
        Ok(())
    }

    /// The network heals: what is queued arrives in order, then they talk in turn.
    fn heal(&mut self) -> Result<(), TestCaseError> {
        while !self.to_alice.queued.is_empty() || !self.to_bob.queued.is_empty() {
            self.deliver(true, 0)?;
            self.deliver(false, 0)?;
        }
        for alice in [true, false, true, false] {
            let sessions = if alice { &self.two.at_alice } else { &self.two.at_bob };
            if !sessions.has_sending_session() {
                self.begin(alice, false);
            }
            self.send(alice);
            let shown = if alice { &self.to_bob.shown } else { &self.to_alice.shown }.len();
            self.deliver(!alice, 0)?;
            let inbox = if alice { &self.to_bob } else { &self.to_alice };
            prop_assert_eq!(inbox.shown.len(), shown + 1, "a message after healing was not read");
        }
        prop_assert!(same_active_session(&self.two.at_alice, &self.two.at_bob), "they did not converge");
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn two_people_converge_whatever_happens_to_their_messages(
        seed in any::<u64>(),
        in_order in any::<bool>(),
        events in proptest::collection::vec(event(), 1..60),
    ) {
        let mut world = World {
            two: Two::new(seed),
            to_alice: Inbox::default(),
            to_bob: Inbox::default(),
            next: 0,
            taken: (0, 0),
            in_order,
        };
        for event in events {
            world.run(event)?;
        }
        world.heal()?;
    }

    #[test]
    fn reading_any_bytes_never_panics_nor_changes_anything(
        mut message in proptest::collection::vec(any::<u8>(), 0..400),
        plausible in any::<bool>(),
    ) {
        if plausible && message.len() > 1 {
            message[0] = 1;
            message[1] = 1 + message[1] % 2;
        }
        let mut two = Two::settled(60);
        prop_assert!(two.bob_reads(&message).is_err());
    }
}
