//! Messages opened.

use sealpost_crypto::{
    DecryptError, Decrypted, DeviceAddress, InitialInfo, PairSessions, PrekeyPrivates, RemoteDevice,
};
use sealpost_sabotage::{Countermeasure, refuses};

use crate::engine::error::EngineError;
use crate::engine::model::Undecryptable;
use crate::engine::people::People;
use crate::engine::step::Step;
use crate::engine::store::Cache;

/// How a message was opened.
#[expect(clippy::large_enum_variant, reason = "there is one at a time, on the stack")]
pub(crate) enum Opened {
    Message(Decrypted),
    /// Its key was used before.
    Duplicate,
    Failed(Undecryptable),
}

/// Opens a message. Sessions change only if it is authentic.
pub(super) fn open(
    pairs: &mut Cache<PairSessions>,
    step: &mut Step<'_>,
    people: People<'_>,
    (from, ciphertext): (DeviceAddress, &[u8]),
    info: Option<&InitialInfo>,
    privates: &dyn PrekeyPrivates,
) -> Result<Opened, EngineError> {
    let me = people.me().ok_or(EngineError::Internal)?;
    let pinned = people.pinned_device(from);
    let known = pairs.attempt(step.vault, &from)?.filter(|pair| pinned.is_none_or(|pinned| *pair.remote() == pinned));
    if let Some(pair) = known {
        return Ok(match pair.decrypt(step.rng, &me.local(), ciphertext, privates) {
            Ok(decrypted) => {
                pairs.mark(&from);
                Opened::Message(decrypted)
            }
            Err(error) => failed(&error),
        });
    }
    let Some(info) = info else { return Ok(Opened::Failed(Undecryptable::NoSession)) };
    // Its keys come from the list that its account has signed, and only if that list has exactly this device.
    let remote = RemoteDevice::from_list(&info.device_list, from.device);
    let Some(remote) = remote.filter(|remote| people.may_be(remote, from, pinned)) else {
        return Ok(Opened::Failed(Undecryptable::NotAuthentic));
    };
    let mut pair = PairSessions::new(remote);
    Ok(match pair.decrypt(step.rng, &me.local(), ciphertext, privates) {
        Ok(decrypted) => {
            pairs.put(step.vault, from, pair)?;
            Opened::Message(decrypted)
        }
        Err(error) => failed(&error),
    })
}

fn failed(error: &DecryptError) -> Opened {
    if refuses(Countermeasure::ShownOnce, matches!(error, DecryptError::DuplicateMessage)) {
        return Opened::Duplicate;
    }
    Opened::Failed(match error {
        // Its initial message made a session once: this is that message again, or one of a session too old.
        DecryptError::UnknownSignedPrekey(_) | DecryptError::UnknownOneTimePrekey(_) => Undecryptable::NoPrekey,
        DecryptError::UnknownSession | DecryptError::SessionGone => Undecryptable::NoSession,
        _ => Undecryptable::NotAuthentic,
    })
}
