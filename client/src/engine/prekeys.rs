//! This device's prekeys: made, uploaded, topped up, rotated, and their private halves dropped when their time is over.
//!
//! Ids only rise. An upload lies in the vault, private halves and exact body, before it is sent, and is repeated word for
//! word until it is answered, so an id never stands for two keys.

use std::collections::BTreeSet;

use sealpost_api::encoding::B64;
use sealpost_api::limits::{ONE_TIME_PREKEYS_LOW, ONE_TIME_PREKEYS_MAX_UPLOAD};
use sealpost_api::prekeys::{
    DevicePrekeys, OneTimePrekeyBody, PrekeyIds, PrekeyStatus, SignedPrekeyBody, UploadPrekeysRequest,
};
use sealpost_api::problem::ProblemCode;
use sealpost_crypto::prekey::{ONE_TIME_PREKEY_KEPT_MS, SIGNED_PREKEY_ROTATION_MS};
use sealpost_crypto::{
    DeviceAddress, DeviceIdentityKeyPair, InitialInfo, OneTimePrekeyId, OneTimePrekeyPair, PrekeyPrivates,
    SignedPrekeyId, SignedPrekeyPair, UnixMillis,
};
use zeroize::Zeroizing;

use super::account::FirstKeys;
use super::calls::Waiting;
use super::codec::Bin;
use super::command::{CommandError, Outcome};
use super::effect::Method;
use super::http::{Answer, Purpose, body};
use super::model::KeyStatus;
use super::state::{self, Keys, PrekeyUpload, StoredPairs};
use super::{Context, Engine, EngineError};
use crate::vault::Table;

/// How often the server is asked which one-time prekeys are left, in ms, so that used-up private halves are dropped.
const CHECK_EVERY_MS: u64 = 24 * 3_600_000;

const SIGNED: u8 = b's';
const ONE_TIME: u8 = b'o';

fn key(kind: u8, id: u32) -> [u8; 5] {
    let [a, b, c, d] = id.to_be_bytes();
    [kind, a, b, c, d]
}

/// The private halves that one initial message needs, read before it is decrypted.
pub(super) struct Privates {
    signed: Option<SignedPrekeyPair>,
    one_time: Option<OneTimePrekeyPair>,
}

impl Privates {
    pub(super) const NONE: Self = Self { signed: None, one_time: None };

    pub(super) fn read(context: &mut Context<'_>, info: &InitialInfo) -> Result<Self, EngineError> {
        let signed = context.vault.get(Table::Prekey, &key(SIGNED, info.signed_prekey_id.0))?;
        let signed = match signed {
            Some(bytes) => {
                let pair =
                    SignedPrekeyPair::from_bytes(&bytes).map_err(|_| EngineError::Record { what: "a prekey" })?;
                (pair.keep_until() > context.now).then_some(pair)
            }
            None => None,
        };
        let one_time = match info.one_time_prekey_id {
            Some(id) => context.vault.get(Table::Prekey, &key(ONE_TIME, id.0))?.map(|bytes| one_time_pair(&bytes)),
            None => None,
        };
        Ok(Self { signed, one_time: one_time.transpose()?.map(|(pair, _)| pair) })
    }
}

impl PrekeyPrivates for Privates {
    fn signed_prekey(&self, id: SignedPrekeyId) -> Option<SignedPrekeyPair> {
        self.signed.clone().filter(|pair| pair.id() == id)
    }

    fn one_time_prekey(&self, id: OneTimePrekeyId) -> Option<OneTimePrekeyPair> {
        self.one_time.clone().filter(|pair| pair.id() == id)
    }
}

/// A stored one-time prekey, and when it was found to have left the server.
fn one_time_pair(bytes: &[u8]) -> Result<(OneTimePrekeyPair, Option<UnixMillis>), EngineError> {
    let damaged = || EngineError::Record { what: "a prekey" };
    let (pair, left) = bytes.split_at_checked(OneTimePrekeyPair::LEN).ok_or_else(damaged)?;
    let pair = OneTimePrekeyPair::from_bytes(pair).map_err(|_| damaged())?;
    let left = match left {
        [] => None,
        left => Some(UnixMillis(u64::from_be_bytes(left.try_into().map_err(|_| damaged())?))),
    };
    Ok((pair, left))
}

