//! One session: a ratchet, the keys that it was agreed from, and whether it can send.

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::bundle::VerifiedPrekeyBundle;
use crate::dh::{NonContributory, RatchetKeyPair};
use crate::message::{self, InitialNames, RatchetMessage};
use crate::padding;
use crate::party::{LocalDevice, Participant, RemoteDevice, appendix};
use crate::prekey::{OneTimePrekeyPair, SignedPrekeyPair};
use crate::ratchet::{OpenError, Ratchet, Responder, SealError, Step};
use crate::x3dh::{self, OurPrekeys, TheirKeys};
use x25519_dalek::StaticSecret;

/// Which side started the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Initiator,
    Responder,
}

/// A ratchet session with a device.
pub(crate) struct Session {
    pub(crate) ratchet: Ratchet,
    pub(crate) associated_data: Box<[u8]>,
    pub(crate) role: Role,
    pub(crate) names: InitialNames,
    /// Set after a rollback, because sending could then use a message key twice.
    pub(crate) receive_only: bool,
}

/// Why a session could not open a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SessionOpenError {
    Ratchet(OpenError),
    BadPadding,
}

impl From<OpenError> for SessionOpenError {
    fn from(error: OpenError) -> Self {
        Self::Ratchet(error)
    }
}

impl Session {
    /// Runs X3DH as the initiator and starts the ratchet.
    pub(crate) fn initiate<R: CryptoRng + ?Sized>(
        rng: &mut R,
        local: &LocalDevice<'_>,
        bundle: &VerifiedPrekeyBundle,
    ) -> Result<Self, NonContributory> {
        let remote = bundle.remote();
        let signed_prekey = bundle.signed_prekey();
        let theirs = TheirKeys {
            identity: &remote.identity,
            signed_prekey: signed_prekey.key(),
            one_time_prekey: bundle.one_time_prekey().map(|prekey| &prekey.key),
        };
        let appendix = appendix(&Participant::from(local), &Participant::from(remote));
        let (agreement, base_key) = x3dh::initiate(rng, local.identity, &theirs, &appendix)?;
        Ok(Self {
            ratchet: Ratchet::initiate(rng, agreement.secret, signed_prekey.key())?,
            associated_data: agreement.associated_data,
            role: Role::Initiator,
            names: InitialNames {
                base_key,
                signed_prekey: signed_prekey.id(),
                one_time_prekey: bundle.one_time_prekey().map(|prekey| prekey.id),
            },
            receive_only: false,
        })
    }

    /// Runs X3DH as the responder and opens the message that asked for it, so that a session exists only once it has opened a
    /// message.
    pub(crate) fn respond<R: CryptoRng + ?Sized>(
        rng: &mut R,
        local: &LocalDevice<'_>,
        remote: &RemoteDevice,
        names: &InitialNames,
        prekeys: (&SignedPrekeyPair, Option<&OneTimePrekeyPair>),
        message: &RatchetMessage<'_>,
    ) -> Result<(Zeroizing<Vec<u8>>, Self), SessionOpenError> {
        let (signed, one_time) = prekeys;
        let signed_secret = StaticSecret::from(*signed.secret());
        let one_time_secret = one_time.map(|pair| StaticSecret::from(*pair.secret()));
        let ours = OurPrekeys { signed: &signed_secret, one_time: one_time_secret.as_ref() };
        let appendix = appendix(&Participant::from(remote), &Participant::from(local));
        let agreement = x3dh::respond(local.identity, &ours, &remote.identity, &names.base_key, &appendix)
            .map_err(OpenError::from)?;
        let responder =
            Responder::new(agreement.secret, RatchetKeyPair::from_stored(signed.secret(), *signed.public()));
        let (plaintext, ratchet) = responder.open(rng, &agreement.associated_data, &message.header, message.sealed)?;
        let session = Self {
            ratchet,
            associated_data: agreement.associated_data,
            role: Role::Responder,
            names: *names,
            receive_only: false,
        };
        Ok((unpad(plaintext)?, session))
    }

    /// Encrypts a message, in the initial form until a reply is decrypted.
    pub(crate) fn encrypt(
        &mut self,
        local: &LocalDevice<'_>,
        plaintext: &[u8],
        padded_len: usize,
    ) -> Result<Vec<u8>, SealError> {
        let identity = local.identity.public();
        let initial = self.ratchet.is_awaiting().then_some((&identity, &self.names, local.device_list));
        let mut out = message::begin(initial, padded_len);
        let mut padded = Ok(());
        self.ratchet.seal(&self.associated_data, &mut out, |out| padded = padding::pad(plaintext, out))?;
        padded.map_err(|_| SealError::TooLong)?;
        Ok(out)
    }

    /// Opens a message. The session changes only when the returned step is committed.
    pub(crate) fn open<R: CryptoRng + ?Sized>(
        &self,
        rng: &mut R,
        message: &RatchetMessage<'_>,
    ) -> Result<(Zeroizing<Vec<u8>>, Step), SessionOpenError> {
        let (plaintext, step) = self.ratchet.open(rng, &self.associated_data, &message.header, message.sealed)?;
        Ok((unpad(plaintext)?, step))
    }
}

fn unpad(mut plaintext: Zeroizing<Vec<u8>>) -> Result<Zeroizing<Vec<u8>>, SessionOpenError> {
    let len = padding::unpadded_len(&plaintext).map_err(|_| SessionOpenError::BadPadding)?;
    plaintext.truncate(len);
    Ok(plaintext)
}
