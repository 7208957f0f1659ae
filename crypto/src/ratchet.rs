//! The double ratchet, revision 4, without header encryption.
//!
//! ```text
//! X3DH, initiator ──▶ Awaiting ── first reply opened ──▶ Established ⟲ every new ratchet key of theirs
//! X3DH, responder ──▶ Responder ── first message opened ──▶ Established
//! ```
//!
//! Each state holds only what is legal in it: `Awaiting` has no receiving chain, and `Responder`, which holds the signed
//! prekey's private half, has no stored form. Opening a message computes a [`Step`] without changing the state and verifies
//! the tag. Only [`Ratchet::commit`], which cannot fail, changes the state, so a failure changes nothing.
//!
//! The ratchet takes a secret and associated data. It knows neither how they were agreed nor the wire form.

use rand_core::CryptoRng;
use sealpost_sabotage::{Countermeasure, refuses};
use zeroize::Zeroizing;

mod chain_key;
mod error;
mod header;
mod message_key;
mod root_key;
mod skipped;
mod storage;

use crate::dh::{NonContributory, RatchetKeyPair};
use crate::prekey::PrekeyPublic;
use chain_key::ChainKey;
pub(crate) use error::{OpenError, SealError};
pub(crate) use header::Header;
use message_key::MessageKey;
pub(crate) use message_key::TAG_LEN;
use root_key::RootKey;
use skipped::{ChainRest, MAX_SKIP, PastChains, SkippedKey};

/// The sending chain: `CKs`, `Ns` and `PN`.
struct SendingChain {
    key: ChainKey,
    /// `Ns`: the next message's number.
    next: u32,
    /// `PN`: the length of the previous sending chain.
    previous_length: u32,
}

/// The receiving chain: `CKr`, and in `rest` its `DHr` and `Nr`.
struct ReceivingChain {
    key: ChainKey,
    rest: ChainRest,
}

/// The state of the initiator before the first reply. Its `DHr` is the responder's signed prekey.
struct Awaiting {
    ours: RatchetKeyPair,
    theirs: PrekeyPublic,
    root: RootKey,
    sending: SendingChain,
}

/// The state of either side once it has received a message.
struct Established {
    ours: RatchetKeyPair,
    root: RootKey,
    sending: SendingChain,
    receiving: ReceivingChain,
    past: PastChains,
}

/// The stored states. They are boxed, so that moving a session copies no secret.
enum State {
    Awaiting(Box<Awaiting>),
    Established(Box<Established>),
}

/// One side of a double ratchet.
pub(crate) struct Ratchet(State);

/// The change of state that an opened message causes, computed but not applied.
pub(crate) struct Step(StepKind);

enum StepKind {
    /// The message used a skipped key: of the current chain, or of the past chain at this position.
    Skipped { past: Option<usize>, index: usize },
    /// The message advances the current chain.
    Chain { key: ChainKey, length: u32, skipped: Vec<SkippedKey> },
    /// The message brings a new ratchet key of the other side.
    Dh(Box<DhStep>),
}

/// The outcome of a Diffie–Hellman ratchet step: everything that it changes.
struct DhStep {
    ours: RatchetKeyPair,
    root: RootKey,
    sending: SendingChain,
    receiving: ReceivingChain,
    /// The keys of the previous receiving chain whose messages have not arrived.
    previous_skipped: Vec<SkippedKey>,
    /// The full length of the previous receiving chain.
    previous_length: u32,
}

/// The responder before it has opened a message. It is never stored, because it holds the signed prekey's private half.
pub(crate) struct Responder {
    root: RootKey,
    signed_prekey: RatchetKeyPair,
}

impl Responder {
    /// Performs `RatchetInitBob`: `SK` becomes the root key, and the signed prekey becomes our first ratchet key.
    pub(crate) fn new(secret: Zeroizing<[u8; 32]>, signed_prekey: RatchetKeyPair) -> Self {
        Self { root: RootKey::new(secret), signed_prekey }
    }

    /// Opens the first message to arrive and returns the established ratchet.
    pub(crate) fn open<R: CryptoRng + ?Sized>(
        self,
        rng: &mut R,
        associated_data: &[u8],
        header: &Header,
        sealed: &[u8],
    ) -> Result<(Zeroizing<Vec<u8>>, Ratchet), OpenError> {
        let (plaintext, step) = DhStep::open(rng, &self.root, &self.signed_prekey, 0, associated_data, header, sealed)?;
        Ok((plaintext, Ratchet(State::Established(Box::new(step.establish())))))
    }
}

