//! Row ids of queues and notices, in the tables and as clients know them.

use sealpost_api::ids::RowId;

use crate::store::embedded::error::DbError;

/// Bits of a queue row's id that count within one device: 17 thousand million messages in the life of a device.
const SEQUENCE_BITS: u32 = 34;

/// Highest sequence.
const SEQUENCE_MAX: u64 = (1 << SEQUENCE_BITS) - 1;

/// Highest key of a device row (134 million), so that bit 62 stays free for notices.
const DEV_MAX: i64 = (1 << (61 - SEQUENCE_BITS)) - 1;

/// Marks the id of a notice.
const NOTICE_BIT: u64 = 1 << 62;

/// Returns the id of a device's queue row in the table; `None` if either part is out of range.
pub(crate) fn queue_id(dev: i64, sequence: u64) -> Option<i64> {
    if !(1..=DEV_MAX).contains(&dev) || sequence > SEQUENCE_MAX {
        return None;
    }
    Some((dev << SEQUENCE_BITS) | i64::try_from(sequence).ok()?)
}

/// Returns the first and the last id that rows of this device's queue can have.
pub(crate) fn queue_range(dev: i64) -> Result<(i64, i64), DbError> {
    let ends = queue_id(dev, 0).zip(queue_id(dev, SEQUENCE_MAX));
    ends.ok_or(DbError::Corrupt("a device key out of range"))
}

/// Returns the id by which a client knows a queue row: its sequence, which reveals nothing about other devices or the
/// server's traffic.
pub(crate) fn queue_row(id: i64) -> RowId {
    RowId(id.cast_unsigned() & SEQUENCE_MAX)
}

/// Returns the id by which a client knows a notice.
pub(crate) fn notice_row(notice: i64) -> RowId {
    RowId(notice.cast_unsigned() | NOTICE_BIT)
}

/// What a row id refers to.
pub(crate) enum RowKey {
    /// A row of the device's queue, by its sequence.
    Queue(u64),
    /// A notice.
    Notice(i64),
}

/// Returns what a row id refers to; `None` for ids that were never given.
pub(crate) fn row_key(id: RowId) -> Option<RowKey> {
    if id.0 & NOTICE_BIT != 0 {
        i64::try_from(id.0 ^ NOTICE_BIT).ok().map(RowKey::Notice)
    } else if id.0 <= SEQUENCE_MAX {
        Some(RowKey::Queue(id.0))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_two_devices_never_meet_and_notices_are_apart() {
        let (first, last) = queue_range(7).unwrap();
        let (next, _) = queue_range(8).unwrap();
        assert_eq!(last + 1, next);
        assert_eq!(queue_row(first), RowId(0));
        assert_eq!(queue_row(last), RowId(SEQUENCE_MAX));
        assert!(queue_range(DEV_MAX).unwrap().1.cast_unsigned() < NOTICE_BIT);
        assert!(matches!(row_key(notice_row(5)), Some(RowKey::Notice(5))));
        assert!(matches!(row_key(RowId(5)), Some(RowKey::Queue(5))));
    }

    #[test]
    fn ids_out_of_range_are_none() {
        for (dev, sequence) in [(0, 1), (-1, 1), (DEV_MAX + 1, 1), (1, SEQUENCE_MAX + 1)] {
            assert!(queue_id(dev, sequence).is_none(), "{dev} {sequence}");
        }
        for id in [SEQUENCE_MAX + 1, 1 << 61, 1 << 63, u64::MAX] {
            assert!(row_key(RowId(id)).is_none_or(|key| matches!(key, RowKey::Notice(_))), "{id}");
        }
        assert!(row_key(RowId(SEQUENCE_MAX + 1)).is_none());
        assert!(row_key(RowId(1 << 63)).is_none());
    }
}
