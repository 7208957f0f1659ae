//! Sessions begun: bundles taken from the server, and verified against the pinned device list.

use sealpost_api::prekeys::{DeviceBundle, TakeBundles, TakeBundlesRequest};
use sealpost_crypto::{
    AccountId, DeviceAddress, DeviceId, DeviceList, OneTimePrekey, OneTimePrekeyId, PairSessions, PrekeyBundle,
    RemoteDevice, SignedPrekey, SignedPrekeyId, UnixMillis,
};

use crate::engine::error::EngineError;
use crate::engine::fact::Fact;
use crate::engine::records::Me;
use crate::engine::requests::{Answer, Purpose, read};
use crate::engine::step::Step;
use crate::engine::store::Cache;

/// Wait for the keys of a device that has none, in ms: it was just added, and is about to upload them.
const NO_KEYS_WAIT_MS: u64 = 5_000;

/// What a bundle was good for.
pub(super) enum Bundle {
    Session(DeviceAddress),
    /// The device has been away for long, and gets no copy.
    Away(DeviceAddress),
    /// The device has no keys yet.
    NoKeys,
    /// Forged, expired, or not for a device of the list.
    Unacceptable,
}

/// Asks the server for bundles of an account's devices.
pub(crate) fn ask_for_bundles(
    step: &mut Step<'_>,
    account: AccountId,
    devices: &[DeviceId],
) -> Result<(), EngineError> {
    let request = TakeBundlesRequest { devices: Some(devices.iter().map(|device| device.get()).collect()) };
    step.ask(Purpose::Bundles(account), &TakeBundles { account_id: account }, &request)
}

/// Takes the server's answer. Nothing of it is used before its list was compared with the pinned one.
pub(crate) fn on_bundles_answer(step: &mut Step<'_>, account: AccountId, answer: &Answer) {
    let bytes = match answer {
        Answer::Done(bytes) => bytes,
        Answer::Refused(refusal) if refusal.is_final() && !refusal.is_unauthenticated() => {
            return step.tell(Fact::AccountRefused(account, refusal.code));
        }
        Answer::Refused(_) | Answer::Failed => return,
    };
    let taken = read::<TakeBundles>(bytes)
        .and_then(|taken| Some((DeviceList::decode(&taken.device_list.0.0).ok()?, taken.bundles)))
        .filter(|(list, _)| list.account() == account);
    match taken {
        Some((list, bundles)) => step.tell(Fact::BundlesTaken { account, list, bundles }),
        None => unacceptable(step, account),
    }
}

/// Handles an answer that does not verify. Nothing is sent because of it, and it is requested again later.
pub(super) fn unacceptable(step: &mut Step<'_>, account: AccountId) {
    wait(step, account);
    step.tell(Fact::BundlesUnacceptable(account));
}

/// Waits before bundles of an account are asked for again.
pub(super) fn wait(step: &mut Step<'_>, account: AccountId) {
    step.back_off(Purpose::Bundles(account), None);
}

/// Waits until a device may have uploaded its keys.
pub(super) fn wait_for_keys(step: &mut Step<'_>, account: AccountId) {
    step.back_off(Purpose::Bundles(account), Some(NO_KEYS_WAIT_MS));
}

/// Begins a session from a bundle.
pub(super) fn begin(
    pairs: &mut Cache<PairSessions>,
    step: &mut Step<'_>,
    me: &Me,
    list: &DeviceList,
    bundle: &DeviceBundle,
) -> Result<Bundle, EngineError> {
    let listed = DeviceId::new(bundle.device_id).ok().and_then(|id| RemoteDevice::from_list(list, id));
    let Some(remote) = listed.filter(|remote| remote.address.registration == bundle.registration_id.0) else {
        return Ok(Bundle::Unacceptable);
    };
    let Some(signed) = &bundle.signed_prekey else {
        return Ok(if bundle.dormant { Bundle::Away(remote.address) } else { Bundle::NoKeys });
    };
    let one_time = bundle.one_time_prekey.as_ref();
    let raw = PrekeyBundle {
        address: remote.address,
        signed_prekey: SignedPrekey {
            id: SignedPrekeyId(signed.id),
            key: signed.key.0,
            expires_at: UnixMillis(signed.expires_at),
            signature: signed.signature.0,
        },
        one_time_prekey: one_time.map(|key| OneTimePrekey { id: OneTimePrekeyId(key.id), key: key.key.0 }),
    };
    let Ok(verified) = raw.verify(&remote, step.now) else { return Ok(Bundle::Unacceptable) };
    let known = pairs.attempt(step.vault, &remote.address)?.filter(|pair| *pair.remote() == remote);
    if let Some(pair) = known {
        if pair.initiate(step.rng, &me.local(), &verified).is_err() {
            return Ok(Bundle::Unacceptable);
        }
        pairs.mark(&remote.address);
    } else {
        let mut pair = PairSessions::new(remote);
        if pair.initiate(step.rng, &me.local(), &verified).is_err() {
            return Ok(Bundle::Unacceptable);
        }
        pairs.put(step.vault, remote.address, pair)?;
    }
    Ok(Bundle::Session(remote.address))
}
