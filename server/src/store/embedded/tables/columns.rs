//! Columns to and from values.

use rusqlite::types::{FromSqlError, Type};
use rusqlite::{Error, Row};
use sealpost_api::username::Username;
use sealpost_crypto::{
    AccountId, DeviceAddress, DeviceId, DeviceIdentityKey, OneTimePrekey, OneTimePrekeyId, PrekeyPublic,
    RegistrationId, Signature, SignedPrekey, SignedPrekeyId, UnixMillis,
};

/// Returns a time as a column that is compared with others. Times later than the column can hold become its last
/// moment.
pub(crate) fn time(at: UnixMillis) -> i64 {
    i64::try_from(at.0).unwrap_or(i64::MAX)
}

/// Returns the time in such a column.
pub(crate) fn millis(column: i64) -> UnixMillis {
    UnixMillis(u64::try_from(column).unwrap_or(0))
}

/// Returns a number of rows as SQLite takes it.
pub(crate) fn limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// Returns how many rows a statement changed, as a count.
pub(crate) fn changed(rows: usize) -> u64 {
    u64::try_from(rows).unwrap_or(u64::MAX)
}

/// The error for a column that holds something else.
fn wrong(column: usize, kind: Type, what: &'static str) -> Error {
    Error::FromSqlConversionFailure(column, kind, Box::new(FromSqlError::Other(what.into())))
}

/// Reads a username, which was valid when it was stored.
pub(crate) fn username(row: &Row<'_>, column: usize) -> rusqlite::Result<Username> {
    let text: String = row.get(column)?;
    Username::parse(&text).map_err(|error| Error::FromSqlConversionFailure(column, Type::Text, Box::new(error)))
}

/// Reads a u64 that is stored as the i64 with the same bits.
pub(crate) fn bits(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(i64::cast_unsigned)
}

/// Reads a count.
pub(crate) fn count(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    u64::try_from(row.get::<_, i64>(column)?).map_err(|_| wrong(column, Type::Integer, "a count below zero"))
}

/// Reads a u32.
pub(crate) fn small(row: &Row<'_>, column: usize) -> rusqlite::Result<u32> {
    u32::try_from(row.get::<_, i64>(column)?).map_err(|_| wrong(column, Type::Integer, "no u32"))
}

/// Reads a device id.
pub(crate) fn device_id(row: &Row<'_>, column: usize) -> rusqlite::Result<DeviceId> {
    u8::try_from(row.get::<_, i64>(column)?)
        .ok()
        .and_then(|id| DeviceId::new(id).ok())
        .ok_or_else(|| wrong(column, Type::Integer, "no device id"))
}

/// Reads an address from three columns beginning with `column`: account id, device id, registration id.
pub(crate) fn address(row: &Row<'_>, column: usize) -> rusqlite::Result<DeviceAddress> {
    Ok(DeviceAddress {
        account: AccountId::from_bytes(row.get(column)?),
        device: device_id(row, column.saturating_add(1))?,
        registration: RegistrationId::from_bytes(row.get(column.saturating_add(2))?),
    })
}

/// Reads an address from one column of 49 bytes.
pub(crate) fn packed_address(row: &Row<'_>, column: usize) -> rusqlite::Result<DeviceAddress> {
    DeviceAddress::from_bytes(&row.get(column)?).map_err(|_| wrong(column, Type::Blob, "no device address"))
}

/// Reads a device identity key.
pub(crate) fn identity(row: &Row<'_>, column: usize) -> rusqlite::Result<DeviceIdentityKey> {
    DeviceIdentityKey::from_bytes(&row.get(column)?).map_err(|_| wrong(column, Type::Blob, "no identity key"))
}

/// Reads the public key of a prekey.
fn prekey(row: &Row<'_>, column: usize) -> rusqlite::Result<PrekeyPublic> {
    PrekeyPublic::from_bytes(&row.get(column)?).map_err(|_| wrong(column, Type::Blob, "no prekey"))
}

/// Reads a one-time prekey from the columns key_id, key.
pub(crate) fn one_time_prekey(row: &Row<'_>, column: usize) -> rusqlite::Result<OneTimePrekey> {
    Ok(OneTimePrekey { id: OneTimePrekeyId(small(row, column)?), key: prekey(row, column.saturating_add(1))? })
}

/// Reads a signed prekey from the columns key_id, key, expires_at, signature.
pub(crate) fn signed_prekey(row: &Row<'_>, column: usize) -> rusqlite::Result<SignedPrekey> {
    Ok(SignedPrekey {
        id: SignedPrekeyId(small(row, column)?),
        key: prekey(row, column.saturating_add(1))?,
        expires_at: UnixMillis(bits(row, column.saturating_add(2))?),
        signature: Signature::from_bytes(row.get(column.saturating_add(3))?),
    })
}
