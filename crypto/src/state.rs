//! The stored form of all sessions with one device. It is versioned, and the vault must encrypt it.
//!
//! Label ‖ format (1) ‖ remote device: address (49) ‖ account identity key (32) ‖ device identity key (32) ‖ active (0 or 1)
//! [‖ session] ‖ archived count (1) ‖ sessions ‖ base key count (u16) ‖ per base key: key (32) ‖ signed prekey id (u32).
//!
//! A session: role (1 initiator, 2 responder) ‖ receive-only (0 or 1) ‖ base key and prekey ids as on the wire ‖ length of
//! the associated data (u16) ‖ associated data ‖ ratchet. Integers are big-endian.

use std::collections::VecDeque;

use zeroize::Zeroizing;

use crate::identity::{AccountIdentityKey, DeviceIdentityKey};
use crate::ids::{DeviceAddress, SignedPrekeyId};
use crate::labels;
use crate::message::InitialNames;
use crate::pair::{MAX_ARCHIVED_SESSIONS, MAX_BASE_KEYS, PairSessions, UsedBaseKey};
use crate::party::RemoteDevice;
use crate::prekey::PrekeyPublic;
use crate::ratchet::Ratchet;
use crate::reader::Reader;
use crate::session::{Role, Session};

const FORMAT: u8 = 1;
const INITIATOR: u8 = 1;
const RESPONDER: u8 = 2;
/// A bound for reading: both identity keys and an appendix take 257 bytes today.
const MAX_ASSOCIATED_DATA_LEN: usize = 1_024;
const BASE_KEY_LEN: usize = PrekeyPublic::LEN + 4;

/// Why stored sessions could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// A newer program wrote them in an unknown format.
    #[error("stored sessions have an unknown format")]
    UnknownFormat,
    /// The bytes are not the stored form of any sessions.
    #[error("stored sessions are damaged")]
    Damaged,
}

impl PairSessions {
    /// Returns the stored form. It contains every secret of the sessions, so encrypt it. It is wiped on drop.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let sessions = self.active.iter().chain(&self.archived);
        let len = labels::PAIR_SESSIONS_STATE.len()
            + 1
            + (DeviceAddress::LEN + AccountIdentityKey::LEN + DeviceIdentityKey::LEN)
            + (1 + 1 + 2)
            + sessions.map(session_len).sum::<usize>()
            + self.base_keys.len() * BASE_KEY_LEN;
        // Reserved in full: a growing buffer would leave copies of secrets behind.
        let mut out = Zeroizing::new(Vec::with_capacity(len));
        out.extend_from_slice(labels::PAIR_SESSIONS_STATE);
        out.push(FORMAT);
        out.extend_from_slice(&self.remote.address.to_bytes());
        out.extend_from_slice(self.remote.account_identity.as_bytes());
        out.extend_from_slice(self.remote.identity.as_bytes());
        out.push(u8::from(self.active.is_some()));
        self.active.iter().for_each(|session| write_session(session, &mut out));
        // Neither count can exceed its limit, so no conversion saturates.
        out.push(u8::try_from(self.archived.len()).unwrap_or(u8::MAX));
        self.archived.iter().for_each(|session| write_session(session, &mut out));
        out.extend_from_slice(&u16::try_from(self.base_keys.len()).unwrap_or(u16::MAX).to_be_bytes());
        for used in &self.base_keys {
            out.extend_from_slice(used.base_key.as_bytes());
            out.extend_from_slice(&used.signed_prekey.0.to_be_bytes());
        }
        out
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote, and refuses any other encoding of the same sessions.
    ///
    /// It does not check that each public ratchet key belongs to its secret: that would cost 20 µs a session, and the vault
    /// authenticates what it stores.
    ///
    /// # Errors
    /// [`StateError`] if the bytes are damaged or of an unknown format.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, StateError> {
        let bytes = bytes.strip_prefix(labels::PAIR_SESSIONS_STATE).ok_or(StateError::Damaged)?;
        let mut reader = Reader::new(bytes);
        if reader.u8().map_err(|_| StateError::Damaged)? != FORMAT {
            return Err(StateError::UnknownFormat);
        }
        read(&mut reader).filter(|_| reader.end().is_ok()).ok_or(StateError::Damaged)
    }
}

fn read(reader: &mut Reader<'_>) -> Option<PairSessions> {
    let remote = RemoteDevice {
        address: DeviceAddress::from_bytes(reader.array().ok()?).ok()?,
        account_identity: AccountIdentityKey::from_bytes(reader.array().ok()?).ok()?,
        identity: DeviceIdentityKey::from_bytes(reader.array().ok()?).ok()?,
    };
    let active = if flag(reader)? { Some(read_session(reader)?) } else { None };
    if active.as_ref().is_some_and(|session| session.receive_only) {
        return None;
    }
    let count = usize::from(reader.u8().ok()?);
    if count > MAX_ARCHIVED_SESSIONS {
        return None;
    }
    let archived = (0..count).map(|_| read_session(reader)).collect::<Option<VecDeque<_>>>()?;
    let count = usize::from(reader.u16().ok()?);
    if count > MAX_BASE_KEYS {
        return None;
    }
    let mut base_keys = Vec::with_capacity(count);
    for _ in 0..count {
        base_keys.push(UsedBaseKey {
            base_key: PrekeyPublic::from_bytes(reader.array().ok()?).ok()?,
            signed_prekey: SignedPrekeyId(reader.u32().ok()?),
        });
    }
    Some(PairSessions { remote, active, archived, base_keys })
}

fn flag(reader: &mut Reader<'_>) -> Option<bool> {
    match reader.u8().ok()? {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

/// Returns the number of bytes that [`write_session`] appends.
fn session_len(session: &Session) -> usize {
    let names = PrekeyPublic::LEN + 4 + 1 + if session.names.one_time_prekey.is_some() { 4 } else { 0 };
    1 + 1 + names + 2 + session.associated_data.len() + session.ratchet.stored_len()
}

fn write_session(session: &Session, out: &mut Vec<u8>) {
    out.push(match session.role {
        Role::Initiator => INITIATOR,
        Role::Responder => RESPONDER,
    });
    out.push(u8::from(session.receive_only));
    session.names.write(out);
    // The length never exceeds MAX_ASSOCIATED_DATA_LEN, so the conversion does not saturate.
    out.extend_from_slice(&u16::try_from(session.associated_data.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend_from_slice(&session.associated_data);
    session.ratchet.write(out);
}

fn read_session(reader: &mut Reader<'_>) -> Option<Session> {
    let role = match reader.u8().ok()? {
        INITIATOR => Role::Initiator,
        RESPONDER => Role::Responder,
        _ => return None,
    };
    let receive_only = flag(reader)?;
    let names = InitialNames::read(reader).ok()?;
    let len = usize::from(reader.u16().ok()?);
    if len > MAX_ASSOCIATED_DATA_LEN {
        return None;
    }
    let associated_data = reader.bytes(len).ok()?.into();
    let ratchet = Ratchet::read(reader)?;
    if role == Role::Responder && ratchet.is_awaiting() {
        return None;
    }
    Some(Session { ratchet, associated_data, role, names, receive_only })
}

#[cfg(test)]
mod tests;
