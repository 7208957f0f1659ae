//! Notices: what `receive` prints.

use sealpost_api::encoding::B64;
use sealpost_api::frames::{ExpiryReason, MissedReason};
use sealpost_client::engine::{GapKind, Limit, Notice, NoticeBody, PeerDevice};
use serde::Serialize;
use serde_json::{Value, json};

use super::message;
use crate::line::Line;
use crate::sanitise::visible;

/// A notice other than a message: what happened, whom it concerns, and its details.
#[derive(Serialize)]
struct NoticeObject<'a, T: Serialize> {
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<u8>,
    at: u64,
    #[serde(flatten)]
    details: T,
}

/// Returns the line of a notice.
pub(crate) fn line(notice: &Notice) -> Line {
    let at = notice.at.0;
    let about = |event, from: &PeerDevice, details: Value, text: String| {
        let object = NoticeObject { event, from: Some(&from.label), device: Some(from.device.get()), at, details };
        Line::new(&object, format!("* {text}"))
    };
    let named = |event, name: &str, details: Value, text: String| {
        let object = NoticeObject { event, from: Some(name), device: None, at, details };
        Line::new(&object, format!("* {text}"))
    };
    let plain = |event, details: Value, text: String| {
        let object = NoticeObject { event, from: None, device: None, at, details };
        Line::new(&object, format!("* {text}"))
    };
    match &notice.body {
        NoticeBody::Message(entry) => message::received(entry),
        NoticeBody::Gap { from, kind: GapKind::Missing { first, last } } => about(
            "gap",
            from,
            json!({ "kind": "missing", "first": first, "last": last }),
            format!(
                "{} of {}'s messages {} not come: dropped or held back by the server, or still on the way",
                last.saturating_sub(*first).saturating_add(1),
                visible(&from.label),
                if first == last { "has" } else { "have" }
            ),
        ),
        NoticeBody::Gap { from, kind: GapKind::AlteredHistory { counter } } => about(
            "gap",
            from,
            json!({ "kind": "altered_history", "counter": counter }),
            format!("what came from {} is not what was written before this message", visible(&from.label)),
        ),
        NoticeBody::GapClosed { from, counter } => about(
            "gap_closed",
            from,
            json!({ "counter": counter }),
            format!("a message of {} that was missing has come", visible(&from.label)),
        ),
        NoticeBody::Undecryptable { from, number, reason, asked_again } => about(
            "undecryptable",
            from,
            json!({ "number": number.0, "reason": reason.as_str(), "asked_again": asked_again }),
            format!(
                "a message from {} could not be decrypted ({}); {}",
                visible(&from.label),
                reason.as_str(),
                if *asked_again { "it is asked for again" } else { "ask them to send it again" }
            ),
        ),
        NoticeBody::NumberReused { from, number } => about(
            "number_reused",
            from,
            json!({ "number": number.0 }),
            format!("the server delivered message {} of {} twice, with different bytes", number, visible(&from.label)),
        ),
        NoticeBody::IdentityChanged { label, account } => named(
            "identity_changed",
            label,
            json!({ "account_id": B64(*account) }),
            format!(
                "the identity of {0} has changed: {0} set up anew, or someone is in between; see sealpost verify {0}",
                visible(label)
            ),
        ),
        NoticeBody::ListForked { label, version } => named(
            "device_list_forked",
            label,
            json!({ "version": version }),
            format!("the server shows two different device lists for {}; the first one stays", visible(label)),
        ),
        NoticeBody::SessionRepaired { from } => {
            about("session_repaired", from, json!({}), format!("messages with {} decrypt again", visible(&from.label)))
        }
        NoticeBody::Expired { to, messages, count, reason } => about(
            "expired",
            to,
            json!({
                "message_ids": messages.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "count": count,
                "reason": expiry(*reason),
            }),
            format!("{count} accepted message(s) to {} will not be delivered: {}", visible(&to.label), expiry(*reason)),
        ),
        NoticeBody::Missed { from, count, reason } => about(
            "missed",
            from,
            json!({ "count": count, "reason": missed(*reason) }),
            format!(
                "{count} message(s) of {} were not kept for this device: {}",
                visible(&from.label),
                missed(*reason)
            ),
        ),
        NoticeBody::Limited { about, count } => {
            let (what, text) = match about {
                Limit::StrangerDevices => ("stranger_devices", "device(s) of strangers were forgotten".to_owned()),
                Limit::StrangerContacts => ("stranger_contacts", "stranger(s) were forgotten".to_owned()),
                Limit::StrangerNotices => ("stranger_notices", "notice(s) about strangers were dropped".to_owned()),
                Limit::Notices { label } => {
                    ("notices", format!("more notice(s) about {} were counted", visible(label)))
                }
            };
            let mut body = json!({ "about": what, "count": count });
            if let (Limit::Notices { label }, Some(fields)) = (about, body.as_object_mut()) {
                fields.insert("label".to_owned(), label.clone().into());
            }
            plain("limited", body, format!("{count} {text}: the server brings in more than this device keeps"))
        }
        NoticeBody::RolledBack => plain(
            "rolled_back",
            json!({}),
            "this profile is an older copy of itself. It goes on with new sessions; what the newer copy received is \
             not here and does not come again"
                .to_owned(),
        ),
        NoticeBody::Restored { resent, lost } => plain(
            "server_restored",
            json!({ "resent": resent, "lost": lost.iter().map(|number| number.0).collect::<Vec<_>>() }),
            format!(
                "the server was restored from a backup; {resent} message(s) are sent again, {} are lost",
                lost.len()
            ),
        ),
    }
}

/// Returns the API's word.
const fn expiry(reason: ExpiryReason) -> &'static str {
    match reason {
        ExpiryReason::Expired => "expired",
        ExpiryReason::DeviceRemoved => "device_removed",
        ExpiryReason::AccountDeleted => "account_deleted",
    }
}

/// Returns the API's word.
const fn missed(reason: MissedReason) -> &'static str {
    match reason {
        MissedReason::Expired => "expired",
        MissedReason::QueueFull => "queue_full",
        MissedReason::Dormant => "dormant",
    }
}
