//! Answers the operator's questions, and records each in the audit log.

use std::sync::Arc;

use sealpost_api::ids::SessionId;
use sealpost_api::server::RegistrationPolicy;
use sealpost_crypto::{AccountId, UnixMillis};

use super::reload::Reload;
use crate::operate::admin::protocol::{
    Changed, Device, Erased, Failure, Invite, Issued, Keys, Queue, Reply, Request, Restored, Revoked, Session, Status,
    User, UserDetail,
};
use crate::operate::admin::socket::{Acts, failure};
use crate::operate::audit::Audit;
use crate::service::admin::AdminError;
use crate::service::{ServiceError, Services};
use crate::store::{AccountRecord, DeviceRecord, SessionRecord};

const DAY_MILLIS: u64 = 24 * 3_600 * 1_000;
/// The bytes of an invite's hash in its id: enough to be distinct, and short enough to type a part.
const INVITE_ID_BYTES: usize = 8;

/// See [`Acts`].
pub(super) struct Operator {
    pub(super) services: Services,
    pub(super) audit: Arc<Audit>,
    pub(super) reload: Arc<Reload>,
    pub(super) url: String,
    pub(super) started_at: UnixMillis,
}

/// An answer, and the account or invite that it is about.
type Done = Result<(Reply, Option<String>), Failure>;

impl Acts for Operator {
    async fn act(&self, uid: u32, request: Request) -> Result<Reply, Failure> {
        let act = name(&request);
        let outcome = self.perform(request).await;
        let (target, text) = match &outcome {
            Ok((_, target)) => (target.clone(), "ok".to_owned()),
            Err(failure) => (None, failure.error.clone()),
        };
        self.note(act, target, uid, text).await?;
        outcome.map(|(reply, _)| reply)
    }
}

impl Operator {
    /// Reloads because of a signal.
    pub(super) async fn reload_by_signal(&self) {
        let outcome = self.act(rustix::process::geteuid().as_raw(), Request::Reload).await;
        if let Err(failure) = outcome {
            tracing::error!(reason = failure.message, "nothing was reloaded");
        }
    }

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

    async fn perform(&self, request: Request) -> Done {
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
                Ok((Reply::Issued(items.collect()), Some(about)))
            }
            Request::InvitesList => {
                let invites = services.invites().await.map_err(refused)?;
                let items = invites.iter().map(|invite| Invite {
                    id: invite_id(&invite.hash),
                    created_at: invite.created_at.0,
                    expires_at: invite.expires_at.0,
                });
                Ok((Reply::Invites(items.collect()), None))
            }
            Request::InvitesRevoke { invite } => {
                let id = invite_id(&services.revoke_invite(&invite).await.map_err(refused)?);
                Ok((Reply::Revoked(Revoked { id: id.clone() }), Some(id)))
            }
            Request::UsersList { after, limit } => self.users(after, limit).await,
            Request::UsersShow { user } => {
                let found = services.user(&user).await.map_err(refused)?;
                let target = account_id(found.0.id);
                Ok((Reply::User(Box::new(detail(&found))), Some(target)))
            }
            Request::UsersDisable { user } => {
                let (account, ended) = services.disable_user(&user).await.map_err(refused)?;
                Ok(changed(account, ended, true))
            }
            Request::UsersEnable { user } => {
                let (account, was) = services.enable_user(&user).await.map_err(refused)?;
                Ok(changed(account, 0, was))
            }
            Request::UsersResetPassword { user, password } => {
                let (account, made, ended) = services.reset_password(&user, password).await.map_err(refused)?;
                let id = account_id(account);
                let item = Changed { account_id: id.clone(), ended_sessions: ended, changed: true, password: made };
                Ok((Reply::Changed(item), Some(id)))
            }
            Request::UsersDelete { user } => {
                let (account, report) = services.delete_user(&user).await.map_err(refused)?;
                let id = account_id(account);
                Ok((Reply::Erased(Erased { account_id: id.clone(), report }), Some(id)))
            }
            Request::SessionsList { user } => {
                let (record, _, sessions) = services.user(&user).await.map_err(refused)?;
                Ok((Reply::Sessions(sessions.iter().map(session).collect()), Some(account_id(record.id))))
            }
            Request::SessionsEnd { user, session } => {
                let session = session.as_deref().map(session_id).transpose()?;
                let (account, ended) = services.end_user_sessions(&user, session).await.map_err(refused)?;
                Ok(changed(account, ended, ended > 0))
            }
            Request::Queues { top } => self.queues(top).await,
            Request::Keys { user } => {
                let (record, devices, _) = services.user(&user).await.map_err(refused)?;
                Ok((Reply::Keys(devices.iter().map(keys).collect()), Some(account_id(record.id))))
            }
            Request::Status => Ok((Reply::Status(Box::new(self.status().await?)), None)),
            Request::AfterRestore => {
                let ended = services.after_restore().await.map_err(refused)?;
                let item = Restored {
                    devices: ended.devices,
                    sessions: ended.sessions,
                    one_time_prekeys: ended.one_time_prekeys,
                    invites: ended.invites,
                };
                Ok((Reply::Restored(item), None))
            }
            Request::Reload => self.reload.run().await.map(|reloaded| (Reply::Reloaded(reloaded), None)),
        }
    }

    async fn users(&self, after: Option<String>, limit: u32) -> Done {
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
        Ok((Reply::Users(items.collect()), None))
    }

    async fn queues(&self, top: u32) -> Done {
        let queues = self.services.largest_queues(size(top)).await.map_err(refused)?;
        let items = queues.into_iter().map(|queue| Queue {
            user: queue.username.as_str().to_owned(),
            device: queue.address.device.get(),
            messages: queue.messages,
            bytes: queue.bytes,
            oldest_at: queue.oldest_at.0,
            last_seen_at: queue.last_seen_at.0,
        });
        Ok((Reply::Queues(items.collect()), None))
    }

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

