//! The server itself: its health, its description, and what a client reads before it has an account there.

use serde::{Deserialize, Serialize};

use crate::encoding::B64;
use crate::endpoint::{NoBody, ResponseBody, endpoints};
use crate::ids::ServerId;

endpoints! {
    /// Answers as long as the process runs.
    CheckHealth {} = Get "/healthz", Anyone, "health",
        NoBody => Health, "The process answers.",
        [];

    /// Answers whether the server can do its work: the store takes writes.
    CheckReadiness {} = Get "/readyz", Anyone, "health",
        NoBody => Health, "The server is ready.",
        [];

    /// Returns the OpenAPI document of this API.
    ReadOpenApi {} = Get "/v1/openapi.json", Anyone, "server",
        NoBody => OpenApiDocument, "The OpenAPI 3.1 document.",
        [];

    /// Returns what a client reads before it has an account on this server.
    ReadServerInfo {} = Get "/v1/server", Anyone, "server",
        NoBody => ServerInfo, "The facts about this server.",
        [];
}

impl ResponseBody for Health {}
impl ResponseBody for OpenApiDocument {}
impl ResponseBody for ServerInfo {}

/// The answer of a healthy server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Health {
    /// Always `ok`.
    pub status: HealthStatus,
}

/// The state of a server that answers a health check with success.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum HealthStatus {
    /// The server works.
    Ok,
}

/// An OpenAPI 3.1 document. Its members are not typed here; a program hands it to an OpenAPI library.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OpenApiDocument {
    /// The version of the OpenAPI Specification that the document follows.
    pub openapi: String,
}

/// Who may register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum RegistrationPolicy {
    /// Anyone may register.
    Open,
    /// Anyone with an invite may register.
    Invite,
    /// Nobody may register.
    Closed,
}

/// The facts about a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ServerInfo {
    /// The server's id, which stands in everything that a device signs for this server.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::ServerId))]
    pub server_id: B64<ServerId>,
    /// The server's version.
    pub version: String,
    /// Who may register.
    pub registration: RegistrationPolicy,
    /// The time of the server's clock, in ms since 1970.
    pub now: u64,
}
