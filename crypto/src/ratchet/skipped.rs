//! Skipped message keys, with which messages can arrive out of order (double ratchet revision 4, sections 2.6 and 8.4).
//!
//! They are kept per receiving chain, together with the chain's length, so that a message whose key was used already can be
//! told from one that never had a key.

use std::collections::VecDeque;

use zeroize::Zeroizing;

use super::error::OpenError;
use super::message_key::MessageKey;
use crate::prekey::PrekeyPublic;
use crate::reader::Reader;

/// The most messages that can be skipped in one step. With more, a peer could make each message cost a millisecond; with
/// fewer, a conversation would break when a burst is lost.
pub(crate) const MAX_SKIP: u32 = 1_000;
/// The most skipped message keys that a session stores: 72 KiB, two full steps. Beyond that the oldest are forgotten.
pub(crate) const MAX_STORED: usize = 2_000;
/// The most past chains that a session remembers. Messages of earlier ones need repair.
pub(crate) const MAX_PAST_CHAINS: usize = 5;

/// The key of one message that has not arrived. It is boxed, because the queue that holds it moves its elements.
pub(crate) struct SkippedKey {
    pub(crate) number: u32,
    pub(crate) key: Box<MessageKey>,
}

/// The part of a receiving chain behind its newest message.
pub(crate) struct ChainRest {
    /// The other side's ratchet key, which identifies the chain.
    pub(crate) theirs: PrekeyPublic,
    /// `Nr`: the message keys of all lower numbers were derived.
    pub(crate) length: u32,
    /// The message keys of lower numbers can have been forgotten for their age.
    pub(crate) forgotten_below: u32,
    /// Ascending by number; each is below `length`.
    pub(crate) keys: VecDeque<SkippedKey>,
}

impl ChainRest {
    pub(crate) fn new(theirs: PrekeyPublic) -> Self {
        Self { theirs, length: 0, forgotten_below: 0, keys: VecDeque::new() }
    }

    /// Returns the index of the key with this number.
    pub(crate) fn find(&self, number: u32) -> Result<usize, OpenError> {
        if number >= self.length {
            // The other side authenticated the length of a past chain, so it sent no such message.
            return Err(OpenError::AuthenticationFailed);
        }
        self.keys.binary_search_by_key(&number, |skipped| skipped.number).map_err(|_| {
            if number < self.forgotten_below { OpenError::MessageKeyForgotten } else { OpenError::Duplicate }
        })
    }

    /// Drops the oldest key. Returns `false` if there is none.
    fn forget_oldest(&mut self) -> bool {
        let Some(oldest) = self.keys.pop_front() else { return false };
        self.forgotten_below = self.forgotten_below.max(oldest.number.saturating_add(1));
        true
    }

    /// Returns the number of bytes that [`write`](Self::write) appends.
    pub(crate) fn stored_len(&self) -> usize {
        PrekeyPublic::LEN + 4 + 4 + 2 + self.keys.len() * (4 + MessageKey::LEN)
    }

    /// Appends their key (32) ‖ length (u32) ‖ forgotten below (u32) ‖ count (u16) ‖ per key: number (u32) ‖ key (32).
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.theirs.as_bytes());
        out.extend_from_slice(&self.length.to_be_bytes());
        out.extend_from_slice(&self.forgotten_below.to_be_bytes());
        // The count never exceeds MAX_STORED, so the conversion does not saturate.
        out.extend_from_slice(&u16::try_from(self.keys.len()).unwrap_or(u16::MAX).to_be_bytes());
        for skipped in &self.keys {
            out.extend_from_slice(&skipped.number.to_be_bytes());
            out.extend_from_slice(skipped.key.as_bytes());
        }
    }

    /// Reads what [`write`](Self::write) appended. Returns `None` for any other bytes.
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

/// The past receiving chains, oldest first; at most [`MAX_PAST_CHAINS`].
#[derive(Default)]
pub(crate) struct PastChains(VecDeque<ChainRest>);

impl PastChains {
    /// Returns the position of the chain with this ratchet key.
    pub(crate) fn position(&self, theirs: &PrekeyPublic) -> Option<usize> {
        self.0.iter().position(|chain| chain.theirs == *theirs)
    }

    pub(crate) fn chain(&self, position: usize) -> Option<&ChainRest> {
        self.0.get(position)
    }

    pub(crate) fn chain_mut(&mut self, position: usize) -> Option<&mut ChainRest> {
        self.0.get_mut(position)
    }

    /// Adds the newest past chain and drops the oldest beyond [`MAX_PAST_CHAINS`].
    pub(crate) fn push(&mut self, chain: ChainRest) {
        if self.0.len() >= MAX_PAST_CHAINS {
            self.0.pop_front();
        }
        self.0.push_back(chain);
    }

    /// Drops the oldest keys, those of the oldest chain first, until at most [`MAX_STORED`] are left in all chains.
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

    /// Returns the number of bytes that [`write`](Self::write) appends.
    pub(crate) fn stored_len(&self) -> usize {
        1 + self.0.iter().map(ChainRest::stored_len).sum::<usize>()
    }

    /// Appends count (1) ‖ the chains.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        // The count never exceeds MAX_PAST_CHAINS, so the conversion does not saturate.
        out.push(u8::try_from(self.0.len()).unwrap_or(u8::MAX));
        self.0.iter().for_each(|chain| chain.write(out));
    }

    /// Reads what [`write`](Self::write) appended. Returns `None` for any other bytes.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let count = usize::from(reader.u8().ok()?);
        if count > MAX_PAST_CHAINS {
            return None;
        }
        (0..count).map(|_| ChainRest::read(reader)).collect::<Option<_>>().map(Self)
    }
}
