//! What the server says on the stream.

use sealpost_api::close;
use sealpost_api::frames::{ServerFrame, Welcome};

use super::deliveries::on_deliver;
use super::facts::settle;
use super::life::retire_ratchets;
use crate::engine::command::CommandError;
use crate::engine::error::EngineError;
use crate::engine::event::{Event, OfflineReason};
use crate::engine::fact::Notable;
use crate::engine::link::{Unbelievable, Welcomed};
use crate::engine::outbox::Recovered;
use crate::engine::parts::Parts;
use crate::engine::step::Step;

/// Takes a frame. What is left over from a stream that is closed, or out of turn, is dropped.
pub(crate) fn on_frame(parts: &mut Parts, step: &mut Step<'_>, frame: ServerFrame) -> Result<(), EngineError> {
    if parts.link.awaits_welcome() {
        return if let ServerFrame::Welcome(welcome) = frame { on_welcome(parts, step, &welcome) } else { Ok(()) };
    }
    if !parts.link.is_ready() {
        return Ok(());
    }
    match frame {
        ServerFrame::Deliver(deliver) => on_deliver(parts, step, &deliver)?,
        ServerFrame::Drained => parts.link.drained(),
        ServerFrame::Sent(sent) => parts.outbox.on_sent(step, &sent)?,
        ServerFrame::Refused(refused) => parts.outbox.on_refused(step, &refused)?,
        ServerFrame::PrekeysLow { .. } => parts.account.prekeys.want_top_up(),
        ServerFrame::Expired(expired) => {
            parts.link.ack(expired.id);
            parts.outbox.on_expired(step, expired)?;
        }
        ServerFrame::Missed(missed) => {
            parts.link.ack(missed.id);
            step.note(Notable::Missed(missed));
        }
        ServerFrame::DeviceListChanged { account, version } => {
            parts.directory.on_list_changed(parts.account.me(), account, version);
        }
        // Acks that were not taken are delivered again; nothing else that is sent can be wrong.
        ServerFrame::Error { .. } | ServerFrame::Pong { .. } | ServerFrame::Welcome(_) => {}
    }
    Ok(())
}

/// Handles the server's welcome. Its numbers and store id are checked before anything is sent.
fn on_welcome(parts: &mut Parts, step: &mut Step<'_>, welcome: &Welcome) -> Result<(), EngineError> {
    let welcomed = match Welcomed::read(welcome) {
        Ok(welcomed) => welcomed,
        Err(Unbelievable) => {
            parts.link.go_offline(step, OfflineReason::Refused { code: close::PROTOCOL });
            step.fail_commands(&CommandError::BadAnswer);
            return Ok(());
        }
    };
    parts.account.prekeys.see_epoch(step, welcomed.epoch);
    match parts.outbox.compare(welcomed.store, welcomed.highest) {
        Recovered::Neither => {}
        Recovered::RolledBack { news } => {
            if news {
                retire_ratchets(parts, step)?;
                step.note(Notable::RolledBack);
                settle(parts, step)?;
            }
            step.emit(Event::RolledBack);
            parts.outbox.jump(step.vault, welcomed.highest)?;
        }
        Recovered::Restored => {
            let (resent, lost) = parts.outbox.resend_lost(step.vault, welcomed.highest)?;
            if let Some(me) = parts.account.me() {
                parts.directory.want_list(me.address.account);
            }
            step.note(Notable::Restored { resent, lost });
            settle(parts, step)?;
            step.emit(Event::Restored);
        }
    }
    parts.link.welcomed(step, welcomed.pending);
    Ok(())
}
