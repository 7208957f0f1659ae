//! Has tasks done: by the process that owns the profile, or by this one, which becomes its owner.

use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::time::Duration;

use sealpost_client::front::Reached;
use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::args::{DEFAULT_TIMEOUT_SECONDS, Global};
use crate::failure::{Exit, Failure};
use crate::job::Job;
use crate::opening::Opener;
use crate::owner::Owner;
use crate::profile::{Profile, ProfileLock};
use crate::progress::Progress;
use crate::sink::Sink;
use crate::socket::asker::{Asked, ask, connect};
use crate::socket::server::SocketServer;
use crate::stop::Stop;
use crate::task::{Entry, Request, Task};

/// How often a profile that is in use is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// Owners that may end while they carry out one command, before it gives up.
const OWNERS_LOST_MAX: u32 = 5;
/// An owner that ends sooner may have ended because of what it was asked.
const OWNER_LIFE: Duration = Duration::from_secs(10);

/// One command line in the work.
pub(crate) struct Front {
    /// Its flags.
    pub(crate) global: Global,
    profile: Profile,
    opener: Opener,
    /// What this process carries out for others while it owns the profile.
    tasks: &'static [Entry],
    stop: Stop,
    /// The profile, while a task of this process that goes on owns it.
    own: RefCell<Weak<Owner>>,
}

/// Who owns the profile.
enum Place {
    /// This process, from now on.
    Here(ProfileLock),
    /// Another one, which listens.
    There(UnixStream),
}

impl Front {
    /// Prepares to have tasks done on a profile. Must be called inside a local task set.
    pub(crate) fn new(global: Global, profile: Profile, tasks: &'static [Entry]) -> Result<Self, Failure> {
        let opener = Opener::new(global.clone(), profile.clone());
        Ok(Self { global, profile, opener, tasks, stop: Stop::on_signals()?, own: RefCell::default() })
    }

    /// Returns where this process prints.
    pub(crate) const fn stdout(&self) -> Sink {
        Sink::Stdout { json: self.global.json, quiet: self.global.quiet }
    }

    /// Returns what turns true when it is time to stop.
    pub(crate) fn stop(&self) -> watch::Receiver<bool> {
        self.stop.listen()
    }

    /// Ends a task that goes on until it is stopped.
    pub(crate) async fn end(&self, task: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
        self.stop.now();
        task.await
    }

    /// Returns whether a task of this process owns the profile. Then what it is asked is done in the order of asking.
    pub(crate) fn owns_profile(&self) -> bool {
        self.own().is_some()
    }

    /// Has the task done, and prints its results.
    pub(crate) async fn perform<T: Task>(&self, task: T) -> Result<(), Failure> {
        self.perform_to(task, &self.stdout()).await
    }

    /// Lets the profile's owner do the task, or does it in this process if the profile has no owner. If the owner dies,
    /// this process takes over. The results go to `sink`.
    pub(crate) async fn perform_to<T: Task>(&self, mut task: T, sink: &Sink) -> Result<(), Failure> {
        let timeout = match self.global.timeout {
            None if task.goes_on() => None,
            timeout => Some(timeout.unwrap_or(Duration::from_secs(DEFAULT_TIMEOUT_SECONDS))),
        };
        if let Some(owner) = self.own() {
            return task.perform(&Job::new(&owner, timeout, sink)).await;
        }
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        let left = || deadline.map(|at| at.saturating_duration_since(Instant::now()));
        let mut owners_lost = 0;
        loop {
            match self.place(deadline).await? {
                Place::There(stream) => {
                    task.leave();
                    let begin = Instant::now();
                    match self.ask(stream, &task, left(), sink).await {
                        Asked::Answered(outcome) => return outcome,
                        // One that lived for a while says nothing about the next.
                        Asked::OwnerGone if begin.elapsed() > OWNER_LIFE => owners_lost = 1,
                        Asked::OwnerGone => owners_lost += 1,
                    }
                }
                Place::Here(lock) => return self.perform_here(lock, &task, left(), sink).await,
            }
            if owners_lost >= OWNERS_LOST_MAX {
                return Err(Failure::new(
                    Exit::Failed,
                    "owner_lost",
                    "the command that owns this profile ended again and again",
                )
                .hint("What was to be sent may have been; look with: sealpost history NAME"));
            }
        }
    }

    fn own(&self) -> Option<Rc<Owner>> {
        self.own.borrow().upgrade()
    }

    /// Asks the owner, until a signal comes.
    async fn ask<T: Task>(&self, stream: UnixStream, task: &T, timeout: Option<Duration>, sink: &Sink) -> Asked {
        let mut stop = self.stop();
        let request = Request::new(task, timeout);
        tokio::select! {
            asked = ask(stream, &request, sink) => asked,
            _ = stop.wait_for(|stop| *stop) => {
                Asked::Answered(if T::MAY_BE_STOPPED { Ok(()) } else { Err(Reached::Stopped.into()) })
            }
        }
    }

    async fn perform_here<T: Task>(
        &self,
        lock: ProfileLock,
        task: &T,
        timeout: Option<Duration>,
        sink: &Sink,
    ) -> Result<(), Failure> {
        let patience = timeout.unwrap_or(Duration::from_secs(DEFAULT_TIMEOUT_SECONDS));
        let opened = self.opener.open(lock, T::NEEDS, patience, self.stop()).await?;
        let serving = if task.goes_on() {
            opened.owner.is_followed.set(true);
            self.own.replace(Rc::downgrade(&opened.owner));
            Some(SocketServer::start(&self.profile, &opened.owner, self.tasks)?)
        } else {
            None
        };
        let progress = Progress::start("asking the server", self.global.shows_progress() && serving.is_none());
        let outcome = task.perform(&Job::new(&opened.owner, timeout, sink)).await;
        drop(progress);
        drop(serving);
        self.own.take();
        opened.close().await;
        outcome
    }

    /// Finds the owner, or becomes it, within the time.
    async fn place(&self, deadline: Option<Instant>) -> Result<Place, Failure> {
        let progress = Progress::start("waiting for another command of this profile", self.global.shows_progress());
        let stop = self.stop();
        loop {
            if let Some(lock) = self.profile.try_lock()? {
                return Ok(Place::Here(lock));
            }
            if let Some(path) = self.profile.socket()
                && let Some(stream) =
                    connect(&path).await.map_err(|error| Failure::io("cannot use the profile's socket", &error))?
            {
                return Ok(Place::There(stream));
            }
            if deadline.is_some_and(|at| at <= Instant::now()) || *stop.borrow() {
                drop(progress);
                return Err(Failure::new(Exit::TimedOut, "profile_busy", "another command of this profile is running")
                    .hint("Wait for it to end, or give this one more time: --timeout SECONDS"));
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}
