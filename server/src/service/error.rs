//! What a service answers when it cannot do what it was asked: a code of the one table, and nothing that was typed.

use std::error::Error;
use std::sync::Arc;

use sealpost_api::problem::ProblemCode;

use super::passwords::PasswordsError;
use crate::store::StoreError;

/// A refusal or a failure. The caller is told the code, [`detail`](Self::detail), and the two numbers; `source` is for the
/// log alone.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}", .code.as_str())]
pub struct ServiceError {
    /// The code, with its class, status and text.
    pub code: ProblemCode,
    /// When another try is of use, in ms from now.
    pub retry_after: Option<u64>,
    /// The prekey id in conflict, with [`ProblemCode::PrekeyConflict`].
    pub prekey_id: Option<u32>,
    /// What to look at: a fixed text, so that it cannot hold anything that was typed.
    pub detail: Option<&'static str>,
    /// The cause.
    #[source]
    pub source: Option<Arc<dyn Error + Send + Sync>>,
}

impl ServiceError {
    /// An error with nothing but its code.
    #[must_use]
    pub const fn new(code: ProblemCode) -> Self {
        Self { code, retry_after: None, prekey_id: None, detail: None, source: None }
    }

    /// Too much of something: try again after this many ms.
    #[must_use]
    pub fn rate_limited(retry_after: u64) -> Self {
        Self { retry_after: Some(retry_after), ..Self::new(ProblemCode::RateLimited) }
    }

    /// Something that cannot be: the caller learns only that.
    #[must_use]
    pub fn internal(source: impl Error + Send + Sync + 'static) -> Self {
        Self { source: Some(Arc::new(source)), ..Self::new(ProblemCode::Internal) }
    }

    /// Says what to look at.
    #[must_use]
    pub fn with_detail(self, detail: &'static str) -> Self {
        Self { detail: Some(detail), ..self }
    }

    /// Remembers the cause for the log.
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

/// After this many ms a busy server is worth another try.
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
