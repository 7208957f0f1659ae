//! Numbers that the server has not answered.

use std::collections::BTreeMap;

use sealpost_api::limits::IN_FLIGHT_MAX;
use sealpost_crypto::UnixMillis;

/// What is to be done with a number on this connection.
#[derive(Clone, Copy)]
enum Turn {
    /// Send its bytes.
    Send,
    /// Wait for the answer.
    Sent,
    /// Send its bytes again, but not before this time.
    SendFrom(UnixMillis),
}

/// A number that the server has not answered.
struct Unanswered {
    /// The outbox item; none for what is sent again after a restore.
    item: Option<u64>,
    turn: Turn,
}

/// What becomes of a number that is to be sent.
pub(super) enum Next {
    Send,
    Wait(UnixMillis),
}

/// The numbers that the server has not answered.
#[derive(Default)]
pub(super) struct Flight {
    numbers: BTreeMap<u64, Unanswered>,
}

impl Flight {
    /// Adds a number whose bytes are to be sent.
    pub(super) fn add(&mut self, number: u64, item: Option<u64>) {
        self.numbers.insert(number, Unanswered { item, turn: Turn::Send });
    }

    /// Notes that the bytes of a number were handed to this connection.
    pub(super) fn sent(&mut self, number: u64) {
        self.turn(number, Turn::Sent);
    }

    /// Has the bytes of a number sent again, but not before a time.
    pub(super) fn retry_from(&mut self, number: u64, at: UnixMillis) {
        self.turn(number, Turn::SendFrom(at));
    }

    fn turn(&mut self, number: u64, turn: Turn) {
        if let Some(unanswered) = self.numbers.get_mut(&number) {
            unanswered.turn = turn;
        }
    }

    /// Returns whether a number was not answered, and which item it belongs to.
    pub(super) fn get(&self, number: u64) -> Option<Option<u64>> {
        self.numbers.get(&number).map(|unanswered| unanswered.item)
    }

    /// Removes a number, and returns which item it belonged to.
    pub(super) fn remove(&mut self, number: u64) -> Option<Option<u64>> {
        self.numbers.remove(&number).map(|unanswered| unanswered.item)
    }

    /// Returns the lowest number that was not answered.
    pub(super) fn oldest(&self) -> Option<u64> {
        self.numbers.keys().next().copied()
    }

    /// Returns the numbers within the window that are to be sent, and from when on.
    pub(super) fn due(&self, now: UnixMillis) -> Vec<(u64, Next)> {
        let Some(oldest) = self.oldest() else { return Vec::new() };
        let window = self.numbers.range(..oldest.saturating_add(IN_FLIGHT_MAX));
        window
            .filter_map(|(number, unanswered)| match unanswered.turn {
                Turn::Sent => None,
                Turn::SendFrom(at) if at > now => Some((*number, Next::Wait(at))),
                Turn::Send | Turn::SendFrom(_) => Some((*number, Next::Send)),
            })
            .collect()
    }

    /// Handles a lost connection: everything is sent again on the next one.
    pub(super) fn connection_lost(&mut self) {
        for unanswered in self.numbers.values_mut() {
            unanswered.turn = Turn::Send;
        }
    }

    /// Forgets every number.
    pub(super) fn clear(&mut self) {
        self.numbers.clear();
    }
}
