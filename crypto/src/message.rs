//! The wire forms of a message.
//!
//! | bytes | initial message (type 1) |
//! |---|---|
//! | 1 | version, 1 |
//! | 1 | type, 1 |
//! | 32 | `IKa`: the sender's device identity key (Ed25519) |
//! | 32 | `EKa`: the base key (X25519) |
//! | 4 | id of the recipient's signed prekey, big-endian |
//! | 1 | 1 if a one-time prekey was used, else 0 |
//! | 4 | id of the one-time prekey, big-endian; only if one was used |
//! | 2 | length of the device list, big-endian |
//! | … | the sender's signed device list |
//! | 40 | ratchet header: `DHs` (32) ‖ `PN` (u32) ‖ `N` (u32), big-endian |
//! | … | ciphertext of the padded plaintext ‖ tag (16) |
//!
//! A ratchet message (type 2) is version ‖ type ‖ ratchet header ‖ ciphertext ‖ tag. A sender uses type 1 until it has
//! decrypted a reply, so that any of those messages can be the first to arrive.
//!
//! Of the fields before the ratchet header, only `IKa` is in the associated data. The base key and the prekeys are bound by
//! the secret that they give. The list is bound by its own signature and must name the sender.

use crate::device_list::{DEVICE_LIST_MAX_BYTES, DeviceList, DeviceListError};
use crate::identity::{DeviceIdentityKey, IdentityKeyError};
use crate::ids::{OneTimePrekeyId, SignedPrekeyId};
use crate::padding::PLAINTEXT_MAX_BYTES;
use crate::prekey::{PrekeyError, PrekeyPublic};
use crate::ratchet::{Header, TAG_LEN};
use crate::reader::{Reader, WrongLength};

/// The only version of the suite. Nothing is negotiated.
pub const VERSION: u8 = 1;
const INITIAL: u8 = 1;
const RATCHET: u8 = 2;
/// The most bytes that can precede the device list of an initial message.
const INITIAL_PREFIX_MAX_LEN: usize = 2 + 32 + 32 + 4 + 1 + 4 + 2;

/// Length of the longest message that this crate writes or reads, below the server's limit of 96 KiB for each copy.
pub const MESSAGE_MAX_BYTES: usize =
    INITIAL_PREFIX_MAX_LEN + DEVICE_LIST_MAX_BYTES + Header::LEN + PLAINTEXT_MAX_BYTES + 1 + TAG_LEN;
const _: () = assert!(MESSAGE_MAX_BYTES <= 96 * 1024);

/// Bytes that are not a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// Not the form of any message.
    #[error("a message is malformed")]
    Malformed,
    /// The version is unknown: a newer program wrote the message.
    #[error("a message has an unsupported version")]
    UnsupportedVersion,
    /// The base key or ratchet key is not canonical, or has low order.
    #[error("a message holds an unusable key")]
    BadKey(#[source] PrekeyError),
    /// The sender's identity key is not canonical, or has small order.
    #[error("a message holds an unusable identity key")]
    BadIdentityKey(#[source] IdentityKeyError),
    /// The sender's device list is malformed or not signed.
    #[error("a message holds an unacceptable device list")]
    BadDeviceList(#[source] DeviceListError),
}

impl From<WrongLength> for MessageError {
    fn from(WrongLength: WrongLength) -> Self {
        Self::Malformed
    }
}

/// What an initial message claims about its sender, before anything is decrypted.
///
/// Only the list's own signature is verified. The sender may not hold the device's keys, and the account identity key may not
/// be the pinned one: compare or pin it, take the [`RemoteDevice`](crate::RemoteDevice) from the list, and decrypt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InitialInfo {
    /// `IKa`: the sender's device identity key.
    pub sender_identity: DeviceIdentityKey,
    /// The sender's device list, with a verified signature.
    pub device_list: DeviceList,
    /// The id of our signed prekey that the message uses.
    pub signed_prekey_id: SignedPrekeyId,
    /// The id of our one-time prekey that the message uses, if any.
    pub one_time_prekey_id: Option<OneTimePrekeyId>,
    /// `EKa`: identifies the session, together with the sender's identity key.
    pub base_key: PrekeyPublic,
}

impl InitialInfo {
    /// Reads the unencrypted part of an initial message. Returns `None` for a ratchet message.
    ///
    /// # Errors
    /// [`MessageError`] if the bytes are not a message.
    pub fn peek(message: &[u8]) -> Result<Option<Self>, MessageError> {
        let Message::Initial(initial) = Message::parse(message)? else { return Ok(None) };
        let sender_identity =
            DeviceIdentityKey::from_bytes(initial.sender_identity).map_err(MessageError::BadIdentityKey)?;
        let device_list = DeviceList::decode(initial.device_list).map_err(MessageError::BadDeviceList)?;
        Ok(Some(Self {
            sender_identity,
            device_list,
            signed_prekey_id: initial.names.signed_prekey,
            one_time_prekey_id: initial.names.one_time_prekey,
            base_key: initial.names.base_key,
        }))
    }
}

/// The public keys that a session was agreed from, which also identify it: `EKa` and the responder's prekeys.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct InitialNames {
    pub(crate) base_key: PrekeyPublic,
    pub(crate) signed_prekey: SignedPrekeyId,
    pub(crate) one_time_prekey: Option<OneTimePrekeyId>,
}