fn signed_body(pair: &SignedPrekeyPair, address: &DeviceAddress, identity: &DeviceIdentityKeyPair) -> SignedPrekeyBody {
    let signed = pair.signed(address, identity);
    SignedPrekeyBody {
        id: signed.id.0,
        key: B64(signed.key),
        expires_at: signed.expires_at.0,
        signature: B64(signed.signature),
    }
}

fn one_time_body(pair: &OneTimePrekeyPair) -> OneTimePrekeyBody {
    let public = pair.public();
    OneTimePrekeyBody { id: public.id.0, key: B64(public.key) }
}

impl Engine {
    /// This device's newest signed prekey, unless it has expired.
    pub(super) fn newest_signed_prekey(
        &self,
        context: &mut Context<'_>,
        me: &state::Me,
    ) -> Result<Option<SignedPrekeyBody>, EngineError> {
        let Some(bytes) = context.vault.get(Table::Prekey, &key(SIGNED, self.keys.signed_id))? else { return Ok(None) };
        let pair = SignedPrekeyPair::from_bytes(&bytes).map_err(|_| EngineError::Record { what: "a prekey" })?;
        Ok((pair.expires_at() > context.now).then(|| signed_body(&pair, &me.address, &me.identity)))
    }
}

/// Draws the prekeys that a device begins with.
pub(super) fn first_keys(
    context: &mut Context<'_>,
    address: &DeviceAddress,
    identity: &DeviceIdentityKeyPair,
) -> Result<FirstKeys, EngineError> {
    let signed = SignedPrekeyPair::generate(context.rng, SignedPrekeyId(1), context.now);
    let count = u32::try_from(ONE_TIME_PREKEYS_MAX_UPLOAD).map_err(|_| EngineError::Internal)?;
    let one_time: Vec<OneTimePrekeyPair> =
        (1..=count).map(|id| OneTimePrekeyPair::generate(context.rng, OneTimePrekeyId(id))).collect();
    Ok(FirstKeys {
        public: DevicePrekeys {
            device_id: address.device.get(),
            signed_prekey: signed_body(&signed, address, identity),
            one_time_prekeys: one_time.iter().map(one_time_body).collect(),
        },
        keys: Keys {
            one_time_id: count,
            signed_id: 1,
            signed_made_at: context.now.0,
            checked_at: context.now.0,
            ..Keys::default()
        },
        pairs: StoredPairs {
            signed: Bin(signed.to_bytes()),
            one_time: one_time.iter().map(|pair| Bin(pair.to_bytes())).collect(),
        },
    })
}

/// Puts drawn pairs where they are looked for.
pub(super) fn store_pairs(context: &mut Context<'_>, pairs: &StoredPairs) -> Result<(), EngineError> {
    let damaged = |_| EngineError::Record { what: "a prekey" };
    let signed = SignedPrekeyPair::from_bytes(&pairs.signed.0).map_err(damaged)?;
    context.vault.put(Table::Prekey, &key(SIGNED, signed.id().0), &pairs.signed.0)?;
    for Bin(bytes) in &pairs.one_time {
        let pair = OneTimePrekeyPair::from_bytes(bytes).map_err(damaged)?;
        context.vault.put(Table::Prekey, &key(ONE_TIME, pair.id().0), bytes)?;
    }
    Ok(())
}

/// Deletes a one-time prekey that was used. Its secret is what makes the first messages unreadable later.
pub(super) fn delete_one_time(context: &mut Context<'_>, id: OneTimePrekeyId) -> Result<(), EngineError> {
    context.erase(Table::Prekey, &key(ONE_TIME, id.0)).map(drop)
}

