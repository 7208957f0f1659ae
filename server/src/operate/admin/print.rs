//! Prints answers: as tables for people, and as one JSON object a line for scripts.

use std::io::{self, Write};

use serde::Serialize;

use super::protocol::{Changed, Erased, Keys, Reloaded, Reply, Status, UserDetail};

mod table;

use table::{ago, table, time};

/// Prints one object a line: each item of a list, or the answer itself.
pub(super) fn json(out: &mut impl Write, reply: &Reply) -> io::Result<()> {
    match reply {
        Reply::Issued(items) => lines(out, items),
        Reply::Invites(items) => lines(out, items),
        Reply::Revoked(item) => line(out, item),
        Reply::Users(items) => lines(out, items),
        Reply::User(item) => line(out, item),
        Reply::Changed(item) => line(out, item),
        Reply::Erased(item) => line(out, item),
        Reply::Sessions(items) => lines(out, items),
        Reply::Queues(items) => lines(out, items),
        Reply::Keys(items) => lines(out, items),
        Reply::Status(item) => line(out, item),
        Reply::Restored(item) => line(out, item),
        Reply::Reloaded(item) => line(out, item),
    }
}

fn lines(out: &mut impl Write, items: &[impl Serialize]) -> io::Result<()> {
    items.iter().try_for_each(|item| line(out, item))
}

fn line(out: &mut impl Write, item: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, item)?;
    out.write_all(b"\n")
}

/// Prints tables for people.
pub(super) fn text(out: &mut impl Write, reply: &Reply) -> io::Result<()> {
    match reply {
        Reply::Issued(items) => {
            for item in items {
                writeln!(out, "{}", item.invite)?;
            }
            match items.first() {
                Some(first) => writeln!(out, "Each is good for one account until {}.", time(first.expires_at)),
                None => Ok(()),
            }
        }
        Reply::Invites(items) => table(
            out,
            ["ID", "MADE", "GOOD UNTIL"],
            items.iter().map(|item| [item.id.clone(), time(item.created_at), time(item.expires_at)]),
        ),
        Reply::Revoked(item) => writeln!(out, "The invite {} is not taken any more.", item.id),
        Reply::Users(items) => table(
            out,
            ["NAME", "SINCE", "LOG-IN", "DEVICES", "WAITING", "BYTES"],
            items.iter().map(|item| {
                [
                    item.user.clone(),
                    time(item.created_at),
                    log_in(item.disabled_at),
                    item.devices.to_string(),
                    item.queued_messages.to_string(),
                    item.queued_bytes.to_string(),
                ]
            }),
        ),
        Reply::User(item) => user(out, item),
        Reply::Changed(item) => changed(out, item),
        Reply::Erased(item) => erased(out, item),
        Reply::Sessions(items) => table(
            out,
            ["ID", "DEVICE", "SINCE", "LAST USED"],
            items
                .iter()
                .map(|item| [item.id.clone(), item.device.to_string(), time(item.created_at), time(item.last_used_at)]),
        ),
        Reply::Queues(items) => table(
            out,
            ["NAME", "DEVICE", "MESSAGES", "BYTES", "OLDEST", "LAST SEEN"],
            items.iter().map(|item| {
                [
                    item.user.clone(),
                    item.device.to_string(),
                    item.messages.to_string(),
                    item.bytes.to_string(),
                    ago(item.oldest_at),
                    ago(item.last_seen_at),
                ]
            }),
        ),
        Reply::Keys(items) => keys(out, items),
        Reply::Status(item) => status(out, item),
        Reply::Restored(item) => writeln!(
            out,
            "{} sessions ended; {} one-time prekeys and {} invites are gone; {} devices have a new key epoch.",
            item.sessions, item.one_time_prekeys, item.invites, item.devices
        ),
        Reply::Reloaded(item) => reloaded(out, item),
    }
}

fn user(out: &mut impl Write, item: &UserDetail) -> io::Result<()> {
    writeln!(out, "{}  {}", item.user, item.account_id)?;
    writeln!(
        out,
        "since {}, log-in {}, {} live sessions, device list {}",
        time(item.created_at),
        log_in(item.disabled_at),
        item.sessions,
        item.device_list_version
    )?;
    table(
        out,
        ["DEVICE", "LAST SEEN", "WAITING", "BYTES", "ONE-TIME PREKEYS"],
        item.devices.iter().map(|device| {
            [
                device.device.to_string(),
                time(device.last_seen_at),
                device.queued_messages.to_string(),
                device.queued_bytes.to_string(),
                device.one_time_prekeys.to_string(),
            ]
        }),
    )
}

