//! Sessions begun: bundles taken from the server, and verified against the pinned device list.

use sealpost_api::prekeys::{DeviceBundle, TakeBundlesRequest, TakeBundlesResponse};
use sealpost_api::problem::ProblemCode;
use sealpost_crypto::{
    AccountId, DeviceId, DeviceList, OneTimePrekey, OneTimePrekeyId, PairSessions, PrekeyBundle, RemoteDevice,
    SignedPrekey, SignedPrekeyId, UnixMillis,
};

use super::calls::{Waiting, path_id};
use super::command::CommandError;
use super::contacts::ListOutcome;
use super::effect::Method;
use super::http::{Answer, Purpose, body};
use super::{Context, Engine, EngineError, Lane};

/// Wait for the keys of a device that has none, in ms: it was just added, and is about to upload them.
const NO_KEYS_WAIT_MS: u64 = 5_000;

impl Engine {
    pub(super) fn take_bundles(
        &mut self,
        context: &mut Context<'_>,
        account: AccountId,
        devices: &[DeviceId],
    ) -> Result<(), EngineError> {
        let purpose = Purpose::Bundles(account);
        if self.may_ask(context, &purpose)
            && let Some(bearer) = self.bearer(context)?
        {
            let request = TakeBundlesRequest { devices: Some(devices.iter().map(|device| device.get()).collect()) };
            let path = format!("/v1/accounts/{}/bundles", path_id(&account)?);
            self.ask(context, purpose, (Method::Post, path), Some(&request), Some(bearer))?;
        }
        Ok(())
    }

    pub(super) fn on_bundles_answer(
        &mut self,
        context: &mut Context<'_>,
        account: AccountId,
        answer: &Answer,
    ) -> Result<(), EngineError> {
        let bytes = match answer {
            Answer::Done(bytes) => bytes,
            Answer::Refused(refusal) if refusal.is_final() && refusal.code != ProblemCode::Unauthenticated => {
                return self.refuse_lane(context, &Lane::Account(account), refusal.code);
            }
            Answer::Refused(_) | Answer::Failed => return Ok(()),
        };
        let taken = body::<TakeBundlesResponse>(bytes)
            .and_then(|taken| Some((DeviceList::decode(&taken.device_list.0.0).ok()?, taken.bundles)))
            .filter(|(list, _)| list.account() == account);
        let Some((list, bundles)) = taken else { return self.refuse_bundles(context, account) };
        match self.see_list(context, &list)? {
            ListOutcome::Same | ListOutcome::Newer => {}
            ListOutcome::OtherIdentity => return Ok(()),
            // Never followed; the server may catch up.
            ListOutcome::Older | ListOutcome::Forked | ListOutcome::Unknown => {
                self.back_off(context, Purpose::Bundles(account), None);
                return Ok(());
            }
        }
        let mut begun = false;
        for bundle in &bundles {
            match self.begin_session(context, &list, bundle)? {
                Begin::Session => begun = true,
                Begin::Away => {}
                Begin::NoKeys => self.back_off(context, Purpose::Bundles(account), Some(NO_KEYS_WAIT_MS)),
                Begin::Unacceptable => return self.refuse_bundles(context, account),
            }
        }
        if !begun {
            self.back_off(context, Purpose::Bundles(account), None);
        }
        Ok(())
    }

    /// The server's answer does not verify: nothing is sent on its word. It is asked again later.
    fn refuse_bundles(&mut self, context: &mut Context<'_>, account: AccountId) -> Result<(), EngineError> {
        self.back_off(context, Purpose::Bundles(account), None);
        let items = self.lanes.get(&Lane::Account(account)).cloned().unwrap_or_default();
        self.complete_all(
            |waiting| matches!(waiting, Waiting::Send { item } if items.contains(item)),
            &Err(CommandError::BadAnswer),
        );
        Ok(())
    }

    fn begin_session(
        &mut self,
        context: &mut Context<'_>,
        list: &DeviceList,
        bundle: &DeviceBundle,
    ) -> Result<Begin, EngineError> {
        let Some(remote) = DeviceId::new(bundle.device_id).ok().and_then(|id| RemoteDevice::from_list(list, id)) else {
            return Ok(Begin::Unacceptable);
        };
        if remote.address.registration != bundle.registration_id.0 {
            return Ok(Begin::Unacceptable);
        }
        let Some(signed) = &bundle.signed_prekey else {
            if bundle.dormant {
                self.unreachable_devices.insert(remote.address);
                return Ok(Begin::Away);
            }
            return Ok(Begin::NoKeys);
        };
        let raw = PrekeyBundle {
            address: remote.address,
            signed_prekey: SignedPrekey {
                id: SignedPrekeyId(signed.id),
                key: signed.key.0,
                expires_at: UnixMillis(signed.expires_at),
                signature: signed.signature.0,
            },
            one_time_prekey: bundle
                .one_time_prekey
                .as_ref()
                .map(|key| OneTimePrekey { id: OneTimePrekeyId(key.id), key: key.key.0 }),
        };
        let Ok(verified) = raw.verify(&remote, context.now) else { return Ok(Begin::Unacceptable) };
        if self.pair(context, remote.address)?.is_none_or(|pair| *pair.remote() != remote) {
            self.put_pair(remote.address, PairSessions::new(remote));
        }
        let (Some(me), Some(pair)) = (&self.me, self.sessions.get_mut(&remote.address)) else {
            return Err(EngineError::Internal);
        };
        if pair.initiate(context.rng, &me.local(), &verified).is_err() {
            return Ok(Begin::Unacceptable);
        }
        self.save_pair(context, remote.address)?;
        self.fresh_sessions.insert(remote.address);
        Ok(Begin::Session)
    }
}

/// What a bundle was good for.
enum Begin {
    Session,
    /// The device has been away for long, and gets no copy.
    Away,
    /// The device has no keys yet.
    NoKeys,
    /// Forged, expired, or not for a device of the list.
    Unacceptable,
}
