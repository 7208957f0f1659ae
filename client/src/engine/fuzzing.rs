//! Doors for the fuzz targets to what is private. Compiled for them alone (`--cfg fuzzing`).

use sealpost_api::ids::{MessageId, MessageNumber};
use sealpost_crypto::UnixMillis;
use zeroize::Zeroizing;

use super::codec::parse;
use super::notices::StoredNotice;
use super::record::{Body, Record};
use super::state;

/// A good record of each kind.
#[must_use]
pub fn record_seeds() -> Vec<(&'static str, Vec<u8>)> {
    let record = |body| Record {
        number: MessageNumber(1),
        message_id: MessageId::from_bytes([1; 16]),
        stream: 2,
        counter: 1,
        previous: [0; 32],
        sent_at: UnixMillis(1_800_000_000_000),
        name: None,
        body,
    };
    let text = record(Body::Text(Zeroizing::new("Hello".to_owned())));
    vec![("text", text.encode().to_vec()), ("empty", record(Body::Empty).encode().to_vec())]
}

/// Reads bytes as a record of a message and as every record of a vault.
///
/// # Panics
/// When a record has a second encoding.
pub fn records(bytes: &[u8]) {
    if let Ok(record) = Record::decode(bytes) {
        assert_eq!(record.encode().as_slice(), bytes, "a record has two encodings");
    }
    fn read<T: serde::de::DeserializeOwned>(bytes: &[u8]) {
        let _ = parse::<T>(bytes, "a record");
    }
    let readers: [fn(&[u8]); 16] = [
        read::<state::StoredMe>,
        read::<state::Sender>,
        read::<state::Login>,
        read::<state::Keys>,
        read::<state::Marks>,
        read::<state::PrekeyUpload>,
        read::<state::AccountRequest>,
        read::<state::Offered>,
        read::<state::ListsToPublish>,
        read::<state::Contact>,
        read::<state::Peer>,
        read::<state::Item>,
        read::<state::SentRecord>,
        read::<state::Held>,
        read::<state::HistoryRow>,
        read::<StoredNotice>,
    ];
    for reader in readers {
        reader(bytes);
    }
}
