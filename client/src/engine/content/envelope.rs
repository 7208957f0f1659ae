//! The envelope inside the encryption: what a sender device says to a recipient device, and what lets the recipient notice
//! that the server dropped, reordered, replayed or relabelled something.
//!
//! # Format
//!
//! | offset | bytes | |
//! |---|---|---|
//! | 0 | 1 | version, 1 |
//! | 1 | 1 | kind of the content: 0 empty, 1 text, 2 repair request |
//! | 2 | 8 | number of this sending, big-endian |
//! | 10 | 16 | message id |
//! | 26 | 8 | sequence, random for each registration and after a rollback |
//! | 34 | 8 | counter in this sequence for this recipient device, big-endian, from 1 |
//! | 42 | 32 | hash of the envelope before it in that count; zeros for counter 1 |
//! | 74 | 8 | sent at, ms since 1970, big-endian |
//! | 82 | 1 | length *n* of the sender's name, 0–32; 0 once the recipient has answered |
//! | 83 | *n* | the name |
//! | 83 + *n* | rest | text: 1–65,536 bytes of UTF-8 · empty: nothing · repair: 1–64 times number (8) ‖ SHA-256 of the ciphertext (32) |
//!
//! The hash is SHA-256 over `"Sealpost Record v1\0"`, the kind, and all from the message id on except the name: what stays
//! the same however often the message is encrypted. So it holds neither the number nor the name.

use sealpost_api::ids::{MessageId, MessageNumber};
use sealpost_api::limits::USERNAME_MAX_BYTES;
use sealpost_api::username::Username;
use sealpost_crypto::UnixMillis;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::engine::content::{BadContent, Content};

const VERSION: u8 = 1;
const HASH_LABEL: &[u8] = b"Sealpost Record v1\0";

/// A message to one device, as it is before encryption.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub(crate) struct Envelope {
    pub(crate) number: MessageNumber,
    pub(crate) message_id: MessageId,
    pub(crate) sequence: u64,
    pub(crate) counter: u64,
    pub(crate) previous: [u8; 32],
    pub(crate) sent_at: UnixMillis,
    pub(crate) name: Option<Username>,
    pub(crate) content: Content,
}

/// The plaintext is no envelope of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the plaintext is no envelope")]
pub(crate) struct BadEnvelope;

impl From<BadContent> for BadEnvelope {
    fn from(BadContent: BadContent) -> Self {
        Self
    }
}

