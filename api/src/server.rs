//! Facts about a server that a client reads before it has an account there.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::encoding::B64;
use crate::ids::ServerId;

/// Who may register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RegistrationPolicy {
    /// Anyone.
    Open,
    /// Who has an invite.
    Invite,
    /// Nobody.
    Closed,
}

/// `GET /v1/server`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ServerInfo {
    /// Named in everything that a device signs for this server.
    #[schema(value_type = String, format = "base64url")]
    pub server_id: B64<ServerId>,
    /// The server's version.
    pub version: String,
    /// Who may register.
    pub registration: RegistrationPolicy,
    /// The server's clock, ms since 1970.
    pub now: u64,
}
