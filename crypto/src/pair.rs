//! All sessions with one remote device: which one sends, which ones still receive, and what must not come back.
//!
//! Both sides may begin at once, messages may overtake each other, and either side may start over. As in Sesame, one
//! session is active and sends; older ones are archived and still receive; whichever decrypts becomes active, so two
//! devices that write to each other end up in the same one.

use sealpost_sabotage::{Countermeasure, without};
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

/// Archived sessions kept with a device. A message that fits none of them costs a trial of each, some 60 µs.
pub const MAX_ARCHIVED_SESSIONS: usize = 40;
/// Base keys remembered with a device: ten new sessions a day for as long as a signed prekey's private half lives. A peer
/// who begins more is refused, because forgetting one would let its initial message be replayed.
pub const MAX_BASE_KEYS: usize = 1_000;

/// Where our prekeys' private halves come from: the vault.
pub trait PrekeyPrivates {
    /// The signed prekey of this id, if its private half is still kept.
    fn signed_prekey(&self, id: SignedPrekeyId) -> Option<SignedPrekeyPair>;
    /// The one-time prekey of this id, if it was not used or dropped.
    fn one_time_prekey(&self, id: OneTimePrekeyId) -> Option<OneTimePrekeyPair>;
}

/// A decrypted message, and what the caller has to store and delete together with the changed sessions, in one
/// transaction, before it acknowledges anything.
pub struct Decrypted {
    /// The plaintext, without padding. Wiped on drop.
    pub plaintext: Zeroizing<Vec<u8>>,
    /// The one-time prekey whose private half must be deleted now, and not earlier.
    pub used_one_time_prekey: Option<OneTimePrekeyId>,
    /// Whether the message created a session.
    pub created_session: bool,
    /// The sender's device list that an initial message carried: verified, and it names the sender. It may be newer or
    /// older than the pinned one.
    pub sender_list: Option<DeviceList>,
    /// Whether to [`initiate`](PairSessions::initiate) a new session now: the other side sends in a session that must not
    /// send here, and ours, though answered, may be one that must not send there. Each would go on in its own, and no new
    /// ratchet key would ever be agreed. It takes a rollback of both sides.
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

/// A base key that created a session, and the signed prekey that its replay would need.
#[derive(Clone, Copy)]
pub(crate) struct UsedBaseKey {
    pub(crate) base_key: PrekeyPublic,
    pub(crate) signed_prekey: SignedPrekeyId,
}

/// All sessions with one remote device.
pub struct PairSessions {
    pub(crate) remote: RemoteDevice,
    pub(crate) active: Option<Session>,
    /// Most recently active first; at most [`MAX_ARCHIVED_SESSIONS`].
    pub(crate) archived: VecDeque<Session>,
    /// At most [`MAX_BASE_KEYS`]. The `IKa` that belongs to each is the remote device's identity key.
    pub(crate) base_keys: Vec<UsedBaseKey>,
}

/// Where a session lies.
#[derive(Clone, Copy)]
enum Place {
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
    /// No sessions yet.
    #[must_use]
    pub fn new(remote: RemoteDevice) -> Self {
        Self { remote, active: None, archived: VecDeque::new(), base_keys: Vec::new() }
    }

    /// The device that these sessions are with.
    #[must_use]
    pub fn remote(&self) -> &RemoteDevice {
        &self.remote
    }

    /// Begins a session from a verified bundle. It becomes active; the one before is archived.
    ///
    /// # Errors
    /// [`InitiateError`]; nothing is changed then.
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

    /// Whether [`encrypt`](Self::encrypt) has a session to use; if not, [`initiate`](Self::initiate) first.
    #[must_use]
    pub fn has_sending_session(&self) -> bool {
        self.active.is_some()
    }

    /// Whether the active session has decrypted a reply, so that messages go without the initial header.
    #[must_use]
    pub fn is_answered(&self) -> bool {
        self.active.as_ref().is_some_and(|session| !session.ratchet.is_awaiting())
    }

    /// Encrypts in the active session, padded. Store the changed sessions before the message leaves.
    ///
    /// This suite draws no randomness here; the generator is asked for because a post-quantum ratchet will.
    ///
    /// # Errors
    /// [`EncryptError`]; nothing is changed then.
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

    /// Decrypts a message from the remote device, whichever session it belongs to, and creates one if it begins one.
    ///
    /// # Errors
    /// [`DecryptError`]; the sessions are exactly as before then.
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
        let known = self.find(|session| session.role == Role::Responder && session.names.base_key == *base_key);
        if let Some(place) = known.filter(|_| !without(Countermeasure::InitialMessageOnce)) {
            let decrypted = self.decrypt_in(rng, place, &initial.ratchet)?;
            return Ok(Decrypted { sender_list: Some(list), ..decrypted });
        }
        if self.base_keys.iter().any(|used| used.base_key == *base_key) && !without(Countermeasure::InitialMessageOnce)
        {
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
        if let Some(place) = self.find(|session| session.ratchet.knows(&message.header.ratchet_key)) {
            return self.decrypt_in(rng, place, message);
        }
        // A ratchet key that is new to us: it follows on one of the sessions, most likely the active one.
        let places = self.active.iter().map(|_| Place::Active).chain((0..self.archived.len()).map(Place::Archived));
        let mut error = DecryptError::UnknownSession;
        for place in places.collect::<Vec<_>>() {
            match self.decrypt_in(rng, place, message) {
                // Not this session's. If it is too far ahead in one, say so: that one may be its own.
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

    /// Decrypts in one session, which becomes active unless it must not send.
    fn decrypt_in<R: CryptoRng + ?Sized>(
        &mut self,
        rng: &mut R,
        place: Place,
        message: &RatchetMessage<'_>,
    ) -> Result<Decrypted, DecryptError> {
        let session = match place {
            Place::Active => self.active.as_mut(),
            Place::Archived(index) => self.archived.get_mut(index),
        }
        .ok_or(DecryptError::UnknownSession)?;
        let (plaintext, step) = session.open(rng, message)?;
        session.ratchet.commit(step);
        let receive_only = session.receive_only;
        if let Place::Archived(index) = place
            && !receive_only
            && let Some(session) = self.archived.remove(index)
        {
            self.activate(session);
        }
        // While ours is unanswered, the other side has yet to see it and may follow.
        let needs_new_session = receive_only && self.is_answered();
        Ok(Decrypted {
            plaintext,
            used_one_time_prekey: None,
            created_session: false,
            sender_list: None,
            needs_new_session,
        })
    }

    fn find(&self, matches: impl Fn(&Session) -> bool) -> Option<Place> {
        if self.active.as_ref().is_some_and(&matches) {
            return Some(Place::Active);
        }
        self.archived.iter().position(matches).map(Place::Archived)
    }

    fn activate(&mut self, session: Session) {
        self.archive_active();
        self.active = Some(session);
    }

    /// Puts the active session away; it still receives, and becomes active again if it does. The oldest archived session
    /// is dropped beyond [`MAX_ARCHIVED_SESSIONS`].
    pub fn archive_active(&mut self) {
        if let Some(session) = self.active.take() {
            self.archived.push_front(session);
            self.archived.truncate(MAX_ARCHIVED_SESSIONS);
        }
    }

    /// Forbids every session there is to send, for good. After a rollback the other side may have seen messages that our
    /// sessions no longer remember, and going on would use their keys twice.
    pub fn make_receive_only(&mut self) {
        self.archive_active();
        self.archived.iter_mut().for_each(|session| session.receive_only = true);
    }

    /// Forgets the base keys whose signed prekey's private half is gone: without it, their replay creates nothing.
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
