//! Frames of the client, and the answers to its messages.

use std::sync::Arc;

use sealpost_api::frames::{ClientFrame, FrameError, Send as SendFrame, ServerFrame};
use sealpost_api::ids::{MessageNumber, RowId};
use sealpost_api::problem::ProblemCode;
use tokio::time::Instant;

use super::super::live::{Accepted, give_back, offer_live};
use super::super::open::error;
use super::super::{Incoming, Reader, Writer, sends};
use super::{Driver, Flow, Work};
use crate::service::hub::CloseReason;
use crate::service::limiter::LimitName;
use crate::store::{Accept, AcceptOutcome, Refusal};

impl<R: Reader, W: Writer> Driver<'_, R, W> {
    /// Handles what the socket brought.
    pub(super) fn incoming(&mut self, incoming: Incoming) -> Flow {
        self.pings_missed = 0;
        let bytes = match incoming {
            Incoming::Frame(bytes) => bytes,
            Incoming::Alive => return Ok(()),
            Incoming::Violation(reason) => return Err(reason),
            Incoming::Gone => return Err(CloseReason::Gone),
        };
        match ClientFrame::decode(bytes) {
            Ok(ClientFrame::Send(send)) => self.send(send),
            Ok(ClientFrame::Ack { ids }) => {
                self.ack(&ids);
                Ok(())
            }
            Ok(ClientFrame::Ping { nonce }) => {
                self.put(&ServerFrame::Pong { nonce });
                Ok(())
            }
            Ok(ClientFrame::Auth { token }) => {
                let services = self.services.clone();
                self.renewing = true;
                self.works.push(Box::pin(async move { Work::Renewed(services.authenticate(token.reveal()).await) }));
                Ok(())
            }
            Err(FrameError::TooLarge) => Err(CloseReason::TooLarge),
            Err(_) => {
                self.put(&error(ProblemCode::MalformedFrame, true));
                Err(CloseReason::Protocol)
            }
        }
    }

    /// Hands a message to the store, or refuses it.
    fn send(&mut self, send: SendFrame) -> Flow {
        let number = send.number;
        if let Err(code) = sends::check(&send) {
            self.refuse(number, code);
            return Ok(());
        }
        // Nothing more is accepted for an ended login, not even frames that were read together with the news.
        if let Some(reason) = self.opened.registration.mailbox.close_reason() {
            return Err(reason);
        }
        let core = Arc::clone(self.core());
        let now = core.clock.now();
        // Taken for every send, but checked after the window, because a retry of an accepted number is answered anyway.
        let rate = core.limiter.take_send(&self.address(), &send.to, now);
        let (to, paid) = (send.to, rate.is_ok());
        let (from, epoch, limits) = (self.address(), self.opened.epoch, core.settings.queue);
        let accept = Accept { from, epoch, rate, limits, send: send.clone() };
        self.accepts.push_back(Box::pin(async move {
            let result = core.store.accept(accept, now).await;
            Accepted { number, to, paid, now, copies: send.copies, result }
        }));
        Ok(())
    }

    /// Answers a message with a refusal.
    fn refuse(&mut self, number: MessageNumber, code: ProblemCode) {
        self.core().metrics.refused(code);
        self.put(&ServerFrame::Refused(sends::refused(number, code, 0)));
    }

    /// Answers a message, and offers its copies to the recipients' sockets.
    pub(super) fn accepted(&mut self, accepted: Accepted) -> Flow {
        let frame = sends::answer(accepted.number, accepted.now, &accepted.result);
        match &frame {
            ServerFrame::Refused(refused) => {
                self.core().metrics.refused(refused.code);
                if refused.code == ProblemCode::RateLimited {
                    self.core().metrics.limited(LimitName::SendPair);
                }
            }
            _ => self.core().metrics.accepted(),
        }
        self.put(&frame);
        offer_live(self.core(), self.address(), &accepted);
        give_back(self.core(), self.address(), &accepted);
        match accepted.result {
            Ok(AcceptOutcome::Refused(Refusal::Superseded) | AcceptOutcome::Withdrawn(Refusal::Superseded)) => {
                Err(CloseReason::Replaced)
            }
            _ => Ok(()),
        }
    }

    /// Notes acknowledgements; they are stored together after a moment.
    fn ack(&mut self, ids: &[RowId]) {
        match self.delivery.ack(ids) {
            Ok(()) => {
                let delay = self.core().settings.stream.ack_delay;
                self.timers.acks_at.get_or_insert_with(|| Instant::now() + delay);
            }
            Err(_) => self.put(&error(ProblemCode::AckUnknown, false)),
        }
    }
}
