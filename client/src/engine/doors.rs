//! Doors to the parsers of bytes that somebody else made, without vault, network or clock: for fuzzing.

use super::notices::StoredNotice;
use super::record::Record;
use super::state;

/// Whether this is the inside of a message: what a peer wrote, once it is decrypted and its padding is gone.
///
/// ```
/// assert!(!sealpost_client::engine::is_record(b"anything"));
/// ```
///
/// # Panics
/// If a record is read that has another form too. There is one for each.
#[must_use]
#[expect(clippy::panic, reason = "it is what a fuzzer looks for")]
pub fn is_record(plaintext: &[u8]) -> bool {
    let Ok(record) = Record::decode(plaintext) else { return false };
    if record.encode().as_slice() != plaintext {
        panic!("a record has two forms");
    }
    true
}

/// Whether this is one of the engine's records in the vault, of any kind.
///
/// ```
/// assert!(!sealpost_client::engine::is_stored_record(b"{}}"));
/// ```
#[must_use]
pub fn is_stored_record(bytes: &[u8]) -> bool {
    fn reads<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> bool {
        super::codec::parse::<T>(bytes, "a record").is_ok()
    }
    // Each is tried, whichever fits: every one of them meets the bytes.
    [
        reads::<state::StoredMe>(bytes),
        reads::<state::Sender>(bytes),
        reads::<state::Login>(bytes),
        reads::<state::Keys>(bytes),
        reads::<state::Marks>(bytes),
        reads::<state::PrekeyUpload>(bytes),
        reads::<state::AccountRequest>(bytes),
        reads::<state::Offered>(bytes),
        reads::<state::ListsToPublish>(bytes),
        reads::<state::Contact>(bytes),
        reads::<state::Peer>(bytes),
        reads::<state::Item>(bytes),
        reads::<state::SentRecord>(bytes),
        reads::<state::Held>(bytes),
        reads::<state::HistoryRow>(bytes),
        reads::<StoredNotice>(bytes),
    ]
    .contains(&true)
}
