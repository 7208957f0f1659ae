//! `chat`: sends what a person types, and prints what comes.
//!
//! It is made of other commands' tasks. So it is the same whether this process owns the profile or another does.

use std::cell::RefCell;
use std::io::{self, BufRead as _};
use std::rc::Rc;

use clap::Args;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use sealpost_api::limits::TEXT_MAX_BYTES;
use tokio::sync::mpsc;

use super::receive::Receive;
use super::send;
use super::whoami::Whoami;
use crate::failure::{Exit, Failure};
use crate::front::Front;
use crate::names::username;
use crate::run::Run;
use crate::sink::Sink;

/// Lines that are on their way before the next is read: enough that those of a file share transactions of the vault.
const AHEAD_MAX: usize = 16;

/// Write and read, line by line
#[derive(Debug, Args)]
#[command(after_help = "\
Each line that you type is sent to NAME; what anybody writes to you is printed.
Ctrl-D or Ctrl-C ends it. The exit code says whether all lines were sent.")]
pub(crate) struct Chat {
    /// Who gets what you type
    name: String,
}

impl Run for Chat {
    fn reads_standard_input(&self) -> bool {
        true
    }

    async fn run(self, front: &Front) -> Result<(), Failure> {
        let name = username(&self.name)?.as_str().to_owned();
        let sink = front.stdout();
        let mut receive = std::pin::pin!(front.perform_to(Receive::FOLLOW, &sink));
        let problem = RefCell::new(None);
        let write = write(front, &name, &sink, &problem);
        let mut stop = front.stop();
        tokio::select! {
            biased;
            outcome = &mut receive => return outcome,
            outcome = write => outcome?,
            _ = stop.wait_for(|stop| *stop) => {}
        }
        // Everything typed was answered; the exit code tells scripts whether all of it was sent.
        front.end(&mut receive).await?;
        problem.into_inner().map_or(Ok(()), |failure| Err(Failure { quiet: true, ..failure }))
    }
}

/// Sends each line that is typed. Reports failures at once, and keeps the last one.
async fn write(front: &Front, name: &str, sink: &Sink, problem: &RefCell<Option<Failure>>) -> Result<(), Failure> {
    // Before the profile is open its passphrase may be asked for, at the same terminal.
    front.perform_to(Whoami {}, &Sink::Collected(Rc::default())).await?;
    let mut typed = lines();
    let (mut on_their_way, mut more) = (FuturesUnordered::new(), true);
    while more || !on_their_way.is_empty() {
        // Another process that owns the profile takes them in whatever order it hears of them.
        let ahead = if front.owns_profile() { AHEAD_MAX } else { 1 };
        tokio::select! {
            biased;
            Some(outcome) = on_their_way.next() => if let Err(failure) = outcome {
                Failure::report(&failure, front.global.json);
                *problem.borrow_mut() = Some(failure);
            },
            text = typed.recv(), if more && on_their_way.len() < ahead => match text.transpose()? {
                Some(text) if text.is_empty() => {}
                Some(text) => on_their_way.push(front.perform_to(send::Task::new(name.to_owned(), text), sink)),
                None => more = false,
            },
        }
    }
    Ok(())
}

/// Reads the lines of standard input, on a thread of its own.
fn lines() -> mpsc::Receiver<Result<String, Failure>> {
    let (sender, lines) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines() {
            let line = match line {
                Ok(text) if text.len() > TEXT_MAX_BYTES => {
                    Err(Failure::new(Exit::Usage, "text_length", "a message has 1 to 65,536 bytes"))
                }
                Ok(text) => Ok(text),
                Err(error) => Err(Failure::io("cannot read standard input", &error)),
            };
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    lines
}
