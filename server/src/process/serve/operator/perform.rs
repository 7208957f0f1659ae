//! Does what the operator asks for.

use super::Operator;
use super::answer::{Answer, account_id, changed, detail, invite_id, keys, policy, refused, session, session_id, size};
use crate::operate::admin::protocol::{
    Erased, Failure, Invite, Issued, Queue, Reply, Request, Restored, Revoked, Status, User,
};

const DAY_MILLIS: u64 = 24 * 3_600 * 1_000;

impl Operator {
    /// Does what a request asks for.
    pub(super) async fn perform(&self, request: Request) -> Result<Answer, Failure> {
        let services = &self.services;
        match request {
            Request::InvitesCreate { count, days } => {
                let lifetime = u64::from(days).saturating_mul(DAY_MILLIS);
                let issued = services.issue_invites(count, lifetime).await.map_err(refused)?;
                let about = issued.iter().map(|one| invite_id(&one.hash)).collect::<Vec<_>>().join(" ");
                let items = issued.into_iter().map(|one| Issued {
                    id: invite_id(&one.hash),
                    invite: one.invite,
                    expires_at: one.expires_at.0,
                });
                Ok(Answer::about(about, Reply::Issued(items.collect())))
            }
            Request::InvitesList => {
                let invites = services.invites().await.map_err(refused)?;
                let items = invites.iter().map(|invite| Invite {
                    id: invite_id(&invite.hash),
                    created_at: invite.created_at.0,
                    expires_at: invite.expires_at.0,
                });
                Ok(Reply::Invites(items.collect()).into())
            }
            Request::InvitesRevoke { invite } => {
                let id = invite_id(&services.revoke_invite(&invite).await.map_err(refused)?);
                Ok(Answer::about(id.clone(), Reply::Revoked(Revoked { id })))
            }
            Request::UsersList { after, limit } => self.users(after, limit).await,
            Request::UsersShow { user } => {
                let found = services.user(&user).await.map_err(refused)?;
                Ok(Answer::about(account_id(found.record.id), Reply::User(Box::new(detail(&found)))))
            }
            Request::UsersDisable { user } => Ok(changed(services.disable_user(&user).await.map_err(refused)?)),
            Request::UsersEnable { user } => Ok(changed(services.enable_user(&user).await.map_err(refused)?)),
            Request::UsersResetPassword { user, password } => {
                Ok(changed(services.reset_password(&user, password).await.map_err(refused)?))
            }
            Request::UsersDelete { user } => {
                let (account, report) = services.delete_user(&user).await.map_err(refused)?;
                let id = account_id(account);
                Ok(Answer::about(id.clone(), Reply::Erased(Erased { account_id: id, report })))
            }
            Request::SessionsList { user } => {
                let found = services.user(&user).await.map_err(refused)?;
                let items = found.sessions.iter().map(session).collect();
                Ok(Answer::about(account_id(found.record.id), Reply::Sessions(items)))
            }
            Request::SessionsEnd { user, session } => {
                let session = session.as_deref().map(session_id).transpose()?;
                Ok(changed(services.end_user_sessions(&user, session).await.map_err(refused)?))
            }
            Request::Queues { top } => self.queues(top).await,
            Request::Keys { user } => {
                let found = services.user(&user).await.map_err(refused)?;
                let items = found.devices.iter().map(keys).collect();
                Ok(Answer::about(account_id(found.record.id), Reply::Keys(items)))
            }
            Request::Status => Ok(Reply::Status(Box::new(self.status().await?)).into()),
            Request::AfterRestore => {
                let ended = services.after_restore().await.map_err(refused)?;
                let item = Restored {
                    devices: ended.devices,
                    sessions: ended.sessions,
                    one_time_prekeys: ended.one_time_prekeys,
                    invites: ended.invites,
                };
                Ok(Reply::Restored(item).into())
            }
            Request::Reload => self.reload.run().await.map(|reloaded| Reply::Reloaded(reloaded).into()),
        }
    }

    /// Lists accounts.
    async fn users(&self, after: Option<String>, limit: u32) -> Result<Answer, Failure> {
        let users = self.services.users(after.as_deref(), size(limit)).await.map_err(refused)?;
        let items = users.into_iter().map(|user| User {
            user: user.username.as_str().to_owned(),
            account_id: account_id(user.id),
            created_at: user.created_at.0,
            disabled_at: user.disabled_at.map(|at| at.0),
            devices: user.devices,
            queued_messages: user.queued_messages,
            queued_bytes: user.queued_bytes,
        });
        Ok(Reply::Users(items.collect()).into())
    }

    /// Lists the largest queues.
    async fn queues(&self, top: u32) -> Result<Answer, Failure> {
        let queues = self.services.largest_queues(size(top)).await.map_err(refused)?;
        let items = queues.into_iter().map(|queue| Queue {
            user: queue.username.as_str().to_owned(),
            device: queue.address.device.get(),
            messages: queue.messages,
            bytes: queue.bytes,
            oldest_at: queue.oldest_at.0,
            last_seen_at: queue.last_seen_at.0,
        });
        Ok(Reply::Queues(items.collect()).into())
    }

    /// Describes the state of the server.
    async fn status(&self) -> Result<Status, Failure> {
        let core = self.services.core();
        let figures = core.store.figures(core.clock.now()).await;
        let figures = figures.map_err(|error| refused(error.into()))?;
        Ok(Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            started_at: self.started_at.0,
            url: self.url.clone(),
            registration: policy(core.settings.registration).to_owned(),
            unavailable: core.store.ready().await.err().map(|error| error.to_string()),
            streams: u64::try_from(core.hub.connections()).unwrap_or(u64::MAX),
            passwords_waiting: u64::try_from(core.passwords.waiting()).unwrap_or(u64::MAX),
            accounts: figures.accounts,
            disabled_accounts: figures.disabled_accounts,
            devices: figures.devices,
            sessions: figures.sessions,
            invites: figures.invites,
            queued_messages: figures.queued_messages,
            queued_bytes: figures.queued_bytes,
            oldest_at: figures.oldest_at.map(|at| at.0),
            one_time_low: figures.one_time_low,
            signed_expired: figures.signed_expired,
        })
    }
}
