//! Log in, refresh, list and end sessions.

use sealpost_crypto::{AccountId, RegistrationId, Signature};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::encoding::{B64, RefreshToken};
use crate::ids::{RefreshTokenHash, SessionId};
use crate::password::{AccessToken, Password};

/// A session that the client asks for. The client draws id and refresh token, so that a repeated request is recognised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionRequest {
    /// Random.
    #[schema(value_type = String, format = "base64url")]
    pub session_id: B64<SessionId>,
    /// SHA-256 of the first refresh token.
    #[schema(value_type = String, format = "base64url")]
    pub refresh_hash: B64<RefreshTokenHash>,
    /// By the device identity key over [`sealpost_crypto::LoginStatement`].
    #[schema(value_type = String, format = "base64url")]
    pub signature: B64<Signature>,
}

/// `POST /v1/sessions`: log in on a device of the account's device list.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LoginRequest {
    /// Folded by the server.
    pub username: String,
    /// The account's password.
    pub password: Password,
    /// 1–127.
    pub device_id: u8,
    /// The device's registration.
    #[schema(value_type = String, format = "base64url")]
    pub registration_id: B64<RegistrationId>,
    /// The session to begin.
    pub session: SessionRequest,
}

/// `POST /v1/sessions/refresh`: exchange a refresh token for the next, whose hash the client sends.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RefreshRequest {
    /// The session.
    #[schema(value_type = String, format = "base64url")]
    pub session_id: B64<SessionId>,
    /// The token that is current, or was before the one below.
    #[schema(value_type = String, format = "base64url")]
    pub refresh_token: B64<RefreshToken>,
    /// SHA-256 of the successor, which the client has already stored.
    #[schema(value_type = String, format = "base64url")]
    pub next_hash: B64<RefreshTokenHash>,
    /// By the device identity key over [`sealpost_crypto::RefreshStatement`].
    #[schema(value_type = String, format = "base64url")]
    pub signature: B64<Signature>,
}

/// An access token for a session.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionGrant {
    /// The session.
    #[schema(value_type = String, format = "base64url")]
    pub session_id: B64<SessionId>,
    /// The account it belongs to.
    #[schema(value_type = String, format = "base64url")]
    pub account_id: B64<AccountId>,
    /// To be sent as `Authorization: Bearer`.
    pub access_token: AccessToken,
    /// Seconds until it expires.
    pub expires_in: u64,
}

/// One session in `GET /v1/sessions`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionInfo {
    /// The session.
    #[schema(value_type = String, format = "base64url")]
    pub session_id: B64<SessionId>,
    /// The device it is on.
    pub device_id: u8,
    /// ms since 1970.
    pub created_at: u64,
    /// Last log-in or refresh, ms since 1970.
    pub last_used_at: u64,
    /// Whether the request was made with it.
    pub current: bool,
}

/// `GET /v1/sessions`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionList {
    /// The live ones, oldest first.
    pub sessions: Vec<SessionInfo>,
}

/// How many sessions a call ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionsEnded {
    /// Sessions ended by this call; 0 when there was nothing left to end.
    pub ended: u32,
}
