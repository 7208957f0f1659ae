//! How notices are stored: the codes of their kinds and reasons, which both back ends share so that a move can copy
//! them.

use sealpost_api::frames::{ExpiryReason, MissedReason};

/// The kind of a notice about own messages.
pub(super) const EXPIRED: i32 = 1;
/// The kind of a notice about messages of another device.
pub(super) const MISSED: i32 = 2;

/// Most message numbers in one notice, so that it stays far below a frame's limit.
pub(super) const NUMBERS_MAX: usize = 4_096;

const EXPIRY_REASONS: [(i32, ExpiryReason); 3] =
    [(1, ExpiryReason::Expired), (2, ExpiryReason::DeviceRemoved), (3, ExpiryReason::AccountDeleted)];
const MISSED_REASONS: [(i32, MissedReason); 3] =
    [(1, MissedReason::QueueFull), (2, MissedReason::Dormant), (3, MissedReason::Expired)];

/// Returns the code of a reason why own messages will not be delivered.
pub(super) const fn expiry_code(reason: ExpiryReason) -> i32 {
    match reason {
        ExpiryReason::Expired => 1,
        ExpiryReason::DeviceRemoved => 2,
        ExpiryReason::AccountDeleted => 3,
    }
}

/// Returns the code of a reason why messages of another device were not kept.
pub(super) const fn missed_code(reason: MissedReason) -> i32 {
    match reason {
        MissedReason::QueueFull => 1,
        MissedReason::Dormant => 2,
        MissedReason::Expired => 3,
    }
}

/// Returns the reason that a code stands for, of a notice about own messages.
pub(super) fn expiry(code: i32) -> Option<ExpiryReason> {
    EXPIRY_REASONS.into_iter().find_map(|(known, reason)| (known == code).then_some(reason))
}

/// Returns the reason that a code stands for, of a notice about messages of another device.
pub(super) fn missed(code: i32) -> Option<MissedReason> {
    MISSED_REASONS.into_iter().find_map(|(known, reason)| (known == code).then_some(reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_read_as_it_was_written() {
        for (code, reason) in EXPIRY_REASONS {
            assert_eq!((expiry_code(reason), expiry(code)), (code, Some(reason)));
        }
        for (code, reason) in MISSED_REASONS {
            assert_eq!((missed_code(reason), missed(code)), (code, Some(reason)));
        }
        assert_eq!((expiry(0), missed(4)), (None, None));
    }
}
