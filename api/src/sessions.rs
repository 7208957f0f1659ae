//! Sessions: logging in, refreshing, listing and ending them.

use sealpost_crypto::{AccountId, RegistrationId, Signature};
use serde::{Deserialize, Serialize};

use crate::encoding::{B64, RefreshToken};
use crate::endpoint::{NoBody, RequestBody, ResponseBody, endpoints};
use crate::ids::{RefreshTokenHash, SessionId};
use crate::password::{AccessToken, Password};

endpoints! {
    /// Logs in on a device of the account's device list, and ends that device's other sessions.
    LogIn {} = Post "/v1/sessions", Anyone, "sessions",
        LoginRequest => SessionGrant, "The new session.",
        [LoginFailed, SessionConflict];

    /// Exchanges a refresh token for its successor. Repeating the same request while that successor is current returns a new
    /// access token. Any other use of a spent token ends the session.
    RefreshSession {} = Post "/v1/sessions/refresh", Anyone, "sessions",
        RefreshRequest => SessionGrant, "The session with a new access token.",
        [RefreshInvalid, SessionEnded];

    /// Returns the account's live sessions.
    ListSessions {} = Get "/v1/sessions", Session, "sessions",
        NoBody => SessionList, "The live sessions.",
        [];

    /// Ends every session of the account, including the caller's.
    EndAllSessions {} = Delete "/v1/sessions", Session, "sessions",
        NoBody => SessionsEnded, "How many sessions the call ended.",
        [];

    /// Ends the caller's session.
    LogOut {} = Delete "/v1/sessions/current", Session, "sessions",
        NoBody => SessionsEnded, "How many sessions the call ended.",
        [];

    /// Ends one session of the account. Ending a session that does not exist succeeds with a count of 0.
    EndSession {
        /// The session to end.
        path session_id: SessionId,
    } = Delete "/v1/sessions/{session_id}", Session, "sessions",
        NoBody => SessionsEnded, "How many sessions the call ended.",
        [];
}

impl RequestBody for LoginRequest {}
impl RequestBody for RefreshRequest {}
impl ResponseBody for SessionGrant {}
impl ResponseBody for SessionList {}
impl ResponseBody for SessionsEnded {}

/// A session that the client asks for. The client draws the id and the refresh token, so that the server recognises a
/// repeated request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SessionRequest {
    /// The session's id, drawn at random.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::SessionId))]
    pub session_id: B64<SessionId>,
    /// The SHA-256 of the first refresh token.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::RefreshTokenHash))]
    pub refresh_hash: B64<RefreshTokenHash>,
    /// The device identity key's signature over the login statement.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::Signature))]
    pub signature: B64<Signature>,
}

/// A login on a device of the account's device list.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct LoginRequest {
    /// The username. Capitals are folded to lower case.
    #[cfg_attr(
        feature = "openapi",
        schema(pattern = "^[A-Za-z][A-Za-z0-9_.]{2,31}$", min_length = 3, max_length = 32)
    )]
    pub username: String,
    /// The account's password.
    pub password: Password,
    /// The device id.
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 127))]
    pub device_id: u8,
    /// The device's registration id.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::RegistrationId))]
    pub registration_id: B64<RegistrationId>,
    /// The session to start.
    pub session: SessionRequest,
}

/// A refresh token, and the hash of its successor.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RefreshRequest {
    /// The session's id.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::SessionId))]
    pub session_id: B64<SessionId>,
    /// The token that is current, or that was current before the successor below.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::RefreshToken))]
    pub refresh_token: B64<RefreshToken>,
    /// The SHA-256 of the successor, which the client has already stored.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::RefreshTokenHash))]
    pub next_hash: B64<RefreshTokenHash>,
    /// The device identity key's signature over the refresh statement.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::Signature))]
    pub signature: B64<Signature>,
}

/// An access token for a session.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SessionGrant {
    /// The session's id.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::SessionId))]
    pub session_id: B64<SessionId>,
    /// The account that the session belongs to.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::AccountId))]
    pub account_id: B64<AccountId>,
    /// The access token, to be sent as `Authorization: Bearer`.
    pub access_token: AccessToken,
    /// Seconds until the access token expires.
    pub expires_in: u64,
}

/// A live session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SessionInfo {
    /// The session's id.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::SessionId))]
    pub session_id: B64<SessionId>,
    /// The device that is logged in.
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 127))]
    pub device_id: u8,
    /// When the session started, in ms since 1970.
    pub created_at: u64,
    /// When it was last used to log in or refresh, in ms since 1970.
    pub last_used_at: u64,
    /// Whether this is the caller's own session.
    pub current: bool,
}

/// The live sessions of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SessionList {
    /// The sessions, oldest first.
    pub sessions: Vec<SessionInfo>,
}

/// The number of sessions that a call ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SessionsEnded {
    /// Sessions ended by this call; 0 when none was left to end.
    pub ended: u32,
}
