//! The double ratchet, revision 4, without header encryption.
//!
//! ```text
//! X3DH, initiator ──▶ Awaiting ── first reply opened ──▶ Established ⟲ every new ratchet key of theirs
//! X3DH, responder ──▶ Responder ── first message opened ──▶ Established
//! ```
//!
//! Each state holds only what is legal there: `Awaiting` can't receive on a chain, and `Responder`, which holds the signed
//! prekey's private half, can't be stored. Opening a message computes a [`Step`] beside the state and verifies the tag;
//! only [`Ratchet::commit`], which can't fail, changes anything. So a failure leaves no trace.
//!
//! The ratchet takes a secret and associated data; who agreed on them is not its business, nor is the wire form.

use rand_core::CryptoRng;
use sealpost_sabotage::{Countermeasure, without};
use zeroize::Zeroizing;

mod chain_key;
mod header;
mod message_key;
mod root_key;
mod skipped;
mod storage;

use crate::dh::{NonContributory, RatchetKeyPair};
use crate::prekey::PrekeyPublic;
use chain_key::ChainKey;
pub(crate) use header::Header;
pub(crate) use message_key::TAG_LEN;
use message_key::{BadTag, MessageKey};
use root_key::RootKey;
use skipped::{ChainRest, MAX_SKIP, PastChains, SkippedKey};

/// Why a message could not be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OpenError {
    AuthenticationFailed,
    Duplicate,
    MessageKeyForgotten,
    TooFarAhead,
    NonContributory,
}

impl From<BadTag> for OpenError {
    fn from(_: BadTag) -> Self {
        Self::AuthenticationFailed
    }
}

impl From<NonContributory> for OpenError {
    fn from(NonContributory: NonContributory) -> Self {
        Self::NonContributory
    }
}

/// Why a message could not be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SealError {
    /// 2³² − 1 messages without a reply.
    ChainExhausted,
    TooLong,
}

/// `CKs`, `Ns` and `PN`.
struct SendingChain {
    key: ChainKey,
    /// `Ns`: the next message's number.
    next: u32,
    /// `PN`: the length of the sending chain before.
    previous_length: u32,
}

/// `CKr`, with `DHr` and `Nr` in what it leaves behind.
struct ReceivingChain {
    key: ChainKey,
    rest: ChainRest,
}

/// The initiator before the first reply. Its `DHr` is the responder's signed prekey.
struct Awaiting {
    ours: RatchetKeyPair,
    theirs: PrekeyPublic,
    root: RootKey,
    sending: SendingChain,
}

/// Either side once it has received.
struct Established {
    ours: RatchetKeyPair,
    root: RootKey,
    sending: SendingChain,
    receiving: ReceivingChain,
    past: PastChains,
}

/// Boxed, so that moving a session copies no secret.
enum State {
    Awaiting(Box<Awaiting>),
    Established(Box<Established>),
}

/// One side of a conversation.
pub(crate) struct Ratchet(State);

/// A change that opening a message asks for, computed but not made.
pub(crate) struct Step(StepKind);

enum StepKind {
    /// A skipped key was used: of the current chain, or of the earlier one at this position.
    Skipped { past: Option<usize>, index: usize },
    /// The current chain went on.
    Chain { key: ChainKey, length: u32, skipped: Vec<SkippedKey> },
    /// The other side has a new ratchet key.
    Dh(Box<DhStep>),
}

/// The outcome of a Diffie–Hellman ratchet step: everything that is new after it.
struct DhStep {
    ours: RatchetKeyPair,
    root: RootKey,
    sending: SendingChain,
    receiving: ReceivingChain,
    /// Keys of the chain before that have not come, and its full length.
    previous_skipped: Vec<SkippedKey>,
    previous_length: u32,
}

/// The responder before the first message opens: never stored, because it holds the signed prekey's private half.
pub(crate) struct Responder {
    root: RootKey,
    signed_prekey: RatchetKeyPair,
}

impl Responder {
    /// `RatchetInitBob`: `SK` becomes the root key, and the signed prekey our first ratchet key.
    pub(crate) fn new(secret: Zeroizing<[u8; 32]>, signed_prekey: RatchetKeyPair) -> Self {
        Self { root: RootKey::new(secret), signed_prekey }
    }

    /// Opens the first message to arrive and goes on as an established ratchet.
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
    /// `RatchetInitAlice`: draws our first ratchet key and makes the first DH step against their signed prekey.
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

    /// Whether no reply was opened yet.
    pub(crate) fn is_awaiting(&self) -> bool {
        matches!(self.0, State::Awaiting(_))
    }

    /// Whether a message under this ratchet key of theirs can belong to no other session.
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

    /// Appends `header ‖ ciphertext ‖ tag` to `out`. `plaintext` appends what is to be encrypted, in place.
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

    /// Opens a message without changing anything; hand the step to [`commit`](Self::commit) to make it count.
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

    /// Makes a step that [`open`](Self::open) of this same state computed.
    pub(crate) fn commit(&mut self, step: Step) {
        match (&mut self.0, step.0) {
            (State::Awaiting(_), StepKind::Dh(step)) => {
                self.0 = State::Established(Box::new(step.establish()));
            }
            (State::Established(state), step) => state.commit(step),
            // `open` makes no such step while awaiting.
            (State::Awaiting(_), StepKind::Skipped { .. } | StepKind::Chain { .. }) => {}
        }
    }
}

impl Established {
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
        // `PN` is trusted only now. A chain that ended below what we have of it would contradict messages that we opened.
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
    /// `DHRatchet`, with the message that brought the new key: the tag is verified before our next key is drawn.
    fn open<R: CryptoRng + ?Sized>(
        rng: &mut R,
        root: &RootKey,
        ours: &RatchetKeyPair,
        sent: u32,
        associated_data: &[u8],
        header: &Header,
        sealed: &[u8],
    ) -> Result<(Zeroizing<Vec<u8>>, Self), OpenError> {
        if header.number > MAX_SKIP && !without(Countermeasure::SkipLimit) {
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

    /// The state after a first step, which has no receiving chain before it.
    fn establish(self) -> Established {
        let Self { ours, root, sending, receiving, previous_skipped: _, previous_length: _ } = self;
        Established { ours, root, sending, receiving, past: PastChains::default() }
    }
}

/// `SkipMessageKeys`: the keys of `from..until`, at most [`MAX_SKIP`], which is checked before anything is derived.
fn skip_to(key: &mut ChainKey, from: u32, until: u32) -> Result<Vec<SkippedKey>, OpenError> {
    if until.checked_sub(from).ok_or(OpenError::TooFarAhead)? > MAX_SKIP && !without(Countermeasure::SkipLimit) {
        return Err(OpenError::TooFarAhead);
    }
    Ok((from..until).map(|number| SkippedKey { number, key: Box::new(key.advance()) }).collect())
}

/// The keys of `from..number`, and the key of `number` itself.
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
