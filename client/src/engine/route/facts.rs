//! Facts: each is handed to the parts that it concerns.

use sealpost_api::problem::ProblemCode;

use super::life;
use crate::engine::account::Prekeys;
use crate::engine::command::CommandError;
use crate::engine::directory::ListOutcome;
use crate::engine::error::EngineError;
use crate::engine::fact::Fact;
use crate::engine::inbox::Inbox;
use crate::engine::outbox::Lane;
use crate::engine::parts::{Parts, people};
use crate::engine::records::Gap;
use crate::engine::requests::Purpose;
use crate::engine::sessions::repair;
use crate::engine::step::Step;
use crate::engine::waiting::Waiting;

/// Hands on every fact, and what follows from each before the next.
pub(crate) fn settle(parts: &mut Parts, step: &mut Step<'_>) -> Result<(), EngineError> {
    for fact in std::mem::take(&mut step.lent.facts) {
        apply(parts, step, fact)?;
        settle(parts, step)?;
    }
    Ok(())
}

fn apply(parts: &mut Parts, step: &mut Step<'_>, fact: Fact) -> Result<(), EngineError> {
    match fact {
        Fact::Notable(notable) => {
            parts.timeline.note(step, people(&parts.account, &parts.directory), notable)?;
        }
        Fact::BecameDevice => life::became_device(parts, step)?,
        Fact::LoggedIn => {
            step.complete_all(|waiting| matches!(waiting, Waiting::Account), &parts.account.outcome());
        }
        Fact::LoginEnded => life::end_login(parts, step),
        Fact::NeedsLogin => {
            parts.link.close(step);
            step.fail_commands(&CommandError::NotLoggedIn);
        }
        Fact::AccountErased => life::erased(parts, step)?,
        Fact::StreamUnwelcome => parts.link.close(step),
        Fact::TokenRenewed(token) => parts.link.renew(step, token),
        Fact::TokenRefused => parts.account.forget_access_token(),
        Fact::Ended(id, outcome) => step.complete(id, outcome),
        Fact::SignedPrekeysDropped => {
            let alive = Prekeys::kept_signed(step.vault)?;
            parts.sessions.forget_base_keys(step.vault, &alive)?;
        }
        Fact::ListWanted(account) => parts.directory.want_list(account),
        Fact::OwnListsSeen { lists, current_version } => {
            parts.account.own_lists.see(step, &mut parts.account.me, lists, current_version);
        }
        Fact::ListAdvanced(account) | Fact::NobodyReachable(account) => parts.sessions.try_again(account),
        Fact::IdentityChanged(account) => parts.outbox.identity_blocks(step, account)?,
        Fact::NameSettled(account) => {
            parts.inbox.release(step, people(&parts.account, &parts.directory), account);
        }
        Fact::LookedUp(name, outcome) => {
            step.complete_all(|waiting| matches!(waiting, Waiting::LookUp(wanted) if *wanted == name), &outcome);
        }
        Fact::NameResolved(name, account) => {
            let lane = Lane::Name(name);
            match account {
                Some(account) => {
                    parts.outbox.move_lane(&lane, account);
                    if parts.directory.is_blocked(account) {
                        parts.outbox.identity_blocks(step, account)?;
                    }
                }
                // It leads to this very account.
                None => parts.outbox.refuse_lane(step, &lane, ProblemCode::RecipientUnknown)?,
            }
        }
        Fact::NameRefused(name, code) => parts.outbox.refuse_lane(step, &Lane::Name(name), code)?,
        Fact::AccountRefused(account, code) => parts.outbox.refuse_lane(step, &Lane::Account(account), code)?,
        Fact::NameMoved { from, to } => parts.outbox.move_lane(&Lane::Account(from), to),
        Fact::StrangersDropped(accounts) => {
            for account in accounts {
                life::drop_stranger(parts, step, account)?;
            }
        }
        Fact::BundlesTaken { account, list, bundles } => match parts.directory.see_list(step, &list) {
            ListOutcome::Same | ListOutcome::Newer => {
                // What the list says of devices that were away comes before what the bundles say.
                settle(parts, step)?;
                if let Some(me) = parts.account.me() {
                    parts.sessions.begin(step, me, &list, &bundles)?;
                }
            }
            ListOutcome::OtherIdentity => {}
            // Never followed; the server may catch up.
            ListOutcome::Older | ListOutcome::Forked | ListOutcome::Unknown => {
                step.back_off(Purpose::Bundles(account), None);
            }
        },
        Fact::BundlesUnacceptable(account) => {
            let items = parts.outbox.in_lane(&Lane::Account(account));
            step.complete_all(
                |waiting| matches!(waiting, Waiting::Send { item } if items.contains(item)),
                &Err(CommandError::BadAnswer),
            );
        }
        Fact::Accepted { history, account, number, at } => {
            parts.timeline.history.accept(step.vault, history, (account, number, at))?;
        }
        Fact::Withdrawn { history } => parts.timeline.history.remove(step.vault, history)?,
        Fact::RepairSent(address) => repair::asked(step, address),
        Fact::DevicesMismatch(account) => {
            parts.sessions.try_again(account);
            parts.directory.want_list(account);
        }
        Fact::Ready(held) => {
            parts.timeline.show(step, people(&parts.account, &parts.directory), held)?;
        }
        Fact::GapFound { from, sequence, first, last } => {
            let people = people(&parts.account, &parts.directory);
            let notice = parts.timeline.note_gap(step, people, from, (first, last))?;
            Inbox::remember_gap(step, from, sequence, Gap { first, last, notice });
        }
        Fact::GapFilled { from, sequence, gap, counter } => {
            let withdrawn = parts.timeline.withdraw(step.vault, gap.notice)?;
            Inbox::split_gap(step, (from, sequence), gap, counter, withdrawn);
        }
        Fact::StreamLost => parts.outbox.connection_lost(),
    }
    Ok(())
}
