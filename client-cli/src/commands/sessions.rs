//! `sessions`.

use clap::{Args, Subcommand};
use sealpost_api::encoding::B64;
use sealpost_api::ids::SessionId;
use sealpost_client::engine::{Command, Outcome, SessionRow};
use serde::{Deserialize, Serialize};

use crate::errors;
use crate::failure::{Exit, Failure};
use crate::front::Front;
use crate::job::Job;
use crate::line::Line;
use crate::run::Run;
use crate::task::Task;
use crate::time::utc;

/// The account's logins
#[derive(Debug, Args)]
pub(crate) struct Sessions {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// End a login, or all of them
    End {
        /// The session's id, as `sessions` prints it
        #[arg(required_unless_present = "all", allow_hyphen_values = true)]
        id: Option<String>,
        /// End all of them, this one too
        #[arg(long, conflicts_with = "id")]
        all: bool,
    },
}

impl Run for Sessions {
    async fn run(self, front: &Front) -> Result<(), Failure> {
        match self.action {
            None => front.perform(List {}).await,
            Some(Action::End { id: Some(id), .. }) => front.perform(End { id }).await,
            Some(Action::End { id: None, .. }) => front.perform(EndAll {}).await,
        }
    }
}

/// Lists the account's logins.
#[derive(Serialize, Deserialize)]
pub(super) struct List {}

impl Task for List {
    const NAME: &'static str = "sessions";

    async fn perform(&self, job: &Job<'_>) -> Result<(), Failure> {
        job.account().await?;
        let Outcome::Sessions(sessions) = job.command(Command::ListSessions).await? else {
            return Err(errors::unexpected());
        };
        let lines: Vec<_> = sessions.iter().map(line).collect();
        job.lines(&lines).await?;
        job.flush().await
    }
}

/// Ends one login.
#[derive(Serialize, Deserialize)]
pub(super) struct End {
    id: String,
}

impl Task for End {
    const NAME: &'static str = "end_session";

    async fn perform(&self, job: &Job<'_>) -> Result<(), Failure> {
        let id = serde::de::value::StrDeserializer::<serde::de::value::Error>::new(&self.id);
        let session = B64::<SessionId>::deserialize(id).map_err(|_| {
            Failure::new(Exit::Usage, "session_id", "this is not the id of a session")
                .hint("sealpost sessions lists them")
        })?;
        job.account().await?;
        ended(job.command(Command::EndSession(session.0)).await?, job).await
    }
}

/// Ends all logins, this one too.
#[derive(Serialize, Deserialize)]
pub(super) struct EndAll {}

impl Task for EndAll {
    const NAME: &'static str = "end_all_sessions";

    async fn perform(&self, job: &Job<'_>) -> Result<(), Failure> {
        job.account().await?;
        let outcome = job.command(Command::EndAllSessions).await?;
        job.client().note_logged_out(true).await?;
        ended(outcome, job).await
    }
}

async fn ended(outcome: Outcome, job: &Job<'_>) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Object {
        event: &'static str,
        ended: u32,
    }
    let Outcome::Ended(ended) = outcome else { return Err(errors::unexpected()) };
    job.line(Line::new(&Object { event: "sessions_ended", ended }, format!("{ended} ended"))).await
}

fn line(session: &SessionRow) -> Line {
    #[derive(Serialize)]
    struct Object {
        event: &'static str,
        session_id: B64<SessionId>,
        device_id: u8,
        created_at: u64,
        last_used_at: u64,
        current: bool,
    }
    let object = Object {
        event: "session",
        session_id: B64(session.session),
        device_id: session.device.get(),
        created_at: session.created_at.0,
        last_used_at: session.last_used_at.0,
        current: session.current,
    };
    let id = serde_json::to_value(object.session_id).ok();
    let text = format!(
        "{}  device {}, since {}, last used {}{}",
        id.as_ref().and_then(serde_json::Value::as_str).unwrap_or_default(),
        session.device.get(),
        utc(session.created_at.0),
        utc(session.last_used_at.0),
        if session.current { "  (this one)" } else { "" }
    );
    Line::new(&object, text)
}
