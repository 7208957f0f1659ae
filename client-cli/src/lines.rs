//! What commands print: the objects of `--json`, and the same for people.
//!
//! Scripts rely on the objects' names and fields. Binary values are base64url as in the API; message ids are hex.

use std::fmt::Write as _;

use sealpost_api::encoding::B64;
use sealpost_api::ids::MessageId;
use sealpost_api::username::Username;
use sealpost_client::engine::{
    Direction, GapKind, HistoryEntry, Limit, MessageReceipt, Notice, NoticeBody, PeerDevice,
};
use serde::Serialize;

use crate::sanitise::visible;
use crate::task::Line;
use crate::time::utc;

/// Something that happened to the account.
pub(crate) fn account_event(event: &'static str, account: &str, device: u8, text: String) -> Line {
    #[derive(Serialize)]
    struct Object<'a> {
        event: &'static str,
        account: &'a str,
        device: u8,
    }
    Line::new(&Object { event, account, device }, text)
}

/// The server accepted a message.
pub(crate) fn sent(receipt: &MessageReceipt) -> Line {
    #[derive(Serialize)]
    struct Object<'a> {
        event: &'static str,
        to: &'a str,
        message_id: String,
        number: u64,
        accepted_at: u64,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        skipped: Vec<u8>,
    }
    let skipped: Vec<u8> = receipt.skipped.iter().map(|device| device.get()).collect();
    let mut text = format!("sent to {}", receipt.to);
    if !skipped.is_empty() {
        let _ = write!(text, " (but not to device {skipped:?}: full, or away for 30 days)");
    }
    let object = Object {
        event: "sent",
        to: receipt.to.as_str(),
        message_id: receipt.message_id.to_string(),
        number: receipt.number.0,
        accepted_at: receipt.accepted_at.0,
        skipped,
    };
    Line::new(&object, text)
}

/// A message is kept and will be sent later.
pub(crate) fn queued(to: &Username, message_id: MessageId) -> Line {
    #[derive(Serialize)]
    struct Object<'a> {
        event: &'static str,
        to: &'a str,
        message_id: String,
    }
    let object = Object { event: "queued", to: to.as_str(), message_id: message_id.to_string() };
    Line::new(&object, format!("queued for {to}: the next command that connects sends it"))
}

/// A message that was queued earlier was refused for good.
pub(crate) fn refused(to: &Username, message_id: MessageId, code: &str, why: &str) -> Line {
    #[derive(Serialize)]
    struct Object<'a> {
        event: &'static str,
        to: &'a str,
        message_id: String,
        code: &'a str,
    }
    let object = Object { event: "refused", to: to.as_str(), message_id: message_id.to_string(), code };
    Line::new(&object, format!("a message to {to} was refused and is not kept: {why}"))
}

/// A message of the history.
pub(crate) fn history(entry: &HistoryEntry, me: &str) -> Line {
    #[derive(Serialize)]
    struct Object<'a> {
        event: &'static str,
        from: &'a str,
        to: &'a str,
        message_id: String,
        sent_at: u64,
        accepted_at: Option<u64>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        flags: Vec<&'static str>,
        text: &'a str,
    }
    let (from, to) = match entry.direction {
        Direction::Sent => (me, entry.peer.as_str()),
        Direction::Received => (entry.peer.as_str(), me),
    };
    let waiting = if entry.direction == Direction::Sent && entry.accepted_at.is_none() { " (queued)" } else { "" };
    let text =
        format!("{}  {}{waiting}: {}{}", utc(entry.sent_at.0), visible(from), visible(&entry.text), flags(entry));
    let object = Object {
        event: "message",
        from,
        to,
        message_id: entry.message_id.to_string(),
        sent_at: entry.sent_at.0,
        accepted_at: entry.accepted_at.map(|at| at.0),
        flags: entry.flags.iter().map(|flag| flag.as_str()).collect(),
        text: &entry.text,
    };
    Line::new(&object, text)
}

/// What a reader must know beside the text, for people.
fn flags(entry: &HistoryEntry) -> String {
    use sealpost_client::engine::MessageFlag;
    let mut text = String::new();
    for flag in &entry.flags {
        let words = match flag {
            MessageFlag::Relabelled => "the server gave it another number than its writer did",
            MessageFlag::NewStream => "its writer's device was set up anew or rolled back",
            MessageFlag::UnacceptedIdentity => "from a changed identity that you have not accepted",
            MessageFlag::RemovedDevice => "from a device that has been removed",
            MessageFlag::Late => "came late, after newer ones",
        };
        let _ = write!(text, "  [{words}]");
    }
    text
}

/// A received message, as `receive` prints it.
fn message(entry: &HistoryEntry) -> Line {
    #[derive(Serialize)]
    struct Object<'a> {
        event: &'static str,
        from: &'a str,
        device: u8,
        message_id: String,
        sent_at: u64,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        flags: Vec<&'static str>,
        text: &'a str,
    }
    let object = Object {
        event: "message",
        from: &entry.peer,
        device: entry.device.get(),
        message_id: entry.message_id.to_string(),
        sent_at: entry.sent_at.0,
        flags: entry.flags.iter().map(|flag| flag.as_str()).collect(),
        text: &entry.text,
    };
    Line::new(&object, format!("{}: {}{}", visible(&entry.peer), visible(&entry.text), flags(entry)))
}

