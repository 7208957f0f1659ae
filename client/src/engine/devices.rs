//! The devices of the own account: offered, added, removed, and the lists that say so. Also the account's password.

use sealpost_api::accounts::ChangePasswordRequest;
use sealpost_api::devices::PublishDeviceListRequest;
use sealpost_api::encoding::{B64, EncodedDeviceList};
use sealpost_api::password::Password;
use sealpost_api::prekeys::DevicePrekeys;
use sealpost_api::problem::ProblemCode;
use sealpost_api::username::Username;
use sealpost_crypto::{
    AccountId, DeviceAddress, DeviceEntry, DeviceId, DeviceIdentityKeyPair, DeviceList, DeviceListBody, MAX_DEVICES,
    RegistrationId,
};
use zeroize::Zeroizing;

use super::calls::{Begun, Waiting};
use super::codec::Bin;
use super::command::{CommandError, DeviceOffer, InvalidCommand, Outcome};
use super::effect::Method;
use super::http::{Answer, Purpose};
use super::model::DeviceInfo;
use super::state::{self, AccountRequest, AccountRequestKind, ListsToPublish, Offered, PasswordChange, StoredMe};
use super::{Context, Engine, EngineError};
use crate::vault::Table;

/// Own lists kept for publishing again after the server lost them: as many as it hands out.
const LISTS_KEPT: usize = 64;

type Begin = Result<Begun, CommandError>;

impl Engine {
    /// Makes this profile a device that waits for being listed. Repeated, it offers the same device.
    pub(super) fn offer_device(
        &mut self,
        context: &mut Context<'_>,
        username: Username,
        account: AccountId,
        device: DeviceId,
    ) -> Result<Begin, EngineError> {
        if self.me.is_some() {
            return Ok(Err(InvalidCommand::HasAccount.into()));
        }
        let registration = RegistrationId::generate(context.rng);
        let address = DeviceAddress { account, device, registration };
        let identity = DeviceIdentityKeyPair::generate(context.rng);
        let first = super::prekeys::first_keys(context, &address, &identity)?;
        let offered = Offered {
            username: Bin(username),
            address,
            device_seed: Bin(identity.seed()),
            keys: first.keys,
            pairs: first.pairs,
        };
        context.save(Table::Identity, state::OFFERED, &offered)?;
        self.offered = Some(offered);
        let offer = DeviceOffer { address, identity: identity.public(), prekeys: first.public };
        Ok(Ok(Begun::Done(Outcome::Offer(Box::new(offer)))))
    }

    /// Logs in on the offered device, which the list must have.
    pub(super) fn join_device(
        &mut self,
        context: &mut Context<'_>,
        password: Password,
        device_list: &[u8],
    ) -> Result<Begin, EngineError> {
        let Some(offered) = self.offered.take() else { return Ok(Err(InvalidCommand::NoAccount.into())) };
        let identity = DeviceIdentityKeyPair::from_seed(&offered.device_seed.0).public();
        let list = DeviceList::decode(device_list).ok().filter(|list| {
            list.contains(&offered.address)
                && list.device(offered.address.device).is_some_and(|entry| entry.identity == identity)
        });
        let Some(list) = list else {
            self.offered = Some(offered);
            return Ok(Err(InvalidCommand::NotInList.into()));
        };
        let request = AccountRequest {
            kind: AccountRequestKind::Login,
            username: offered.username.clone(),
            password,
            invite: None,
            body: None,
            me: Some(StoredMe {
                username: offered.username,
                account_seed: None,
                device_seed: offered.device_seed,
                device: offered.address.device.get(),
                registration: offered.address.registration,
                lists: vec![Bin(list)],
            }),
            login: None,
            keys: Some(offered.keys),
            pairs: Some(offered.pairs),
        };
        context.save(Table::Request, state::ACCOUNT_REQUEST, &request)?;
        self.account_request = Some(request);
        // What is in the vault stays until the log-in is done, for another try.
        self.offered = context.load(Table::Identity, state::OFFERED, "the offered device")?;
        Ok(Ok(Begun::Waits(Waiting::Account)))
    }

    /// Signs a list with the offered device.
    pub(super) fn add_device(&mut self, context: &mut Context<'_>, offer: DeviceOffer) -> Result<Begin, EngineError> {
        let Some(me) = &self.me else { return Ok(Err(InvalidCommand::NoAccount.into())) };
        if offer.address.account != me.address.account {
            return Ok(Err(InvalidCommand::OtherAccount.into()));
        }
        if offer.prekeys.device_id != offer.address.device.get() || me.list.device(offer.address.device).is_some() {
            return Ok(Err(InvalidCommand::NoSuchDevice.into()));
        }
        if me.list.devices().len() >= MAX_DEVICES {
            return Ok(Err(InvalidCommand::TooManyDevices.into()));
        }
        let entry = DeviceEntry {
            device: offer.address.device,
            registration: offer.address.registration,
            identity: offer.identity,
        };
        let mut devices = me.list.devices().to_vec();
        devices.push(entry);
        devices.sort_unstable_by_key(|entry| entry.device);
        self.begin_publishing(context, devices, vec![offer.prekeys])
    }

