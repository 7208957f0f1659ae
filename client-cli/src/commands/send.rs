//! `send`.

use std::time::Duration;

use sealpost_api::ids::MessageId;
use sealpost_api::limits::TEXT_MAX_BYTES;
use sealpost_api::problem::ProblemCode;
use sealpost_api::username::Username;
use sealpost_client::driver::{DriverError, SendToken, Sending};
use sealpost_client::engine::{CommandError, Event, MessageReceipt};

use super::outbox;
use crate::errors;
use crate::failure::{Exit, Failure};
use crate::limit::{Limit, Reached};
use crate::lines;
use crate::owner::{Owner, Tried, username};
use crate::sink::Sink;

/// Puts the message into the outbox, connects, and waits for the server to accept it.
///
/// The message is in the outbox before anything is printed: so a `sent` line of an earlier message never stands for this
/// one.
pub(crate) async fn send(
    owner: &Owner,
    limit: &Limit,
    sink: &Sink,
    name: &str,
    text: &str,
    verified: bool,
    token: Option<[u8; 16]>,
) -> Result<(), Failure> {
    let to = username(name)?;
    if text.is_empty() || text.len() > TEXT_MAX_BYTES {
        return Err(
            Failure::new(Exit::Usage, "text_length", "a message has 1 to 65,536 bytes").hint("Send it in parts.")
        );
    }
    let turn = owner.sending.lock().await;
    // Whoever is online has an account.
    let is_online = owner.is_online();
    if !is_online {
        owner.account().await?;
    }
    if verified {
        demand_verified(owner, &to).await?;
    }
    let mut events = owner.driver.events();
    let mut sending =
        owner.driver.send(token.map(SendToken), to.clone(), text.to_owned()).map_err(|error| owner.failure(&error))?;
    drop(turn);
    let Some(message_id) = sending.taken().await else {
        // It was not taken, and this says why.
        return match sending.done().await {
            Ok(receipt) => sink.line(lines::sent(&receipt)).await,
            Err(error) => Err(owner.failure(&error)),
        };
    };
    // The answer that counts is the message's own; connecting may log in again by itself, after which the message goes out.
    let connect = owner.go_online(limit);
    tokio::pin!(connect);
    let (mut connecting, mut logged_out) = (!is_online, false);
    let outcome = loop {
        tokio::select! {
            biased;
            done = sending.done(), if !logged_out => match done {
                Err(DriverError::Command(CommandError::NotLoggedIn)) if connecting => logged_out = true,
                done => break Ok(done),
            },
            connected = &mut connect, if connecting => {
                connecting = false;
                if let Err(tried) = connected {
                    break settle(tried, &mut sending, logged_out).await;
                }
            }
            Some(event) = events.recv() => match event {
                Event::Sent { receipt, .. } if logged_out && receipt.message_id == message_id => break Ok(Ok(receipt)),
                Event::Refused { message_id: refused, code, .. } if logged_out && refused == message_id => {
                    break Ok(Err(DriverError::Command(CommandError::Refused { code, retry_after: None })));
                }
                event => {
                    if let Some(line) = outbox::line(owner, &event, Some(message_id)) {
                        sink.line(line).await?;
                    }
                }
            },
            reached = limit.reached() => break Err(reached),
        }
    };
    let answered = logged_out || matches!(outcome, Ok(Err(_)));
    let failure = match outcome {
        Ok(Ok(receipt)) => {
            owner.claim(message_id);
            sink.line(lines::sent(&receipt)).await?;
            if owner.is_followed.get() {
                return Ok(());
            }
            return outbox::settle(owner, limit, sink, events).await;
        }
        Ok(Err(error)) => not_there(owner.failure(&error), &to),
        Err(Reached::Stopped) => Reached::Stopped.into(),
        Err(Reached::TimeUp) => {
            Failure::new(Exit::TimedOut, "timeout", "the server has not accepted the message in time")
        }
    };
    if kept(owner, message_id).await? {
        sink.line(lines::queued(&to, message_id)).await?;
        // That the server is away or slow is in `queued` already; what a person must see to (a log-in, an identity) is not.
        return Err(Failure { quiet: matches!(failure.exit, Exit::Unreachable | Exit::TimedOut), ..failure });
    }
    if answered {
        return Err(failure);
    }
    // Accepted or refused in this very moment.
    match tokio::time::timeout(Duration::from_secs(1), sending.done()).await {
        Ok(Ok(receipt)) => sink.line(lines::sent(&receipt)).await,
        Ok(Err(error)) => Err(owner.failure(&error)),
        Err(_) => Err(failure),
    }
}

/// Says who is not there, where the server only says that something is not.
fn not_there(failure: Failure, to: &Username) -> Failure {
    let unknown = [ProblemCode::NotFound, ProblemCode::RecipientUnknown];
    if unknown.iter().any(|code| failure.code == code.as_str()) {
        return Failure { message: format!("nobody on this server is called {to}; nothing was sent"), ..failure };
    }
    failure
}

/// Connecting failed: what that means for the message.
async fn settle(
    tried: Tried,
    sending: &mut Sending,
    answered: bool,
) -> Result<Result<MessageReceipt, DriverError>, Reached> {
    match tried {
        Tried::Limit(reached) => Err(reached),
        Tried::Driver(error) if answered => Ok(Err(error)),
        // The engine answers the message's own command too, but that must not be waited for.
        Tried::Driver(error) => {
            let own = tokio::time::timeout(Duration::from_millis(50), sending.done()).await;
            Ok(own.unwrap_or(Err(error)))
        }
    }
}

/// Whether the message is in the outbox.
async fn kept(owner: &Owner, message_id: MessageId) -> Result<bool, Failure> {
    owner.query(move |engine, _| Ok(engine.outbox().iter().any(|entry| entry.message_id == message_id))).await
}

/// Refuses to write to someone whose safety number was not compared.
async fn demand_verified(owner: &Owner, to: &Username) -> Result<(), Failure> {
    let name = to.clone();
    match owner.query(move |engine, _| Ok(engine.contact(&name))).await? {
        Some(contact) if contact.identity_changed => Err(errors::identity_changed(to.as_str())),
        Some(contact) if contact.verified => Ok(()),
        _ => Err(Failure::new(Exit::Identity, "not_verified", format!("{to} has not been verified; nothing was sent"))
            .hint(format!("Compare the safety number (sealpost verify {to}), then: sealpost verify {to} --mark"))),
    }
}
