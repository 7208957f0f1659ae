//! `sessions`.

use sealpost_api::encoding::B64;
use sealpost_api::ids::SessionId;
use sealpost_client::engine::{Command, Outcome, SessionRow};
use serde::{Deserialize, Serialize};

use super::account::unexpected;
use super::outbox;
use crate::failure::{Exit, Failure};
use crate::limit::Limit;
use crate::owner::Owner;
use crate::sink::Sink;
use crate::task::Line;
use crate::time::utc;

/// Lists the account's log-ins.
pub(crate) async fn list(owner: &Owner, limit: &Limit, sink: &Sink) -> Result<(), Failure> {
    owner.account().await?;
    let Outcome::Sessions(sessions) = owner.command(limit, Command::ListSessions).await? else {
        return Err(unexpected());
    };
    let lines: Vec<_> = sessions.iter().map(line).collect();
    sink.lines(&lines).await?;
    outbox::flush(owner, limit, sink).await
}

/// Ends one.
pub(crate) async fn end(owner: &Owner, limit: &Limit, sink: &Sink, id: &str) -> Result<(), Failure> {
    let session = B64::<SessionId>::deserialize(serde::de::value::StrDeserializer::<serde::de::value::Error>::new(id))
        .map_err(|_| {
            Failure::new(Exit::Usage, "session_id", "this is no session's id").hint("sealpost sessions lists them")
        })?;
    owner.account().await?;
    ended(owner.command(limit, Command::EndSession(session.0)).await?, sink).await
}

/// Ends them all, this one too.
pub(crate) async fn end_all(owner: &Owner, limit: &Limit, sink: &Sink) -> Result<(), Failure> {
    owner.account().await?;
    let outcome = owner.command(limit, Command::EndAllSessions).await?;
    owner.note_logged_out(true).await?;
    ended(outcome, sink).await
}

async fn ended(outcome: Outcome, sink: &Sink) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Object {
        event: &'static str,
        ended: u32,
    }
    let Outcome::Ended(ended) = outcome else { return Err(unexpected()) };
    sink.line(Line::new(&Object { event: "sessions_ended", ended }, format!("{ended} ended"))).await
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
