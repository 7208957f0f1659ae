//! All sessions with one remote device: which one sends, which ones still receive, and which must not be created again.
//!
//! Both sides can start a session at the same time, messages can overtake each other, and either side can start over. As in
//! Sesame, one session is active and sends, and older ones are archived and still receive. The session that decrypts a message
//! becomes active, so two devices that write to each other end up in the same one.

use sealpost_sabotage::{Countermeasure, or_planted, refuses};
use std::collections::VecDeque;

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::bundle::VerifiedPrekeyBundle;
use crate::device_list::DeviceList;
use crate::ids::{OneTimePrekeyId, SignedPrekeyId};
use crate::message::{InitialMessage, Message, RatchetMessage};
use crate::padding;
use crate::party::{LocalDevice, RemoteDevice};
use crate::prekey::{OneTimePrekeyPair, PrekeyPublic, SignedPrekeyPair};
use crate::ratchet::{OpenError, SealError};
use crate::session::{Role, Session, SessionOpenError};

mod error;
pub use error::{DecryptError, EncryptError, InitiateError};

/// The most archived sessions kept with a device. A message that belongs to none of them is tried in each, at some 60 µs.
pub const MAX_ARCHIVED_SESSIONS: usize = 40;
/// The most base keys remembered with a device: ten new sessions a day while a signed prekey's private half is kept. Further
/// sessions are refused, because forgetting a base key would let its initial message be replayed.
pub const MAX_BASE_KEYS: usize = 1_000;

/// A source of our prekeys' private halves, such as the vault.
pub trait PrekeyPrivates {
    /// Returns the signed prekey with this id, if its private half is still kept.
    fn signed_prekey(&self, id: SignedPrekeyId) -> Option<SignedPrekeyPair>;
    /// Returns the one-time prekey with this id, if it was neither used nor dropped.
    fn one_time_prekey(&self, id: OneTimePrekeyId) -> Option<OneTimePrekeyPair>;
}

/// A device that has this one signed prekey and no one-time prekeys.
impl PrekeyPrivates for SignedPrekeyPair {
    fn signed_prekey(&self, id: SignedPrekeyId) -> Option<SignedPrekeyPair> {
        (id == self.id()).then(|| self.clone())
    }

    fn one_time_prekey(&self, _id: OneTimePrekeyId) -> Option<OneTimePrekeyPair> {
        None
    }
}

/// A decrypted message, and what the caller must store and delete in the same transaction as the changed sessions, before it
/// acknowledges the message.
pub struct Decrypted {
    /// The plaintext without its padding. It is wiped on drop.
    pub plaintext: Zeroizing<Vec<u8>>,
    /// The one-time prekey whose private half must be deleted now. Deleting it earlier would let a message that does not
    /// decrypt use it up.
    pub used_one_time_prekey: Option<OneTimePrekeyId>,
    /// Whether the message created a session.
    pub created_session: bool,
    /// The sender's device list from an initial message. It is verified and names the sender, but can be newer or older than
    /// the pinned one.
    pub sender_list: Option<DeviceList>,
    /// Whether to [`initiate`](PairSessions::initiate) a new session now. After a rollback of both sides, each can be sending
    /// in a session that the other may only receive in, and then no new ratchet key would ever be agreed.
    pub needs_new_session: bool,
}

impl core::fmt::Debug for Decrypted {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { plaintext: _, used_one_time_prekey, created_session, sender_list, needs_new_session } = self;
        f.debug_struct("Decrypted")
            .field("used_one_time_prekey", used_one_time_prekey)
            .field("created_session", created_session)
            .field("sender_list", &sender_list.as_ref().map(DeviceList::version))
            .field("needs_new_session", needs_new_session)
            .finish_non_exhaustive()
    }
}

/// A base key that created a session, and the signed prekey that a replay of it would need.
#[derive(Clone, Copy)]
pub(crate) struct UsedBaseKey {
    pub(crate) base_key: PrekeyPublic,
    pub(crate) signed_prekey: SignedPrekeyId,
}

/// All sessions with one remote device.
pub struct PairSessions {
    pub(crate) remote: RemoteDevice,
    pub(crate) active: Option<Session>,
    /// The session that was active last comes first; at most [`MAX_ARCHIVED_SESSIONS`].
    pub(crate) archived: VecDeque<Session>,
    /// At most [`MAX_BASE_KEYS`]. The `IKa` that belongs to each is the remote device's identity key.
    pub(crate) base_keys: Vec<UsedBaseKey>,
}

/// Which of the sessions is meant.
#[derive(Clone, Copy)]
enum Slot {
    Active,
    Archived(usize),
}

impl core::fmt::Debug for PairSessions {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { remote, active, archived, base_keys } = self;
        f.debug_struct("PairSessions")
            .field("remote", remote)
            .field("active", &active.is_some())
            .field("archived", &archived.len())
            .field("base_keys", &base_keys.len())
            .finish()
    }
}

