//! What store calls give back, and what the mailbox brings.

use std::sync::Arc;

use futures_util::stream::StreamExt as _;
use sealpost_api::frames::ServerFrame;
use sealpost_api::problem::ProblemCode;
use sealpost_sabotage::{Countermeasure, holds};
use tokio::time::Instant;

use super::super::delivery::Deliveries;
use super::super::live::{delivery_frame, offer_live};
use super::super::open::error;
use super::super::{Reader, Writer};
use super::{Driver, Flow, Work, life_left};
use crate::service::hub::{CloseReason, Letters};
use crate::service::{Caller, ServiceError};

impl<R: Reader, W: Writer> Driver<'_, R, W> {
    /// Handles the outcome of a store call.
    pub(super) fn worked(&mut self, work: Work) -> Flow {
        match work {
            Work::Read(Ok(rows)) => {
                self.failures = 0;
                let deliveries = self.delivery.read_done(rows);
                self.deliver(deliveries);
                Ok(())
            }
            Work::Read(Err(error)) => {
                self.delivery.read_failed();
                self.failed(&error)
            }
            Work::Acked(ids, Ok(Some(_))) => {
                self.failures = 0;
                self.acks_storing = false;
                self.core().metrics.acknowledged(count(ids.len()));
                self.delivery.acks_done(&ids);
                self.renew_ack_timer();
                Ok(())
            }
            Work::Acked(_, Ok(None)) => Err(CloseReason::Replaced),
            Work::Acked(ids, Err(error)) => {
                self.acks_storing = false;
                self.delivery.acks_failed(ids);
                self.renew_ack_timer();
                self.failed(&error)
            }
            Work::Renewed(result) => {
                self.renewing = false;
                self.renewed(result)
            }
            Work::Seen => Ok(()),
        }
    }

    /// Returns whether a token is of this stream's own session: it cannot turn a stream into somebody else's.
    fn is_renewed_by(&self, caller: &Caller) -> bool {
        caller.address == self.address() && caller.session == self.opened.caller.session
    }

    /// Handles a token that the client has sent on the stream.
    fn renewed(&mut self, result: Result<Caller, ServiceError>) -> Flow {
        match result {
            Ok(caller) if holds(Countermeasure::OwnerCheck, self.is_renewed_by(&caller)) => {
                self.timers.expires_at = Instant::now() + life_left(self.core(), &caller);
                self.opened.caller = caller;
                Ok(())
            }
            _ => {
                self.put(&error(ProblemCode::Unauthenticated, true));
                Err(CloseReason::Unauthenticated)
            }
        }
    }

    /// Delivers what the mailbox brought.
    pub(super) fn letters(&mut self, letters: Letters) {
        let deliveries = self.delivery.offer(letters.rows, letters.more);
        self.deliver(deliveries);
        if let Some(left) = letters.prekeys_low {
            self.put(&ServerFrame::PrekeysLow { left });
        }
        for (account, version) in letters.device_lists {
            self.put(&ServerFrame::DeviceListChanged { account, version });
        }
    }

    /// Writes rows to the peer.
    fn deliver(&mut self, deliveries: Deliveries) {
        if !deliveries.rows.is_empty() {
            self.core().metrics.delivered(count(deliveries.rows.len()));
        }
        for item in deliveries.rows {
            self.put(&delivery_frame(item));
        }
        if deliveries.drained {
            self.put(&ServerFrame::Drained);
        }
    }

    /// Waits in the background for what was handed to the store, because a recipient may be waiting for it, and deletes what
    /// was acknowledged, because the device has it.
    pub(super) fn finish(mut self) {
        let mut batches = Vec::new();
        while self.delivery.acks_waiting() > 0 {
            batches.push(self.delivery.take_acks());
        }
        if self.accepts.is_empty() && self.works.is_empty() && batches.is_empty() {
            return;
        }
        let (core, address, epoch) = (Arc::clone(self.core()), self.address(), self.opened.epoch);
        let (mut accepts, mut works) = (self.accepts, self.works);
        tokio::spawn(async move {
            while let Some(accepted) = accepts.next().await {
                offer_live(&core, address, &accepted);
            }
            while works.next().await.is_some() {}
            for ids in batches {
                if core.store.acknowledge(address, epoch, ids).await.is_err() {
                    break;
                }
            }
        });
    }
}

/// Returns a number of rows as metrics count them.
fn count(rows: usize) -> u64 {
    u64::try_from(rows).unwrap_or(u64::MAX)
}
