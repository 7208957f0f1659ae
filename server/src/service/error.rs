//! The error of every service: a code of the problem table, and nothing that a caller sent.

use std::error::Error;
use std::sync::Arc;

use sealpost_api::problem::ProblemCode;

use super::passwords::PasswordsError;
use crate::store::StoreError;

/// A refusal or a failure. The caller gets the code, [`detail`](Self::detail) and the two numbers. `source` is for the
/// log only.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}", .code.as_str())]
pub struct ServiceError {
    /// The code, with its class, status and text.
    pub code: ProblemCode,
    /// The time until another attempt can succeed, in ms.
    pub retry_after: Option<u64>,
    /// The id of the conflicting prekey, with [`ProblemCode::PrekeyConflict`].
    pub prekey_id: Option<u32>,
    /// What to check. The text is fixed, so that it cannot contain anything that a caller sent.
    pub detail: Option<&'static str>,
    /// The part of the request that is wrong, in the API's own names, so that it cannot hold anything that was sent.
    pub field: Option<String>,
    /// The cause.
    #[source]
    pub source: Option<Arc<dyn Error + Send + Sync>>,
}

impl ServiceError {
    /// Creates an error that has only a code.
    #[must_use]
    pub const fn new(code: ProblemCode) -> Self {
        Self { code, retry_after: None, prekey_id: None, detail: None, field: None, source: None }
    }

    /// Creates the error for a rate limit or full queue: try again after this many ms.
    #[must_use]
    pub fn rate_limited(retry_after: u64) -> Self {
        Self { retry_after: Some(retry_after), ..Self::new(ProblemCode::RateLimited) }
    }

    /// Creates the error for a state that should be impossible. The caller learns only that.
    #[must_use]
    pub fn internal(source: impl Error + Send + Sync + 'static) -> Self {
        Self { source: Some(Arc::new(source)), ..Self::new(ProblemCode::Internal) }
    }

    /// Adds what to check.
    #[must_use]
    pub fn with_detail(self, detail: &'static str) -> Self {
        Self { detail: Some(detail), ..self }
    }

    /// Names the part of the request that is wrong.
    #[must_use]
    pub fn with_field(self, field: Option<String>) -> Self {
        Self { field, ..self }
    }

    /// Adds the cause, for the log.
    #[must_use]
    pub fn with_source(self, source: impl Error + Send + Sync + 'static) -> Self {
        Self { source: Some(Arc::new(source)), ..self }
    }
}

impl From<ProblemCode> for ServiceError {
    fn from(code: ProblemCode) -> Self {
        Self::new(code)
    }
}

/// The time after which a busy server is worth another attempt, in ms.
const BUSY_RETRY_MILLIS: u64 = 1_000;

impl From<StoreError> for ServiceError {
    fn from(error: StoreError) -> Self {
        let code = match &error {
            StoreError::Busy => ProblemCode::Busy,
            StoreError::DiskFull => ProblemCode::DiskFull,
            StoreError::Stopped(_) | StoreError::Unavailable(_) => ProblemCode::Unavailable,
            StoreError::Corrupt(_) | StoreError::Failed(_) => ProblemCode::Internal,
        };
        let retry_after = (error == StoreError::Busy).then_some(BUSY_RETRY_MILLIS);
        Self { retry_after, ..Self::new(code) }.with_source(error)
    }
}

impl From<PasswordsError> for ServiceError {
    fn from(error: PasswordsError) -> Self {
        match error {
            PasswordsError::Busy => {
                Self { retry_after: Some(BUSY_RETRY_MILLIS), ..Self::new(ProblemCode::Busy) }.with_source(error)
            }
            PasswordsError::Stopped | PasswordsError::Hash(_) => Self::internal(error),
        }
    }
}