impl PairSessions {
    /// Creates the value for a device with which there is no session yet.
    #[must_use]
    pub fn new(remote: RemoteDevice) -> Self {
        Self { remote, active: None, archived: VecDeque::new(), base_keys: Vec::new() }
    }

    /// Returns the device that these sessions are with.
    #[must_use]
    pub fn remote(&self) -> &RemoteDevice {
        &self.remote
    }

    /// Starts a session from a verified bundle. It becomes active, and the previous active session is archived.
    ///
    /// # Errors
    /// [`InitiateError`]; the sessions are then unchanged.
    pub fn initiate<R: CryptoRng + ?Sized>(
        &mut self,
        rng: &mut R,
        local: &LocalDevice<'_>,
        bundle: &VerifiedPrekeyBundle,
    ) -> Result<(), InitiateError> {
        if bundle.remote() != &self.remote {
            return Err(InitiateError::WrongDevice);
        }
        let session = Session::initiate(rng, local, bundle).map_err(InitiateError::NonContributory)?;
        self.activate(session);
        Ok(())
    }

    /// Returns whether [`encrypt`](Self::encrypt) has a session to use. If not, [`initiate`](Self::initiate) one first.
    #[must_use]
    pub fn has_sending_session(&self) -> bool {
        self.active.is_some()
    }

    /// Returns whether the active session has decrypted a reply, so that its messages no longer carry the initial header.
    #[must_use]
    pub fn is_answered(&self) -> bool {
        self.active.as_ref().is_some_and(|session| !session.ratchet.is_awaiting())
    }

    /// Pads and encrypts a message in the active session. Store the changed sessions before the message leaves.
    ///
    /// This suite draws no randomness here. The parameter is there for a post-quantum ratchet, which will.
    ///
    /// # Errors
    /// [`EncryptError`]; the sessions are then unchanged.
    pub fn encrypt<R: CryptoRng + ?Sized>(
        &mut self,
        _rng: &mut R,
        local: &LocalDevice<'_>,
        plaintext: &[u8],
    ) -> Result<Vec<u8>, EncryptError> {
        let padded_len = padding::padded_len(plaintext.len()).map_err(|_| EncryptError::TooLong)?;
        let session = self.active.as_mut().ok_or(EncryptError::NoSession)?;
        if session.ratchet.is_awaiting() && !local.device_list.contains(&local.address) {
            return Err(EncryptError::NotInDeviceList);
        }
        session.encrypt(local, plaintext, padded_len).map_err(|error| match error {
            SealError::ChainExhausted => EncryptError::ChainExhausted,
            SealError::TooLong => EncryptError::TooLong,
        })
    }

    /// Decrypts a message from the remote device in the session that it belongs to. An initial message creates its session.
    ///
    /// # Errors
    /// [`DecryptError`]; the sessions are then unchanged, to the byte.
    pub fn decrypt<R: CryptoRng + ?Sized>(
        &mut self,
        rng: &mut R,
        local: &LocalDevice<'_>,
        message: &[u8],
        prekeys: &dyn PrekeyPrivates,
    ) -> Result<Decrypted, DecryptError> {
        match Message::parse(message)? {
            Message::Initial(initial) => self.decrypt_initial(rng, local, &initial, prekeys),
            Message::Ratchet(ratchet) => self.decrypt_ratchet(rng, &ratchet),
        }
    }

    fn decrypt_initial<R: CryptoRng + ?Sized>(
        &mut self,
        rng: &mut R,
        local: &LocalDevice<'_>,
        initial: &InitialMessage<'_>,
        prekeys: &dyn PrekeyPrivates,
    ) -> Result<Decrypted, DecryptError> {
        if initial.sender_identity != self.remote.identity.as_bytes() {
            return Err(DecryptError::IdentityMismatch);
        }
        let list = DeviceList::decode(initial.device_list).map_err(DecryptError::BadDeviceList)?;
        if !self.remote.is_in(&list) {
            return Err(DecryptError::IdentityMismatch);
        }
        let base_key = &initial.names.base_key;
        if let Some(slot) = self.created_by(base_key) {
            let decrypted = self.decrypt_in(rng, slot, &initial.ratchet)?;
            return Ok(Decrypted { sender_list: Some(list), ..decrypted });
        }
        let used = self.base_keys.iter().any(|used| used.base_key == *base_key);
        if refuses(Countermeasure::InitialMessageOnce, used) {
            return Err(DecryptError::SessionGone);
        }
        if self.base_keys.len() >= MAX_BASE_KEYS {
            return Err(DecryptError::TooManySessions);
        }
        let names = initial.names;
        let signed =
            prekeys.signed_prekey(names.signed_prekey).ok_or(DecryptError::UnknownSignedPrekey(names.signed_prekey))?;
        let one_time = names
            .one_time_prekey
            .map(|id| prekeys.one_time_prekey(id).ok_or(DecryptError::UnknownOneTimePrekey(id)))
            .transpose()?;
        let ours = (&signed, one_time.as_ref());
        let (plaintext, session) = Session::respond(rng, local, &self.remote, &names, ours, &initial.ratchet)?;
        self.base_keys.push(UsedBaseKey { base_key: names.base_key, signed_prekey: names.signed_prekey });
        self.activate(session);
        Ok(Decrypted {
            plaintext,
            used_one_time_prekey: names.one_time_prekey,
            created_session: true,
            sender_list: Some(list),
            needs_new_session: false,
        })
    }

