//! Which types are bodies of requests and of answers.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The body of a request: a JSON object, or [`NoBody`].
pub trait RequestBody: Serialize + DeserializeOwned + 'static {
    /// Whether the request carries a body at all.
    const EXPECTED: bool = true;

    /// Returns the value that stands for a request without a body; `None` where there must be one.
    #[must_use]
    fn absent() -> Option<Self> {
        None
    }
}

/// The body of an answer to a call that succeeded.
pub trait ResponseBody: Serialize + DeserializeOwned + 'static {
    /// The status that comes with it.
    const STATUS: u16 = 200;
}

/// The body of a call that takes none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NoBody;

impl RequestBody for NoBody {
    const EXPECTED: bool = false;

    fn absent() -> Option<Self> {
        Some(Self)
    }
}