pub(super) fn key_status(status: &PrekeyStatus) -> KeyStatus {
    KeyStatus {
        key_epoch: status.key_epoch,
        one_time_left: status.one_time_left,
        signed_prekey_id: status.signed_prekey_id,
        signed_prekey_expires_at: UnixMillis(status.signed_prekey_expires_at),
    }
}

impl Engine {
    pub(super) fn want_rotation(&mut self, context: &mut Context<'_>) -> Result<(), EngineError> {
        self.keys.rotate = true;
        context.save(Table::Meta, state::KEYS, &self.keys)
    }

    /// The server says that one-time prekeys run low.
    pub(super) fn want_top_up(&mut self, context: &mut Context<'_>) -> Result<(), EngineError> {
        self.keys.top_up = true;
        context.save(Table::Meta, state::KEYS, &self.keys)
    }

    /// All keys are to be made anew, for another key epoch: what was to be uploaded was made for the one before.
    pub(super) fn renew_keys(&mut self, context: &mut Context<'_>, discard: bool) -> Result<(), EngineError> {
        self.upload = None;
        context.erase(Table::Request, state::PREKEY_REQUEST)?;
        self.requests.retain(|_, purpose| *purpose != Purpose::PrekeyUpload);
        self.keys.renew = true;
        self.keys.discard |= discard;
        context.save(Table::Meta, state::KEYS, &self.keys)
    }

    pub(super) fn advance_prekeys(&mut self, context: &mut Context<'_>) -> Result<(), EngineError> {
        let rotate_at = UnixMillis(self.keys.signed_made_at).saturating_add(SIGNED_PREKEY_ROTATION_MS);
        let check_at = UnixMillis(self.keys.checked_at).saturating_add(CHECK_EVERY_MS);
        if rotate_at <= context.now && !self.keys.rotate {
            self.want_rotation(context)?;
        }
        if self.keys.discard {
            return self.ask_keys(context, Purpose::PrekeyDiscard, (Method::Delete, "/v1/prekeys"), None);
        }
        if let Some(upload) = &self.upload {
            let body = Zeroizing::new(upload.body.as_bytes().to_vec());
            return self.ask_keys(context, Purpose::PrekeyUpload, (Method::Post, "/v1/prekeys"), Some(body));
        }
        if self.keys.renew || self.keys.rotate || self.keys.top_up {
            return self.ask_keys(context, Purpose::PrekeyStatus, (Method::Get, "/v1/prekeys"), None);
        }
        if check_at <= context.now {
            return self.ask_keys(context, Purpose::PrekeyIds, (Method::Get, "/v1/prekeys/ids"), None);
        }
        self.wake_at(rotate_at.min(check_at));
        Ok(())
    }

    fn ask_keys(
        &mut self,
        context: &mut Context<'_>,
        purpose: Purpose,
        (method, path): (Method, &str),
        body: Option<Zeroizing<Vec<u8>>>,
    ) -> Result<(), EngineError> {
        if self.may_ask(context, &purpose)
            && let Some(bearer) = self.bearer(context)?
        {
            self.ask_raw(context, purpose, (method, path.to_owned()), body, Some(bearer));
        }
        Ok(())
    }

    pub(super) fn on_prekey_discard_answer(
        &mut self,
        context: &mut Context<'_>,
        answer: &Answer,
    ) -> Result<(), EngineError> {
        let Answer::Done(bytes) = answer else { return Ok(()) };
        let Some(status) = body::<PrekeyStatus>(bytes) else {
            self.back_off(context, Purpose::PrekeyDiscard, None);
            return Ok(());
        };
        self.keys.discard = false;
        self.make_upload(context, &status)
    }

    /// What the server holds is known: now it is known what to make.
    pub(super) fn on_prekey_status_answer(
        &mut self,
        context: &mut Context<'_>,
        answer: &Answer,
    ) -> Result<(), EngineError> {
        match answer {
            Answer::Done(bytes) => match body::<PrekeyStatus>(bytes) {
                Some(status) if self.upload.is_none() => self.make_upload(context, &status),
                Some(_) => Ok(()),
                None => {
                    self.back_off(context, Purpose::PrekeyStatus, None);
                    Ok(())
                }
            },
            Answer::Refused(refusal) if refusal.code != ProblemCode::Unauthenticated => {
                self.finish_rotation(&Err((*refusal).into()));
                Ok(())
            }
            Answer::Refused(_) | Answer::Failed => Ok(()),
        }
    }

