//! Messages that earlier commands left in the outbox: whoever connects sends them, and prints what became of them.

use std::time::Duration;

use sealpost_api::ids::MessageId;
use sealpost_client::engine::Event;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::failure::Failure;
use crate::limit::Limit;
use crate::lines;
use crate::owner::Owner;
use crate::sink::Sink;
use crate::task::Line;

/// How long a command that is done otherwise waits for the next answer about the outbox. What the server makes wait
/// longer (a rate limit) is left to the next command.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often the outbox is looked at meanwhile: what one device is sent again has no event.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The line to print for an event about an earlier message; `mine` is reported by its own command.
pub(crate) fn line(owner: &Owner, event: &Event, mine: Option<MessageId>) -> Option<Line> {
    match event {
        // A message that a command of this process queued is that command's to report.
        Event::Sent { id: None, receipt } if Some(receipt.message_id) != mine => {
            owner.claim(receipt.message_id).then(|| lines::sent(receipt))
        }
        Event::Refused { id: None, to, message_id, code } if Some(*message_id) != mine => {
            owner.claim(*message_id).then(|| lines::refused(to, *message_id, code.as_str(), code.title()))
        }
        _ => None,
    }
}

/// Connects if there is something to send, and sends it.
pub(crate) async fn flush(owner: &Owner, limit: &Limit, sink: &Sink) -> Result<(), Failure> {
    let events = owner.driver.events();
    if !waiting(owner).await? || owner.go_online(limit).await.is_err() {
        return Ok(());
    }
    settle(owner, limit, sink, events).await
}

/// Prints what becomes of the outbox, until it is empty, the time is up, or nothing more is heard.
pub(crate) async fn settle(
    owner: &Owner,
    limit: &Limit,
    sink: &Sink,
    mut events: UnboundedReceiver<Event>,
) -> Result<(), Failure> {
    let mut patience = limit.at_most(PATIENCE);
    loop {
        // Asked before the events are read: whatever emptied the outbox is among them then.
        let waiting = waiting(owner).await?;
        while let Ok(event) = events.try_recv() {
            if let Some(line) = line(owner, &event, None) {
                sink.line(line).await?;
            }
        }
        if !waiting {
            return Ok(());
        }
        match patience.within(tokio::time::timeout(LOOK_AGAIN, events.recv())).await {
            Ok(Ok(Some(Event::Offline { .. }) | None)) | Err(_) => return Ok(()),
            Ok(Ok(Some(event))) => {
                patience = limit.at_most(PATIENCE);
                if let Some(line) = line(owner, &event, None) {
                    sink.line(line).await?;
                }
            }
            Ok(Err(_)) => {}
        }
    }
}

/// Whether the outbox holds something that need not wait for a person.
async fn waiting(owner: &Owner) -> Result<bool, Failure> {
    owner.query(|engine, _| Ok(engine.has_work_to_send())).await
}
