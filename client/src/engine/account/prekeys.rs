//! This device's prekeys: made, uploaded, topped up, rotated, and their private halves dropped when their time is over.
//!
//! Ids only rise. An upload lies in the vault, private halves and exact body, before it is sent, and is repeated word for
//! word until it is answered, so an id never stands for two keys.

mod keys;
mod pairs;
mod upload;

use std::collections::BTreeSet;

use sealpost_api::endpoint::NoBody;
use sealpost_api::limits::ONE_TIME_PREKEYS_LOW;
use sealpost_api::prekeys::{
    DiscardPrekeys, ListPrekeyIds, PrekeyIds, PrekeyStatus, ReadPrekeyStatus, SignedPrekeyBody, UploadPrekeys,
};
use sealpost_api::problem::ProblemCode;
use sealpost_crypto::prekey::SIGNED_PREKEY_ROTATION_MS;
use sealpost_crypto::{InitialInfo, OneTimePrekeyId, SignedPrekeyId, UnixMillis};

pub(crate) use keys::Keys;
pub(super) use pairs::first_keys;
pub(crate) use pairs::{Privates, StoredPairs};
pub(crate) use upload::PrekeyUpload;

use crate::engine::command::{CommandError, Outcome};
use crate::engine::error::EngineError;
use crate::engine::fact::Fact;
use crate::engine::model::KeyStatus;
use crate::engine::records::Me;
use crate::engine::requests::{Answer, Purpose, Refusal, read};
use crate::engine::step::Step;
use crate::engine::store::{Kept, Single};
use crate::engine::waiting::Waiting;
use crate::vault::VaultTransaction;
use keys::KeyWork;

/// How often the server is asked which one-time prekeys are left, in ms, so that used-up private halves are dropped.
const CHECK_EVERY_MS: u64 = 24 * 3_600_000;
/// Wait after an answer that leaves nothing to upload, in ms: asking again and again would not help.
const NOTHING_TO_UPLOAD_WAIT_MS: u64 = 60_000;

/// The prekeys' state; the pairs are in the vault.
pub(crate) struct Prekeys {
    keys: Kept<Keys>,
    upload: Single<PrekeyUpload>,
}

impl Prekeys {
    pub(crate) fn open(vault: &mut dyn VaultTransaction) -> Result<Self, EngineError> {
        Ok(Self { keys: Kept::open(vault)?, upload: Single::open(vault)? })
    }

    pub(crate) fn flush(&mut self, vault: &mut dyn VaultTransaction) -> Result<(), EngineError> {
        self.keys.flush(vault)?;
        self.upload.flush(vault)
    }

    /// Begins with the keys of a new registration.
    pub(crate) fn begin(
        &mut self,
        vault: &mut dyn VaultTransaction,
        keys: Keys,
        pairs: &StoredPairs,
    ) -> Result<(), EngineError> {
        self.upload.take();
        self.keys.set(keys);
        pairs::clear_pairs(vault)?;
        pairs::store_pairs(vault, pairs)
    }

    /// Forgets everything.
    pub(crate) fn forget(&mut self, vault: &mut dyn VaultTransaction) -> Result<(), EngineError> {
        self.upload.take();
        self.keys.forget();
        pairs::clear_pairs(vault)
    }

    /// Returns whether the keys are being made anew after a roll-back.
    pub(crate) fn is_recovering(&self) -> bool {
        self.keys.wants(KeyWork::Discard) || self.keys.wants(KeyWork::Renew)
    }

    /// Returns this device's newest signed prekey, unless it has expired.
    pub(crate) fn newest_signed(&self, step: &mut Step<'_>, me: &Me) -> Result<Option<SignedPrekeyBody>, EngineError> {
        let pair = pairs::signed(step.vault, SignedPrekeyId(self.keys.signed_id))?;
        let pair = pair.filter(|pair| pair.expires_at() > step.now);
        Ok(pair.map(|pair| pairs::signed_body(&pair, &me.address, &me.identity)))
    }

    /// Returns the private halves that an initial message needs; none for any other message.
    pub(crate) fn privates(step: &mut Step<'_>, info: Option<&InitialInfo>) -> Result<Privates, EngineError> {
        info.map_or(Ok(Privates::NONE), |info| Privates::read(step.vault, step.now, info))
    }