impl InitialNames {
    /// Appends base key (32) ‖ signed prekey id (u32) ‖ flag (1) [‖ one-time prekey id (u32)], the form used both on the wire
    /// and in storage.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.base_key.as_bytes());
        out.extend_from_slice(&self.signed_prekey.0.to_be_bytes());
        out.push(u8::from(self.one_time_prekey.is_some()));
        if let Some(id) = self.one_time_prekey {
            out.extend_from_slice(&id.0.to_be_bytes());
        }
    }

    /// Reads what [`write`](Self::write) appended.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, MessageError> {
        Ok(Self {
            base_key: PrekeyPublic::from_bytes(reader.array()?).map_err(MessageError::BadKey)?,
            signed_prekey: SignedPrekeyId(reader.u32()?),
            one_time_prekey: match reader.u8()? {
                0 => None,
                1 => Some(OneTimePrekeyId(reader.u32()?)),
                _ => return Err(MessageError::Malformed),
            },
        })
    }
}

/// A parsed message of which nothing is verified yet.
pub(crate) enum Message<'a> {
    Initial(InitialMessage<'a>),
    Ratchet(RatchetMessage<'a>),
}

pub(crate) struct InitialMessage<'a> {
    pub(crate) sender_identity: &'a [u8; 32],
    pub(crate) names: InitialNames,
    pub(crate) device_list: &'a [u8],
    pub(crate) ratchet: RatchetMessage<'a>,
}

pub(crate) struct RatchetMessage<'a> {
    pub(crate) header: Header,
    /// Ciphertext ‖ tag.
    pub(crate) sealed: &'a [u8],
}

impl<'a> Message<'a> {
    /// Splits a message into its fields without copying.
    pub(crate) fn parse(message: &'a [u8]) -> Result<Self, MessageError> {
        if message.len() > MESSAGE_MAX_BYTES {
            return Err(MessageError::Malformed);
        }
        let mut reader = Reader::new(message);
        if reader.u8()? != VERSION {
            return Err(MessageError::UnsupportedVersion);
        }
        match reader.u8()? {
            INITIAL => {
                let sender_identity = reader.array()?;
                let names = InitialNames::read(&mut reader)?;
                let len = usize::from(reader.u16()?);
                if len > DEVICE_LIST_MAX_BYTES {
                    return Err(MessageError::Malformed);
                }
                let device_list = reader.bytes(len)?;
                let ratchet = RatchetMessage::parse(reader)?;
                Ok(Self::Initial(InitialMessage { sender_identity, names, device_list, ratchet }))
            }
            RATCHET => RatchetMessage::parse(reader).map(Self::Ratchet),
            _ => Err(MessageError::Malformed),
        }
    }
}

impl<'a> RatchetMessage<'a> {
    fn parse(mut reader: Reader<'a>) -> Result<Self, MessageError> {
        let header = Header::from_bytes(reader.array()?).map_err(MessageError::BadKey)?;
        let sealed = reader.rest();
        if sealed.len() < TAG_LEN { Err(MessageError::Malformed) } else { Ok(Self { header, sealed }) }
    }
}

/// Writes the part before the ratchet header into a buffer with room for the whole message, to which the ratchet appends.
pub(crate) fn begin(initial: Option<(&DeviceIdentityKey, &InitialNames, &DeviceList)>, padded_len: usize) -> Vec<u8> {
    let tail = Header::LEN + padded_len + TAG_LEN;
    let Some((identity, names, list)) = initial else {
        let mut out = Vec::with_capacity(2 + tail);
        out.extend_from_slice(&[VERSION, RATCHET]);
        return out;
    };
    let list = list.encoded();
    let mut out = Vec::with_capacity(INITIAL_PREFIX_MAX_LEN + list.len() + tail);
    out.extend_from_slice(&[VERSION, INITIAL]);
    out.extend_from_slice(identity.as_bytes());
    names.write(&mut out);
    // A list is at most DEVICE_LIST_MAX_BYTES long.
    out.extend_from_slice(&u16::try_from(list.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend_from_slice(list);
    out
}