    /// Signs a list without a device.
    pub(super) fn remove_device(&mut self, context: &mut Context<'_>, device: DeviceId) -> Result<Begin, EngineError> {
        let Some(me) = &self.me else { return Ok(Err(InvalidCommand::NoAccount.into())) };
        if device == me.address.device || me.list.device(device).is_none() {
            return Ok(Err(InvalidCommand::NoSuchDevice.into()));
        }
        let devices = me.list.devices().iter().filter(|entry| entry.device != device).copied().collect();
        self.begin_publishing(context, devices, Vec::new())
    }

    fn begin_publishing(
        &mut self,
        context: &mut Context<'_>,
        devices: Vec<DeviceEntry>,
        added: Vec<DevicePrekeys>,
    ) -> Result<Begin, EngineError> {
        let Some(me) = &self.me else { return Ok(Err(InvalidCommand::NoAccount.into())) };
        let Some(account_identity) = &me.account_identity else {
            return Ok(Err(InvalidCommand::NotPrimary.into()));
        };
        if self.publishing.is_some() {
            return Ok(Err(InvalidCommand::Unanswered.into()));
        }
        let body = DeviceListBody {
            account: me.address.account,
            account_identity: account_identity.public(),
            version: me.list.version().checked_add(1).ok_or(EngineError::Internal)?,
            previous_hash: me.list.hash(),
            new_identity: false,
            devices,
        };
        let list = DeviceList::sign(account_identity, body).map_err(|_| EngineError::Internal)?;
        let is_addition = !added.is_empty();
        let publishing = ListsToPublish { lists: vec![Bin(list)], added };
        context.save(Table::Request, state::LIST_REQUEST, &publishing)?;
        self.publishing = Some(publishing);
        Ok(Ok(Begun::Waits(Waiting::Publish { added: is_addition })))
    }

    pub(super) fn advance_devices(&mut self, context: &mut Context<'_>) -> Result<(), EngineError> {
        if let Some(publishing) = &self.publishing
            && let Some(Bin(list)) = publishing.lists.first()
        {
            let added = if publishing.lists.len() == 1 { publishing.added.clone() } else { Vec::new() };
            let body = PublishDeviceListRequest { device_list: B64(EncodedDeviceList(list.encoded().to_vec())), added };
            if self.may_ask(context, &Purpose::PublishLists)
                && let Some(bearer) = self.bearer(context)?
            {
                let call = (Method::Put, "/v1/account/devices".to_owned());
                self.ask(context, Purpose::PublishLists, call, Some(&body), Some(bearer))?;
            }
        }
        if let Some(change) = &self.password_change {
            let body = Zeroizing::new(change.body.as_bytes().to_vec());
            if self.may_ask(context, &Purpose::ChangePassword)
                && let Some(bearer) = self.bearer(context)?
            {
                let call = (Method::Put, "/v1/account/password".to_owned());
                self.ask_raw(context, Purpose::ChangePassword, call, Some(body), Some(bearer));
            }
        }
        Ok(())
    }

    pub(super) fn on_publish_answer(&mut self, context: &mut Context<'_>, answer: &Answer) -> Result<(), EngineError> {
        match answer {
            Answer::Done(_) => {
                let Some(mut publishing) = self.publishing.take() else { return Ok(()) };
                if publishing.lists.is_empty() {
                    return Ok(());
                }
                let Bin(list) = publishing.lists.remove(0);
                self.take_own_list(context, list.clone())?;
                if publishing.lists.is_empty() {
                    context.erase(Table::Request, state::LIST_REQUEST)?;
                    let added = Ok(Outcome::Added(list.encoded().to_vec()));
                    self.complete_all(|waiting| matches!(waiting, Waiting::Publish { added: true }), &added);
                    self.complete_all(|waiting| matches!(waiting, Waiting::Publish { .. }), &Ok(Outcome::Done));
                } else {
                    context.save(Table::Request, state::LIST_REQUEST, &publishing)?;
                    self.publishing = Some(publishing);
                }
                Ok(())
            }
            Answer::Refused(refusal) if refusal.is_final() && refusal.code != ProblemCode::Unauthenticated => {
                self.publishing = None;
                context.erase(Table::Request, state::LIST_REQUEST)?;
                self.backoffs.remove(&Purpose::PublishLists);
                self.wanted_lists.extend(self.me.as_ref().map(|me| me.address.account));
                self.complete_all(|waiting| matches!(waiting, Waiting::Publish { .. }), &Err((*refusal).into()));
                Ok(())
            }
            Answer::Refused(_) | Answer::Failed => Ok(()),
        }
    }

