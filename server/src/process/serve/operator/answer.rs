//! From what the services give back to what the operator is answered.

use sealpost_api::ids::SessionId;
use sealpost_api::server::RegistrationPolicy;
use sealpost_crypto::AccountId;

use crate::operate::admin::protocol::{Changed, Device, Failure, Keys, Reply, Session, UserDetail};
use crate::operate::admin::socket::failure;
use crate::service::ServiceError;
use crate::service::admin::{AdminError, UserAccount, UserChange};
use crate::store::{DeviceRecord, SessionRecord};

/// The bytes of an invite's hash in its id: enough to be distinct, and short enough to type a part.
const INVITE_ID_BYTES: usize = 8;

/// An answer, and which account or invite the audit log notes with it.
pub(super) struct Answer {
    pub(super) reply: Reply,
    pub(super) about: Option<String>,
}

impl Answer {
    /// Makes an answer about an account or an invite.
    pub(super) fn about(about: String, reply: Reply) -> Self {
        Self { reply, about: Some(about) }
    }
}

impl From<Reply> for Answer {
    fn from(reply: Reply) -> Self {
        Self { reply, about: None }
    }
}

/// Answers a refusal or a failure, and logs the cause of a failure.
pub(super) fn refused(error: AdminError) -> Failure {
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

/// Answers a change of an account.
pub(super) fn changed(change: UserChange) -> Answer {
    let account_id = account_id(change.account);
    let UserChange { account: _, ended_sessions, changed, password } = change;
    Answer::about(account_id.clone(), Reply::Changed(Changed { account_id, ended_sessions, changed, password }))
}

/// Formats an account's id.
pub(super) fn account_id(account: AccountId) -> String {
    hex::encode(account.as_bytes())
}

/// Formats an invite's id: the beginning of its hash.
pub(super) fn invite_id(hash: &[u8; 32]) -> String {
    hex::encode(hash.get(..INVITE_ID_BYTES).unwrap_or(hash))
}

/// Parses a login's id.
pub(super) fn session_id(text: &str) -> Result<SessionId, Failure> {
    let mut bytes = [0; 16];
    match hex::decode_to_slice(text, &mut bytes) {
        Ok(()) => Ok(SessionId::from_bytes(bytes)),
        Err(_) => Err(failure("malformed", "a session's id has 32 hexadecimal digits; `sessions list` shows them")),
    }
}

/// Converts a count of a request.
pub(super) fn size(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

/// Names a registration policy.
pub(super) const fn policy(policy: RegistrationPolicy) -> &'static str {
    match policy {
        RegistrationPolicy::Open => "open",
        RegistrationPolicy::Invite => "invite",
        RegistrationPolicy::Closed => "closed",
    }
}

/// Describes an account with its devices.
pub(super) fn detail(UserAccount { record, devices, sessions }: &UserAccount) -> UserDetail {
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

/// Describes a live login.
pub(super) fn session(record: &SessionRecord) -> Session {
    Session {
        id: hex::encode(record.id.as_bytes()),
        device: record.address.device.get(),
        created_at: record.created_at.0,
        last_used_at: record.last_used_at.0,
    }
}

/// Describes the keys that are left for a device.
pub(super) fn keys(device: &DeviceRecord) -> Keys {
    Keys {
        device: device.address.device.get(),
        one_time_prekeys: device.one_time_left,
        key_epoch: device.key_epoch.0,
        signed_prekey: device.signed_prekey.map(|prekey| prekey.id.0),
        signed_prekey_expires_at: device.signed_prekey.map(|prekey| prekey.expires_at.0),
    }
}
