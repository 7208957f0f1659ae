//! Uploads of prekeys: what is missing is drawn, and the upload stored before it is sent.

use sealpost_api::limits::{ONE_TIME_PREKEYS_LOW, ONE_TIME_PREKEYS_MAX_UPLOAD};
use sealpost_api::prekeys::{PrekeyStatus, UploadPrekeysRequest};
use sealpost_crypto::{OneTimePrekeyId, OneTimePrekeyPair, SignedPrekeyId, SignedPrekeyPair};
use serde::{Deserialize, Serialize};

use super::keys::{KeyWork, Keys};
use super::pairs;
use crate::engine::codec::write_text;
use crate::engine::error::EngineError;
use crate::engine::records::Me;
use crate::engine::step::Step;
use crate::engine::store::Record;
use crate::vault::Table;

/// A prekey upload that was not answered.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PrekeyUpload {
    /// The exact body.
    pub(super) body: String,
    /// Whether it makes all keys anew.
    pub(super) renews: bool,
}

impl Record for PrekeyUpload {
    const TABLE: Table = Table::Request;
    const KEY: &'static [u8] = b"prekeys";
    const WHAT: &'static str = "the prekey upload";
}

/// Draws new keys with ids above all that were ever used, here or as far as the server knows. `None` if none is missing,
/// or no id is left.
pub(super) fn make(
    keys: &mut Keys,
    step: &mut Step<'_>,
    me: &Me,
    status: &PrekeyStatus,
) -> Result<Option<PrekeyUpload>, EngineError> {
    let renews = keys.wants(KeyWork::Renew);
    keys.epoch = Some(status.key_epoch);
    keys.done(KeyWork::TopUp);
    let left = usize::try_from(status.one_time_left).unwrap_or(usize::MAX);
    // In another epoch, or after a discard, whatever is left was put there by this device since.
    let wanted = ONE_TIME_PREKEYS_MAX_UPLOAD.saturating_sub(left);
    let missing = if renews || left < ONE_TIME_PREKEYS_LOW { wanted } else { 0 };
    keys.one_time_id = keys.one_time_id.max(status.max_issued_id);
    keys.signed_id = keys.signed_id.max(status.signed_prekey_id);
    let mut one_time = Vec::new();
    for _ in 0..missing {
        // Four thousand million ids are enough for a key a second over a century.
        let Some(id) = keys.one_time_id.checked_add(1) else { break };
        keys.one_time_id = id;
        let pair = OneTimePrekeyPair::generate(step.rng, OneTimePrekeyId(id));
        pairs::store_one_time(step.vault, &pair)?;
        one_time.push(pairs::one_time_body(&pair));
    }
    let mut signed = None;
    if (renews || keys.wants(KeyWork::Rotate))
        && let Some(id) = keys.signed_id.checked_add(1)
    {
        keys.signed_id = id;
        let pair = SignedPrekeyPair::generate(step.rng, SignedPrekeyId(id), step.now);
        pairs::store_signed(step.vault, &pair)?;
        signed = Some(pairs::signed_body(&pair, &me.address, &me.identity));
    }
    if one_time.is_empty() && signed.is_none() {
        return Ok(None);
    }
    let request =
        UploadPrekeysRequest { key_epoch: status.key_epoch, one_time_prekeys: one_time, signed_prekey: signed };
    Ok(Some(PrekeyUpload { body: write_text(&request)?.to_string(), renews }))
}
