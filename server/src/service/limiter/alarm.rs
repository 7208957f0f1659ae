//! The alarm for somebody who lists names: refused look-ups of all accounts, counted by the hour.
//!
//! One account's limit stops that account. Many accounts, each from its own address, are only noticed together.

use sealpost_crypto::UnixMillis;

/// The refused look-ups of all accounts within an hour that raise the alarm. People look up a few names a day and are
/// never refused; a program that tries a list of names is refused on every attempt beyond its limit.
pub const LOOKUPS_REFUSED_MAX: u32 = 100;

const HOUR_MILLIS: u64 = 3_600_000;

/// The refusals since the hour began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hour {
    began: UnixMillis,
    refused: u32,
}

impl Hour {
    /// Returns the state of an hour that ended long ago.
    pub(super) const fn none() -> Self {
        Self { began: UnixMillis(0), refused: 0 }
    }

    /// Counts a refusal. Returns whether it is the one that raises the alarm.
    pub(super) fn refused(&mut self, now: UnixMillis) -> bool {
        if now.since(self.began) >= HOUR_MILLIS {
            *self = Self { began: now, refused: 0 };
        }
        self.refused = self.refused.saturating_add(1);
        self.refused == LOOKUPS_REFUSED_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_raised_once_an_hour_and_only_for_many() {
        let (mut hour, begin) = (Hour::none(), UnixMillis(1_800_000_000_000));
        for _ in 1..LOOKUPS_REFUSED_MAX {
            assert!(!hour.refused(begin));
        }
        assert!(hour.refused(begin.saturating_add(HOUR_MILLIS - 1)));
        assert!(!hour.refused(begin.saturating_add(HOUR_MILLIS - 1)));
        for _ in 1..LOOKUPS_REFUSED_MAX {
            assert!(!hour.refused(begin.saturating_add(HOUR_MILLIS)));
        }
        assert!(hour.refused(begin.saturating_add(HOUR_MILLIS)));
    }
}