/// Returns the act's name in the audit log. Returns `None` for acts that concern nobody and change nothing, so that a
/// script that asks every minute does not push others out of the log.
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

fn refused(error: AdminError) -> Failure {
    let name = match &error {
        AdminError::UnknownUser => "unknown_user",
        AdminError::UnknownSession => "unknown_session",
        AdminError::UnknownInvite => "unknown_invite",
        AdminError::AmbiguousInvite => "ambiguous_invite",
        AdminError::Service(ServiceError { code, .. }) => code.as_str(),
    };
    if let AdminError::Service(ServiceError { source: Some(cause), .. }) = &error {
        tracing::warn!(error = %cause, "an operator's act failed");
    }
    failure(name, &error.to_string())
}

fn changed(account: AccountId, ended_sessions: u32, changed: bool) -> (Reply, Option<String>) {
    let account_id = account_id(account);
    let target = Some(account_id.clone());
    (Reply::Changed(Changed { account_id, ended_sessions, changed, password: None }), target)
}

fn account_id(account: AccountId) -> String {
    hex::encode(account.as_bytes())
}

fn invite_id(hash: &[u8; 32]) -> String {
    hex::encode(hash.get(..INVITE_ID_BYTES).unwrap_or(hash))
}

fn session_id(text: &str) -> Result<SessionId, Failure> {
    let mut bytes = [0; 16];
    match hex::decode_to_slice(text, &mut bytes) {
        Ok(()) => Ok(SessionId::from_bytes(bytes)),
        Err(_) => Err(failure("malformed", "a session's id has 32 hexadecimal digits; `sessions list` shows them")),
    }
}

fn size(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

const fn policy(policy: RegistrationPolicy) -> &'static str {
    match policy {
        RegistrationPolicy::Open => "open",
        RegistrationPolicy::Invite => "invite",
        RegistrationPolicy::Closed => "closed",
    }
}

fn detail((record, devices, sessions): &(AccountRecord, Vec<DeviceRecord>, Vec<SessionRecord>)) -> UserDetail {
    UserDetail {
        user: record.username.as_str().to_owned(),
        account_id: account_id(record.id),
        created_at: record.created_at.0,
        disabled_at: record.disabled_at.map(|at| at.0),
        device_list_version: record.device_list_version,
        sessions: u64::try_from(sessions.len()).unwrap_or(u64::MAX),
        devices: devices
            .iter()
            .map(|device| Device {
                device: device.address.device.get(),
                last_seen_at: device.last_seen_at.0,
                queued_messages: device.queued_messages,
                queued_bytes: device.queued_bytes,
                one_time_prekeys: device.one_time_left,
            })
            .collect(),
    }
}

fn session(record: &SessionRecord) -> Session {
    Session {
        id: hex::encode(record.id.as_bytes()),
        device: record.address.device.get(),
        created_at: record.created_at.0,
        last_used_at: record.last_used_at.0,
    }
}

fn keys(device: &DeviceRecord) -> Keys {
    Keys {
        device: device.address.device.get(),
        one_time_prekeys: device.one_time_left,
        key_epoch: device.key_epoch.0,
        signed_prekey: device.signed_prekey.map(|prekey| prekey.id.0),
        signed_prekey_expires_at: device.signed_prekey.map(|prekey| prekey.expires_at.0),
    }
}
