//! The quotas of a device's queue, and how its last part is kept for senders that have little in it.

/// The quotas of one device's queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueLimits {
    /// Messages in the queue.
    pub messages_max: u64,
    /// Bytes in the queue.
    pub bytes_max: u64,
    /// Messages that one sender account may have in the queue.
    pub sender_messages_max: u64,
    /// A device that was away this long, in ms, is dormant.
    pub dormant_after_millis: u64,
}

/// What waits in a queue, of everybody or of one account.
#[derive(Clone, Copy, Debug, Default)]
pub struct Load {
    /// Messages.
    pub messages: u64,
    /// Bytes of their ciphertexts.
    pub bytes: u64,
}

/// The last quarter of a queue is for accounts that have little in it.
const KEPT_PARTS: u64 = 4;
/// In that quarter an account may have a 32nd of what is still free, so that later senders find the rest. With the
/// default quotas it takes 199 accounts to use up a queue, each taking all it can get, and 101 with the largest
/// ciphertexts.
const FREE_PARTS: u64 = 32;

impl QueueLimits {
    /// Returns whether an account that has `own` of the `stored` in a queue of at most `most` may add `more` to it.
    /// What was accepted is never evicted, so room for others has to be kept before it is gone. An account that has
    /// nothing in the queue gets a first message in for as long as there is room.
    #[must_use]
    pub const fn is_fair(most: u64, stored: u64, own: u64, more: u64) -> bool {
        let free = most.saturating_sub(stored);
        let kept = most.saturating_div(KEPT_PARTS);
        own == 0 || free.saturating_sub(more) >= kept || own.saturating_add(more) <= free.saturating_div(FREE_PARTS)
    }
}

#[cfg(test)]
mod tests {
    use sealpost_api::limits::CIPHERTEXT_MAX_BYTES;

    use super::*;
    use crate::base::config::QueueConfig;

    /// Counts the accounts that get anything in when one after the other adds messages of this size until it is
    /// refused.
    fn accounts_that_get_in(most: u64, size: u64) -> u32 {
        let (mut stored, mut accounts, share) = (0, 0, QueueConfig::default().sender_messages_max);
        loop {
            let (mut own, mut messages) = (0, 0);
            while stored + size <= most && messages < share && QueueLimits::is_fair(most, stored, own, size) {
                (own, stored, messages) = (own + size, stored + size, messages + 1);
            }
            if messages == 0 {
                return accounts;
            }
            accounts += 1;
        }
    }

    #[test]
    fn it_takes_a_hundred_accounts_to_use_up_a_queue() {
        let quotas = QueueConfig::default();
        assert_eq!(accounts_that_get_in(quotas.messages_max, 1), 199);
        assert_eq!(accounts_that_get_in(quotas.bytes_max, CIPHERTEXT_MAX_BYTES as u64), 101);
    }

    #[test]
    fn one_account_alone_is_held_back_in_the_last_quarter_only() {
        assert!(QueueLimits::is_fair(1_000, 749, 749, 1));
        assert!(!QueueLimits::is_fair(1_000, 750, 750, 1));
        assert!(QueueLimits::is_fair(1_000, 750, 0, 1), "and nobody who has nothing there");
        assert!(QueueLimits::is_fair(1_000, 750, 6, 1) && !QueueLimits::is_fair(1_000, 750, 7, 1));
    }
}
