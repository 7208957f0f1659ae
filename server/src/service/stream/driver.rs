//! The loop of one stream: it reads frames, makes store calls, writes frames, and keeps the timers.
//!
//! Messages go to the store in the order of their frames, and their results are handled in that order too, so that rows
//! from one device to another are offered in order. The next frame is read without waiting for an accept.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt as _};
use futures_util::stream::{FuturesOrdered, FuturesUnordered, StreamExt as _};
use sealpost_api::frames::{ClientFrame, FrameError, Send as SendFrame, ServerFrame};
use sealpost_api::ids::{ConnectionEpoch, MessageNumber, RowId};
use sealpost_api::limits::{ACK_MAX_IDS, IN_FLIGHT_MAX};
use sealpost_api::problem::ProblemCode;
use sealpost_crypto::DeviceAddress;
use sealpost_sabotage::{Countermeasure, without};
use tokio::time::Instant;

use super::delivery::{Deliveries, Delivery};
use super::live::{Accepted, delivery_frame, give_back, offer_live};
use super::open::error;
use super::timers::Timers;
use super::{Gone, Incoming, Reader, Writer, sends};
use crate::service::hub::{CloseReason, Letters, Registration};
use crate::service::limiter::LimitName;
use crate::service::{Caller, Core, ServiceError, Services};
use crate::store::{Accept, AcceptOutcome, QueueItem, Refusal, StoreError};

/// With more unsent bytes than this, nothing more is read or delivered. Together with one read of the store and one
/// mailbox it bounds the cost of a peer that does not read.
const HIGH_WATER_BYTES: usize = 64 * 1024;
/// With more gathered bytes than this, they are sent before more is gathered.
const FLUSH_BYTES: usize = 16 * 1024;
/// The number of arrived frames that are handled before anything else gets its turn.
const FRAMES_AT_ONCE: usize = 32;
/// The delay before a failed store call is tried again.
const RETRY_DELAY: Duration = Duration::from_millis(500);
/// The number of failures in a row after which the stream ends, and the client reconnects.
const FAILURES_MAX: u32 = 10;
/// The number of unanswered pings after which the stream ends.
const PINGS_MISSED_MAX: u32 = 2;
/// The most messages being accepted; beyond that the stream is not read. (`IN_FLIGHT_MAX` bounds what an honest client
/// has outstanding.)
const ACCEPTS_MAX: usize = IN_FLIGHT_MAX as usize;

/// A connection whose epoch is durable.
pub(super) struct Opened {
    pub(super) caller: Caller,
    pub(super) epoch: ConnectionEpoch,
    pub(super) registration: Registration,
}

/// The outcome of any other call.
enum Work {
    Read(Result<Vec<QueueItem>, StoreError>),
    Acked(Vec<RowId>, Result<Option<u64>, StoreError>),
    Renewed(Result<Caller, ServiceError>),
    Seen,
}

enum Event {
    Close(CloseReason),
    Accepted(Accepted),
    Work(Work),
    Letters(Letters),
    Incoming(Incoming),
    Flushed(Result<(), Gone>),
    Tick,
}

/// Whether the stream continues. The error is the reason why it does not.
type Flow = Result<(), CloseReason>;

pub(super) struct Driver<'a, R, W> {
    services: Services,
    opened: Opened,
    reader: &'a mut R,
    writer: &'a mut W,
    delivery: Delivery,
    accepts: FuturesOrdered<BoxFuture<'static, Accepted>>,
    works: FuturesUnordered<BoxFuture<'static, Work>>,
    acks_storing: bool,
    renewing: bool,
    failures: u32,
    pings_missed: u32,
    timers: Timers,
}

impl<'a, R: Reader, W: Writer> Driver<'a, R, W> {
    pub(super) fn new(services: Services, opened: Opened, reader: &'a mut R, writer: &'a mut W) -> Self {
        let life = life_left(services.core(), &opened.caller);
        let timers = Timers::new(&services.core().settings.stream, life);
        Self {
            services,
            opened,
            reader,
            writer,
            delivery: Delivery::default(),
            accepts: FuturesOrdered::new(),
            works: FuturesUnordered::new(),
            acks_storing: false,
            renewing: false,
            failures: 0,
            pings_missed: 0,
            timers,
        }
    }

    pub(super) async fn run(mut self) -> CloseReason {
        let reason = loop {
            if self.writer.pending() >= FLUSH_BYTES {
                match self.writer.flush().now_or_never() {
                    Some(Ok(())) => self.timers.stalled_at = None,
                    Some(Err(Gone)) => break CloseReason::Gone,
                    None => {}
                }
            }
            // After the flush, which can have made room for a read that nothing else would start.
            self.begin_due();
            if let Err(reason) = self.keep_time() {
                break reason;
            }
            let event = self.wait().await;
            if let Err(reason) = self.take(event) {
                break reason;
            }
        };
        self.finish();
        reason
    }

    fn core(&self) -> &Arc<Core> {
        self.services.core()
    }

    fn address(&self) -> DeviceAddress {
        self.opened.caller.address
    }