impl Ratchet {
    /// Performs `RatchetInitAlice`: draws our first ratchet key and makes the first DH step against their signed prekey.
    pub(crate) fn initiate<R: CryptoRng + ?Sized>(
        rng: &mut R,
        secret: Zeroizing<[u8; 32]>,
        signed_prekey: &PrekeyPublic,
    ) -> Result<Self, NonContributory> {
        let ours = RatchetKeyPair::generate(rng);
        let (root, key) = RootKey::new(secret).advance(&ours.agree(signed_prekey)?);
        let sending = SendingChain { key, next: 0, previous_length: 0 };
        Ok(Self(State::Awaiting(Box::new(Awaiting { ours, theirs: *signed_prekey, root, sending }))))
    }

    /// Returns whether no reply has been opened yet.
    pub(crate) fn is_awaiting(&self) -> bool {
        matches!(self.0, State::Awaiting(_))
    }

    /// Returns whether this is a ratchet key of theirs that the session has seen, so that its messages belong here.
    pub(crate) fn knows(&self, theirs: &PrekeyPublic) -> bool {
        match &self.0 {
            State::Awaiting(_) => false,
            State::Established(state) => {
                state.receiving.rest.theirs == *theirs || state.past.position(theirs).is_some()
            }
        }
    }

    fn sending_mut(&mut self) -> (&RatchetKeyPair, &mut SendingChain) {
        match &mut self.0 {
            State::Awaiting(state) => (&state.ours, &mut state.sending),
            State::Established(state) => (&state.ours, &mut state.sending),
        }
    }

    /// Appends `header ‖ ciphertext ‖ tag` to `out`. The closure appends the plaintext, which is then encrypted in place.
    pub(crate) fn seal(
        &mut self,
        associated_data: &[u8],
        out: &mut Vec<u8>,
        plaintext: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), SealError> {
        let (ours, sending) = self.sending_mut();
        let next = sending.next.checked_add(1).ok_or(SealError::ChainExhausted)?;
        let header =
            Header { ratchet_key: *ours.public(), previous_length: sending.previous_length, number: sending.next }
                .to_bytes();
        out.extend_from_slice(&header);
        let start = out.len();
        plaintext(out);
        let mut key = sending.key.clone();
        let message_key = key.advance();
        let text = out.get_mut(start..).unwrap_or_default();
        let tag = message_key.seal(&[associated_data, &header].concat(), text).map_err(|_| SealError::TooLong)?;
        out.extend_from_slice(&tag);
        sending.key = key;
        sending.next = next;
        Ok(())
    }

    /// Opens a message without changing the state. Pass the returned step to [`commit`](Self::commit).
    pub(crate) fn open<R: CryptoRng + ?Sized>(
        &self,
        rng: &mut R,
        associated_data: &[u8],
        header: &Header,
        sealed: &[u8],
    ) -> Result<(Zeroizing<Vec<u8>>, Step), OpenError> {
        match &self.0 {
            State::Awaiting(state) => {
                let sent = state.sending.next;
                let (plaintext, step) =
                    DhStep::open(rng, &state.root, &state.ours, sent, associated_data, header, sealed)?;
                Ok((plaintext, Step(StepKind::Dh(Box::new(step)))))
            }
            State::Established(state) => {
                let (plaintext, kind) = state.open(rng, associated_data, header, sealed)?;
                Ok((plaintext, Step(kind)))
            }
        }
    }

    /// Applies a step that [`open`](Self::open) computed from this same state.
    pub(crate) fn commit(&mut self, step: Step) {
        match (&mut self.0, step.0) {
            (State::Awaiting(_), StepKind::Dh(step)) => {
                self.0 = State::Established(Box::new(step.establish()));
            }
            (State::Established(state), step) => state.commit(step),
            // `open` computes no such step while awaiting.
            (State::Awaiting(_), StepKind::Skipped { .. } | StepKind::Chain { .. }) => {}
        }
    }
}

impl Established {
    /// Opens a message of the current chain, of a past one, or under a new ratchet key.
    fn open<R: CryptoRng + ?Sized>(
        &self,
        rng: &mut R,
        associated_data: &[u8],
        header: &Header,
        sealed: &[u8],
    ) -> Result<(Zeroizing<Vec<u8>>, StepKind), OpenError> {
        let current = &self.receiving.rest;
        let past = self.past.position(&header.ratchet_key);
        if header.ratchet_key == current.theirs && header.number >= current.length {
            let mut key = self.receiving.key.clone();
            let (skipped, message_key) = skip(&mut key, current.length, header.number)?;
            let length = header.number.checked_add(1).ok_or(OpenError::TooFarAhead)?;
            let plaintext = open_with(&message_key, associated_data, header, sealed)?;
            return Ok((plaintext, StepKind::Chain { key, length, skipped }));
        }
        if header.ratchet_key == current.theirs || past.is_some() {
            let chain = past.and_then(|position| self.past.chain(position)).unwrap_or(current);
            let index = chain.find(header.number)?;
            let skipped = chain.keys.get(index).ok_or(OpenError::Duplicate)?;
            let plaintext = open_with(&skipped.key, associated_data, header, sealed)?;
            return Ok((plaintext, StepKind::Skipped { past, index }));
        }
        let (plaintext, mut step) =
            DhStep::open(rng, &self.root, &self.ours, self.sending.next, associated_data, header, sealed)?;
        // `PN` is authenticated only now. It cannot be less than what we have of the chain, or messages that we opened would
        // not exist.
        step.previous_length = header.previous_length.max(current.length);
        step.previous_skipped = skip_to(&mut self.receiving.key.clone(), current.length, step.previous_length)?;
        Ok((plaintext, StepKind::Dh(Box::new(step))))
    }

