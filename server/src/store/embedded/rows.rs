//! Columns to and from values.

use rusqlite::types::{FromSqlError, Type};
use rusqlite::{Error, Row};
use sealpost_api::ids::RowId;
use sealpost_api::username::Username;
use sealpost_crypto::{
    AccountId, DeviceAddress, DeviceId, DeviceIdentityKey, OneTimePrekey, OneTimePrekeyId, PrekeyPublic,
    RegistrationId, Signature, SignedPrekey, SignedPrekeyId, UnixMillis,
};

/// Bits of a queue row's id that count within one device: 17 thousand million messages in a device's life.
const SEQUENCE_BITS: u32 = 34;
/// Highest sequence.
const SEQUENCE_MAX: u64 = (1 << SEQUENCE_BITS) - 1;
/// Highest internal device key (134 million), so that bit 62 stays free for notices.
const DEV_MAX: i64 = (1 << (61 - SEQUENCE_BITS)) - 1;
/// Marks the id of a notice.
const NOTICE_BIT: u64 = 1 << 62;

/// A time as a column that is compared with others; later than the column can hold is its last moment.
pub(super) fn time(at: UnixMillis) -> i64 {
    i64::try_from(at.0).unwrap_or(i64::MAX)
}

/// A time from such a column.
pub(super) fn millis(column: i64) -> UnixMillis {
    UnixMillis(u64::try_from(column).unwrap_or(0))
}

/// The id of a device's queue row in the table; `None` when either part is out of range.
pub(super) fn queue_id(dev: i64, sequence: u64) -> Option<i64> {
    if !(1..=DEV_MAX).contains(&dev) || sequence > SEQUENCE_MAX {
        return None;
    }
    Some((dev << SEQUENCE_BITS) | i64::try_from(sequence).ok()?)
}

/// First and last id that rows of this device's queue can have.
pub(super) fn queue_range(dev: i64) -> Option<(i64, i64)> {
    Some((queue_id(dev, 0)?, queue_id(dev, SEQUENCE_MAX)?))
}

/// What a client knows a queue row by: its sequence, which says nothing of other devices or of the server's traffic.
pub(super) fn queue_row(id: i64) -> RowId {
    RowId(id.cast_unsigned() & SEQUENCE_MAX)
}

/// What a client knows a notice by.
pub(super) fn notice_row(notice: i64) -> RowId {
    RowId(notice.cast_unsigned() | NOTICE_BIT)
}

/// Where a row id leads.
pub(super) enum RowKey {
    /// A sequence in the device's queue.
    Queue(u64),
    /// A notice.
    Notice(i64),
}

/// Which row this id can be; `None` for ids that were never given.
pub(super) fn row_key(id: RowId) -> Option<RowKey> {
    if id.0 & NOTICE_BIT != 0 {
        i64::try_from(id.0 ^ NOTICE_BIT).ok().map(RowKey::Notice)
    } else if id.0 <= SEQUENCE_MAX {
        Some(RowKey::Queue(id.0))
    } else {
        None
    }
}

fn wrong(column: usize, kind: Type, what: &'static str) -> Error {
    Error::FromSqlConversionFailure(column, kind, Box::new(FromSqlError::Other(what.into())))
}

/// A username, which was valid when it was stored.
pub(super) fn username(row: &Row<'_>, column: usize) -> rusqlite::Result<Username> {
    let text: String = row.get(column)?;
    Username::parse(&text).map_err(|error| Error::FromSqlConversionFailure(column, Type::Text, Box::new(error)))
}

/// How many rows at most, as SQLite takes it.
pub(super) fn limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// A u64 stored as the i64 with the same bits.
pub(super) fn bits(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(i64::cast_unsigned)
}

/// A count.
pub(super) fn count(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    u64::try_from(row.get::<_, i64>(column)?).map_err(|_| wrong(column, Type::Integer, "a count below zero"))
}

/// A column of type u32.
pub(super) fn small(row: &Row<'_>, column: usize) -> rusqlite::Result<u32> {
    u32::try_from(row.get::<_, i64>(column)?).map_err(|_| wrong(column, Type::Integer, "no u32"))
}

/// A device id.
pub(super) fn device_id(row: &Row<'_>, column: usize) -> rusqlite::Result<DeviceId> {
    u8::try_from(row.get::<_, i64>(column)?)
        .ok()
        .and_then(|id| DeviceId::new(id).ok())
        .ok_or_else(|| wrong(column, Type::Integer, "no device id"))
}

/// An address from three columns beginning with `column`: account id, device id, registration id.
pub(super) fn address(row: &Row<'_>, column: usize) -> rusqlite::Result<DeviceAddress> {
    Ok(DeviceAddress {
        account: AccountId::from_bytes(row.get(column)?),
        device: device_id(row, column.saturating_add(1))?,
        registration: RegistrationId::from_bytes(row.get(column.saturating_add(2))?),
    })
}

/// An address from one column of 49 bytes.
pub(super) fn packed_address(row: &Row<'_>, column: usize) -> rusqlite::Result<DeviceAddress> {
    DeviceAddress::from_bytes(&row.get(column)?).map_err(|_| wrong(column, Type::Blob, "no device address"))
}

/// A device identity key.
pub(super) fn identity(row: &Row<'_>, column: usize) -> rusqlite::Result<DeviceIdentityKey> {
    DeviceIdentityKey::from_bytes(&row.get(column)?).map_err(|_| wrong(column, Type::Blob, "no identity key"))
}

fn prekey(row: &Row<'_>, column: usize) -> rusqlite::Result<PrekeyPublic> {
    PrekeyPublic::from_bytes(&row.get(column)?).map_err(|_| wrong(column, Type::Blob, "no prekey"))
}

/// A one-time prekey from the columns key_id, key.
pub(super) fn one_time_prekey(row: &Row<'_>, column: usize) -> rusqlite::Result<OneTimePrekey> {
    Ok(OneTimePrekey { id: OneTimePrekeyId(small(row, column)?), key: prekey(row, column.saturating_add(1))? })
}

/// A signed prekey from the columns key_id, key, expires_at, signature.
pub(super) fn signed_prekey(row: &Row<'_>, column: usize) -> rusqlite::Result<SignedPrekey> {
    Ok(SignedPrekey {
        id: SignedPrekeyId(small(row, column)?),
        key: prekey(row, column.saturating_add(1))?,
        expires_at: UnixMillis(bits(row, column.saturating_add(2))?),
        signature: Signature::from_bytes(row.get(column.saturating_add(3))?),
    })
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
