//! `status` and `keys`.

use std::fmt::Write as _;

use sealpost_client::engine::{Command, Outcome};
use serde::Serialize;

use super::account::unexpected;
use super::outbox;
use crate::failure::{Exit, Failure};
use crate::limit::Limit;
use crate::owner::Owner;
use crate::sink::Sink;
use crate::task::Line;
use crate::time::utc;

/// Connects, sends what waits, and says how things stand. Without the server it says what the vault knows, and exits 3.
pub(crate) async fn status(owner: &Owner, limit: &Limit, sink: &Sink) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Object<'a> {
        event: &'static str,
        account: &'a str,
        server: Option<&'a str>,
        logged_in: bool,
        online: bool,
        outbox: u64,
        held: u64,
        unprinted: u64,
        number: u64,
        recovering: bool,
        lost_numbers: Vec<u64>,
    }
    #[derive(Serialize)]
    struct Waiting<'a> {
        event: &'static str,
        to: &'a str,
        message_id: String,
        sent_at: u64,
        number: Option<u64>,
    }
    let account = owner.account().await?;
    let events = owner.driver.events();
    let connected = owner.go_online(limit).await;
    if connected.is_ok() {
        outbox::settle(owner, limit, sink, events).await?;
    }
    let (status, waiting) = owner.query(|engine, context| Ok((engine.status(context)?, engine.outbox()))).await?;
    let server = owner.server.as_deref();
    let mut text = format!(
        "{} on {}: {}, {}; {} to be sent, {} to be printed",
        account.username,
        crate::sanitise::visible(server.unwrap_or("no server")),
        if status.logged_in { "logged in" } else { "logged out" },
        if status.online { "online" } else { "offline" },
        status.outbox,
        status.unprinted
    );
    if status.held > 0 {
        let _ = write!(text, "; {} received wait for an earlier one or for their sender's name", status.held);
    }
    if status.recovering {
        text.push_str("\nThis profile was rolled back to an older copy; new keys are being uploaded.");
    }
    if !status.lost_numbers.is_empty() {
        let _ = write!(text, "\n{} message(s) were lost in a restore of the server.", status.lost_numbers.len());
    }
    let object = Object {
        event: "status",
        account: account.username.as_str(),
        server,
        logged_in: status.logged_in,
        online: status.online,
        outbox: status.outbox,
        held: status.held,
        unprinted: status.unprinted,
        number: status.number,
        recovering: status.recovering,
        lost_numbers: status.lost_numbers.iter().map(|number| number.0).collect(),
    };
    let mut lines = vec![Line::new(&object, text)];
    lines.extend(waiting.iter().map(|entry| {
        let object = Waiting {
            event: "waiting",
            to: entry.to.as_str(),
            message_id: entry.message_id.to_string(),
            sent_at: entry.sent_at.0,
            number: entry.number.map(|number| number.0),
        };
        Line::new(&object, format!("  to {}, written {}", entry.to, utc(entry.sent_at.0)))
    }));
    sink.lines(&lines).await?;
    match connected {
        Ok(()) => Ok(()),
        Err(tried) => {
            let failure = tried.explained(owner);
            // It has been said already.
            Err(Failure { quiet: failure.exit == Exit::Unreachable, ..failure })
        }
    }
}

/// The prekeys that the server holds for this device; with `rotate` a new signed one.
pub(crate) async fn keys(owner: &Owner, limit: &Limit, sink: &Sink, rotate: bool) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Object {
        event: &'static str,
        key_epoch: u32,
        one_time_left: u32,
        signed_prekey_id: u32,
        signed_prekey_expires_at: u64,
    }
    owner.account().await?;
    let command = if rotate { Command::RotateKeys } else { Command::KeyStatus };
    let Outcome::Keys(keys) = owner.command(limit, command).await? else { return Err(unexpected()) };
    let text = format!(
        "signed prekey {}{}, good until {}; {} one-time prekeys left",
        keys.signed_prekey_id,
        if rotate { " (new)" } else { "" },
        utc(keys.signed_prekey_expires_at.0),
        keys.one_time_left
    );
    let object = Object {
        event: if rotate { "keys_rotated" } else { "keys" },
        key_epoch: keys.key_epoch,
        one_time_left: keys.one_time_left,
        signed_prekey_id: keys.signed_prekey_id,
        signed_prekey_expires_at: keys.signed_prekey_expires_at.0,
    };
    sink.line(Line::new(&object, text)).await?;
    outbox::flush(owner, limit, sink).await
}
