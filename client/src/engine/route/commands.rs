//! Commands, each to the part that carries it out.

use sealpost_api::ids::MessageId;
use sealpost_api::username::Username;

use super::facts::settle;
use crate::engine::command::{Command, CommandError, CommandId, InvalidCommand, Outcome};
use crate::engine::content::Draft;
use crate::engine::error::EngineError;
use crate::engine::event::{Event, OfflineReason};
use crate::engine::outbox::{Item, Recipient};
use crate::engine::parts::Parts;
use crate::engine::step::Step;
use crate::engine::timeline::NewText;
use crate::engine::waiting::{Begun, Call, Waiting};

/// Begins a command.
pub(crate) fn on_command(
    parts: &mut Parts,
    step: &mut Step<'_>,
    id: CommandId,
    command: Command,
) -> Result<(), EngineError> {
    // The person who asks may try anew at once, and hears anew what is missing.
    parts.account.asked();
    step.lent.requests.forgive_all();
    parts.link.try_now();
    let begun = begin(parts, step, id, command)?;
    settle(parts, step)?;
    match begun {
        Begun::Waits(waiting) => step.lent.commands.wait(id, waiting),
        Begun::Done(outcome) => step.complete(id, Ok(outcome)),
        Begun::Failed(error) => step.complete(id, Err(error)),
    }
    Ok(())
}

fn begin(parts: &mut Parts, step: &mut Step<'_>, id: CommandId, command: Command) -> Result<Begun, EngineError> {
    let call = |call| Ok(Begun::Waits(Waiting::Call(call)));
    match command {
        Command::Register { username, password, invite } => {
            Ok(parts.account.register(step, username, password, invite))
        }
        Command::Login { username, password, new_identity } => {
            Ok(parts.account.log_in(step, username, password, new_identity))
        }
        Command::OfferDevice { username, account, device } => {
            parts.account.offer_device(step, username, account, device)
        }
        Command::JoinDevice { password, device_list } => Ok(parts.account.join_device(password, &device_list)),
        _ if parts.account.me().is_none() => Ok(InvalidCommand::NoAccount.into()),
        Command::Logout => call(Call::Logout),
        Command::ChangePassword { old, new } => parts.account.change_password(step, old, new),
        Command::DeleteAccount { password } => call(Call::Delete(password)),
        Command::Export => call(Call::Export),
        Command::Send { to, text } => send_text(parts, step, id, to, text),
        Command::LookUp(name) if parts.account.me().is_some_and(|me| me.username == name) => {
            Ok(InvalidCommand::ToSelf.into())
        }
        Command::LookUp(name) => Ok(Begun::Waits(Waiting::LookUp(name))),
        Command::MarkVerified(name) => Ok(parts.directory.mark_verified(&name)),
        Command::AcceptIdentity(name) => parts.directory.accept_identity(step, &name),
        Command::AddDevice(offer) => parts.account.add_device(*offer),
        Command::RemoveDevice(device) => parts.account.remove_device(device),
        Command::RefreshDevices => {
            if let Some(me) = parts.account.me() {
                parts.directory.want_list(me.address.account);
            }
            Ok(Begun::Waits(Waiting::OwnLists))
        }
        Command::ListSessions => call(Call::Sessions),
        Command::EndSession(session) => call(Call::EndSession(session)),
        Command::EndAllSessions => call(Call::EndAll),
        Command::RotateKeys => {
            parts.link.want();
            parts.account.prekeys.want_rotation();
            Ok(Begun::Waits(Waiting::Rotation))
        }
        Command::KeyStatus => call(Call::KeyStatus),
        Command::GoOnline => {
            parts.link.want();
            Ok(if parts.link.is_ready() { Begun::Done(Outcome::Done) } else { Begun::Waits(Waiting::Online) })
        }
        Command::GoOffline => {
            parts.link.go_offline(step, OfflineReason::Asked);
            Ok(Begun::Done(Outcome::Done))
        }
    }
}

/// Puts a text into the history and into the outbox.
fn send_text(
    parts: &mut Parts,
    step: &mut Step<'_>,
    id: CommandId,
    to: Username,
    text: String,
) -> Result<Begun, EngineError> {
    if let Some(refused) = parts.outbox.refuses_text(&text).or_else(|| refuses(parts, &to)) {
        return Ok(Begun::Failed(refused));
    }
    let message_id = MessageId::from_bytes(step.draw());
    let device = parts.account.me().ok_or(EngineError::Internal)?.address.device;
    let account = parts.directory.account_of(&to);
    let text = NewText { to: to.clone(), account, device, message_id, sent_at: step.now, text };
    let history = parts.timeline.history.append_text(step.vault, text)?;
    send(parts, step, id, to, (message_id, Draft::Text { history }))
}

/// Returns why nothing is sent to a name, if so.
fn refuses(parts: &Parts, to: &Username) -> Option<CommandError> {
    if parts.account.me().is_some_and(|me| me.username == *to) {
        return Some(InvalidCommand::ToSelf.into());
    }
    if parts.outbox.is_full() {
        return Some(InvalidCommand::OutboxFull.into());
    }
    let account = parts.directory.account_of(to)?;
    parts.directory.is_blocked(account).then(|| CommandError::IdentityChanged { name: to.clone() })
}

/// Puts a content into the outbox. It is answered when the server has accepted it.
fn send(
    parts: &mut Parts,
    step: &mut Step<'_>,
    id: CommandId,
    to: Username,
    (message_id, draft): (MessageId, Draft),
) -> Result<Begun, EngineError> {
    let account = parts.directory.account_of(&to);
    if let Some(account) = account {
        parts.directory.befriend(account);
    }
    let recipient = match account {
        Some(account) => Recipient::Named(to.clone(), account),
        None => Recipient::Name(to.clone()),
    };
    let item = parts.outbox.enqueue(step.vault, Item::new(recipient, draft, message_id, step.now))?;
    step.emit(Event::Queued { id, to, message_id });
    parts.link.want();
    Ok(Begun::Waits(Waiting::Send { item }))
}
