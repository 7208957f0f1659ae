//! `receive`.

use clap::Args;
use sealpost_client::driver::{DriverError, Link};
use sealpost_client::engine::{CommandError, Event, OfflineReason};
use sealpost_client::front::{Limit as _, Outbox, Reached, Trouble};
use serde::{Deserialize, Serialize};

use crate::failure::{Exit, Failure};
use crate::front::Front;
use crate::job::Job;
use crate::lines::notice;
use crate::run::Run;
use crate::secrets;
use crate::task::Task;

/// Print every message that was not printed before
#[derive(Debug, Args, Serialize, Deserialize)]
#[command(after_help = "\
Examples:
  sealpost receive                       what is new; 0 when the queue is empty
  sealpost receive --follow              stays; other commands of this profile go through it
  sealpost receive --follow --max 1 --timeout 60   waits a minute for one message

A message is marked as printed after it was written. So after a kill a line may come again,
with the same message_id; none is skipped.")]
pub(crate) struct Receive {
    /// Stay, and print what comes
    #[arg(long)]
    follow: bool,
    /// Stop after this many messages
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max: Option<u64>,
}

impl Receive {
    /// Stays, and prints whatever comes.
    pub(super) const FOLLOW: Self = Self { follow: true, max: None };
}

impl Run for Receive {
    async fn run(self, front: &Front) -> Result<(), Failure> {
        front.perform(self).await
    }
}

impl Task for Receive {
    const NAME: &'static str = "receive";
    const MAY_BE_STOPPED: bool = true;

    fn goes_on(&self) -> bool {
        self.follow
    }

    async fn perform(&self, job: &Job<'_>) -> Result<(), Failure> {
        job.account().await?;
        let receiving = Receiving { job, follow: self.follow, max: self.max, anything: false, messages: 0 };
        receiving.run().await
    }
}

/// A `receive` in the work.
struct Receiving<'a> {
    job: &'a Job<'a>,
    follow: bool,
    max: Option<u64>,
    /// Whether anything was printed.
    anything: bool,
    /// Messages printed.
    messages: u64,
}

impl Receiving<'_> {
    async fn run(mut self) -> Result<(), Failure> {
        let client = self.job.client();
        let mut events = client.events();
        // What another command took in needs no server.
        if self.print_new().await? {
            return Ok(());
        }
        if let Err(trouble) = self.job.go_online().await {
            let failure = Failure::from(trouble);
            match failure.exit {
                Exit::Unreachable if self.follow => {}
                Exit::TimedOut => return self.ended(failure),
                _ => {
                    self.print_new().await?;
                    return Err(failure);
                }
            }
        }
        let job = self.job;
        let mut given_up = std::pin::pin!(job.limit.reached());
        let mut link = client.link();
        let mut seen = None;
        let mut look = true;
        loop {
            let state = *link.borrow_and_update();
            if std::mem::replace(&mut look, true) && self.print_new().await? {
                return Ok(());
            }
            match state {
                Link::Drained if !self.follow => {
                    let mut outbox = Outbox::of(client, events);
                    outbox.settle(&self.job.limit, async |settled| self.job.settled(settled).await).await?;
                    // Repairs and late ones that came meanwhile.
                    return self.print_new().await.map(drop);
                }
                Link::Offline(reason) if seen != Some(state) => self.lost(reason).await?,
                _ => {}
            }
            seen = Some(state);
            tokio::select! {
                biased;
                event = events.recv() => {
                    look = self.take(&event.ok_or_else(stopped)?).await?;
                    // One look at the notices for all events that are here.
                    while let Ok(event) = events.try_recv() {
                        look |= self.take(&event).await?;
                    }
                }
                _ = link.changed() => {}
                reached = &mut given_up => {
                    self.print_new().await?;
                    return if reached == Reached::Stopped { Ok(()) } else { self.ended(reached.into()) };
                }
            }
        }
    }

    /// Takes an event in. Returns whether there may be a notice to print after it.
    async fn take(&mut self, event: &Event) -> Result<bool, Failure> {
        if let Some(settled) = self.job.client().settled(event) {
            self.anything = true;
            self.job.settled(settled).await?;
        }
        // What becomes of a message of one's own brings no notice.
        Ok(!matches!(event, Event::Sent { .. }))
    }

    /// Prints what was not printed, and marks it after it was written. Returns whether that is as much as was asked for.
    async fn print_new(&mut self) -> Result<bool, Failure> {
        let left = self.max.map(|max| max.saturating_sub(self.messages));
        let print = async |notices: &[_]| {
            let lines: Vec<_> = notices.iter().map(notice::line).collect();
            self.job.lines(&lines).await
        };
        let shown = self.job.client().show_new(left, print).await?;
        self.anything |= shown.notices > 0;
        self.messages += shown.messages;
        Ok(self.max.is_some_and(|max| self.messages >= max))
    }

    /// Handles a lost stream. Returns the failure that ends this command, if it cannot continue.
    async fn lost(&self, reason: OfflineReason) -> Result<(), Failure> {
        match reason {
            OfflineReason::Asked => Ok(()),
            OfflineReason::Unreachable if self.follow => {
                self.say("(the connection is lost; trying again)");
                Ok(())
            }
            OfflineReason::Unreachable => Err(self.failure(CommandError::Unreachable)),
            OfflineReason::Replaced => {
                Err(Failure::new(Exit::Failed, "replaced", "another connection of this device took over")
                    .hint("Is a copy of this profile in use elsewhere? One profile belongs to one machine."))
            }
            OfflineReason::NotLoggedIn => {
                if !self.job.client().log_in_again(&self.job.limit).await? {
                    return Err(self.failure(CommandError::NotLoggedIn));
                }
                Ok(self.job.go_online().await?)
            }
            OfflineReason::Refused { code } if self.follow && matches!(code, 1000..=1999 | 500..=599) => {
                self.say("(the server closed the connection; trying again)");
                Ok(())
            }
            OfflineReason::Refused { code } => {
                Err(Failure::new(Exit::Refused, "stream_refused", format!("the server closed the stream ({code})")))
            }
        }
    }

    fn failure(&self, error: CommandError) -> Failure {
        self.job.client().trouble(DriverError::Command(error)).into()
    }

    /// Handles the end of the time, which is a failure only if there was nothing to show.
    fn ended(&self, failure: Failure) -> Result<(), Failure> {
        if failure.exit != Exit::TimedOut {
            return Err(failure);
        }
        if self.anything {
            return Ok(());
        }
        if self.follow {
            return Err(Failure::new(Exit::TimedOut, "timeout", "nothing came before the time was up"));
        }
        Err(failure)
    }

    /// Tells a person who watches. Scripts see it in what does or does not come.
    fn say(&self, sentence: &str) {
        if self.job.sink.is_for_a_person() {
            secrets::say(sentence);
        }
    }
}

fn stopped() -> Failure {
    Trouble::Driver { error: DriverError::Stopped, network: None }.into()
}
