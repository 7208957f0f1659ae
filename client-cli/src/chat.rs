//! `chat`: what a person types is sent, what comes is printed.
//!
//! It is made of the other commands' tasks, so that it is the same whether this process owns the profile or another does.

use std::cell::RefCell;
use std::io::{self, BufRead as _};
use std::rc::Rc;

use sealpost_api::limits::TEXT_MAX_BYTES;
use tokio::sync::mpsc;

use crate::failure::{Exit, Failure};
use crate::front::Front;
use crate::owner::username;
use crate::sink::Sink;
use crate::task::Task;

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
        while let Some(text) = typed.recv().await {
            let text = text?;
            if text.is_empty() {
                continue;
            }
            let task = Task::Send { name: name.clone(), text, verified: false, token: Some(rand::random()) };
            // Goes over the socket to whoever owns the profile: this very process, or another one.
            if let Err(failure) = front.perform(&front.request(task, false), &sink).await {
                failure.report(front.global.json);
                *problem.borrow_mut() = Some(failure);
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
