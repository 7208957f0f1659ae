//! `send`.

use std::io::{self, Read as _};

use clap::Args;
use sealpost_api::limits::TEXT_MAX_BYTES;
use sealpost_api::problem::ProblemCode;
use sealpost_api::username::Username;
use sealpost_client::driver::SendToken;
use sealpost_client::front::{Delivery, Outbox, Reached, Trouble};
use serde::{Deserialize, Serialize};

use crate::errors;
use crate::failure::{Exit, Failure};
use crate::front::Front;
use crate::job::Job;
use crate::lines::outcome;
use crate::names::username;
use crate::run::Run;
use crate::task;

/// Send a message; returns when the server has accepted it
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sealpost send bob 'See you at 8'
  sealpost send bob - < letter.txt
  sealpost send bob -- '-5 degrees'

Exit 0: accepted, stored safely by the server. 3 or 6: kept, sent by the next command that connects.
4: refused for good, not kept (but not_logged_in: kept until you have logged in).
5: the recipient's identity changed; look at `sealpost verify NAME`.")]
pub(crate) struct Send {
    /// The recipient's name
    name: String,
    /// The text, or - for standard input; at most 65,536 bytes
    text: String,
    /// Only if the recipient's safety number was marked as verified
    #[arg(long)]
    verified: bool,
}

impl Run for Send {
    fn reads_standard_input(&self) -> bool {
        self.text == "-"
    }

    async fn run(self, front: &Front) -> Result<(), Failure> {
        let Self { name, text, verified } = self;
        let text = if text == "-" { read_text()? } else { text };
        front.perform(Task { verified, ..Task::new(name, text) }).await
    }
}

/// Reads a message from standard input; one line ending at the end is not part of it.
fn read_text() -> Result<String, Failure> {
    let mut bytes = Vec::new();
    let most = TEXT_MAX_BYTES as u64 + 2;
    io::stdin()
        .lock()
        .take(most + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::io("cannot read standard input", &error))?;
    let mut text = String::from_utf8(bytes)
        .map_err(|_| Failure::new(Exit::Usage, "text_encoding", "standard input is not UTF-8 text"))?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

/// Sends a text.
#[derive(Serialize, Deserialize)]
pub(super) struct Task {
    name: String,
    text: String,
    verified: bool,
    /// Drawn before another process is asked, so that asking again when that was killed sends no second message.
    token: Option<[u8; 16]>,
}

impl Task {
    /// Sends a text to anybody, verified or not.
    pub(super) const fn new(name: String, text: String) -> Self {
        Self { name, text, verified: false, token: None }
    }
}

impl task::Task for Task {
    const NAME: &'static str = "send";

    fn leave(&mut self) {
        self.token.get_or_insert_with(rand::random);
    }

    /// Puts the message into the outbox, connects, and waits for the server to accept it.
    async fn perform(&self, job: &Job<'_>) -> Result<(), Failure> {
        let to = username(&self.name)?;
        if self.text.is_empty() || self.text.len() > TEXT_MAX_BYTES {
            return Err(
                Failure::new(Exit::Usage, "text_length", "a message has 1 to 65,536 bytes").hint("Send it in parts.")
            );
        }
        let client = job.client();
        let turn = client.turn().await;
        // Without an account no profile is online.
        if !client.is_online() {
            job.account().await?;
        }
        if self.verified {
            demand_verified(job, &to).await?;
        }
        // Watched from before the message is there: so no line of an earlier message stands for this one. Where another
        // command prints what becomes of earlier messages, this one need not.
        let mut outbox = (!job.owner.is_followed.get()).then(|| Outbox::watch(client));
        let sending = client.hand_over(self.token.map(SendToken), to.clone(), self.text.clone())?;
        drop(turn);
        let settled = async |settled| job.settled(settled).await;
        let failure = match client.deliver(&job.limit, sending, outbox.as_mut(), settled).await? {
            Delivery::Accepted(receipt) => {
                job.line(outcome::sent(&receipt)).await?;
                return match outbox {
                    Some(mut outbox) => outbox.settle(&job.limit, settled).await,
                    None => Ok(()),
                };
            }
            Delivery::Failed(trouble) => return Err(explained(trouble, &to)),
            Delivery::Kept { message_id, why } => {
                job.line(outcome::queued(&to, message_id)).await?;
                explained(why, &to)
            }
        };
        // `queued` says already that the server is away or slow; it does not say what a person must see to (a login, an
        // identity).
        Err(Failure { quiet: matches!(failure.exit, Exit::Unreachable | Exit::TimedOut), ..failure })
    }
}

/// Says what the trouble means for a message.
fn explained(trouble: Trouble, to: &Username) -> Failure {
    if trouble == Trouble::Limit(Reached::TimeUp) {
        return Failure::new(Exit::TimedOut, "timeout", "the server has not accepted the message in time");
    }
    let failure = Failure::from(trouble);
    // The server only says that something is not there.
    let unknown = [ProblemCode::NotFound, ProblemCode::RecipientUnknown];
    if unknown.iter().any(|code| failure.code == code.as_str()) {
        return Failure { message: format!("nobody on this server is called {to}; nothing was sent"), ..failure };
    }
    failure
}

/// Refuses to write to someone whose safety number was not compared.
async fn demand_verified(job: &Job<'_>, to: &Username) -> Result<(), Failure> {
    let name = to.clone();
    match job.client().query(move |engine, _| Ok(engine.contact(&name))).await? {
        Some(contact) if contact.identity_changed => Err(errors::identity_changed(to.as_str())),
        Some(contact) if contact.verified => Ok(()),
        _ => Err(Failure::new(Exit::Identity, "not_verified", format!("{to} has not been verified; nothing was sent"))
            .hint(format!("Compare the safety number (sealpost verify {to}), then: sealpost verify {to} --mark"))),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::task::{Request, Task as _};

    #[test]
    fn a_request_keeps_its_form_and_has_a_token_once_it_leaves_the_process() {
        let mut task = Task::new("bob".to_owned(), "hi".to_owned());
        let form = |task: &Task| serde_json::to_value(Request::new(task, Some(Duration::from_secs(2)))).unwrap();
        let mut expected = serde_json::json!({
            "task": { "task": "send", "name": "bob", "text": "hi", "verified": false, "token": null },
            "timeout_millis": 2000,
        });
        assert_eq!(form(&task), expected);
        task.leave();
        let token = task.token.unwrap();
        expected["task"]["token"] = token.to_vec().into();
        assert_eq!(form(&task), expected);
        task.leave();
        assert_eq!(task.token, Some(token), "asking again is asking for the same message");
    }
}
