//! The stored form of a ratchet.
//!
//! State (1: awaiting, 2: established) ‖ our ratchet key pair (secret 32 ‖ public 32) ‖ `RK` (32) ‖ `CKs` (32) ‖ `Ns` (u32) ‖
//! `PN` (u32), then while awaiting `DHr` (32), else `CKr` (32) ‖ the current chain's rest ‖ the earlier chains.

use zeroize::Zeroizing;

use super::skipped::{ChainRest, MAX_STORED, PastChains};
use super::{Awaiting, ChainKey, Established, Ratchet, RatchetKeyPair, ReceivingChain, RootKey, SendingChain, State};
use crate::prekey::PrekeyPublic;
use crate::reader::Reader;

const AWAITING: u8 = 1;
const ESTABLISHED: u8 = 2;
const COMMON_LEN: usize = 1 + RatchetKeyPair::LEN + RootKey::LEN + ChainKey::LEN + 4 + 4;

impl Ratchet {
    /// Returns the number of bytes that [`write`](Self::write) appends.
    pub(crate) fn stored_len(&self) -> usize {
        COMMON_LEN
            + match &self.0 {
                State::Awaiting(_) => PrekeyPublic::LEN,
                State::Established(state) => {
                    ChainKey::LEN + state.receiving.rest.stored_len() + state.past.stored_len()
                }
            }
    }

    /// Appends the stored form, with every secret.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let (kind, ours, root, sending) = match &self.0 {
            State::Awaiting(state) => (AWAITING, &state.ours, &state.root, &state.sending),
            State::Established(state) => (ESTABLISHED, &state.ours, &state.root, &state.sending),
        };
        out.push(kind);
        out.extend_from_slice(ours.secret().as_bytes());
        out.extend_from_slice(ours.public().as_bytes());
        out.extend_from_slice(root.as_bytes());
        out.extend_from_slice(sending.key.as_bytes());
        out.extend_from_slice(&sending.next.to_be_bytes());
        out.extend_from_slice(&sending.previous_length.to_be_bytes());
        match &self.0 {
            State::Awaiting(state) => out.extend_from_slice(state.theirs.as_bytes()),
            State::Established(state) => {
                out.extend_from_slice(state.receiving.key.as_bytes());
                state.receiving.rest.write(out);
                state.past.write(out);
            }
        }
    }

    /// Reads what [`write`](Self::write) appended. Returns `None` for any other bytes.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let kind = reader.u8().ok()?;
        let secret = reader.array().ok()?;
        let ours = RatchetKeyPair::from_stored(secret, public(reader)?);
        let root = RootKey::new(Zeroizing::new(*reader.array().ok()?));
        let key = chain_key(reader)?;
        let sending = SendingChain { key, next: reader.u32().ok()?, previous_length: reader.u32().ok()? };
        let state = match kind {
            AWAITING => State::Awaiting(Box::new(Awaiting { ours, theirs: public(reader)?, root, sending })),
            ESTABLISHED => {
                let receiving = ReceivingChain { key: chain_key(reader)?, rest: ChainRest::read(reader)? };
                let past = PastChains::read(reader)?;
                let stored = past.iter().map(|chain| chain.keys.len()).sum::<usize>() + receiving.rest.keys.len();
                if stored > MAX_STORED {
                    return None;
                }
                State::Established(Box::new(Established { ours, root, sending, receiving, past }))
            }
            _ => return None,
        };
        Some(Self(state))
    }
}

fn public(reader: &mut Reader<'_>) -> Option<PrekeyPublic> {
    PrekeyPublic::from_bytes(reader.array().ok()?).ok()
}

fn chain_key(reader: &mut Reader<'_>) -> Option<ChainKey> {
    Some(ChainKey::new(Zeroizing::new(*reader.array().ok()?)))
}
