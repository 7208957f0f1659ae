//! The stream's endpoint. Its frames are in [`frames`](crate::frames), its close codes in [`close`](crate::close).

use serde::{Deserialize, Serialize};

use crate::endpoint::{NoBody, ResponseBody, endpoints};

endpoints! {
    /// Upgrades to a WebSocket that carries protobuf frames.
    OpenStream {} = Get "/v1/stream", Stream, "stream",
        NoBody => Upgraded, "The stream starts. Without an `Authorization` header, the first frame must be `Auth`.",
        [Forbidden, TooManyConnections];
}

/// The answer to an upgrade, which has no body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Upgraded;

impl ResponseBody for Upgraded {
    const STATUS: u16 = 101;
}