    fn decrypt_ratchet<R: CryptoRng + ?Sized>(
        &mut self,
        rng: &mut R,
        message: &RatchetMessage<'_>,
    ) -> Result<Decrypted, DecryptError> {
        if let Some(slot) = self.find(|session| session.ratchet.knows(&message.header.ratchet_key)) {
            return self.decrypt_in(rng, slot, message);
        }
        // The ratchet key is new, so any session may be the message's; the active one is the most likely.
        let slots = self.active.iter().map(|_| Slot::Active).chain((0..self.archived.len()).map(Slot::Archived));
        let mut error = DecryptError::UnknownSession;
        for slot in slots.collect::<Vec<_>>() {
            match self.decrypt_in(rng, slot, message) {
                // The message is not this session's. `TooFarAhead` takes precedence, because that session may be its own.
                Err(DecryptError::AuthenticationFailed) if error != DecryptError::TooFarAhead => {
                    error = DecryptError::AuthenticationFailed;
                }
                Err(DecryptError::AuthenticationFailed) => {}
                Err(DecryptError::TooFarAhead) => error = DecryptError::TooFarAhead,
                outcome => return outcome,
            }
        }
        Err(error)
    }

    /// Decrypts in one session and makes it active, unless it is receive-only.
    fn decrypt_in<R: CryptoRng + ?Sized>(
        &mut self,
        rng: &mut R,
        slot: Slot,
        message: &RatchetMessage<'_>,
    ) -> Result<Decrypted, DecryptError> {
        let session = match slot {
            Slot::Active => self.active.as_mut(),
            Slot::Archived(index) => self.archived.get_mut(index),
        }
        .ok_or(DecryptError::UnknownSession)?;
        let (plaintext, step) = session.open(rng, message)?;
        session.ratchet.commit(step);
        let receive_only = session.receive_only;
        if let Slot::Archived(index) = slot
            && !receive_only
            && let Some(session) = self.archived.remove(index)
        {
            self.activate(session);
        }
        // An unanswered session of ours has not been seen by the other side, which may still switch to it.
        let needs_new_session = receive_only && self.is_answered();
        Ok(Decrypted {
            plaintext,
            used_one_time_prekey: None,
            created_session: false,
            sender_list: None,
            needs_new_session,
        })
    }

    /// Returns the session that an initial message with this base key created, so that it creates no second one.
    fn created_by(&self, base_key: &PrekeyPublic) -> Option<Slot> {
        let known = self.find(|session| session.role == Role::Responder && session.names.base_key == *base_key);
        or_planted(Countermeasure::InitialMessageOnce, known, None)
    }

    fn find(&self, matches: impl Fn(&Session) -> bool) -> Option<Slot> {
        if self.active.as_ref().is_some_and(&matches) {
            return Some(Slot::Active);
        }
        self.archived.iter().position(matches).map(Slot::Archived)
    }

    fn activate(&mut self, session: Session) {
        self.archive_active();
        self.active = Some(session);
    }

    /// Archives the active session. It still receives, and becomes active again when it decrypts a message. Beyond
    /// [`MAX_ARCHIVED_SESSIONS`] the oldest archived session is dropped.
    pub fn archive_active(&mut self) {
        if let Some(session) = self.active.take() {
            self.archived.push_front(session);
            self.archived.truncate(MAX_ARCHIVED_SESSIONS);
        }
    }

    /// Makes every session receive-only, for good. After a rollback the other side may have seen messages that our sessions
    /// no longer remember, and sending in them would use message keys twice.
    pub fn make_receive_only(&mut self) {
        self.archive_active();
        self.archived.iter_mut().for_each(|session| session.receive_only = true);
    }

    /// Forgets the base keys whose signed prekey's private half is gone, because a replay that needs it creates no session.
    pub fn forget_base_keys(&mut self, mut alive: impl FnMut(SignedPrekeyId) -> bool) {
        self.base_keys.retain(|used| alive(used.signed_prekey));
    }
}

impl From<SessionOpenError> for DecryptError {
    fn from(error: SessionOpenError) -> Self {
        match error {
            SessionOpenError::BadPadding => Self::BadPadding,
            SessionOpenError::Ratchet(OpenError::AuthenticationFailed) => Self::AuthenticationFailed,
            SessionOpenError::Ratchet(OpenError::Duplicate) => Self::DuplicateMessage,
            SessionOpenError::Ratchet(OpenError::MessageKeyForgotten) => Self::MessageKeyForgotten,
            SessionOpenError::Ratchet(OpenError::TooFarAhead) => Self::TooFarAhead,
            SessionOpenError::Ratchet(OpenError::NonContributory) => Self::NonContributory,
        }
    }
}

#[cfg(test)]
mod tests;