    async fn wait(&mut self) -> Event {
        let pending = self.writer.pending();
        let open = without(Countermeasure::WriterBound) || pending < HIGH_WATER_BYTES;
        let reading = open && self.accepts.len() < ACCEPTS_MAX && !self.renewing;
        let next = self.timers.next();
        if self.timers.sleep.deadline() != next {
            self.timers.sleep.as_mut().reset(next);
        }
        let mailbox = &self.opened.registration.mailbox;
        tokio::select! {
            biased;
            reason = mailbox.closed() => Event::Close(reason),
            Some(accepted) = self.accepts.next(), if !self.accepts.is_empty() => Event::Accepted(accepted),
            Some(work) = self.works.next(), if !self.works.is_empty() => Event::Work(work),
            letters = mailbox.arrived(), if open => Event::Letters(letters),
            incoming = self.reader.next(), if reading => Event::Incoming(incoming),
            flushed = self.writer.flush(), if pending > 0 => Event::Flushed(flushed),
            () = self.timers.sleep.as_mut() => Event::Tick,
        }
    }

    fn take(&mut self, event: Event) -> Flow {
        match event {
            Event::Close(reason) => Err(reason),
            Event::Accepted(accepted) => {
                self.accepted(accepted)?;
                // A group commit answers many at once.
                while let Some(Some(accepted)) = self.accepts.next().now_or_never() {
                    self.accepted(accepted)?;
                }
                Ok(())
            }
            Event::Work(work) => self.worked(work),
            Event::Letters(letters) => {
                self.letters(letters);
                Ok(())
            }
            Event::Incoming(first) => {
                self.incoming(first)?;
                for _ in 1..FRAMES_AT_ONCE {
                    if self.accepts.len() >= ACCEPTS_MAX || self.renewing {
                        break;
                    }
                    let Some(incoming) = self.reader.ready() else { break };
                    self.incoming(incoming)?;
                }
                Ok(())
            }
            Event::Flushed(Ok(())) => {
                self.timers.stalled_at = None;
                Ok(())
            }
            Event::Flushed(Err(Gone)) => Err(CloseReason::Gone),
            Event::Tick => Ok(()),
        }
    }

    /// Starts the store calls that are due.
    fn begin_due(&mut self) {
        if self.timers.retry_at.is_some() {
            return;
        }
        if (without(Countermeasure::WriterBound) || self.writer.pending() < HIGH_WATER_BYTES)
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

    fn keep_time(&mut self) -> Flow {
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
        if !without(Countermeasure::WriterBound) && self.timers.stalled_at.is_some_and(|at| at <= now) {
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
            if !without(Countermeasure::PingTimeout) && self.pings_missed >= PINGS_MISSED_MAX {
                return Err(CloseReason::TooSlow);
            }
            self.pings_missed = self.pings_missed.saturating_add(1);
            self.writer.ping();
        }
        Ok(())
    }

    fn incoming(&mut self, incoming: Incoming) -> Flow {
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

    fn refuse(&mut self, number: MessageNumber, code: ProblemCode) {
        self.core().metrics.refused(code);
        self.put(&ServerFrame::Refused(sends::refused(number, code, 0)));
    }

    fn accepted(&mut self, accepted: Accepted) -> Flow {
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

    fn ack(&mut self, ids: &[RowId]) {
        match self.delivery.ack(ids) {
            Ok(()) => {
                let delay = self.core().settings.stream.ack_delay;
                self.timers.acks_at.get_or_insert_with(|| Instant::now() + delay);
            }
            Err(_) => self.put(&error(ProblemCode::AckUnknown, false)),
        }
    }

    fn worked(&mut self, work: Work) -> Flow {
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

    fn renew_ack_timer(&mut self) {
        if self.delivery.acks_waiting() > 0 {
            let delay = self.core().settings.stream.ack_delay;
            self.timers.acks_at.get_or_insert_with(|| Instant::now() + delay);
        }
    }

    /// Renews the access token. A token renews only the stream of its own login, so that it cannot turn a stream into
    /// somebody else's.
    fn is_renewed_by(&self, caller: &Caller) -> bool {
        caller.address == self.address() && caller.session == self.opened.caller.session
    }

    fn renewed(&mut self, result: Result<Caller, ServiceError>) -> Flow {
        match result {
            Ok(caller) if without(Countermeasure::OwnerCheck) || self.is_renewed_by(&caller) => {
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

    fn failed(&mut self, error: &StoreError) -> Flow {
        self.failures = self.failures.saturating_add(1);
        tracing::warn!(%error, failures = self.failures, "a stream's call of the store failed");
        if self.failures >= FAILURES_MAX || matches!(error, StoreError::Stopped(_)) {
            return Err(CloseReason::Internal);
        }
        self.timers.retry_at = Some(Instant::now() + RETRY_DELAY);
        Ok(())
    }

    fn letters(&mut self, letters: Letters) {
        let deliveries = self.delivery.offer(letters.rows, letters.more);
        self.deliver(deliveries);
        if let Some(left) = letters.prekeys_low {
            self.put(&ServerFrame::PrekeysLow { left });
        }
        for (account, version) in letters.device_lists {
            self.put(&ServerFrame::DeviceListChanged { account, version });
        }
    }

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

    fn put(&mut self, frame: &ServerFrame) {
        let bytes: Bytes = frame.encode();
        self.writer.frame(&bytes);
    }

    /// Finishes what the store was given, because a recipient may be waiting for it, and deletes what was acknowledged,
    /// because the device has it.
    fn finish(mut self) {
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

fn life_left(core: &Core, caller: &Caller) -> Duration {
    Duration::from_millis(caller.expires_at.since(core.clock.now()))
}

fn count(rows: usize) -> u64 {
    u64::try_from(rows).unwrap_or(u64::MAX)
}