    fn commit(&mut self, step: StepKind) {
        match step {
            StepKind::Skipped { past: None, index } => drop(self.receiving.rest.keys.remove(index)),
            StepKind::Skipped { past: Some(position), index } => {
                if let Some(chain) = self.past.chain_mut(position) {
                    drop(chain.keys.remove(index));
                }
            }
            StepKind::Chain { key, length, skipped } => {
                self.receiving.key = key;
                self.receiving.rest.length = length;
                self.receiving.rest.keys.extend(skipped);
            }
            StepKind::Dh(step) => {
                let DhStep { ours, root, sending, receiving, previous_skipped, previous_length } = *step;
                self.ours = ours;
                self.root = root;
                self.sending = sending;
                let mut previous = core::mem::replace(&mut self.receiving, receiving).rest;
                previous.keys.extend(previous_skipped);
                previous.length = previous_length;
                self.past.push(previous);
            }
        }
        self.past.enforce_limit(&mut self.receiving.rest);
    }
}

impl DhStep {
    /// Performs `DHRatchet` with the message that brought the new key. The tag is verified before our next key is drawn.
    fn open<R: CryptoRng + ?Sized>(
        rng: &mut R,
        root: &RootKey,
        ours: &RatchetKeyPair,
        sent: u32,
        associated_data: &[u8],
        header: &Header,
        sealed: &[u8],
    ) -> Result<(Zeroizing<Vec<u8>>, Self), OpenError> {
        if refuses(Countermeasure::SkipLimit, header.number > MAX_SKIP) {
            return Err(OpenError::TooFarAhead);
        }
        let (root, mut key) = root.advance(&ours.agree(&header.ratchet_key)?);
        let (skipped, message_key) = skip(&mut key, 0, header.number)?;
        let plaintext = open_with(&message_key, associated_data, header, sealed)?;
        let mut rest = ChainRest::new(header.ratchet_key);
        rest.length = header.number.checked_add(1).ok_or(OpenError::TooFarAhead)?;
        rest.keys.extend(skipped);
        let ours = RatchetKeyPair::generate(rng);
        let (root, sending_key) = root.advance(&ours.agree(&header.ratchet_key)?);
        let sending = SendingChain { key: sending_key, next: 0, previous_length: sent };
        let receiving = ReceivingChain { key, rest };
        Ok((plaintext, Self { ours, root, sending, receiving, previous_skipped: Vec::new(), previous_length: 0 }))
    }

    /// Returns the state after a first step, before which there was no receiving chain.
    fn establish(self) -> Established {
        let Self { ours, root, sending, receiving, previous_skipped: _, previous_length: _ } = self;
        Established { ours, root, sending, receiving, past: PastChains::default() }
    }
}

/// Performs `SkipMessageKeys`: derives the keys of `from..until`. More than [`MAX_SKIP`] are refused before any is derived.
fn skip_to(key: &mut ChainKey, from: u32, until: u32) -> Result<Vec<SkippedKey>, OpenError> {
    let count = until.checked_sub(from).ok_or(OpenError::TooFarAhead)?;
    if refuses(Countermeasure::SkipLimit, count > MAX_SKIP) {
        return Err(OpenError::TooFarAhead);
    }
    Ok((from..until).map(|number| SkippedKey { number, key: Box::new(key.advance()) }).collect())
}

/// Derives the keys of `from..number`, and the key of `number` itself.
fn skip(key: &mut ChainKey, from: u32, number: u32) -> Result<(Vec<SkippedKey>, MessageKey), OpenError> {
    let skipped = skip_to(key, from, number)?;
    Ok((skipped, key.advance()))
}

fn open_with(
    key: &MessageKey,
    associated_data: &[u8],
    header: &Header,
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    Ok(key.open(&[associated_data, &header.to_bytes()].concat(), sealed)?)
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;
