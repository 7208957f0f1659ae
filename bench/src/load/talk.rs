//! The two halves of a conversation: one person sends and another receives, and both check everything that arrives.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use sealpost_api::frames::{ClientFrame, Deliver, ServerFrame};
use sealpost_api::limits::ACK_MAX_IDS;
use sealpost_crypto::DeviceAddress;
use tokio::time::timeout;

use super::Doctor;
use super::plan::Run;
use crate::rig::payload::{Label, Ledger, Tally};
use crate::rig::people::message;
use crate::rig::socket::Socket;

/// How long to wait for a message before it counts as lost.
const PATIENCE: Duration = Duration::from_secs(30);

/// A sender, with its messages of a run.
pub(crate) struct Sender {
    pub(crate) socket: Socket,
    /// Of the next message, as the server counts.
    pub(crate) next: u64,
    /// Unanswered messages.
    pub(crate) open: u64,
}

impl Sender {
    /// Puts a message into the next batch.
    pub(crate) fn push(&mut self, run: &Run, label: Label) -> Result<()> {
        let to = run.recipient(label.number).context("a message has no recipient")?;
        self.socket.push(&message(to, self.next, run.payloads.make(label)));
        self.next = self.next.saturating_add(1);
        self.open = self.open.saturating_add(1);
        Ok(())
    }

    /// Handles the answers that were read. Returns how many messages were accepted.
    pub(crate) fn answers(&mut self) -> Result<u64> {
        let mut accepted: u64 = 0;
        while let Some(frame) = self.socket.next()? {
            match frame {
                ServerFrame::Sent(sent) if sent.skipped.is_empty() => accepted = accepted.saturating_add(1),
                ServerFrame::Sent(sent) => bail!("a recipient was skipped: {:?}", sent.skipped),
                ServerFrame::Drained | ServerFrame::PrekeysLow { .. } => {}
                other => bail!("a message was answered with {other:?}"),
            }
        }
        self.open = self.open.checked_sub(accepted).context("more was accepted than was sent")?;
        Ok(accepted)
    }

    /// Sends the messages of this sender, with a bounded number unanswered, until all are accepted.
    pub(crate) async fn send_all(mut self, run: Run, sender: usize) -> Result<()> {
        let step = run.plan.senders;
        let mut numbers = (u64::try_from(sender)?..run.plan.messages).step_by(step).peekable();
        while numbers.peek().is_some() || self.open > 0 {
            while self.open < run.plan.window
                && let Some(number) = numbers.next()
            {
                self.push(&run, Label { number, at: 0 })?;
            }
            self.socket.flush().await?;
            timeout(PATIENCE, self.socket.read()).await.context("messages were not answered")??;
            run.bar.inc(self.answers()?);
        }
        self.socket.close().await
    }
}

/// A receiver, which takes, checks and acks messages.
pub(crate) struct Recipient {
    pub(crate) socket: Socket,
    ledger: Ledger,
    /// Whether everything that waited at the beginning has arrived.
    drained: bool,
}

impl Recipient {
    /// Creates a receiver on a stream that has read its `Welcome`.
    pub(crate) fn new(socket: Socket, ledger: Ledger) -> Self {
        Self { socket, ledger, drained: false }
    }

    /// Reads until everything that waited has arrived.
    pub(crate) async fn drain(mut self, run: &Run) -> Result<Self> {
        while !self.drained {
            if !self.read(run, &mut |_| {}).await? {
                break;
            }
        }
        Ok(self)
    }

    /// Reads until all messages of the plan have arrived, or nothing arrives any more. Calls `seen` for each message.
    pub(crate) async fn receive(mut self, run: &Run, mut seen: impl FnMut(Label)) -> Result<Self> {
        while self.ledger.left() > 0 {
            if !self.read(run, &mut seen).await? {
                break;
            }
        }
        Ok(self)
    }

    /// Checks that the server has received every ack and has nothing more to send, and closes the tally.
    pub(crate) async fn finish(mut self, run: &Run) -> Result<Tally> {
        self.socket.push(&ClientFrame::Ping { nonce: 1 });
        self.socket.flush().await?;
        loop {
            while let Some(frame) = self.socket.next()? {
                match frame {
                    ServerFrame::Deliver(deliver) => self.enter(run, &deliver, &mut |_| {}),
                    ServerFrame::Pong { .. } => {
                        self.socket.close().await?;
                        return Ok(self.ledger.close());
                    }
                    _ => {}
                }
            }
            timeout(PATIENCE, self.socket.read()).await.context("a ping was not answered")??;
        }
    }

    /// Takes one batch. Returns `false` if nothing arrived for too long.
    async fn read(&mut self, run: &Run, seen: &mut impl FnMut(Label)) -> Result<bool> {
        let (mut ids, mut heard) = (Vec::new(), false);
        while let Some(frame) = self.socket.next()? {
            heard = true;
            match frame {
                ServerFrame::Deliver(deliver) => {
                    self.enter(run, &deliver, seen);
                    ids.push(deliver.id);
                }
                ServerFrame::Drained => self.drained = true,
                ServerFrame::PrekeysLow { .. } => {}
                other => bail!("a recipient was sent {other:?}"),
            }
        }
        for ids in ids.chunks(ACK_MAX_IDS) {
            self.socket.push(&ClientFrame::Ack { ids: ids.to_vec() });
        }
        self.socket.flush().await?;
        run.bar.inc(u64::try_from(ids.len())?);
        if heard {
            return Ok(true);
        }
        Ok(match timeout(PATIENCE, self.socket.read()).await {
            Ok(read) => read.map(|()| true)?,
            Err(_) => false,
        })
    }

    fn enter(&mut self, run: &Run, deliver: &Deliver, seen: &mut impl FnMut(Label)) {
        let label = run.payloads.read(&deliver.ciphertext).filter(|label| is_from(run, *label, &deliver.from));
        if let Some(label) = label {
            seen(label);
        }
        match run.plan.doctor.filter(|_| label.is_some_and(|label| label.number == 0)) {
            None => self.ledger.enter(label),
            Some(Doctor::Lose) => {}
            Some(Doctor::Double) => {
                self.ledger.enter(label);
                self.ledger.enter(label);
            }
            Some(Doctor::Alter) => self.ledger.enter(None),
        }
    }
}

/// Returns whether the server named the right sender.
fn is_from(run: &Run, label: Label, from: &DeviceAddress) -> bool {
    run.sender(label.number) == Some(from)
}
