//! Handling of a `Send`: the checks that need no store, and the frame for the store's outcome.

use sealpost_api::frames::{Refused, Send as SendFrame, SendKind, Sent, ServerFrame};
use sealpost_api::ids::MessageNumber;
use sealpost_api::limits::{CIPHERTEXT_MAX_BYTES, COPIES_MAX};
use sealpost_api::problem::ProblemCode;
use sealpost_crypto::UnixMillis;

use crate::store::{AcceptOutcome, Refusal, StoreError};

/// The time after which a retry can succeed when the store was busy, in ms.
const BUSY_RETRY_MILLIS: u64 = 500;
/// The same when the disk was full, in ms: somebody has to free space.
const DISK_FULL_RETRY_MILLIS: u64 = 60_000;
/// The same when the store failed or stopped, in ms.
const FAILED_RETRY_MILLIS: u64 = 2_000;

/// Checks whether the message can go to the store.
///
/// # Errors
/// The code of the refusal.
pub fn check(send: &SendFrame) -> Result<(), ProblemCode> {
    if send.number == MessageNumber(0) {
        return Err(ProblemCode::NumberInvalid);
    }
    let copies_fit = match send.kind {
        SendKind::Message => (1..=COPIES_MAX).contains(&send.copies.len()),
        SendKind::Device => send.copies.len() == 1,
    };
    if !copies_fit {
        return Err(ProblemCode::CopiesInvalid);
    }
    if send.copies.iter().any(|copy| !(1..=CIPHERTEXT_MAX_BYTES).contains(&copy.ciphertext.len())) {
        return Err(ProblemCode::CiphertextTooLarge);
    }
    Ok(())
}

/// Creates a refusal that has only a code.
#[must_use]
pub const fn refused(number: MessageNumber, code: ProblemCode, retry_after: u64) -> Refused {
    Refused {
        number,
        code,
        missing: Vec::new(),
        extra: Vec::new(),
        stale: Vec::new(),
        maybe_stored: false,
        retry_after,
    }
}

/// Creates the answer to a message. `now` is the time that the store was given.
#[must_use]
pub fn answer(number: MessageNumber, now: UnixMillis, outcome: &Result<AcceptOutcome, StoreError>) -> ServerFrame {
    match outcome {
        Ok(AcceptOutcome::Accepted { skipped, .. }) => {
            ServerFrame::Sent(Sent { number, skipped: skipped.clone(), accepted_at: now.0 })
        }
        Ok(AcceptOutcome::AlreadyAccepted) => ServerFrame::Sent(Sent { number, skipped: Vec::new(), accepted_at: 0 }),
        Ok(AcceptOutcome::Refused(refusal)) => ServerFrame::Refused(refusal_frame(number, refusal)),
        Ok(AcceptOutcome::Withdrawn(refusal)) => {
            ServerFrame::Refused(Refused { maybe_stored: true, ..refusal_frame(number, refusal) })
        }
        Err(error) => ServerFrame::Refused(error_frame(number, error)),
    }
}

fn refusal_frame(number: MessageNumber, refusal: &Refusal) -> Refused {
    match refusal {
        Refusal::Superseded => refused(number, ProblemCode::Superseded, 0),
        Refusal::NumberConflict => refused(number, ProblemCode::NumberConflict, 0),
        Refusal::NumberTooOld => refused(number, ProblemCode::NumberTooOld, 0),
        Refusal::RecipientUnknown => refused(number, ProblemCode::RecipientUnknown, 0),
        Refusal::DevicesMismatch { missing, extra, stale } => Refused {
            missing: missing.clone(),
            extra: extra.clone(),
            stale: stale.clone(),
            ..refused(number, ProblemCode::DevicesMismatch, 0)
        },
        Refusal::RateLimited(retry_after) => refused(number, ProblemCode::RateLimited, (*retry_after).max(1)),
        Refusal::QueueFull => refused(number, ProblemCode::QueueFull, DISK_FULL_RETRY_MILLIS),
        Refusal::QueueShare => refused(number, ProblemCode::QueueShare, DISK_FULL_RETRY_MILLIS),
        Refusal::Dormant => refused(number, ProblemCode::Dormant, 0),
    }
}

fn error_frame(number: MessageNumber, error: &StoreError) -> Refused {
    match error {
        StoreError::Busy => refused(number, ProblemCode::Busy, BUSY_RETRY_MILLIS),
        StoreError::DiskFull => refused(number, ProblemCode::DiskFull, DISK_FULL_RETRY_MILLIS),
        // The write can have reached the disk before the store stopped or was lost, so the outcome is unknown.
        StoreError::Stopped(_) | StoreError::Unavailable(_) => {
            Refused { maybe_stored: true, ..refused(number, ProblemCode::Unavailable, FAILED_RETRY_MILLIS) }
        }
        StoreError::Corrupt(_) | StoreError::Failed(_) => refused(number, ProblemCode::Internal, FAILED_RETRY_MILLIS),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use sealpost_api::frames::Copy;
    use sealpost_crypto::{AccountId, DeviceId, RegistrationId};

    use super::*;

    fn a_send(kind: SendKind, lengths: &[usize]) -> SendFrame {
        let copies = lengths.iter().zip(1..).map(|(length, device)| Copy {
            device: DeviceId::new(device).unwrap(),
            registration: RegistrationId::from_bytes([0; 32]),
            ciphertext: Bytes::from(vec![0; *length]),
        });
        SendFrame { number: MessageNumber(1), to: AccountId::from_bytes([0; 16]), kind, copies: copies.collect() }
    }

    #[test]
    fn sizes_and_counts_are_checked_at_their_limits() {
        assert_eq!(check(&a_send(SendKind::Message, &[1, CIPHERTEXT_MAX_BYTES])), Ok(()));
        for (send, code) in [
            (a_send(SendKind::Message, &[]), ProblemCode::CopiesInvalid),
            (a_send(SendKind::Device, &[1, 1]), ProblemCode::CopiesInvalid),
            (a_send(SendKind::Message, &[0]), ProblemCode::CiphertextTooLarge),
            (a_send(SendKind::Message, &[CIPHERTEXT_MAX_BYTES + 1]), ProblemCode::CiphertextTooLarge),
            (SendFrame { number: MessageNumber(0), ..a_send(SendKind::Message, &[1]) }, ProblemCode::NumberInvalid),
        ] {
            assert_eq!(check(&send), Err(code));
        }
    }

    #[test]
    fn only_a_stopped_store_leaves_the_outcome_open() {
        for (error, open) in [
            (StoreError::Busy, false),
            (StoreError::DiskFull, false),
            (StoreError::Failed("x".into()), false),
            (StoreError::Stopped("x".into()), true),
            (StoreError::Unavailable("x".into()), true),
        ] {
            match answer(MessageNumber(1), UnixMillis(0), &Err(error)) {
                ServerFrame::Refused(refused) => assert_eq!(refused.maybe_stored, open),
                other => panic!("{other:?}"),
            }
        }
    }
}
