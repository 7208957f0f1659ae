//! Answers the operator's questions, and records each in the audit log.

use std::sync::Arc;

use sealpost_crypto::UnixMillis;

use super::reload::Reload;
use crate::operate::admin::protocol::{Failure, Reply, Request};
use crate::operate::admin::socket::{Acts, failure};
use crate::operate::audit::Audit;
use crate::service::Services;

mod answer;
mod perform;

/// Answers at the operator's socket; see [`Acts`].
pub(super) struct Operator {
    pub(super) services: Services,
    pub(super) audit: Arc<Audit>,
    pub(super) reload: Arc<Reload>,
    pub(super) url: String,
    pub(super) started_at: UnixMillis,
}

impl Acts for Operator {
    async fn act(&self, uid: u32, request: Request) -> Result<Reply, Failure> {
        let act = name(&request);
        let outcome = self.perform(request).await;
        let (about, text) = match &outcome {
            Ok(answer) => (answer.about.clone(), "ok".to_owned()),
            Err(failure) => (None, failure.error.clone()),
        };
        self.note(act, about, uid, text).await?;
        outcome.map(|answer| answer.reply)
    }
}

impl Operator {
    /// Reloads because a signal asked for it.
    pub(super) async fn reload_by_signal(&self) {
        let outcome = self.act(rustix::process::geteuid().as_raw(), Request::Reload).await;
        if let Err(failure) = outcome {
            tracing::error!(reason = failure.message, "nothing was reloaded");
        }
    }

    /// Notes an act in the audit log.
    async fn note(
        &self,
        act: Option<&'static str>,
        target: Option<String>,
        uid: u32,
        outcome: String,
    ) -> Result<(), Failure> {
        let Some(act) = act else { return Ok(()) };
        let (audit, at) = (Arc::clone(&self.audit), self.services.core().clock.now());
        let noted = tokio::task::spawn_blocking(move || audit.note(at, act, target.as_deref(), uid, &outcome)).await;
        let error = match noted {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        tracing::error!(act, error, "the audit log could not be written");
        Err(failure(
            "not_noted",
            "the audit log could not be written; what was asked for may be done: look at the disk",
        ))
    }
}

/// Returns the name of a request in the audit log, or `None` for one that tells nothing about anybody and changes nothing, so
/// that a script which asks every minute does not push others out of the log.
const fn name(request: &Request) -> Option<&'static str> {
    match request {
        Request::InvitesCreate { .. } => Some("invites_create"),
        Request::InvitesRevoke { .. } => Some("invites_revoke"),
        Request::UsersList { .. } => Some("users_list"),
        Request::UsersShow { .. } => Some("users_show"),
        Request::UsersDisable { .. } => Some("users_disable"),
        Request::UsersEnable { .. } => Some("users_enable"),
        Request::UsersResetPassword { .. } => Some("users_reset_password"),
        Request::UsersDelete { .. } => Some("users_delete"),
        Request::SessionsList { .. } => Some("sessions_list"),
        Request::SessionsEnd { .. } => Some("sessions_end"),
        Request::Keys { .. } => Some("keys"),
        Request::AfterRestore => Some("after_restore"),
        Request::Reload => Some("reload"),
        Request::InvitesList | Request::Queues { .. } | Request::Status => None,
    }
}
