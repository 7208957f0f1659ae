//! `status`.

use std::fmt::Write as _;

use clap::Args;
use sealpost_client::engine::{AccountInfo, OutboxEntry};
use sealpost_client::front::Outbox;
use serde::{Deserialize, Serialize};

use crate::failure::{Exit, Failure};
use crate::front::Front;
use crate::job::Job;
use crate::line::Line;
use crate::run::Run;
use crate::sanitise::visible;
use crate::task::Task;
use crate::time::utc;

/// Connection, outbox, and anything that needs attention; without the server (3) what the vault knows
#[derive(Debug, Args, Serialize, Deserialize)]
pub(crate) struct Status {}

impl Run for Status {
    async fn run(self, front: &Front) -> Result<(), Failure> {
        front.perform(self).await
    }
}

impl Task for Status {
    const NAME: &'static str = "status";

    /// Connects, sends what waits, and says how things stand. Without the server it says what the vault knows, and fails.
    async fn perform(&self, job: &Job<'_>) -> Result<(), Failure> {
        let account = job.account().await?;
        let mut outbox = Outbox::watch(job.client());
        let connected = job.go_online().await;
        if connected.is_ok() {
            outbox.settle(&job.limit, async |settled| job.settled(settled).await).await?;
        }
        let (status, waiting) =
            job.client().query(|engine, context| Ok((engine.status(context)?, engine.outbox()))).await?;
        let mut lines = vec![line(&account, job.owner.server.as_deref(), &status)];
        lines.extend(waiting.iter().map(waiting_line));
        job.lines(&lines).await?;
        connected.map_err(|trouble| {
            let failure = Failure::from(trouble);
            // The status says it already.
            Failure { quiet: failure.exit == Exit::Unreachable, ..failure }
        })
    }
}

fn line(account: &AccountInfo, server: Option<&str>, status: &sealpost_client::engine::Status) -> Line {
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
    let mut text = format!(
        "{} on {}: {}, {}; {} to be sent, {} to be printed",
        account.username,
        visible(server.unwrap_or("no server")),
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
    Line::new(&object, text)
}

/// Returns the line for a message that waits in the outbox.
fn waiting_line(entry: &OutboxEntry) -> Line {
    #[derive(Serialize)]
    struct Object<'a> {
        event: &'static str,
        to: &'a str,
        message_id: String,
        sent_at: u64,
        number: Option<u64>,
    }
    let object = Object {
        event: "waiting",
        to: entry.to.as_str(),
        message_id: entry.message_id.to_string(),
        sent_at: entry.sent_at.0,
        number: entry.number.map(|number| number.0),
    };
    Line::new(&object, format!("  to {}, written {}", entry.to, utc(entry.sent_at.0)))
}