    /// Draws new keys with ids above all that were ever used, here or as far as the server knows, and stores the upload.
    fn make_upload(&mut self, context: &mut Context<'_>, status: &PrekeyStatus) -> Result<(), EngineError> {
        let Some(me) = &self.me else { return Ok(()) };
        let renew = self.keys.renew;
        self.keys.epoch = Some(status.key_epoch);
        self.keys.top_up = false;
        let left = usize::try_from(status.one_time_left).unwrap_or(usize::MAX);
        // In another epoch, or after a discard, whatever is left was put there by this device since.
        let wanted = ONE_TIME_PREKEYS_MAX_UPLOAD.saturating_sub(left);
        let missing = if renew || left < ONE_TIME_PREKEYS_LOW { wanted } else { 0 };
        self.keys.one_time_id = self.keys.one_time_id.max(status.max_issued_id);
        self.keys.signed_id = self.keys.signed_id.max(status.signed_prekey_id);
        let mut one_time = Vec::new();
        for _ in 0..missing {
            // Four thousand million ids are enough for a key a second over a century.
            let Some(id) = self.keys.one_time_id.checked_add(1) else { break };
            self.keys.one_time_id = id;
            let pair = OneTimePrekeyPair::generate(context.rng, OneTimePrekeyId(id));
            context.vault.put(Table::Prekey, &key(ONE_TIME, id), &pair.to_bytes())?;
            one_time.push(one_time_body(&pair));
        }
        let mut signed = None;
        if (renew || self.keys.rotate)
            && let Some(id) = self.keys.signed_id.checked_add(1)
        {
            self.keys.signed_id = id;
            let pair = SignedPrekeyPair::generate(context.rng, SignedPrekeyId(id), context.now);
            context.vault.put(Table::Prekey, &key(SIGNED, id), &pair.to_bytes())?;
            signed = Some(signed_body(&pair, &me.address, &me.identity));
        }
        context.save(Table::Meta, state::KEYS, &self.keys)?;
        if one_time.is_empty() && signed.is_none() {
            if renew || self.keys.rotate {
                // The server claims that no id is left: asking again and again would not help.
                self.back_off(context, Purpose::PrekeyStatus, Some(60_000));
            }
            return Ok(());
        }
        let request =
            UploadPrekeysRequest { key_epoch: status.key_epoch, one_time_prekeys: one_time, signed_prekey: signed };
        let bytes = super::codec::write(&request)?;
        let body = String::from_utf8(bytes.to_vec()).map_err(|_| EngineError::Internal)?;
        let upload = PrekeyUpload { body, renews: renew };
        context.save(Table::Request, state::PREKEY_REQUEST, &upload)?;
        self.upload = Some(upload);
        self.backoffs.remove(&Purpose::PrekeyUpload);
        Ok(())
    }

