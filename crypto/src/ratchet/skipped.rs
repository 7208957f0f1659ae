//! Skipped message keys: what lets messages arrive out of order (double ratchet revision 4, sections 2.6 and 8.4).
//!
//! They are kept per chain of the other side, together with how far that chain got, so that a message whose key was used
//! already is told from one that never had a key.

use std::collections::VecDeque;

use zeroize::Zeroizing;

use super::OpenError;
use super::message_key::MessageKey;
use crate::prekey::PrekeyPublic;
use crate::reader::Reader;

/// Messages that may be skipped in one step. More lets a peer who holds the session make each message cost a millisecond;
/// fewer breaks a conversation in which a burst was lost.
pub(crate) const MAX_SKIP: u32 = 1_000;
/// Skipped message keys stored in a session, oldest forgotten first: 72 KiB, two full steps.
pub(crate) const MAX_STORED: usize = 2_000;
/// The other side's earlier ratchet keys that a session remembers. A message from before that needs repair.
pub(crate) const MAX_PAST_CHAINS: usize = 5;

/// The key of one message that has not come. Boxed, because the queue that holds it moves its elements.
pub(crate) struct SkippedKey {
    pub(crate) number: u32,
    pub(crate) key: Box<MessageKey>,
}

/// What is left of a receiving chain behind its newest message.
pub(crate) struct ChainRest {
    /// The other side's ratchet key, which names the chain.
    pub(crate) theirs: PrekeyPublic,
    /// Numbers below this had their message key derived: `Nr` of the current chain.
    pub(crate) length: u32,
    /// Numbers below this may have lost their key by age.
    pub(crate) forgotten_below: u32,
    /// Ascending by number; each is below `length`.
    pub(crate) keys: VecDeque<SkippedKey>,
}

impl ChainRest {
    pub(crate) fn new(theirs: PrekeyPublic) -> Self {
        Self { theirs, length: 0, forgotten_below: 0, keys: VecDeque::new() }
    }

    /// Where the key of this number lies.
    pub(crate) fn find(&self, number: u32) -> Result<usize, OpenError> {
        if number >= self.length {
            // An earlier chain's length came authenticated from the other side: it made no such message.
            return Err(OpenError::AuthenticationFailed);
        }
        self.keys.binary_search_by_key(&number, |skipped| skipped.number).map_err(|_| {
            if number < self.forgotten_below { OpenError::MessageKeyForgotten } else { OpenError::Duplicate }
        })
    }

    fn forget_oldest(&mut self) -> bool {
        let Some(oldest) = self.keys.pop_front() else { return false };
        self.forgotten_below = self.forgotten_below.max(oldest.number.saturating_add(1));
        true
    }

    /// Bytes that [`write`](Self::write) appends.
    pub(crate) fn stored_len(&self) -> usize {
        PrekeyPublic::LEN + 4 + 4 + 2 + self.keys.len() * (4 + MessageKey::LEN)
    }

    /// Their key (32) ‖ length (u32) ‖ forgotten below (u32) ‖ count (u16) ‖ per key: number (u32) ‖ key (32).
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.theirs.as_bytes());
        out.extend_from_slice(&self.length.to_be_bytes());
        out.extend_from_slice(&self.forgotten_below.to_be_bytes());
        // Never more than MAX_STORED.
        out.extend_from_slice(&u16::try_from(self.keys.len()).unwrap_or(u16::MAX).to_be_bytes());
        for skipped in &self.keys {
            out.extend_from_slice(&skipped.number.to_be_bytes());
            out.extend_from_slice(skipped.key.as_bytes());
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let theirs = PrekeyPublic::from_bytes(reader.array().ok()?).ok()?;
        let length = reader.u32().ok()?;
        let forgotten_below = reader.u32().ok()?;
        let count = usize::from(reader.u16().ok()?);
        if count > MAX_STORED || forgotten_below > length {
            return None;
        }
        let mut keys = VecDeque::with_capacity(count);
        for _ in 0..count {
            let number = reader.u32().ok()?;
            let ascending = keys.back().is_none_or(|last: &SkippedKey| last.number < number);
            if !ascending || number >= length {
                return None;
            }
            let key = Box::new(MessageKey::new(Zeroizing::new(*reader.array().ok()?)));
            keys.push_back(SkippedKey { number, key });
        }
        Some(Self { theirs, length, forgotten_below, keys })
    }
}

/// Earlier chains, oldest first; at most [`MAX_PAST_CHAINS`].
#[derive(Default)]
pub(crate) struct PastChains(VecDeque<ChainRest>);

impl PastChains {
    pub(crate) fn position(&self, theirs: &PrekeyPublic) -> Option<usize> {
        self.0.iter().position(|chain| chain.theirs == *theirs)
    }

    pub(crate) fn chain(&self, position: usize) -> Option<&ChainRest> {
        self.0.get(position)
    }

    pub(crate) fn chain_mut(&mut self, position: usize) -> Option<&mut ChainRest> {
        self.0.get_mut(position)
    }

    pub(crate) fn push(&mut self, chain: ChainRest) {
        if self.0.len() >= MAX_PAST_CHAINS {
            self.0.pop_front();
        }
        self.0.push_back(chain);
    }

    /// Forgets the oldest keys, of the earlier chains first, until at most [`MAX_STORED`] are left in all.
    pub(crate) fn enforce_limit(&mut self, current: &mut ChainRest) {
        let stored = self.0.iter().map(|chain| chain.keys.len()).sum::<usize>() + current.keys.len();
        let mut excess = stored.saturating_sub(MAX_STORED);
        for chain in self.0.iter_mut().chain([current]) {
            while excess > 0 && chain.forget_oldest() {
                excess -= 1;
            }
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &ChainRest> {
        self.0.iter()
    }

    /// Bytes that [`write`](Self::write) appends.
    pub(crate) fn stored_len(&self) -> usize {
        1 + self.0.iter().map(ChainRest::stored_len).sum::<usize>()
    }

    /// Count (1) ‖ the chains.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        // Never more than MAX_PAST_CHAINS.
        out.push(u8::try_from(self.0.len()).unwrap_or(u8::MAX));
        self.0.iter().for_each(|chain| chain.write(out));
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let count = usize::from(reader.u8().ok()?);
        if count > MAX_PAST_CHAINS {
            return None;
        }
        (0..count).map(|_| ChainRest::read(reader)).collect::<Option<_>>().map(Self)
    }
}
