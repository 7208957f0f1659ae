//! How the reasons in notices are stored.

use sealpost_api::frames::{ExpiryReason, MissedReason};

const EXPIRY: [(i32, ExpiryReason); 3] =
    [(1, ExpiryReason::Expired), (2, ExpiryReason::DeviceRemoved), (3, ExpiryReason::AccountDeleted)];
const MISSED: [(i32, MissedReason); 3] =
    [(1, MissedReason::QueueFull), (2, MissedReason::Dormant), (3, MissedReason::Expired)];

/// The number of a reason why own messages will not be delivered.
pub(super) const fn expiry_code(reason: ExpiryReason) -> i32 {
    match reason {
        ExpiryReason::Expired => 1,
        ExpiryReason::DeviceRemoved => 2,
        ExpiryReason::AccountDeleted => 3,
    }
}

/// The number of a reason why others' messages were not kept.
pub(super) const fn missed_code(reason: MissedReason) -> i32 {
    match reason {
        MissedReason::QueueFull => 1,
        MissedReason::Dormant => 2,
        MissedReason::Expired => 3,
    }
}

/// The reason that a number stands for.
pub(super) fn expiry(code: i32) -> Option<ExpiryReason> {
    EXPIRY.into_iter().find_map(|(known, reason)| (known == code).then_some(reason))
}

/// The same for others' messages.
pub(super) fn missed(code: i32) -> Option<MissedReason> {
    MISSED.into_iter().find_map(|(known, reason)| (known == code).then_some(reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_read_as_it_was_written() {
        for (code, reason) in EXPIRY {
            assert_eq!((expiry_code(reason), expiry(code)), (code, Some(reason)));
        }
        for (code, reason) in MISSED {
            assert_eq!((missed_code(reason), missed(code)), (code, Some(reason)));
        }
        assert_eq!((expiry(0), missed(4)), (None, None));
    }
}
