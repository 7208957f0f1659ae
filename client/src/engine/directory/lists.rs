//! Device lists: fetched, compared with the pinned one, and pinned in its place if they follow on it.

use sealpost_api::devices::ReadDeviceLists;
use sealpost_api::endpoint::NoBody;
use sealpost_api::limits::DEVICE_LISTS_MAX;
use sealpost_crypto::{AccountId, DeviceList};
use sealpost_sabotage::{Countermeasure, refuses};

use super::book::Directory;
use crate::engine::command::CommandError;
use crate::engine::error::EngineError;
use crate::engine::fact::{Fact, Notable};
use crate::engine::people::People;
use crate::engine::records::Me;
use crate::engine::requests::{Answer, Purpose, read};
use crate::engine::step::Step;
use crate::engine::waiting::Waiting;

/// What became of a list that was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ListOutcome {
    /// It is the pinned one.
    Same,
    /// It follows on the pinned one, and is pinned now.
    Newer,
    /// It is older than the pinned one: the server lags or lies. It is not followed.
    Older,
    /// It is under another identity, which waits to be accepted.
    OtherIdentity,
    /// It is another list of the same version, or does not follow on the pinned one: it is not followed.
    Forked,
    /// Nothing is pinned for the account.
    Unknown,
}

impl Directory {
    /// Takes note of a list of a contact, wherever it came from; its signature is verified already.
    pub(crate) fn see_list(&mut self, step: &mut Step<'_>, list: &DeviceList) -> ListOutcome {
        let account = list.account();
        let Some(contact) = self.contacts.get(&account) else { return ListOutcome::Unknown };
        let pinned = &contact.list;
        let other_identity = list.account_identity() != pinned.account_identity();
        if refuses(Countermeasure::IdentityPin, other_identity) {
            if list.version() <= pinned.version() {
                // What the pinned list took the place of.
                return ListOutcome::Older;
            }
            self.see_other_identity(step, account, list);
            return ListOutcome::OtherIdentity;
        }
        if refuses(Countermeasure::SignedDeviceList, list.version() < pinned.version()) {
            return ListOutcome::Older;
        }
        if list.version() == pinned.version() && list.hash() == pinned.hash() {
            return ListOutcome::Same;
        }
        // A list that is more than one version newer is signed by the pinned identity; the lists between were not seen.
        let is_next = pinned.version().checked_add(1) == Some(list.version());
        if list.version() == pinned.version() || (is_next && pinned.check_successor(list).is_err()) {
            step.note(Notable::ListForked { account, version: list.version() });
            return ListOutcome::Forked;
        }
        if let Some(contact) = self.contacts.edit(&account) {
            contact.list = list.clone();
            // A pending identity older than what the accepted one has signed since is void.
            let void = contact
                .pending
                .as_ref()
                .is_some_and(|pending| pending.0.account() == account && pending.0.version() <= list.version());
            if void {
                contact.pending = None;
            }
        }
        step.tell(Fact::ListAdvanced(account));
        ListOutcome::Newer
    }

    /// Has the lists of an account fetched.
    pub(crate) fn want_list(&mut self, account: AccountId) {
        self.wanted_lists.insert(account);
    }

    /// Returns whether the lists of an account are to be fetched before anything is sent to it.
    pub(crate) fn awaits_list(&self, account: AccountId) -> bool {
        self.wanted_lists.contains(&account)
    }

    /// Handles the server's hint that an account has a list of this version.
    pub(crate) fn on_list_changed(&mut self, me: Option<&Me>, account: AccountId, version: u64) {
        let own = me.filter(|me| me.address.account == account).map(|me| &me.list);
        let pinned = own.or_else(|| self.get(account).map(|contact| &contact.list));
        if pinned.is_some_and(|list| list.version() < version) {
            self.want_list(account);
        }
    }

    /// Asks for the lists that are wanted.
    pub(super) fn ask_for_lists(&mut self, step: &mut Step<'_>, me: Option<&Me>) -> Result<(), EngineError> {
        for account in self.wanted_lists.clone() {
            let pinned = match People::new(me, &self.contacts).own(account) {
                Some(me) => me.list.version(),
                None => match self.get(account) {
                    Some(contact) => contact.list.version(),
                    None => {
                        self.wanted_lists.remove(&account);
                        continue;
                    }
                },
            };
            let call = ReadDeviceLists { account_id: account, after: Some(pinned) };
            step.ask(Purpose::Lists(account), &call, &NoBody)?;
        }
        Ok(())
    }

    /// Takes the server's answer to a request for lists.
    pub(crate) fn on_lists_answer(
        &mut self,
        step: &mut Step<'_>,
        me: Option<&Me>,
        account: AccountId,
        answer: &Answer,
    ) {
        let own = me.is_some_and(|me| me.address.account == account);
        let done = match answer {
            Answer::Failed => return,
            Answer::Refused(refusal) if refusal.is_final() && !refusal.is_unauthenticated() => {
                self.wanted_lists.remove(&account);
                if own {
                    let refused: CommandError = (*refusal).into();
                    return step.complete_all(|waiting| matches!(waiting, Waiting::OwnLists), &Err(refused));
                }
                return step.tell(Fact::AccountRefused(account, refusal.code));
            }
            Answer::Refused(_) => return,
            Answer::Done(bytes) => bytes,
        };
        let Some((lists, current_version)) = lists_of(done, account) else {
            return step.back_off(Purpose::Lists(account), None);
        };
        self.wanted_lists.remove(&account);
        if own {
            return step.tell(Fact::OwnListsSeen { lists, current_version });
        }
        let mut advanced = false;
        for list in &lists {
            advanced |= self.see_list(step, list) == ListOutcome::Newer;
        }
        if advanced && lists.len() >= DEVICE_LISTS_MAX {
            // One answer does not hold them all.
            self.want_list(account);
        }
        step.tell(Fact::NameSettled(account));
    }
}

/// Reads the lists in an answer, if all are of this account.
fn lists_of(bytes: &[u8], account: AccountId) -> Option<(Vec<DeviceList>, u64)> {
    let answer = read::<ReadDeviceLists>(bytes)?;
    let lists: Option<Vec<DeviceList>> =
        answer.device_lists.iter().map(|list| DeviceList::decode(&list.0.0).ok()).collect();
    let lists = lists.filter(|lists| lists.iter().all(|list| list.account() == account))?;
    Some((lists, answer.current_version))
}
