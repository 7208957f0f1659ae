//! Contacts: names pinned to an account and its identity key, and the device list that identity has signed.
//!
//! Trust on first use. What is pinned moves only forward: to a newer list under the same identity. Another identity, or
//! another account under the name, is kept aside and shown until a person accepts it; nothing is sent to it before.

use sealpost_api::accounts::AccountInfo as AccountBody;
use sealpost_api::devices::DeviceLists;
use sealpost_api::limits::DEVICE_LISTS_MAX;
use sealpost_api::problem::ProblemCode;
use sealpost_api::username::Username;
use sealpost_crypto::{AccountId, DeviceList, SafetyNumber};
use sealpost_sabotage::{Countermeasure, without};

use super::calls::{Begun, Waiting, path_id};
use super::codec::Bin;
use super::command::{CommandError, InvalidCommand, Outcome};
use super::effect::Method;
use super::http::{Answer, Purpose, Refusal, body};
use super::model::{ContactInfo, NoticeBody};
use super::notices::StoredNotice;
use super::state::Contact;
use super::{Context, Engine, EngineError, Lane};
use crate::vault::Table;

/// What became of a list that was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ListOutcome {
    /// It is the pinned one.
    Same,
    /// It follows on the pinned one, and is pinned now.
    Newer,
    /// It is older than the pinned one: the server lags or lies. It is not followed.
    Older,
    /// It is under another identity, which waits for being accepted.
    OtherIdentity,
    /// It is another list of the same version, or does not follow on the pinned one: it is not followed.
    Forked,
    /// Nothing is pinned for the account.
    Unknown,
}

pub(super) fn unknown_label(account: AccountId) -> String {
    format!("unknown:{account}")
}

impl Contact {
    pub(super) fn new(list: DeviceList) -> Self {
        Self { name: None, claimed: None, list, verified: false, pending: None, stranger: None }
    }

    fn label(&self) -> String {
        match &self.name {
            Some(Bin(name)) => name.as_str().to_owned(),
            None => unknown_label(self.list.account()),
        }
    }
}

impl Engine {
    pub(super) fn index_contact(&mut self, account: AccountId, contact: Contact) {
        if let Some(Bin(name)) = &contact.name {
            self.names.insert(name.clone(), account);
        }
        self.contacts.insert(account, contact);
    }

    pub(super) fn save_contact(&mut self, context: &mut Context<'_>, account: AccountId) -> Result<(), EngineError> {
        match self.contacts.get(&account) {
            Some(contact) => context.save(Table::Contact, account.as_bytes(), contact),
            None => Ok(()),
        }
    }

    /// What to call an account.
    pub(super) fn label(&self, account: AccountId) -> String {
        match &self.me {
            Some(me) if me.address.account == account => me.username.as_str().to_owned(),
            _ => self.contacts.get(&account).map_or_else(|| unknown_label(account), Contact::label),
        }
    }

    /// Whether an account goes by a name here, or is settled to have none.
    pub(super) fn is_named(&self, account: AccountId) -> bool {
        self.contacts.get(&account).is_none_or(|contact| contact.name.is_some() || contact.claimed.is_none())
    }

    /// Pins an account that was never seen, from the list that it signed: a stranger's if nobody has asked for it.
    pub(super) fn pin(
        &mut self,
        context: &mut Context<'_>,
        list: DeviceList,
        stranger: bool,
    ) -> Result<(), EngineError> {
        let account = list.account();
        if !self.contacts.contains_key(&account) {
            if stranger {
                self.make_room_for_contact(context)?;
            }
            let stranger = stranger.then_some(context.now.0);
            self.contacts.insert(account, Contact { stranger, ..Contact::new(list) });
        }
        self.save_contact(context, account)
    }

    /// Takes note of a list of a contact, wherever it came from; its signature is verified already.
    pub(super) fn see_list(
        &mut self,
        context: &mut Context<'_>,
        list: &DeviceList,
    ) -> Result<ListOutcome, EngineError> {
        let account = list.account();
        let Some(contact) = self.contacts.get_mut(&account) else { return Ok(ListOutcome::Unknown) };
        let pinned = &contact.list;
        if list.account_identity() != pinned.account_identity() && !without(Countermeasure::IdentityPin) {
            if list.version() <= pinned.version() {
                // What the pinned list took the place of.
                return Ok(ListOutcome::Older);
            }
            return self.see_other_identity(context, account, list).map(|()| ListOutcome::OtherIdentity);
        }
        if list.version() < pinned.version() && !without(Countermeasure::SignedDeviceList) {
            return Ok(ListOutcome::Older);
        }
        if list.version() == pinned.version() {
            if list.hash() == pinned.hash() {
                return Ok(ListOutcome::Same);
            }
            return self.note_fork(context, list);
        }
        let follows = if pinned.version().checked_add(1) == Some(list.version()) {
            pinned.check_successor(list).is_ok()
        } else {
            // The pinned identity signed it, and it is newer; the lists between were not seen.
            true
        };
        if !follows {
            return self.note_fork(context, list);
        }
        contact.list = list.clone();
        // A pending identity older than what the accepted one has signed since is void.
        if contact
            .pending
            .as_ref()
            .is_some_and(|pending| pending.0.account() == account && pending.0.version() <= list.version())
        {
            contact.pending = None;
        }
        self.save_contact(context, account)?;
        self.unreachable_devices.retain(|address| address.account != account);
        Ok(ListOutcome::Newer)
    }

