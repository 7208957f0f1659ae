//! What a stored notice shows.

use sealpost_api::frames::{ExpiryReason, MissedReason};
use sealpost_api::ids::MessageNumber;

use super::history::row_at;
use super::stored::{StoredNotice, StoredReason};
use crate::engine::error::EngineError;
use crate::engine::model::{GapKind, NoticeBody, Undecryptable};
use crate::vault::VaultTransaction;

/// Returns what a stored notice shows; `None` if it is about a message that is gone.
pub(super) fn shown(vault: &mut dyn VaultTransaction, body: StoredNotice) -> Result<Option<NoticeBody>, EngineError> {
    Ok(Some(match body {
        StoredNotice::Message { history } => {
            let Some(row) = row_at(vault, history)? else { return Ok(None) };
            NoticeBody::Message(row.entry(history)?)
        }
        StoredNotice::Gap { from, first, last } => {
            NoticeBody::Gap { from: from.into(), kind: GapKind::Missing { first, last } }
        }
        StoredNotice::Altered { from, counter } => {
            NoticeBody::Gap { from: from.into(), kind: GapKind::AlteredHistory { counter } }
        }
        StoredNotice::GapClosed { from, counter } => NoticeBody::GapClosed { from: from.into(), counter },
        StoredNotice::Undecryptable { from, number, reason, asked_again } => NoticeBody::Undecryptable {
            from: from.into(),
            number: MessageNumber(number),
            reason: Undecryptable::parse(&reason).ok_or(EngineError::Record { what: "a notice" })?,
            asked_again,
        },
        StoredNotice::NumberReused { from, number } => {
            NoticeBody::NumberReused { from: from.into(), number: MessageNumber(number) }
        }
        StoredNotice::IdentityChanged { label, account } => NoticeBody::IdentityChanged { label, account: account.0 },
        StoredNotice::ListForked { label, version } => NoticeBody::ListForked { label, version },
        StoredNotice::SessionRepaired { from } => NoticeBody::SessionRepaired { from: from.into() },
        StoredNotice::Expired { to, messages, count, reason } => NoticeBody::Expired {
            to: to.into(),
            messages: messages.into_iter().map(|id| id.0).collect(),
            count,
            reason: match reason {
                StoredReason::DeviceRemoved => ExpiryReason::DeviceRemoved,
                StoredReason::AccountDeleted => ExpiryReason::AccountDeleted,
                StoredReason::Expired | StoredReason::QueueFull | StoredReason::Dormant => ExpiryReason::Expired,
            },
        },
        StoredNotice::Missed { from, count, reason } => NoticeBody::Missed {
            from: from.into(),
            count,
            reason: match reason {
                StoredReason::QueueFull => MissedReason::QueueFull,
                StoredReason::Dormant => MissedReason::Dormant,
                StoredReason::Expired | StoredReason::DeviceRemoved | StoredReason::AccountDeleted => {
                    MissedReason::Expired
                }
            },
        },
        StoredNotice::Limited { about, count } => NoticeBody::Limited { about: about.into(), count },
        StoredNotice::RolledBack => NoticeBody::RolledBack,
        StoredNotice::Restored { resent, lost } => {
            NoticeBody::Restored { resent, lost: lost.into_iter().map(MessageNumber).collect() }
        }
    }))
}
