//! What became of the account and of messages.

use std::fmt::Write as _;

use sealpost_api::ids::MessageId;
use sealpost_api::username::Username;
use sealpost_client::engine::{AccountInfo, MessageReceipt};
use sealpost_client::front::Settled;
use serde::Serialize;

use crate::line::Line;

/// Returns the line for an event of this profile's account or device.
pub(crate) fn account(event: &'static str, account: &AccountInfo, text: String) -> Line {
    account_event(event, account.username.as_str(), account.device.get(), text)
}

/// Returns the line for an event of a device of the account.
pub(crate) fn account_event(event: &'static str, account: &str, device: u8, text: String) -> Line {
    #[derive(Serialize)]
    struct Object<'a> {
        event: &'static str,
        account: &'a str,
        device: u8,
    }
    Line::new(&Object { event, account, device }, text)
}

/// Returns the line for a message that the server accepted.
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

/// Returns the line for a message that is kept and will be sent later.
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

/// Returns the line for the outcome of a message that an earlier command left in the outbox.
pub(crate) fn settled(settled: &Settled) -> Line {
    match settled {
        Settled::Sent(receipt) => sent(receipt),
        Settled::Refused { to, message_id, code } => refused(to, *message_id, code.as_str(), code.title()),
    }
}

/// Returns the line for a message that was queued earlier and refused for good.
fn refused(to: &Username, message_id: MessageId, code: &str, why: &str) -> Line {
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
