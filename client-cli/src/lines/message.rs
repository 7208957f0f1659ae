//! Messages.

use std::fmt::Write as _;

use sealpost_client::engine::{Direction, HistoryEntry, MessageFlag};
use serde::Serialize;

use crate::line::Line;
use crate::sanitise::visible;
use crate::time::utc;

/// Returns the line that `history` prints for a message of either side.
pub(crate) fn of_history(entry: &HistoryEntry, me: &str) -> Line {
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

/// Returns what a person must know beside the text.
fn flags(entry: &HistoryEntry) -> String {
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

/// Returns the line that `receive` prints for a message.
pub(crate) fn received(entry: &HistoryEntry) -> Line {
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
