//! What a command asks of the profile's owner: this same process, or another one over the profile's socket.
//!
//! Everything that a person has to type (passwords, a yes) is asked for before a task is made, so that the owner never
//! needs the asker's terminal.

use std::time::Duration;

use futures_util::future::{FutureExt as _, LocalBoxFuture};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::job::Job;
use crate::owner::Owner;
use crate::sink::Sink;

/// What a task cannot do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    /// The vault alone.
    Vault,
    /// The server that the profile knows.
    Server,
    /// A server, which may be another one than before: a registration or a login.
    AnyServer,
}

/// One command's work, complete. Its fields are its form on the socket.
pub(crate) trait Task: Serialize + DeserializeOwned + 'static {
    /// Its name on the socket. It never changes.
    const NAME: &'static str;
    /// What it cannot do without.
    const NEEDS: Needs = Needs::Server;
    /// Whether a signal that stops it ends it well.
    const MAY_BE_STOPPED: bool = false;

    /// Returns whether it goes on until it is stopped. Then it has no time limit unless one is asked for, and this process
    /// carries out other commands of the profile meanwhile.
    fn goes_on(&self) -> bool {
        false
    }

    /// Prepares it to be asked of another process, which may die while it carries it out.
    fn leave(&mut self) {}

    /// Carries it out.
    async fn perform(&self, job: &Job<'_>) -> Result<(), Failure>;
}

/// A task and how long it may take, as it goes over the socket.
#[derive(Serialize)]
pub(crate) struct Request<'a, T> {
    task: Named<'a, T>,
    /// From now, in ms; `None` for as long as it takes.
    timeout_millis: Option<u64>,
}

#[derive(Serialize)]
struct Named<'a, T> {
    task: &'static str,
    #[serde(flatten)]
    fields: &'a T,
}

impl<'a, T: Task> Request<'a, T> {
    /// Asks for a task, to be done within this time.
    pub(crate) fn new(task: &'a T, timeout: Option<Duration>) -> Self {
        let timeout_millis = timeout.map(|timeout| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX));
        Self { task: Named { task: T::NAME, fields: task }, timeout_millis }
    }
}

/// A kind of task that an owner carries out for others.
pub(crate) struct Entry {
    /// Its name on the socket.
    pub(crate) name: &'static str,
    perform: Perform,
}

type Perform = for<'a> fn(&'a [u8], &'a Owner, &'a Sink) -> LocalBoxFuture<'a, Performed>;
/// The outcome of a task, or why its request was not understood.
type Performed = Result<Result<(), Failure>, serde_json::Error>;

impl Entry {
    /// Returns the entry of a kind of task.
    pub(crate) const fn of<T: Task>() -> Self {
        Self { name: T::NAME, perform: |request, owner, sink| perform::<T>(request, owner, sink).boxed_local() }
    }
}

/// Carries out a request of another process.
///
/// # Errors
/// When it is not understood.
pub(crate) async fn carry_out(tasks: &[Entry], request: &[u8], owner: &Owner, sink: &Sink) -> Performed {
    #[derive(Deserialize)]
    struct Head {
        task: Name,
    }
    #[derive(Deserialize)]
    struct Name {
        task: String,
    }
    let name = serde_json::from_slice::<Head>(request)?.task.task;
    let Some(entry) = tasks.iter().find(|entry| entry.name == name) else {
        return Err(serde::de::Error::custom(format_args!("there is no task {name:?}")));
    };
    (entry.perform)(request, owner, sink).await
}

async fn perform<T: Task>(request: &[u8], owner: &Owner, sink: &Sink) -> Performed {
    #[derive(Deserialize)]
    struct Body<T> {
        task: T,
        timeout_millis: Option<u64>,
    }
    let Body::<T> { task, timeout_millis } = serde_json::from_slice(request)?;
    let job = Job::new(owner, timeout_millis.map(Duration::from_millis), sink);
    Ok(task.perform(&job).await)
}
