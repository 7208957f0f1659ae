//! What is due: the store calls of a stream, and its timers.

use std::sync::Arc;
use std::time::Duration;

use sealpost_api::limits::ACK_MAX_IDS;
use sealpost_sabotage::{Countermeasure, refuses};
use tokio::time::Instant;

use super::super::{Reader, Writer};
use super::{Driver, Flow, Work};
use crate::service::hub::CloseReason;
use crate::store::StoreError;

/// The delay before a failed store call is tried again.
const RETRY_DELAY: Duration = Duration::from_millis(500);
/// The number of failures in a row after which the stream ends, and the client reconnects.
const FAILURES_MAX: u32 = 10;
/// The number of unanswered pings after which the stream ends.
const PINGS_MISSED_MAX: u32 = 2;

impl<R: Reader, W: Writer> Driver<'_, R, W> {
    /// Starts the store calls that are due.
    pub(super) fn begin_due(&mut self) {
        if self.timers.retry_at.is_some() {
            return;
        }
        if self.has_room()
            && let Some(request) = self.delivery.begin_read()
        {
            let (core, address) = (Arc::clone(self.core()), self.address());
            self.works.push(Box::pin(async move {
                let rows = core.store.undelivered(address, &request.delivered, request.rows_max, request.bytes_max);
                Work::Read(rows.await)
            }));
        }
        let waiting = self.delivery.acks_waiting();
        let due = self.timers.acks_at.is_some_and(|at| at <= Instant::now());
        if !self.acks_storing && waiting > 0 && (due || waiting >= ACK_MAX_IDS) {
            self.store_acks();
        }
    }

    /// Hands the acknowledgements that wait to the store.
    fn store_acks(&mut self) {
        let ids = self.delivery.take_acks();
        self.acks_storing = true;
        self.timers.acks_at = None;
        let (core, address, epoch) = (Arc::clone(self.core()), self.address(), self.opened.epoch);
        self.works.push(Box::pin(async move {
            let result = core.store.acknowledge(address, epoch, ids.clone()).await;
            Work::Acked(ids, result)
        }));
    }

    /// Does what the timers say, and returns why the stream must end, if so.
    pub(super) fn keep_time(&mut self) -> Flow {
        let now = Instant::now();
        if self.writer.pending() == 0 {
            self.timers.stalled_at = None;
        } else if self.timers.stalled_at.is_none() {
            self.timers.stalled_at = Some(now + self.core().settings.stream.write_timeout);
        }
        if now < self.timers.next() {
            return Ok(());
        }
        if now >= self.timers.expires_at {
            return Err(CloseReason::Unauthenticated);
        }
        let stalled = self.timers.stalled_at.is_some_and(|at| at <= now);
        if refuses(Countermeasure::WriterBound, stalled) {
            return Err(CloseReason::TooSlow);
        }
        if self.timers.retry_at.is_some_and(|at| at <= now) {
            self.timers.retry_at = None;
        }
        if self.timers.acks_at.is_some_and(|at| at <= now) {
            if self.timers.retry_at.is_some() || self.acks_storing {
                self.timers.acks_at = Some(now + self.core().settings.stream.ack_delay);
            } else {
                self.store_acks();
            }
        }
        if now >= self.timers.seen_at {
            self.timers.seen_at = now + self.core().settings.stream.seen_interval;
            let (core, address) = (Arc::clone(self.core()), self.address());
            self.works.push(Box::pin(async move {
                if let Err(error) = core.store.device_seen(address, core.clock.now()).await {
                    tracing::debug!(%error, "a device's last sight was not noted");
                }
                Work::Seen
            }));
        }
        if now >= self.timers.ping_at {
            self.timers.ping_at = now + self.core().settings.stream.ping_interval;
            if refuses(Countermeasure::PingTimeout, self.pings_missed >= PINGS_MISSED_MAX) {
                return Err(CloseReason::TooSlow);
            }
            self.pings_missed = self.pings_missed.saturating_add(1);
            self.writer.ping();
        }
        Ok(())
    }

    /// Sets the timer of acknowledgements if some wait.
    pub(super) fn renew_ack_timer(&mut self) {
        if self.delivery.acks_waiting() > 0 {
            let delay = self.core().settings.stream.ack_delay;
            self.timers.acks_at.get_or_insert_with(|| Instant::now() + delay);
        }
    }

    /// Notes that a store call failed: it is tried again, unless too many have failed in a row.
    pub(super) fn failed(&mut self, error: &StoreError) -> Flow {
        self.failures = self.failures.saturating_add(1);
        tracing::warn!(%error, failures = self.failures, "a stream's call of the store failed");
        if self.failures >= FAILURES_MAX || matches!(error, StoreError::Stopped(_)) {
            return Err(CloseReason::Internal);
        }
        self.timers.retry_at = Some(Instant::now() + RETRY_DELAY);
        Ok(())
    }
}