/// A notice other than a message: an event, the one it is about, and whatever else there is to say.
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

/// Anything that `receive` prints.
pub(crate) fn notice(notice: &Notice) -> Line {
    let at = notice.at.0;
    let about = |event, from: &PeerDevice, details: serde_json::Value, text: String| {
        let object = NoticeObject { event, from: Some(&from.label), device: Some(from.device.get()), at, details };
        Line::new(&object, format!("* {text}"))
    };
    let named = |event, name: &str, details: serde_json::Value, text: String| {
        let object = NoticeObject { event, from: Some(name), device: None, at, details };
        Line::new(&object, format!("* {text}"))
    };
    let plain = |event, details: serde_json::Value, text: String| {
        let object = NoticeObject { event, from: None, device: None, at, details };
        Line::new(&object, format!("* {text}"))
    };
    match &notice.body {
        NoticeBody::Message(entry) => message(entry),
        NoticeBody::Gap { from, kind: GapKind::Missing { first, last } } => about(
            "gap",
            from,
            serde_json::json!({ "kind": "missing", "first": first, "last": last }),
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
            serde_json::json!({ "kind": "altered_history", "counter": counter }),
            format!("what came from {} is not what was written before this message", visible(&from.label)),
        ),
        NoticeBody::GapClosed { from, counter } => about(
            "gap_closed",
            from,
            serde_json::json!({ "counter": counter }),
            format!("a message of {} that was missing has come", visible(&from.label)),
        ),
        NoticeBody::Undecryptable { from, number, reason, asked_again } => about(
            "undecryptable",
            from,
            serde_json::json!({ "number": number.0, "reason": reason.as_str(), "asked_again": asked_again }),
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
            serde_json::json!({ "number": number.0 }),
            format!("the server delivered message {} of {} twice, with different bytes", number, visible(&from.label)),
        ),
        NoticeBody::IdentityChanged { label, account } => named(
            "identity_changed",
            label,
            serde_json::json!({ "account_id": B64(*account) }),
            format!(
                "the identity of {0} has changed: {0} set up anew, or someone is in between; see sealpost verify {0}",
                visible(label)
            ),
        ),
        NoticeBody::ListForked { label, version } => named(
            "device_list_forked",
            label,
            serde_json::json!({ "version": version }),
            format!("the server shows two different device lists for {}; the first one stays", visible(label)),
        ),
        NoticeBody::SessionRepaired { from } => about(
            "session_repaired",
            from,
            serde_json::json!({}),
            format!("messages with {} decrypt again", visible(&from.label)),
        ),
        NoticeBody::Expired { to, messages, count, reason } => about(
            "expired",
            to,
            serde_json::json!({
                "message_ids": messages.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "count": count,
                "reason": expiry(*reason),
            }),
            format!("{count} accepted message(s) to {} will not be delivered: {}", visible(&to.label), expiry(*reason)),
        ),
        NoticeBody::Missed { from, count, reason } => about(
            "missed",
            from,
            serde_json::json!({ "count": count, "reason": missed(*reason) }),
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
            let mut body = serde_json::json!({ "about": what, "count": count });
            if let (Limit::Notices { label }, Some(fields)) = (about, body.as_object_mut()) {
                fields.insert("label".to_owned(), label.clone().into());
            }
            plain("limited", body, format!("{count} {text}: the server brings in more than this device keeps"))
        }
        NoticeBody::RolledBack => plain(
            "rolled_back",
            serde_json::json!({}),
            "this profile is an older copy of itself. It goes on with new sessions; what the newer copy received is \
             not here and does not come again"
                .to_owned(),
        ),
        NoticeBody::Restored { resent, lost } => plain(
            "server_restored",
            serde_json::json!({ "resent": resent, "lost": lost.iter().map(|number| number.0).collect::<Vec<_>>() }),
            format!(
                "the server was restored from a backup; {resent} message(s) are sent again, {} are lost",
                lost.len()
            ),
        ),
    }
}

/// The API's word.
const fn expiry(reason: sealpost_api::frames::ExpiryReason) -> &'static str {
    use sealpost_api::frames::ExpiryReason;
    match reason {
        ExpiryReason::Expired => "expired",
        ExpiryReason::DeviceRemoved => "device_removed",
        ExpiryReason::AccountDeleted => "account_deleted",
    }
}

/// The API's word.
const fn missed(reason: sealpost_api::frames::MissedReason) -> &'static str {
    use sealpost_api::frames::MissedReason;
    match reason {
        MissedReason::Expired => "expired",
        MissedReason::QueueFull => "queue_full",
        MissedReason::Dormant => "dormant",
    }
}