fn changed(out: &mut impl Write, item: &Changed) -> io::Result<()> {
    if !item.changed {
        return writeln!(out, "It was so already.");
    }
    if let Some(password) = &item.password {
        writeln!(out, "The new password, which is shown only now: {}", password.reveal())?;
    }
    writeln!(out, "Done; {} sessions ended.", item.ended_sessions)
}

fn erased(out: &mut impl Write, item: &Erased) -> io::Result<()> {
    let report = &item.report;
    writeln!(out, "The account {} is erased:", item.account_id)?;
    for (count, what) in [
        (report.devices, "devices"),
        (report.sessions, "sessions"),
        (report.device_lists, "device lists"),
        (report.signed_prekeys, "signed prekeys"),
        (report.one_time_prekeys, "one-time prekeys"),
        (report.queued_messages, "waiting messages, whose senders are told"),
    ] {
        writeln!(out, "  {count} {what}")?;
    }
    writeln!(out, "What remains:")?;
    report.remains.iter().try_for_each(|remains| writeln!(out, "  {remains}"))
}

fn keys(out: &mut impl Write, items: &[Keys]) -> io::Result<()> {
    table(
        out,
        ["DEVICE", "ONE-TIME LEFT", "KEY EPOCH", "SIGNED PREKEY", "EXPIRES"],
        items.iter().map(|item| {
            [
                item.device.to_string(),
                item.one_time_prekeys.to_string(),
                item.key_epoch.to_string(),
                item.signed_prekey.map_or_else(|| "none".to_owned(), |id| id.to_string()),
                item.signed_prekey_expires_at.map_or_else(String::new, time),
            ]
        }),
    )
}

fn status(out: &mut impl Write, item: &Status) -> io::Result<()> {
    let state = item.unavailable.as_deref().map_or_else(|| "serves".to_owned(), |why| format!("stores nothing: {why}"));
    let oldest = item.oldest_at.map_or_else(String::new, |at| format!(", the oldest for {}", ago(at)));
    writeln!(out, "{} {} (version {}, process {})", item.url, state, item.version, item.pid)?;
    writeln!(out, "up for {}, registration {}", ago(item.started_at), item.registration)?;
    writeln!(
        out,
        "{} accounts ({} disabled), {} devices, {} sessions, {} open streams, {} invites",
        item.accounts, item.disabled_accounts, item.devices, item.sessions, item.streams, item.invites
    )?;
    writeln!(out, "{} messages wait with {} bytes{oldest}", item.queued_messages, item.queued_bytes)?;
    writeln!(
        out,
        "{} devices have few one-time prekeys, {} no valid signed prekey; {} passwords wait to be hashed",
        item.one_time_low, item.signed_expired, item.passwords_waiting
    )
}

fn reloaded(out: &mut impl Write, item: &Reloaded) -> io::Result<()> {
    if item.changed.is_empty() {
        writeln!(out, "Nothing has changed.")?;
    }
    item.changed.iter().try_for_each(|line| writeln!(out, "{line}"))?;
    if !item.needs_restart.is_empty() {
        writeln!(out, "Changed in the file, and in force after a restart: {}", item.needs_restart.join(", "))?;
    }
    Ok(())
}

fn log_in(disabled_at: Option<u64>) -> String {
    disabled_at.map_or_else(|| "allowed".to_owned(), |at| format!("disabled {}", time(at)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operate::admin::protocol::Invite;

    fn invites() -> Reply {
        Reply::Invites(vec![
            Invite { id: "0a".into(), created_at: 0, expires_at: 1_800_000_000_000 },
            Invite { id: "ffff".into(), created_at: 1, expires_at: 2_000 },
        ])
    }

    #[test]
    fn columns_stand_below_each_other() {
        let mut out = Vec::new();
        text(&mut out, &invites()).unwrap();
        let expected = "ID    MADE                  GOOD UNTIL\n0a    ?                     2027-01-15T08:00:00Z\n\
                        ffff  1970-01-01T00:00:00Z  1970-01-01T00:00:02Z\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn json_has_one_object_a_line() {
        let mut out = Vec::new();
        json(&mut out, &invites()).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.lines().count(), 2);
        assert!(text.lines().all(|line| serde_json::from_str::<Invite>(line).is_ok()), "{text}");
    }
}