    /// Lists of the own account that the server has and this device did not.
    pub(super) fn see_own_lists(
        &mut self,
        context: &mut Context<'_>,
        lists: &[DeviceList],
        current_version: u64,
    ) -> Result<(), EngineError> {
        for list in lists {
            let Some(me) = &self.me else { return Ok(()) };
            // Under another identity this device is none of the account's any more: its session has ended as well.
            if list.account_identity() != me.list.account_identity() || me.list.check_successor(list).is_err() {
                continue;
            }
            self.take_own_list(context, list.clone())?;
        }
        self.complete_all(|waiting| matches!(waiting, Waiting::OwnLists), &Ok(Outcome::Done));
        self.publish_again(context, current_version)
    }

    fn take_own_list(&mut self, context: &mut Context<'_>, list: DeviceList) -> Result<(), EngineError> {
        let Some(me) = &mut self.me else { return Ok(()) };
        if list.version() <= me.list.version() {
            return Ok(());
        }
        let before = std::mem::replace(&mut me.list, list);
        me.older.push(before);
        if me.older.len() >= LISTS_KEPT {
            me.older.remove(0);
        }
        context.save(Table::Identity, state::ME, &me.to_stored())
    }

    /// The server has fewer lists than the primary device has signed, after a restore: they are published again, in order.
    fn publish_again(&mut self, context: &mut Context<'_>, after: u64) -> Result<(), EngineError> {
        let Some(me) = &self.me else { return Ok(()) };
        if me.account_identity.is_none() || self.publishing.is_some() {
            return Ok(());
        }
        let identity = me.list.account_identity();
        let lists: Vec<_> = me
            .older
            .iter()
            .chain([&me.list])
            .filter(|list| list.account_identity() == identity && list.version() > after && !list.new_identity())
            .cloned()
            .map(Bin)
            .collect();
        if lists.is_empty() {
            return Ok(());
        }
        let publishing = ListsToPublish { lists, added: Vec::new() };
        context.save(Table::Request, state::LIST_REQUEST, &publishing)?;
        self.publishing = Some(publishing);
        Ok(())
    }

    /// Begins to change the password, or goes on with it.
    pub(super) fn change_password(
        &mut self,
        context: &mut Context<'_>,
        old: Password,
        new: Password,
    ) -> Result<Begin, EngineError> {
        if new.check_length().is_err() {
            return Ok(Err(InvalidCommand::PasswordLength.into()));
        }
        let bytes = super::codec::write(&ChangePasswordRequest { old_password: old, new_password: new })?;
        let body = Zeroizing::new(std::str::from_utf8(&bytes).map_err(|_| EngineError::Internal)?.to_owned());
        let change = PasswordChange { body };
        context.save(Table::Request, state::PASSWORD_REQUEST, &change)?;
        self.password_change = Some(change);
        self.backoffs.remove(&Purpose::ChangePassword);
        Ok(Ok(Begun::Waits(Waiting::Password)))
    }

    pub(super) fn on_password_answer(&mut self, context: &mut Context<'_>, answer: &Answer) -> Result<(), EngineError> {
        let outcome = match answer {
            Answer::Done(_) => Ok(Outcome::Done),
            Answer::Refused(refusal)
                if (refusal.is_final() || refusal.is_limit()) && refusal.code != ProblemCode::Unauthenticated =>
            {
                Err((*refusal).into())
            }
            Answer::Refused(_) | Answer::Failed => return Ok(()),
        };
        let change = self.password_change.take();
        context.erase(Table::Request, state::PASSWORD_REQUEST)?;
        self.backoffs.remove(&Purpose::ChangePassword);
        if outcome.is_ok() {
            // The access token was made for the password before.
            self.forget_access_token(context)?;
            self.password = change
                .and_then(|change| serde_json::from_str::<ChangePasswordRequest>(&change.body).ok())
                .map(|change| change.new_password);
        }
        self.complete_all(|waiting| matches!(waiting, Waiting::Password), &outcome);
        Ok(())
    }

    /// The devices of the own account, as far as this device knows.
    #[must_use]
    pub fn devices(&self) -> Vec<DeviceInfo> {
        let Some(me) = &self.me else { return Vec::new() };
        me.list
            .devices()
            .iter()
            .map(|entry| DeviceInfo {
                device: entry.device,
                registration: entry.registration,
                identity: entry.identity,
                this: entry.device == me.address.device && entry.registration == me.address.registration,
            })
            .collect()
    }
}
