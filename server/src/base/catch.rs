//! Catches a panic at the edge of the request, stream or task in which it happened, so that the others are not
//! affected.
//!
//! A panic is still a bug: it is counted, and the process's panic hook has logged its source line.

use std::any::Any;
use std::panic::{AssertUnwindSafe, resume_unwind};

use futures_util::FutureExt as _;
use sealpost_sabotage::{Countermeasure, without};

/// The work panicked; what it held was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a panic was caught")]
pub struct Panicked;

/// Runs the work to its end or to its panic, which `count` counts. After a panic nothing of the work is used except what lies
/// in the stores and behind locks, each of which changes in single steps.
///
/// # Errors
/// [`Panicked`] if it panicked.
pub async fn catching<T>(count: impl FnOnce(), work: impl Future<Output = T>) -> Result<T, Panicked> {
    AssertUnwindSafe(work).catch_unwind().await.map_err(|payload| {
        planted_end_of_the_task(payload);
        count();
        Panicked
    })
}

/// Lets the panic go on to whatever ends with it, in a build that leaves the countermeasure out.
fn planted_end_of_the_task(payload: Box<dyn Any + Send>) {
    if without(Countermeasure::PanicBoundary) {
        resume_unwind(payload);
    }
}
