//! Doors for the fuzz targets to what is private. Compiled for them alone (`--cfg fuzzing`).

use sealpost_api::ids::{MessageId, MessageNumber};
use sealpost_crypto::UnixMillis;
use zeroize::Zeroizing;

use super::codec::parse;
use super::content::envelope::Envelope;
use super::content::{Content, Empty, Text};
use super::records::{Contact, Held, Me, Peer};
use super::{account, outbox, timeline};

/// Returns a good envelope of each kind of content.
#[must_use]
pub fn record_seeds() -> Vec<(&'static str, Vec<u8>)> {
    let envelope = |content: Content| Envelope {
        number: MessageNumber(1),
        message_id: MessageId::from_bytes([1; 16]),
        sequence: 2,
        counter: 1,
        previous: [0; 32],
        sent_at: UnixMillis(1_800_000_000_000),
        name: None,
        content,
    };
    let text = envelope(Text(Zeroizing::new("Hello".to_owned())).into());
    vec![("text", text.encode().to_vec()), ("empty", envelope(Empty.into()).encode().to_vec())]
}

/// Reads bytes as an envelope and as every record of a vault.
///
/// # Panics
/// When an envelope has a second encoding.
pub fn records(bytes: &[u8]) {
    if let Ok(envelope) = Envelope::decode(bytes) {
        assert_eq!(envelope.encode().as_slice(), bytes, "an envelope has two encodings");
    }
    let _ = parse::<Me>(bytes, "a record");
    let _ = parse::<Contact>(bytes, "a record");
    let _ = parse::<Peer>(bytes, "a record");
    let _ = parse::<Held>(bytes, "a record");
    account::read_any_record(bytes);
    outbox::read_any_record(bytes);
    timeline::read_any_record(bytes);
}
