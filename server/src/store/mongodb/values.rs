//! Values to and from what BSON has.
//!
//! Ids, keys and hashes are binaries of fixed length. A u64 is stored as the i64 with the same bits. Times are ms since
//! 1970.

use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, RawDocumentBuf};
use sealpost_api::ids::RowId;
use sealpost_crypto::{AccountId, DeviceAddress, DeviceId, RegistrationId, UnixMillis};

use super::error::DbError;

/// Marks the id of a notice. The ids of messages lie below.
const NOTICE_BIT: i64 = 1 << 62;

/// Returns bytes as a binary.
pub(super) fn binary(bytes: &[u8]) -> Binary {
    Binary { subtype: BinarySubtype::Generic, bytes: bytes.to_vec() }
}

/// Returns an account id as a binary.
pub(super) fn account(account: AccountId) -> Binary {
    binary(account.as_bytes())
}

/// Returns a device within its account: device id (1) ‖ registration id (32).
pub(super) fn device(address: &DeviceAddress) -> Binary {
    let bytes = address.to_bytes();
    binary(bytes.get(AccountId::LEN..).unwrap_or_default())
}

/// Returns a whole address as a binary.
pub(super) fn address(address: &DeviceAddress) -> Binary {
    binary(&address.to_bytes())
}

/// Returns the bytes of a binary that must have this length.
pub(super) fn fixed<const N: usize>(binary: &Binary) -> Result<[u8; N], DbError> {
    binary.bytes.as_slice().try_into().map_err(|_| DbError::Corrupt("a binary of another length"))
}

/// Returns the id of a document that need not be readable otherwise.
pub(super) fn raw_id(raw: &RawDocumentBuf) -> Result<Binary, DbError> {
    let id = raw.get_binary("_id").map_err(|_| DbError::Corrupt("a document with an id of another kind"))?;
    Ok(binary(id.bytes))
}

/// Returns the account id in a binary.
pub(super) fn to_account(binary: &Binary) -> Result<AccountId, DbError> {
    Ok(AccountId::from_bytes(fixed(binary)?))
}

/// Returns the whole address in a binary.
pub(super) fn to_address(binary: &Binary) -> Result<DeviceAddress, DbError> {
    DeviceAddress::from_bytes(&fixed(binary)?).map_err(|_| DbError::Corrupt("a device address that cannot be"))
}

/// Returns the address of a device within an account.
pub(super) fn join(account: AccountId, device: i32, registration: &Binary) -> Result<DeviceAddress, DbError> {
    let device = u8::try_from(device).ok().and_then(|device| DeviceId::new(device).ok());
    let device = device.ok_or(DbError::Corrupt("a device id that cannot be"))?;
    Ok(DeviceAddress { account, device, registration: RegistrationId::from_bytes(fixed(registration)?) })
}

/// Returns the first and the last address that a device of this account can have.
pub(super) fn addresses(account: AccountId) -> (Binary, Binary) {
    let (mut first, mut last) = (account.as_bytes().to_vec(), account.as_bytes().to_vec());
    first.resize(DeviceAddress::LEN, 0);
    last.resize(DeviceAddress::LEN, u8::MAX);
    (binary(&first), binary(&last))
}

/// Returns a time as a number that is compared with others. Times later than it can hold become its last moment.
pub(super) fn time(at: UnixMillis) -> i64 {
    i64::try_from(at.0).unwrap_or(i64::MAX)
}

/// Returns the time in such a number.
pub(super) fn millis(number: i64) -> UnixMillis {
    UnixMillis(u64::try_from(number).unwrap_or(0))
}

/// Returns a count as a number.
pub(super) fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Returns a number as a count, which is never below zero.
pub(super) fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// Returns a number that must be a u32.
pub(super) fn small(number: i64) -> Result<u32, DbError> {
    u32::try_from(number).map_err(|_| DbError::Corrupt("a number that is no u32"))
}

/// Returns a number of documents as the driver takes it.
pub(super) fn limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// Returns the id of a message's row with this sequence.
pub(super) fn message_row(sequence: i64) -> RowId {
    RowId(sequence.cast_unsigned())
}

/// Returns the id of a notice with this sequence.
pub(super) fn notice_row(sequence: i64) -> RowId {
    RowId((sequence | NOTICE_BIT).cast_unsigned())
}

/// Splits row ids into the sequences of messages and of notices. Ids that were never given are left out.
pub(super) fn sequences<'a>(ids: impl IntoIterator<Item = &'a RowId>) -> (Vec<i64>, Vec<i64>) {
    let (mut messages, mut notices) = (Vec::new(), Vec::new());
    for id in ids {
        match i64::try_from(id.0) {
            Ok(id) if id & NOTICE_BIT != 0 => notices.push(id ^ NOTICE_BIT),
            Ok(id) => messages.push(id),
            Err(_) => {}
        }
    }
    (messages, notices)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_messages_and_of_notices_are_apart() {
        let ids = [message_row(5), notice_row(5), RowId(1 << 63), RowId(u64::MAX)];
        assert_eq!(sequences(&ids), (vec![5], vec![5]));
    }

    #[test]
    fn every_address_of_an_account_lies_between_its_first_and_last() {
        let of = |account: u8, device: u8| DeviceAddress {
            account: AccountId::from_bytes([account; 16]),
            device: DeviceId::new(device).unwrap(),
            registration: RegistrationId::from_bytes([255; 32]),
        };
        let (first, last) = addresses(AccountId::from_bytes([7; 16]));
        for device in [1, 127] {
            let bytes = address(&of(7, device)).bytes;
            assert!(first.bytes <= bytes && bytes <= last.bytes);
        }
        assert!(address(&of(6, 127)).bytes < first.bytes && last.bytes < address(&of(8, 1)).bytes);
    }
}
