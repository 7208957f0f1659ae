//! What a message is answered.

use crate::store::error::StoreError;
use crate::store::queue::AcceptOutcome;

/// The answer to a message.
pub(super) type Outcome = Result<AcceptOutcome, StoreError>;
