//! The record inside the encryption: what a sender device says to a recipient device, and what lets the recipient notice
//! that the server dropped, reordered, replayed or relabelled something.
//!
//! # Format
//!
//! | offset | bytes | |
//! |---|---|---|
//! | 0 | 1 | version, 1 |
//! | 1 | 1 | kind: 0 empty, 1 text, 2 repair request |
//! | 2 | 8 | number of this sending, big-endian |
//! | 10 | 16 | message id |
//! | 26 | 8 | stream, random for each registration and after a rollback |
//! | 34 | 8 | counter in this stream for this recipient device, big-endian, from 1 |
//! | 42 | 32 | hash of the record before it in that count; zeros for counter 1 |
//! | 74 | 8 | sent at, ms since 1970, big-endian |
//! | 82 | 1 | length *n* of the sender's name, 0–32; 0 once the recipient has answered |
//! | 83 | *n* | the name |
//! | 83 + *n* | rest | text: 1–65,536 bytes of UTF-8 · empty: nothing · repair: 1–64 times number (8) ‖ SHA-256 of the ciphertext (32) |
//!
//! The hash is SHA-256 over `"Sealpost Record v1\0"`, the kind, and all from the message id on except the name: what stays
//! the same however often the message is encrypted. So it holds neither the number nor the name.

use sealpost_api::ids::{MessageId, MessageNumber};
use sealpost_api::limits::{TEXT_MAX_BYTES, USERNAME_MAX_BYTES};
use sealpost_api::username::Username;
use sealpost_crypto::UnixMillis;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

const VERSION: u8 = 1;
const HASH_LABEL: &[u8] = b"Sealpost Record v1\0";
const KIND_EMPTY: u8 = 0;
const KIND_TEXT: u8 = 1;
const KIND_REPAIR: u8 = 2;
const FAILED_BYTES: usize = 8 + 32;

/// Messages asked for again by one repair request: more than fail in one go, few enough for one small message.
pub(super) const REPAIR_MAX: usize = 64;

/// A message that could not be decrypted, as the requester saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Failed {
    pub(super) number: MessageNumber,
    pub(super) ciphertext_hash: [u8; 32],
}

#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub(super) enum Body {
    /// Takes the place of a message that was given up, so that its counter is no gap.
    Empty,
    Text(Zeroizing<String>),
    /// Asks for messages again.
    Repair(Vec<Failed>),
}

#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub(super) struct Record {
    pub(super) number: MessageNumber,
    pub(super) message_id: MessageId,
    pub(super) stream: u64,
    pub(super) counter: u64,
    pub(super) previous: [u8; 32],
    pub(super) sent_at: UnixMillis,
    pub(super) name: Option<Username>,
    pub(super) body: Body,
}

/// The plaintext is no record of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the plaintext is no record")]
pub(super) struct BadRecord;

impl Record {
    pub(super) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let (kind, body) = self.body.encode();
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

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, BadRecord> {
        let mut rest = bytes;
        let [version, kind] = take(&mut rest)?;
        if version != VERSION {
            return Err(BadRecord);
        }
        let number = MessageNumber(u64::from_be_bytes(take(&mut rest)?));
        let message_id = MessageId::from_bytes(take(&mut rest)?);
        let stream = u64::from_be_bytes(take(&mut rest)?);
        let counter = u64::from_be_bytes(take(&mut rest)?);
        let previous = take(&mut rest)?;
        let sent_at = UnixMillis(u64::from_be_bytes(take(&mut rest)?));
        let [name_length] = take(&mut rest)?;
        let name_length = usize::from(name_length);
        if name_length > USERNAME_MAX_BYTES || counter == 0 {
            return Err(BadRecord);
        }
        let (name, body) = rest.split_at_checked(name_length).ok_or(BadRecord)?;
        let name = match std::str::from_utf8(name).map_err(|_| BadRecord)? {
            "" => None,
            // Only the folded form: one name has one encoding.
            text => Some(Username::parse(text).ok().filter(|name| name.as_str() == text).ok_or(BadRecord)?),
        };
        let body = Body::decode(kind, body)?;
        Ok(Self { number, message_id, stream, counter, previous, sent_at, name, body })
    }

    /// The record's place in the hash chain.
    pub(super) fn hash(&self) -> [u8; 32] {
        let (kind, body) = self.body.encode();
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
            &self.stream.to_be_bytes(),
            &self.counter.to_be_bytes(),
            &self.previous,
            &self.sent_at.0.to_be_bytes(),
        ]
        .concat()
    }
}

