//! Which messages have someone who reports what becomes of them, so that no two of them do.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use sealpost_api::ids::MessageId;

/// Claims that are remembered: more than the messages whose end may be reported twice, which are those of a few commands.
const CLAIMED_MAX: usize = 1024;

/// The newest claims.
#[derive(Debug, Default)]
pub(super) struct Claims(Mutex<VecDeque<MessageId>>);

impl Claims {
    /// Claims the report about a message. Returns whether nobody else has claimed it.
    pub(super) fn claim(&self, message: MessageId) -> bool {
        let mut claimed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if claimed.contains(&message) {
            return false;
        }
        if claimed.len() >= CLAIMED_MAX {
            claimed.pop_front();
        }
        claimed.push_back(message);
        true
    }

    /// Claims the report about a message until the claim is dropped or [reported](Claim::reported).
    pub(super) fn hold(&self, message: MessageId) -> Claim<'_> {
        self.claim(message);
        Claim { claims: self, message: Some(message) }
    }
}

/// A claim that ends when it is dropped: the message is still on its way then, and somebody else reports its end.
#[derive(Debug)]
pub(super) struct Claim<'a> {
    claims: &'a Claims,
    message: Option<MessageId>,
}

impl Claim<'_> {
    /// Keeps the claim for good.
    pub(super) fn reported(mut self) {
        self.message = None;
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        if let Some(message) = self.message {
            self.claims.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|claimed| *claimed != message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_claimed_once_unless_the_claim_is_dropped_before_the_report() {
        let (claims, message) = (Claims::default(), MessageId::from_bytes([1; 16]));
        let held = claims.hold(message);
        assert!(!claims.claim(message));
        drop(held);
        assert!(claims.claim(message));
        assert!(!claims.claim(message));
        claims.hold(message).reported();
        assert!(!claims.claim(message));
    }

    #[test]
    fn the_oldest_claims_make_room() {
        let claims = Claims::default();
        let message = |number: usize| MessageId::from_bytes((number as u128).to_be_bytes());
        assert!((0..=CLAIMED_MAX).all(|number| claims.claim(message(number))));
        assert!(!claims.claim(message(CLAIMED_MAX)) && claims.claim(message(0)));
    }
}