impl Envelope {
    /// Returns its bytes.
    pub(crate) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let (kind, body) = self.content.encode();
        let name = self.name.as_ref().map_or(&[][..], |name| name.as_str().as_bytes());
        let mut bytes = Zeroizing::new(Vec::with_capacity(83 + name.len() + body.len()));
        bytes.extend_from_slice(&[VERSION, kind]);
        bytes.extend_from_slice(&self.number.0.to_be_bytes());
        bytes.extend_from_slice(&self.fixed());
        // A username has at most 32 bytes.
        bytes.push(u8::try_from(name.len()).unwrap_or_default());
        bytes.extend_from_slice(name);
        bytes.extend_from_slice(&body);
        bytes
    }

    /// Reads its bytes.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, BadEnvelope> {
        let mut rest = bytes;
        let [version, kind] = take(&mut rest)?;
        if version != VERSION {
            return Err(BadEnvelope);
        }
        let number = MessageNumber(u64::from_be_bytes(take(&mut rest)?));
        let message_id = MessageId::from_bytes(take(&mut rest)?);
        let sequence = u64::from_be_bytes(take(&mut rest)?);
        let counter = u64::from_be_bytes(take(&mut rest)?);
        let previous = take(&mut rest)?;
        let sent_at = UnixMillis(u64::from_be_bytes(take(&mut rest)?));
        let [name_length] = take(&mut rest)?;
        let name_length = usize::from(name_length);
        if name_length > USERNAME_MAX_BYTES || counter == 0 {
            return Err(BadEnvelope);
        }
        let (name, body) = rest.split_at_checked(name_length).ok_or(BadEnvelope)?;
        let name = match std::str::from_utf8(name).map_err(|_| BadEnvelope)? {
            "" => None,
            // Only the folded form: one name has one encoding.
            text => Some(Username::parse(text).ok().filter(|name| name.as_str() == text).ok_or(BadEnvelope)?),
        };
        let content = Content::decode(kind, body)?;
        Ok(Self { number, message_id, sequence, counter, previous, sent_at, name, content })
    }

    /// Returns its place in the hash chain.
    pub(crate) fn hash(&self) -> [u8; 32] {
        let (kind, body) = self.content.encode();
        Sha256::new()
            .chain_update(HASH_LABEL)
            .chain_update([kind])
            .chain_update(self.fixed())
            .chain_update(&*body)
            .finalize()
            .into()
    }

    fn fixed(&self) -> Vec<u8> {
        [
            self.message_id.as_bytes().as_slice(),
            &self.sequence.to_be_bytes(),
            &self.counter.to_be_bytes(),
            &self.previous,
            &self.sent_at.0.to_be_bytes(),
        ]
        .concat()
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], BadEnvelope> {
    let (head, tail) = rest.split_first_chunk::<N>().ok_or(BadEnvelope)?;
    *rest = tail;
    Ok(*head)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::content::{Empty, Failed, RepairRequest, Text};

    fn text(text: &str) -> Content {
        Text(Zeroizing::new(text.to_owned())).into()
    }

    fn envelope(content: Content) -> Envelope {
        Envelope {
            number: MessageNumber(7),
            message_id: MessageId::from_bytes([3; 16]),
            sequence: 5,
            counter: 2,
            previous: [4; 32],
            sent_at: UnixMillis(1),
            name: Some(Username::parse("alice").unwrap()),
            content,
        }
    }

    #[test]
    fn envelopes_come_back_as_they_were() {
        let failed = Failed { number: MessageNumber(1), ciphertext_hash: [1; 32] };
        for content in [Empty.into(), text("hi"), RepairRequest(vec![failed; 64]).into()] {
            let envelope = envelope(content);
            assert_eq!(Envelope::decode(&envelope.encode()), Ok(envelope));
        }
    }

    #[test]
    fn the_hash_holds_everything_but_number_and_name() {
        let base = envelope(text("hi"));
        let renumbered = Envelope { number: MessageNumber(8), name: None, ..base.clone() };
        assert_eq!(base.hash(), renumbered.hash());
        for other in [
            Envelope { message_id: MessageId::from_bytes([0; 16]), ..base.clone() },
            Envelope { sequence: 0, ..base.clone() },
            Envelope { counter: 9, ..base.clone() },
            Envelope { previous: [0; 32], ..base.clone() },
            Envelope { sent_at: UnixMillis(2), ..base.clone() },
            Envelope { content: Empty.into(), ..base.clone() },
            Envelope { content: text("ho"), ..base.clone() },
        ] {
            assert_ne!(base.hash(), other.hash());
        }
    }

    #[test]
    fn counter_zero_an_unfolded_name_and_too_many_repairs_are_refused() {
        let mut bytes = envelope(Empty.into()).encode();
        bytes[34..42].fill(0);
        assert_eq!(Envelope::decode(&bytes), Err(BadEnvelope));
        let mut bytes = envelope(Empty.into()).encode();
        bytes[83] = b'A';
        assert_eq!(Envelope::decode(&bytes), Err(BadEnvelope));
        let failed = Failed { number: MessageNumber(1), ciphertext_hash: [1; 32] };
        let bytes = envelope(RepairRequest(vec![failed; 65]).into()).encode();
        assert_eq!(Envelope::decode(&bytes), Err(BadEnvelope));
    }

    proptest! {
        #[test]
        fn any_bytes_are_decoded_to_their_one_form_or_refused(mut bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let [version, kind, ..] = bytes.as_mut_slice() {
                *version = 1;
                *kind %= 4;
            }
            if let Ok(envelope) = Envelope::decode(&bytes) {
                prop_assert_eq!(&*envelope.encode(), &bytes);
            }
        }
    }
}