impl Body {
    fn encode(&self) -> (u8, Zeroizing<Vec<u8>>) {
        match self {
            Self::Empty => (KIND_EMPTY, Zeroizing::default()),
            Self::Text(text) => (KIND_TEXT, Zeroizing::new(text.as_bytes().to_vec())),
            Self::Repair(failed) => {
                let mut bytes = Vec::with_capacity(failed.len().saturating_mul(FAILED_BYTES));
                for Failed { number, ciphertext_hash } in failed {
                    bytes.extend_from_slice(&number.0.to_be_bytes());
                    bytes.extend_from_slice(ciphertext_hash);
                }
                (KIND_REPAIR, Zeroizing::new(bytes))
            }
        }
    }

    fn decode(kind: u8, bytes: &[u8]) -> Result<Self, BadRecord> {
        match kind {
            KIND_EMPTY if bytes.is_empty() => Ok(Self::Empty),
            KIND_TEXT if !bytes.is_empty() && bytes.len() <= TEXT_MAX_BYTES => {
                let text = std::str::from_utf8(bytes).map_err(|_| BadRecord)?;
                Ok(Self::Text(Zeroizing::new(text.to_owned())))
            }
            KIND_REPAIR if !bytes.is_empty() && bytes.len() <= REPAIR_MAX * FAILED_BYTES => {
                let (chunks, []) = bytes.as_chunks::<FAILED_BYTES>() else { return Err(BadRecord) };
                let failed = chunks.iter().map(|chunk| {
                    let mut rest = chunk.as_slice();
                    Ok(Failed {
                        number: MessageNumber(u64::from_be_bytes(take(&mut rest)?)),
                        ciphertext_hash: take(&mut rest)?,
                    })
                });
                failed.collect::<Result<_, _>>().map(Self::Repair)
            }
            _ => Err(BadRecord),
        }
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], BadRecord> {
    let (head, tail) = rest.split_first_chunk::<N>().ok_or(BadRecord)?;
    *rest = tail;
    Ok(*head)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(body: Body) -> Record {
        Record {
            number: MessageNumber(7),
            message_id: MessageId::from_bytes([3; 16]),
            stream: 5,
            counter: 2,
            previous: [4; 32],
            sent_at: UnixMillis(1),
            name: Some(Username::parse("alice").unwrap()),
            body,
        }
    }

    #[test]
    fn records_come_back_as_they_were() {
        let failed = Failed { number: MessageNumber(1), ciphertext_hash: [1; 32] };
        for body in [Body::Empty, Body::Text(Zeroizing::new("hi".to_owned())), Body::Repair(vec![failed; 64])] {
            let record = record(body);
            assert_eq!(Record::decode(&record.encode()), Ok(record));
        }
    }

    #[test]
    fn the_hash_holds_everything_but_number_and_name() {
        let base = record(Body::Text(Zeroizing::new("hi".to_owned())));
        let renumbered = Record { number: MessageNumber(8), name: None, ..base.clone() };
        assert_eq!(base.hash(), renumbered.hash());
        for other in [
            Record { message_id: MessageId::from_bytes([0; 16]), ..base.clone() },
            Record { stream: 0, ..base.clone() },
            Record { counter: 9, ..base.clone() },
            Record { previous: [0; 32], ..base.clone() },
            Record { sent_at: UnixMillis(2), ..base.clone() },
            Record { body: Body::Empty, ..base.clone() },
            Record { body: Body::Text(Zeroizing::new("ho".to_owned())), ..base.clone() },
        ] {
            assert_ne!(base.hash(), other.hash());
        }
    }

    #[test]
    fn counter_zero_an_unfolded_name_and_too_many_repairs_are_refused() {
        let mut bytes = record(Body::Empty).encode();
        bytes[34..42].fill(0);
        assert_eq!(Record::decode(&bytes), Err(BadRecord));
        let mut bytes = record(Body::Empty).encode();
        bytes[83] = b'A';
        assert_eq!(Record::decode(&bytes), Err(BadRecord));
        let failed = Failed { number: MessageNumber(1), ciphertext_hash: [1; 32] };
        let bytes = record(Body::Repair(vec![failed; 65])).encode();
        assert_eq!(Record::decode(&bytes), Err(BadRecord));
    }

    proptest! {
        #[test]
        fn any_bytes_are_decoded_to_their_one_form_or_refused(mut bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let [version, kind, ..] = bytes.as_mut_slice() {
                *version = 1;
                *kind %= 4;
            }
            if let Ok(record) = Record::decode(&bytes) {
                prop_assert_eq!(&*record.encode(), &bytes);
            }
        }
    }
}
