//! The own account's device lists: signed on the primary device, published, and published again where the server lost
//! them.

use sealpost_api::devices::{PublishDeviceList, PublishDeviceListRequest};
use sealpost_api::prekeys::DevicePrekeys;
use sealpost_crypto::{DeviceEntry, DeviceId, DeviceList, DeviceListBody, MAX_DEVICES};
use serde::{Deserialize, Serialize};

use super::bodies::encoded;
use crate::engine::codec::Bin;
use crate::engine::command::{DeviceOffer, InvalidCommand, Outcome};
use crate::engine::error::EngineError;
use crate::engine::fact::Fact;
use crate::engine::records::Me;
use crate::engine::requests::{Answer, Purpose};
use crate::engine::step::Step;
use crate::engine::store::{Record, Single};
use crate::engine::waiting::{Begun, Waiting};
use crate::vault::{Table, VaultTransaction};

/// Own lists kept for publishing again after the server lost them: as many as it hands out.
const LISTS_KEPT: usize = 64;

/// Own lists that the server may lack: published oldest first.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListsToPublish {
    lists: Vec<Bin<DeviceList>>,
    /// The keys of the device that the last of them adds.
    added: Vec<DevicePrekeys>,
}

impl Record for ListsToPublish {
    const TABLE: Table = Table::Request;
    const KEY: &'static [u8] = b"lists";
    const WHAT: &'static str = "the device list";
}

/// The lists that are being published.
pub(crate) struct OwnLists {
    publishing: Single<ListsToPublish>,
}

impl OwnLists {
    pub(crate) fn open(vault: &mut dyn VaultTransaction) -> Result<Self, EngineError> {
        Ok(Self { publishing: Single::open(vault)? })
    }

    pub(crate) fn flush(&mut self, vault: &mut dyn VaultTransaction) -> Result<(), EngineError> {
        self.publishing.flush(vault)
    }

    /// Gives up what is being published.
    pub(crate) fn forget(&mut self) {
        self.publishing.take();
    }

    /// Signs a list with an offered device.
    pub(crate) fn add(&mut self, me: &Me, offer: DeviceOffer) -> Result<Begun, EngineError> {
        if offer.address.account != me.address.account {
            return Ok(InvalidCommand::OtherAccount.into());
        }
        if offer.prekeys.device_id != offer.address.device.get() || me.list.device(offer.address.device).is_some() {
            return Ok(InvalidCommand::NoSuchDevice.into());
        }
        if me.list.devices().len() >= MAX_DEVICES {
            return Ok(InvalidCommand::TooManyDevices.into());
        }
        let entry = DeviceEntry {
            device: offer.address.device,
            registration: offer.address.registration,
            identity: offer.identity,
        };
        let mut devices = me.list.devices().to_vec();
        devices.push(entry);
        devices.sort_unstable_by_key(|entry| entry.device);
        self.begin(me, devices, vec![offer.prekeys])
    }

    /// Signs a list without a device.
    pub(crate) fn remove(&mut self, me: &Me, device: DeviceId) -> Result<Begun, EngineError> {
        if device == me.address.device || me.list.device(device).is_none() {
            return Ok(InvalidCommand::NoSuchDevice.into());
        }
        let devices = me.list.devices().iter().filter(|entry| entry.device != device).copied().collect();
        self.begin(me, devices, Vec::new())
    }

    fn begin(&mut self, me: &Me, devices: Vec<DeviceEntry>, added: Vec<DevicePrekeys>) -> Result<Begun, EngineError> {
        let Some(account_identity) = &me.account_identity else { return Ok(InvalidCommand::NotPrimary.into()) };
        if self.publishing.get().is_some() {
            return Ok(InvalidCommand::Unanswered.into());
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
        self.publishing.set(ListsToPublish { lists: vec![Bin(list)], added });
        Ok(Begun::Waits(Waiting::Publish { added: is_addition }))
    }

    /// Sends the oldest list that the server may lack.
    pub(crate) fn advance(&self, step: &mut Step<'_>) -> Result<(), EngineError> {
        if let Some(publishing) = self.publishing.get()
            && let Some(Bin(list)) = publishing.lists.first()
            && step.may_ask(&Purpose::PublishLists)
        {
            let added = if publishing.lists.len() == 1 { publishing.added.clone() } else { Vec::new() };
            let request = PublishDeviceListRequest { device_list: encoded(list), added };
            step.ask(Purpose::PublishLists, &PublishDeviceList {}, &request)?;
        }
        Ok(())
    }

    /// Takes the answer to a publication.
    pub(crate) fn on_answer(&mut self, step: &mut Step<'_>, me: &mut Single<Me>, answer: &Answer) {
        match answer {
            Answer::Done(_) => {
                let Some(publishing) = self.publishing.edit().filter(|publishing| !publishing.lists.is_empty()) else {
                    self.publishing.take();
                    return;
                };
                let Bin(list) = publishing.lists.remove(0);
                let is_last = publishing.lists.is_empty();
                let added = Ok(Outcome::Added(list.encoded().to_vec()));
                take(me, list);
                if is_last {
                    self.publishing.take();
                    step.complete_all(|waiting| matches!(waiting, Waiting::Publish { added: true }), &added);
                    step.complete_all(|waiting| matches!(waiting, Waiting::Publish { .. }), &Ok(Outcome::Done));
                }
            }
            Answer::Refused(refusal) if refusal.is_final() && !refusal.is_unauthenticated() => {
                self.publishing.take();
                step.lent.requests.forgive(&Purpose::PublishLists);
                if let Some(me) = me.get() {
                    step.tell(Fact::ListWanted(me.address.account));
                }
                step.complete_all(|waiting| matches!(waiting, Waiting::Publish { .. }), &Err((*refusal).into()));
            }
            Answer::Refused(_) | Answer::Failed => {}
        }
    }

    /// Takes lists of the own account that the server has and this device did not. If the server has fewer than the
    /// primary device has signed, after a restore, they are published again in order.
    pub(crate) fn see(
        &mut self,
        step: &mut Step<'_>,
        me: &mut Single<Me>,
        lists: Vec<DeviceList>,
        current_version: u64,
    ) {
        for list in lists {
            // Under another identity this device is not the account's any more: its log-in has ended as well.
            let follows = me.get().is_some_and(|me| {
                list.account_identity() == me.list.account_identity() && me.list.check_successor(&list).is_ok()
            });
            if follows {
                take(me, list);
            }
        }
        step.complete_all(|waiting| matches!(waiting, Waiting::OwnLists), &Ok(Outcome::Done));
        let primary = me.get().filter(|me| me.account_identity.is_some() && self.publishing.get().is_none());
        let Some(me) = primary else { return };
        let lost = me.older.iter().chain([&me.list]).filter(|list| {
            list.account_identity() == me.list.account_identity()
                && list.version() > current_version
                && !list.new_identity()
        });
        let lists: Vec<_> = lost.cloned().map(Bin).collect();
        if !lists.is_empty() {
            self.publishing.set(ListsToPublish { lists, added: Vec::new() });
        }
    }
}

/// Takes a newer list of the own account.
fn take(me: &mut Single<Me>, list: DeviceList) {
    if me.get().is_some_and(|me| list.version() > me.list.version())
        && let Some(me) = me.edit()
    {
        let before = std::mem::replace(&mut me.list, list);
        me.older.push(before);
        if me.older.len() >= LISTS_KEPT {
            me.older.remove(0);
        }
    }
}
