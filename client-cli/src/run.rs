//! A command as typed, and how it is run.

use futures_util::future::{FutureExt as _, LocalBoxFuture};

use crate::failure::Failure;
use crate::front::Front;

/// A command with its arguments.
pub(crate) trait Run: 'static {
    /// Whether it may begin a new profile.
    const BEGINS: bool = false;

    /// Returns whether it reads standard input, which can be read once.
    fn reads_standard_input(&self) -> bool {
        false
    }

    /// Asks for what must be typed, has the work done, and prints the results.
    async fn run(self, front: &Front) -> Result<(), Failure>;
}

/// Any command: [`Run`], so that one list can hold them all.
pub(crate) trait Typed {
    /// See [`Run::BEGINS`].
    fn begins(&self) -> bool;
    /// See [`Run::reads_standard_input`].
    fn reads_standard_input(&self) -> bool;
    /// See [`Run::run`].
    fn run<'a>(self: Box<Self>, front: &'a Front) -> LocalBoxFuture<'a, Result<(), Failure>>;
}

impl<T: Run> Typed for T {
    fn begins(&self) -> bool {
        T::BEGINS
    }

    fn reads_standard_input(&self) -> bool {
        Run::reads_standard_input(self)
    }

    fn run<'a>(self: Box<Self>, front: &'a Front) -> LocalBoxFuture<'a, Result<(), Failure>> {
        Run::run(*self, front).boxed_local()
    }
}
