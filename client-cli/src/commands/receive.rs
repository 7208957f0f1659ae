//! `receive`.

use sealpost_client::engine::{Event, NoticeBody, OfflineReason};

use super::outbox;
use crate::errors;
use crate::failure::{Exit, Failure};
use crate::limit::{Limit, Reached};
use crate::lines;
use crate::owner::{Link, Owner};
use crate::secrets;
use crate::sink::Sink;

/// Notices read, printed and marked at a time.
const BATCH: usize = 64;

/// How much was printed, and how much may be.
struct Printed {
    anything: bool,
    messages: u64,
    max: Option<u64>,
}

impl Printed {
    fn enough(&self) -> bool {
        self.max.is_some_and(|max| self.messages >= max)
    }
}

/// Prints everything that was not printed before; with `follow` goes on.
pub(crate) async fn receive(
    owner: &Owner,
    limit: &Limit,
    sink: &Sink,
    follow: bool,
    max: Option<u64>,
) -> Result<(), Failure> {
    owner.account().await?;
    let mut events = owner.driver.events();
    let mut printed = Printed { anything: false, messages: 0, max };
    // What another command took in needs no server.
    print_new(owner, sink, &mut printed).await?;
    if printed.enough() {
        return Ok(());
    }
    if let Err(tried) = owner.go_online(limit).await {
        let failure = tried.explained(owner);
        match failure.exit {
            Exit::Unreachable if follow => {}
            Exit::TimedOut => return ended(failure, &printed, follow),
            _ => {
                print_new(owner, sink, &mut printed).await?;
                return Err(failure);
            }
        }
    }
    let mut link = owner.link();
    let mut seen = None;
    let mut look = true;
    loop {
        let state = *link.borrow_and_update();
        if std::mem::replace(&mut look, true) {
            print_new(owner, sink, &mut printed).await?;
            if printed.enough() {
                return Ok(());
            }
        }
        match state {
            Link::Drained if !follow => {
                outbox::settle(owner, limit, sink, events).await?;
                // Repairs and late ones that came meanwhile.
                return print_new(owner, sink, &mut printed).await;
            }
            Link::Offline(reason) if seen != Some(state) => {
                if let Some(failure) = lost(owner, limit, sink, reason, follow).await {
                    return Err(failure);
                }
            }
            _ => {}
        }
        seen = Some(state);
        tokio::select! {
            biased;
            event = events.recv() => match event {
                Some(event) => {
                    look = may_bring_a_notice(&event);
                    if let Some(line) = outbox::line(owner, &event, None) {
                        printed.anything = true;
                        sink.line(line).await?;
                    }
                    // One look at the notices for all events that are here.
                    while !matches!(event, Event::Drained | Event::Offline { .. }) && !events.is_empty() {
                        let Some(next) = events.recv().await else { break };
                        look |= may_bring_a_notice(&next);
                        if let Some(line) = outbox::line(owner, &next, None) {
                            printed.anything = true;
                            sink.line(line).await?;
                        }
                    }
                }
                None => return Err(errors::driver(&sealpost_client::driver::DriverError::Stopped, None)),
            },
            _ = link.changed() => {}
            reached = limit.reached() => {
                print_new(owner, sink, &mut printed).await?;
                return if reached == Reached::Stopped { Ok(()) } else { ended(reached.into(), &printed, follow) };
            }
        }
    }
}

/// Whether there may be something to print after this event. What becomes of a message of one's own brings none.
const fn may_bring_a_notice(event: &Event) -> bool {
    !matches!(event, Event::Completed { .. } | Event::Queued { .. } | Event::Sent { .. })
}

/// The stream is lost: the failure that ends this command, if it can't go on.
async fn lost(owner: &Owner, limit: &Limit, sink: &Sink, reason: OfflineReason, follow: bool) -> Option<Failure> {
    match reason {
        OfflineReason::Asked => None,
        OfflineReason::Unreachable if follow => {
            say(sink, "the connection is lost; trying again");
            None
        }
        OfflineReason::Unreachable => Some(unreachable(owner)),
        OfflineReason::Replaced => Some(
            Failure::new(Exit::Failed, "replaced", "another connection of this device took over")
                .hint("Is a copy of this profile in use elsewhere? One profile belongs to one machine."),
        ),
        OfflineReason::NotLoggedIn => match owner.log_in_again(limit).await {
            Ok(true) => owner.go_online(limit).await.err().map(|tried| tried.explained(owner)),
            Ok(false) => Some(owner.failure(&sealpost_client::driver::DriverError::Command(
                sealpost_client::engine::CommandError::NotLoggedIn,
            ))),
            Err(tried) => Some(tried.explained(owner)),
        },
        OfflineReason::Refused { code } if follow && matches!(code, 1000..=1999 | 500..=599) => {
            say(sink, "the server closed the connection; trying again");
            None
        }
        OfflineReason::Refused { code } => {
            Some(Failure::new(Exit::Refused, "stream_refused", format!("the server closed the stream ({code})")))
        }
    }
}

fn unreachable(owner: &Owner) -> Failure {
    owner.failure(&sealpost_client::driver::DriverError::Command(sealpost_client::engine::CommandError::Unreachable))
}

/// The time is up: that is a failure only where there was nothing to show.
fn ended(failure: Failure, printed: &Printed, follow: bool) -> Result<(), Failure> {
    if printed.anything && failure.exit == Exit::TimedOut {
        return Ok(());
    }
    if follow && failure.exit == Exit::TimedOut {
        return Err(Failure::new(Exit::TimedOut, "timeout", "nothing came before the time was up"));
    }
    Err(failure)
}

/// Tells a person who watches; scripts see it in what does or does not come.
fn say(sink: &Sink, sentence: &str) {
    if matches!(sink, Sink::Stdout { json: false, quiet: false }) {
        secrets::say(&format!("({})", crate::sanitise::visible(sentence)));
    }
}

/// Prints what was not printed, and marks it after it was written.
async fn print_new(owner: &Owner, sink: &Sink, printed: &mut Printed) -> Result<(), Failure> {
    let _turn = owner.printing.lock().await;
    while !printed.enough() {
        let mut notices = owner.query(|engine, context| engine.notices(context, 0, BATCH)).await?;
        if let Some(max) = printed.max {
            let mut left = max.saturating_sub(printed.messages);
            let mut keep = 0;
            for notice in &notices {
                if left == 0 {
                    break;
                }
                keep += 1;
                left -= u64::from(matches!(notice.body, NoticeBody::Message(_)));
            }
            notices.truncate(keep);
        }
        let Some(last) = notices.last().map(|notice| notice.position) else { return Ok(()) };
        let lines: Vec<_> = notices.iter().map(lines::notice).collect();
        sink.lines(&lines).await?;
        owner.query(move |engine, context| engine.mark_printed(context, last)).await?;
        printed.anything = true;
        printed.messages +=
            notices.iter().filter(|notice| matches!(notice.body, NoticeBody::Message(_))).count() as u64;
    }
    Ok(())
}
