//! Where a panic ends: at the edge of the request, stream or task that it happened in. What goes on beside it notices nothing.
//!
//! A panic is a bug all the same: it is counted, and the process's panic hook has logged where it happened.

use sealpost_sabotage::{Countermeasure, without};
use std::panic::{AssertUnwindSafe, resume_unwind};

use futures_util::FutureExt as _;

use crate::service::ServiceMetrics;

/// What was to be done panicked; what it held was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a panic was caught")]
pub struct Panicked;

/// Runs the work to its end or to its panic. Nothing of the work is used after a panic but what lies in the stores and behind
/// locks, each of which is changed in single steps.
///
/// # Errors
/// [`Panicked`], which has been counted.
pub async fn catching<T>(metrics: &dyn ServiceMetrics, work: impl Future<Output = T>) -> Result<T, Panicked> {
    AssertUnwindSafe(work).catch_unwind().await.map_err(|payload| {
        if without(Countermeasure::PanicBoundary) {
            resume_unwind(payload);
        }
        metrics.panicked();
        Panicked
    })
}