    fn note_fork(&mut self, context: &mut Context<'_>, list: &DeviceList) -> Result<ListOutcome, EngineError> {
        let label = self.label(list.account());
        self.note(context, StoredNotice::ListForked { label, version: list.version() })?;
        Ok(ListOutcome::Forked)
    }

    /// Keeps a list under another identity aside for a contact, and tells once for each identity.
    fn see_other_identity(
        &mut self,
        context: &mut Context<'_>,
        contact: AccountId,
        list: &DeviceList,
    ) -> Result<(), EngineError> {
        let label = self.label(contact);
        let Some(entry) = self.contacts.get_mut(&contact) else { return Ok(()) };
        let told = entry.pending.as_ref().is_some_and(|Bin(pending)| {
            pending.account_identity() == list.account_identity() && pending.account() == list.account()
        });
        let newer = entry
            .pending
            .as_ref()
            .is_none_or(|Bin(pending)| pending.account() != list.account() || pending.version() < list.version());
        if newer {
            entry.pending = Some(Bin(list.clone()));
            self.save_contact(context, contact)?;
        }
        if !told {
            self.note(context, StoredNotice::IdentityChanged { label, account: Bin(list.account()) })?;
            self.identity_blocks(context, contact)?;
        }
        Ok(())
    }

    pub(super) fn advance_contacts(&mut self, context: &mut Context<'_>) -> Result<(), EngineError> {
        let mut names: Vec<Username> = self
            .waiting
            .values()
            .filter_map(|waiting| if let Waiting::LookUp(name) = waiting { Some(name.clone()) } else { None })
            .collect();
        if self.online_wanted {
            names.extend(self.contacts.values().filter_map(|contact| contact.claimed.clone()).map(|name| name.0));
            names.extend(
                self.lanes.keys().filter_map(
                    |lane| {
                        if let Lane::Name(name) = lane { Some(name.clone()) } else { None }
                    },
                ),
            );
        }
        for name in names {
            let purpose = Purpose::LookUp(name.clone());
            if self.may_ask(context, &purpose)
                && let Some(bearer) = self.bearer(context)?
            {
                let path = format!("/v1/accounts/by-name/{name}");
                self.ask_raw(context, purpose, (Method::Get, path), None, Some(bearer));
            }
        }
        for account in self.wanted_lists.clone() {
            let purpose = Purpose::Lists(account);
            let pinned = match (&self.me, self.contacts.get(&account)) {
                (Some(me), _) if me.address.account == account => me.list.version(),
                (_, Some(contact)) => contact.list.version(),
                _ => {
                    self.wanted_lists.remove(&account);
                    continue;
                }
            };
            if self.may_ask(context, &purpose)
                && let Some(bearer) = self.bearer(context)?
            {
                let path = format!("/v1/accounts/{}/devices?after={pinned}", path_id(&account)?);
                self.ask_raw(context, purpose, (Method::Get, path), None, Some(bearer));
            }
        }
        Ok(())
    }