    /// Deletes a one-time prekey that was used. Its secret is what makes the first messages unreadable later.
    pub(crate) fn spend(vault: &mut dyn VaultTransaction, id: OneTimePrekeyId) -> Result<(), EngineError> {
        pairs::delete_one_time(vault, id)
    }

    /// Has a new signed prekey made and uploaded.
    pub(crate) fn want_rotation(&mut self) {
        self.keys.edit().want(KeyWork::Rotate);
    }

    /// Handles the server's notice that few one-time prekeys are left.
    pub(crate) fn want_top_up(&mut self) {
        self.keys.edit().want(KeyWork::TopUp);
    }

    /// Takes the key epoch of a welcome. In another epoch all keys are made anew.
    pub(crate) fn see_epoch(&mut self, step: &mut Step<'_>, epoch: u32) {
        if self.keys.epoch.is_some_and(|known| known != epoch) {
            self.renew(step, false);
        }
        if self.keys.epoch != Some(epoch) {
            self.keys.edit().epoch = Some(epoch);
        }
    }

    /// Retires the one-time prekeys after a rollback of the vault. They may have been used, so none may be used again.
    pub(crate) fn retire(&mut self, step: &mut Step<'_>) -> Result<(), EngineError> {
        self.renew(step, true);
        pairs::clear_pairs(step.vault)
    }

    /// Has all keys made anew. What was to be uploaded was made for the epoch before.
    fn renew(&mut self, step: &mut Step<'_>, discard: bool) {
        self.upload.take();
        step.lent.requests.ignore(&Purpose::PrekeyUpload);
        self.keys.edit().want(KeyWork::Renew);
        if discard {
            self.keys.edit().want(KeyWork::Discard);
        }
    }

    /// Begins what is due.
    pub(crate) fn advance(&mut self, step: &mut Step<'_>) -> Result<(), EngineError> {
        let rotate_at = UnixMillis(self.keys.signed_made_at).saturating_add(SIGNED_PREKEY_ROTATION_MS);
        let check_at = UnixMillis(self.keys.checked_at).saturating_add(CHECK_EVERY_MS);
        if rotate_at <= step.now && !self.keys.wants(KeyWork::Rotate) {
            self.want_rotation();
        }
        if self.keys.wants(KeyWork::Discard) {
            step.ask(Purpose::PrekeyDiscard, &DiscardPrekeys {}, &NoBody)
        } else if let Some(upload) = self.upload.get() {
            step.ask_stored(Purpose::PrekeyUpload, &UploadPrekeys {}, &upload.body);
            Ok(())
        } else if self.keys.wants_upload() {
            step.ask(Purpose::PrekeyStatus, &ReadPrekeyStatus {}, &NoBody)
        } else if check_at <= step.now {
            step.ask(Purpose::PrekeyIds, &ListPrekeyIds {}, &NoBody)
        } else {
            step.wake_at(rotate_at.min(check_at));
            Ok(())
        }
    }

    /// Handles the answer that the server has dropped the one-time prekeys.
    pub(crate) fn on_discard_answer(
        &mut self,
        step: &mut Step<'_>,
        me: Option<&Me>,
        answer: &Answer,
    ) -> Result<(), EngineError> {
        let Answer::Done(bytes) = answer else { return Ok(()) };
        let Some(status) = read::<DiscardPrekeys>(bytes) else {
            step.back_off(Purpose::PrekeyDiscard, None);
            return Ok(());
        };
        self.keys.edit().done(KeyWork::Discard);
        self.make_upload(step, me, &status)
    }

    /// Handles the prekeys' state on the server, and decides which keys to make.
    pub(crate) fn on_status_answer(
        &mut self,
        step: &mut Step<'_>,
        me: Option<&Me>,
        answer: &Answer,
    ) -> Result<(), EngineError> {
        match answer {
            Answer::Done(bytes) => match read::<ReadPrekeyStatus>(bytes) {
                Some(status) if self.upload.get().is_none() => self.make_upload(step, me, &status),
                Some(_) => Ok(()),
                None => {
                    step.back_off(Purpose::PrekeyStatus, None);
                    Ok(())
                }
            },
            Answer::Refused(refusal) if !refusal.is_unauthenticated() => {
                finish_rotation(step, &Err((*refusal).into()));
                Ok(())
            }
            Answer::Refused(_) | Answer::Failed => Ok(()),
        }
    }