    pub(super) fn on_prekey_upload_answer(
        &mut self,
        context: &mut Context<'_>,
        answer: &Answer,
    ) -> Result<(), EngineError> {
        match answer {
            Answer::Done(bytes) => {
                let Some(status) = body::<PrekeyStatus>(bytes) else {
                    self.back_off(context, Purpose::PrekeyUpload, None);
                    return Ok(());
                };
                let Some(upload) = self.upload.take() else { return Ok(()) };
                context.erase(Table::Request, state::PREKEY_REQUEST)?;
                if upload.renews {
                    self.keys.renew = false;
                }
                if status.signed_prekey_id == self.keys.signed_id {
                    self.keys.rotate = false;
                    self.keys.signed_made_at = context.now.0;
                }
                context.save(Table::Meta, state::KEYS, &self.keys)?;
                self.finish_rotation(&Ok(Outcome::Keys(key_status(&status))));
                Ok(())
            }
            Answer::Refused(refusal) => match refusal.code {
                ProblemCode::KeyEpochConflict => self.renew_keys(context, false),
                // An id stands for another key: this vault was rolled back. The server says which ids are free.
                ProblemCode::PrekeyConflict | ProblemCode::PrekeysFull => {
                    let conflict = refusal.code == ProblemCode::PrekeyConflict;
                    self.upload = None;
                    context.erase(Table::Request, state::PREKEY_REQUEST)?;
                    self.keys.renew |= conflict;
                    context.save(Table::Meta, state::KEYS, &self.keys)?;
                    self.finish_rotation(&Err((*refusal).into()));
                    Ok(())
                }
                ProblemCode::Unauthenticated => Ok(()),
                _ if refusal.is_final() => {
                    // For example a signed prekey that expired while it waited here.
                    self.upload = None;
                    context.erase(Table::Request, state::PREKEY_REQUEST)?;
                    self.back_off(context, Purpose::PrekeyStatus, Some(60_000));
                    self.finish_rotation(&Err((*refusal).into()));
                    Ok(())
                }
                _ => Ok(()),
            },
            Answer::Failed => Ok(()),
        }
    }

    fn finish_rotation(&mut self, outcome: &Result<Outcome, CommandError>) {
        self.complete_all(|waiting| matches!(waiting, Waiting::Rotation), outcome);
    }

    /// The one-time prekeys that are left on the server: the others were taken, and are dropped 80 days later. Signed
    /// prekeys are dropped when no message to them can be queued any more.
    pub(super) fn on_prekey_ids_answer(
        &mut self,
        context: &mut Context<'_>,
        answer: &Answer,
    ) -> Result<(), EngineError> {
        let Answer::Done(bytes) = answer else { return Ok(()) };
        let Some(PrekeyIds { ids }) = body::<PrekeyIds>(bytes) else {
            self.back_off(context, Purpose::PrekeyIds, None);
            return Ok(());
        };
        if ids.len() < ONE_TIME_PREKEYS_LOW {
            self.keys.top_up = true;
        }
        let ids: BTreeSet<u32> = ids.into_iter().collect();
        self.keys.checked_at = context.now.0;
        context.save(Table::Meta, state::KEYS, &self.keys)?;
        let mut dropped_signed = false;
        for (name, value) in context.vault.entries(Table::Prekey)? {
            if name.first() == Some(&SIGNED) {
                let pair =
                    SignedPrekeyPair::from_bytes(&value).map_err(|_| EngineError::Record { what: "a prekey" })?;
                if pair.keep_until() <= context.now {
                    context.vault.delete(Table::Prekey, &name)?;
                    dropped_signed = true;
                }
                continue;
            }
            let (pair, left_at) = one_time_pair(&value)?;
            match left_at {
                Some(left_at) if left_at.saturating_add(ONE_TIME_PREKEY_KEPT_MS) <= context.now => {
                    context.vault.delete(Table::Prekey, &name)?;
                }
                None if !ids.contains(&pair.id().0) => {
                    let bytes = Zeroizing::new([pair.to_bytes().as_slice(), &context.now.0.to_be_bytes()].concat());
                    context.vault.put(Table::Prekey, &name, &bytes)?;
                }
                Some(_) | None => {}
            }
        }
        if dropped_signed {
            self.forget_base_keys(context)?;
        }
        Ok(())
    }

    /// Base keys are remembered for as long as the signed prekey lives that their replay would need.
    fn forget_base_keys(&mut self, context: &mut Context<'_>) -> Result<(), EngineError> {
        let alive: BTreeSet<Vec<u8>> =
            context.vault.entries(Table::Prekey)?.into_iter().map(|(name, _)| name.to_vec()).collect();
        for address in super::sealing::session_addresses(context)? {
            if let Some(pair) = self.pair(context, address)? {
                pair.forget_base_keys(|id| alive.contains(key(SIGNED, id.0).as_slice()));
            }
            self.save_pair(context, address)?;
        }
        Ok(())
    }
}