    pub(super) fn on_look_up_answer(
        &mut self,
        context: &mut Context<'_>,
        name: &Username,
        answer: &Answer,
    ) -> Result<(), EngineError> {
        let list = match answer {
            Answer::Failed => return Ok(()),
            Answer::Refused(refusal) if refusal.code == ProblemCode::Unauthenticated => return Ok(()),
            Answer::Refused(refusal) => return self.look_up_refused(context, name, *refusal),
            Answer::Done(bytes) => body::<AccountBody>(bytes).and_then(|info| {
                let list = DeviceList::decode(&info.device_list.0.0).ok()?;
                let says_the_same = list.account() == info.account_id.0
                    && list.account_identity() == info.account_identity_key.0
                    && info.username == name.as_str();
                says_the_same.then_some(list)
            }),
        };
        let Some(list) = list else {
            self.back_off(context, Purpose::LookUp(name.clone()), None);
            self.complete_all(|waiting| is_look_up(waiting, name), &Err(CommandError::BadAnswer));
            return Ok(());
        };
        let asked = self.waiting.values().any(|waiting| is_look_up(waiting, name))
            || self.lanes.contains_key(&Lane::Name(name.clone()));
        let account = list.account();
        match self.names.get(name).copied() {
            Some(pinned) if pinned != account && !without(Countermeasure::IdentityPin) => {
                self.see_other_identity(context, pinned, &list)?
            }
            Some(_) => {
                self.see_list(context, &list)?;
            }
            None => self.name_account(context, name, &list)?,
        }
        if asked && let Some(account) = self.names.get(name).copied() {
            self.befriend(context, account)?;
        }
        self.settle_claims(context, name)?;
        let info = self.contact(name).map(Outcome::Contact).ok_or(CommandError::BadAnswer);
        self.complete_all(|waiting| is_look_up(waiting, name), &info);
        self.resolve_lane(context, name)
    }

    /// A name leads to an account for the first time.
    fn name_account(
        &mut self,
        context: &mut Context<'_>,
        name: &Username,
        list: &DeviceList,
    ) -> Result<(), EngineError> {
        let account = list.account();
        if self.me.as_ref().is_some_and(|me| me.address.account == account) {
            return Ok(());
        }
        self.pin(context, list.clone(), true)?;
        self.see_list(context, list)?;
        let Some(contact) = self.contacts.get_mut(&account) else { return Ok(()) };
        // An account has one name; one that it goes by here already is not taken from it.
        if contact.name.is_none() {
            contact.name = Some(Bin(name.clone()));
            contact.claimed = None;
            self.names.insert(name.clone(), account);
            self.save_contact(context, account)?;
        }
        Ok(())
    }

    /// Whoever claimed this name has it now, or never will.
    fn settle_claims(&mut self, context: &mut Context<'_>, name: &Username) -> Result<(), EngineError> {
        let claimants: Vec<AccountId> = self
            .contacts
            .iter()
            .filter(|(_, contact)| contact.claimed.as_ref().is_some_and(|claimed| claimed.0 == *name))
            .map(|(account, _)| *account)
            .collect();
        for account in claimants {
            if let Some(contact) = self.contacts.get_mut(&account) {
                contact.claimed = None;
            }
            self.save_contact(context, account)?;
            self.release_account(context, account)?;
        }
        if let Some(account) = self.names.get(name).copied() {
            self.release_account(context, account)?;
        }
        Ok(())
    }

    fn look_up_refused(
        &mut self,
        context: &mut Context<'_>,
        name: &Username,
        refusal: Refusal,
    ) -> Result<(), EngineError> {
        self.complete_all(|waiting| is_look_up(waiting, name), &Err(refusal.into()));
        if matches!(refusal.code, ProblemCode::NotFound | ProblemCode::RecipientUnknown) || refusal.is_final() {
            self.backoffs.remove(&Purpose::LookUp(name.clone()));
            self.settle_claims(context, name)?;
            self.refuse_lane(context, &Lane::Name(name.clone()), refusal.code)?;
        }
        Ok(())
    }

    pub(super) fn on_lists_answer(
        &mut self,
        context: &mut Context<'_>,
        account: AccountId,
        answer: &Answer,
    ) -> Result<(), EngineError> {
        let own = self.me.as_ref().is_some_and(|me| me.address.account == account);
        let done = match answer {
            Answer::Failed => return Ok(()),
            Answer::Refused(refusal) if refusal.is_final() && refusal.code != ProblemCode::Unauthenticated => {
                self.wanted_lists.remove(&account);
                if own {
                    self.complete_all(|waiting| matches!(waiting, Waiting::OwnLists), &Err((*refusal).into()));
                    return Ok(());
                }
                return self.refuse_lane(context, &Lane::Account(account), refusal.code);
            }
            Answer::Refused(_) => return Ok(()),
            Answer::Done(bytes) => bytes,
        };
        let lists = body::<DeviceLists>(done).and_then(|answer| {
            let lists: Option<Vec<DeviceList>> =
                answer.device_lists.iter().map(|list| DeviceList::decode(&list.0.0).ok()).collect();
            lists
                .filter(|lists| lists.iter().all(|list| list.account() == account))
                .map(|lists| (lists, answer.current_version))
        });
        let Some((lists, current_version)) = lists else {
            self.back_off(context, Purpose::Lists(account), None);
            return Ok(());
        };
        self.wanted_lists.remove(&account);
        if own {
            return self.see_own_lists(context, &lists, current_version);
        }
        let mut advanced = false;
        for list in &lists {
            advanced |= self.see_list(context, list)? == ListOutcome::Newer;
        }
        if advanced && lists.len() >= DEVICE_LISTS_MAX {
            // One answer does not hold them all.
            self.wanted_lists.insert(account);
        }
        self.release_account(context, account)
    }