    fn make_upload(&mut self, step: &mut Step<'_>, me: Option<&Me>, status: &PrekeyStatus) -> Result<(), EngineError> {
        let Some(me) = me else { return Ok(()) };
        match upload::make(self.keys.edit(), step, me, status)? {
            Some(upload) => {
                self.upload.set(upload);
                step.lent.requests.forgive(&Purpose::PrekeyUpload);
            }
            // The server claims that no id is left.
            None if self.keys.wants_upload() => {
                step.back_off(Purpose::PrekeyStatus, Some(NOTHING_TO_UPLOAD_WAIT_MS));
            }
            None => {}
        }
        Ok(())
    }

    /// Takes the answer to an upload.
    pub(crate) fn on_upload_answer(&mut self, step: &mut Step<'_>, answer: &Answer) {
        match answer {
            Answer::Done(bytes) => {
                let Some(status) = read::<UploadPrekeys>(bytes) else {
                    return step.back_off(Purpose::PrekeyUpload, None);
                };
                let Some(upload) = self.upload.take() else { return };
                let keys = self.keys.edit();
                if upload.renews {
                    keys.done(KeyWork::Renew);
                }
                if status.signed_prekey_id == keys.signed_id {
                    keys.done(KeyWork::Rotate);
                    keys.signed_made_at = step.now.0;
                }
                finish_rotation(step, &Ok(Outcome::Keys(key_status(&status))));
            }
            Answer::Refused(refusal) => self.upload_refused(step, *refusal),
            Answer::Failed => {}
        }
    }

    fn upload_refused(&mut self, step: &mut Step<'_>, refusal: Refusal) {
        match refusal.code {
            ProblemCode::KeyEpochConflict => self.renew(step, false),
            // An id stands for another key: this vault was rolled back. The server says which ids are free.
            ProblemCode::PrekeyConflict | ProblemCode::PrekeysFull => {
                self.upload.take();
                if refusal.code == ProblemCode::PrekeyConflict {
                    self.keys.edit().want(KeyWork::Renew);
                }
                finish_rotation(step, &Err(refusal.into()));
            }
            ProblemCode::Unauthenticated => {}
            _ if refusal.is_final() => {
                // For example a signed prekey that expired while it waited here.
                self.upload.take();
                step.back_off(Purpose::PrekeyStatus, Some(NOTHING_TO_UPLOAD_WAIT_MS));
                finish_rotation(step, &Err(refusal.into()));
            }
            _ => {}
        }
    }

    /// Handles the list of one-time prekeys that are left on the server. The others were taken, and their private
    /// halves are dropped 80 days later. Signed prekeys are dropped once no message to them can be queued.
    pub(crate) fn on_ids_answer(&mut self, step: &mut Step<'_>, answer: &Answer) -> Result<(), EngineError> {
        let Answer::Done(bytes) = answer else { return Ok(()) };
        let Some(PrekeyIds { ids }) = read::<ListPrekeyIds>(bytes) else {
            step.back_off(Purpose::PrekeyIds, None);
            return Ok(());
        };
        let keys = self.keys.edit();
        if ids.len() < ONE_TIME_PREKEYS_LOW {
            keys.want(KeyWork::TopUp);
        }
        keys.checked_at = step.now.0;
        let left: BTreeSet<u32> = ids.into_iter().collect();
        if pairs::sweep(step.vault, step.now, &left)? {
            step.tell(Fact::SignedPrekeysDropped);
        }
        Ok(())
    }

    /// Returns the signed prekeys whose private half is still kept.
    pub(crate) fn kept_signed(vault: &mut dyn VaultTransaction) -> Result<BTreeSet<SignedPrekeyId>, EngineError> {
        pairs::kept_signed(vault)
    }
}

fn finish_rotation(step: &mut Step<'_>, outcome: &Result<Outcome, CommandError>) {
    step.complete_all(|waiting| matches!(waiting, Waiting::Rotation), outcome);
}

/// Returns what the server holds, as a query answers it.
pub(crate) fn key_status(status: &PrekeyStatus) -> KeyStatus {
    KeyStatus {
        key_epoch: status.key_epoch,
        one_time_left: status.one_time_left,
        signed_prekey_id: status.signed_prekey_id,
        signed_prekey_expires_at: UnixMillis(status.signed_prekey_expires_at),
    }
}
