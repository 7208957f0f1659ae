//! `chat`: what a person types is sent, what comes is printed.
//!
//! It is made of the other commands' tasks, so that it is the same whether this process owns the profile or another does.

use std::cell::RefCell;
use std::io::{self, BufRead as _};
use std::rc::Rc;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use sealpost_api::limits::TEXT_MAX_BYTES;
use tokio::sync::mpsc;

use crate::failure::{Exit, Failure};
use crate::front::Front;
use crate::owner::username;
use crate::sink::Sink;
use crate::task::Task;

/// Lines that are on their way before the next is read: enough that those of a file share transactions of the vault.
const AHEAD_MAX: usize = 16;

/// Reads lines and sends them, and prints what comes, until the input ends or a signal comes.
pub(crate) async fn chat(front: &Front, name: &str) -> Result<(), Failure> {
    let name = username(name)?.as_str().to_owned();
    let sink = front.stdout();
    let receiving = front.request(Task::Receive { follow: true, max: None }, true);
    let receive = front.perform(&receiving, &sink);
    tokio::pin!(receive);
    let problem: Rc<RefCell<Option<Failure>>> = Rc::default();
    let write = async {
        // Before the profile is open its passphrase may be asked for, at the same terminal.
        let ready = front.request(Task::Whoami, false);
        front.perform(&ready, &Sink::Collected(Rc::default())).await?;
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
                    Some(text) => on_their_way.push(send(front, &name, text, &sink)),
                    None => more = false,
                },
            }
        }
        Ok::<(), Failure>(())
    };
    let mut stop = front.stop();
    tokio::select! {
        biased;
        outcome = &mut receive => return outcome,
        outcome = write => outcome?,
        _ = stop.wait_for(|stop| *stop) => {}
    }
    // Everything typed was answered; the exit code tells scripts whether all of it was sent.
    front.end(&mut receive).await?;
    let problem = problem.borrow_mut().take();
    problem.map_or(Ok(()), |failure| Err(Failure { quiet: true, ..failure }))
}

/// Goes to whoever owns the profile: this very process, or another one.
async fn send(front: &Front, name: &str, text: String, sink: &Sink) -> Result<(), Failure> {
    let task = Task::Send { name: name.to_owned(), text, verified: false, token: Some(rand::random()) };
    front.perform(&front.request(task, false), sink).await
}

/// The lines of standard input, read on a thread of their own.
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
