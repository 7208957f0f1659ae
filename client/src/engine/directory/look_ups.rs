//! Names looked up on the server.

use sealpost_api::accounts::LookUpAccount;
use sealpost_api::endpoint::NoBody;
use sealpost_api::problem::ProblemCode;
use sealpost_api::username::Username;
use sealpost_crypto::{AccountId, DeviceList};
use sealpost_sabotage::{Countermeasure, refuses};

use super::book::Directory;
use crate::engine::codec::Bin;
use crate::engine::command::{CommandError, Outcome};
use crate::engine::error::EngineError;
use crate::engine::fact::Fact;
use crate::engine::records::Me;
use crate::engine::requests::{Answer, Purpose, Refusal, read};
use crate::engine::step::Step;

impl Directory {
    /// Asks for the names and lists that are wanted. `written_to` are names that messages wait for; without them only what
    /// a command asks for is looked up.
    pub(crate) fn advance<'a>(
        &mut self,
        step: &mut Step<'_>,
        me: Option<&Me>,
        written_to: Option<impl Iterator<Item = &'a Username>>,
    ) -> Result<(), EngineError> {
        let mut names: Vec<Username> = step.lent.commands.looked_up().cloned().collect();
        if let Some(written_to) = written_to {
            names.extend(self.contacts.iter().filter_map(|(_, contact)| contact.claimed.clone()).map(|name| name.0));
            names.extend(written_to.cloned());
        }
        for name in names {
            let call = LookUpAccount { username: name.as_str().to_owned() };
            step.ask(Purpose::LookUp(name), &call, &NoBody)?;
        }
        self.ask_for_lists(step, me)
    }

    /// Takes the server's answer to a look-up. `written_to` says whether a message waits for the name.
    pub(crate) fn on_look_up_answer(
        &mut self,
        step: &mut Step<'_>,
        me: Option<&Me>,
        name: &Username,
        answer: &Answer,
        written_to: bool,
    ) {
        let list = match answer {
            Answer::Failed => return,
            Answer::Refused(refusal) if refusal.is_unauthenticated() => return,
            Answer::Refused(refusal) => return self.look_up_refused(step, name, *refusal),
            Answer::Done(bytes) => list_of(bytes, name),
        };
        let Some(list) = list else {
            step.back_off(Purpose::LookUp(name.clone()), None);
            return step.tell(Fact::LookedUp(name.clone(), Err(CommandError::BadAnswer)));
        };
        let asked = written_to || step.lent.commands.looked_up().any(|wanted| wanted == name);
        let account = list.account();
        match self.account_of(name) {
            Some(pinned) if refuses(Countermeasure::IdentityPin, pinned != account) => {
                self.see_other_identity(step, pinned, &list);
            }
            Some(_) => {
                self.see_list(step, &list);
            }
            None => self.name_account(step, me, name, &list),
        }
        let account = self.account_of(name);
        if asked && let Some(account) = account {
            self.befriend(account);
        }
        self.settle_claims(step, name);
        let info = self.info(name).map(Outcome::Contact).ok_or(CommandError::BadAnswer);
        step.tell(Fact::LookedUp(name.clone(), info));
        step.tell(Fact::NameResolved(name.clone(), account));
    }

    /// Records the account of a name for the first time.
    fn name_account(&mut self, step: &mut Step<'_>, me: Option<&Me>, name: &Username, list: &DeviceList) {
        let account = list.account();
        if me.is_some_and(|me| me.address.account == account) {
            return;
        }
        self.pin(step, list.clone());
        self.see_list(step, list);
        // An account has one name; one that it goes by here already is not taken from it.
        if let Some(contact) = self.contacts.edit(&account)
            && contact.name.is_none()
        {
            contact.name = Some(Bin(name.clone()));
            contact.claimed = None;
            self.names.insert(name.clone(), account);
        }
    }

    /// Settles the claims to a name: the accounts that claimed it have it now, or never will.
    fn settle_claims(&mut self, step: &mut Step<'_>, name: &Username) {
        let claims = |claimed: &Option<Bin<Username>>| claimed.as_ref().is_some_and(|claimed| claimed.0 == *name);
        let claimants = self.contacts.iter().filter(|(_, contact)| claims(&contact.claimed));
        for account in claimants.map(|(account, _)| *account).collect::<Vec<AccountId>>() {
            if let Some(contact) = self.contacts.edit(&account) {
                contact.claimed = None;
            }
            step.tell(Fact::NameSettled(account));
        }
        if let Some(account) = self.account_of(name) {
            step.tell(Fact::NameSettled(account));
        }
    }

    fn look_up_refused(&mut self, step: &mut Step<'_>, name: &Username, refusal: Refusal) {
        step.tell(Fact::LookedUp(name.clone(), Err(refusal.into())));
        if matches!(refusal.code, ProblemCode::NotFound | ProblemCode::RecipientUnknown) || refusal.is_final() {
            step.lent.requests.forgive(&Purpose::LookUp(name.clone()));
            self.settle_claims(step, name);
            step.tell(Fact::NameRefused(name.clone(), refusal.code));
        }
    }
}

/// Reads an answer, if it says the same in all its parts.
fn list_of(bytes: &[u8], name: &Username) -> Option<DeviceList> {
    let info = read::<LookUpAccount>(bytes)?;
    let list = DeviceList::decode(&info.device_list.0.0).ok()?;
    let says_the_same = list.account() == info.account_id.0
        && list.account_identity() == info.account_identity_key.0
        && info.username == name.as_str();
    says_the_same.then_some(list)
}