    /// Notes that a person compared the safety number.
    pub(super) fn mark_verified(
        &mut self,
        context: &mut Context<'_>,
        name: &Username,
    ) -> Result<Result<Begun, CommandError>, EngineError> {
        let Some(account) = self.names.get(name).copied() else {
            return Ok(Err(InvalidCommand::UnknownContact.into()));
        };
        let Some(contact) = self.contacts.get_mut(&account) else { return Err(EngineError::Internal) };
        if contact.pending.is_some() {
            return Ok(Err(InvalidCommand::IdentityPending.into()));
        }
        contact.verified = true;
        contact.stranger = None;
        self.save_contact(context, account)?;
        Ok(Ok(Begun::Done(Outcome::Done)))
    }

    /// Pins the identity that waited for it. Verification is not inherited.
    pub(super) fn accept_identity(
        &mut self,
        context: &mut Context<'_>,
        name: &Username,
    ) -> Result<Result<Begun, CommandError>, EngineError> {
        let Some(account) = self.names.get(name).copied() else {
            return Ok(Err(InvalidCommand::UnknownContact.into()));
        };
        let Some(contact) = self.contacts.get_mut(&account) else { return Err(EngineError::Internal) };
        let Some(Bin(list)) = contact.pending.take() else {
            return Ok(Err(InvalidCommand::NothingToAccept.into()));
        };
        let next = list.account();
        contact.verified = false;
        contact.stranger = None;
        if next == account {
            contact.list = list;
        } else {
            // The name goes to another account; the old one stays, without a name.
            contact.name = None;
            self.save_contact(context, account)?;
            let heir = self.contacts.entry(next).or_insert_with(|| Contact::new(list));
            heir.name = Some(Bin(name.clone()));
            heir.claimed = None;
            heir.verified = false;
            heir.stranger = None;
            self.names.insert(name.clone(), next);
            self.move_lane(context, account, next)?;
        }
        self.save_contact(context, next)?;
        self.unreachable_devices.retain(|address| address.account != next);
        self.release_account(context, next)?;
        Ok(Ok(Begun::Done(Outcome::Done)))
    }

    /// A contact by name.
    #[must_use]
    pub fn contact(&self, name: &Username) -> Option<ContactInfo> {
        self.contact_info(*self.names.get(name)?)
    }

    /// All contacts: the named ones by name, then the others by account id.
    #[must_use]
    pub fn contacts(&self) -> Vec<ContactInfo> {
        let unnamed = self.contacts.iter().filter(|(_, contact)| contact.name.is_none()).map(|(account, _)| account);
        self.names.values().chain(unnamed).filter_map(|account| self.contact_info(*account)).collect()
    }

    fn contact_info(&self, account: AccountId) -> Option<ContactInfo> {
        let contact = self.contacts.get(&account)?;
        Some(ContactInfo {
            name: contact.name.as_ref().map(|name| name.0.clone()),
            label: contact.label(),
            account,
            account_identity: contact.list.account_identity(),
            verified: contact.verified,
            identity_changed: contact.pending.is_some(),
            list_version: contact.list.version(),
            devices: contact.list.devices().iter().map(|entry| entry.device).collect(),
        })
    }

    /// The number to compare with a contact: of the identity that waits for being accepted if there is one, because that
    /// is what a person has to look at before accepting it.
    #[must_use]
    pub fn safety_number(&self, name: &Username) -> Option<SafetyNumber> {
        let me = self.me.as_ref()?;
        let contact = self.contacts.get(self.names.get(name)?)?;
        let list = contact.pending.as_ref().map_or(&contact.list, |pending| &pending.0);
        Some(SafetyNumber::new(
            (me.address.account, me.list.account_identity()),
            (list.account(), list.account_identity()),
        ))
    }
}

fn is_look_up(waiting: &Waiting, wanted: &Username) -> bool {
    matches!(waiting, Waiting::LookUp(name) if name == wanted)
}

impl NoticeBody {
    /// Whether this is about an identity, for programs that react to nothing else.
    #[must_use]
    pub const fn is_identity_change(&self) -> bool {
        matches!(self, Self::IdentityChanged { .. })
    }
}
