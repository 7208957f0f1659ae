//! The loop of one stream: it reads frames, makes store calls, writes frames, and keeps the timers.
//!
//! Messages go to the store in the order of their frames, and their results are handled in that order too, so that rows
//! from one device to another are offered in order. The next frame is read without waiting for an accept.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt as _};
use futures_util::stream::{FuturesOrdered, FuturesUnordered, StreamExt as _};
use sealpost_api::frames::ServerFrame;
use sealpost_api::ids::{ConnectionEpoch, RowId};
use sealpost_api::limits::IN_FLIGHT_MAX;
use sealpost_crypto::DeviceAddress;
use sealpost_sabotage::{Countermeasure, holds};

use super::delivery::Delivery;
use super::live::Accepted;
use super::timers::Timers;
use super::{Gone, Incoming, Reader, Writer};
use crate::service::hub::{CloseReason, Letters, Registration};
use crate::service::{Caller, Core, ServiceError, Services};
use crate::store::{QueueItem, StoreError};

mod due;
mod frames;
mod outcomes;

/// With more unsent bytes than this, nothing more is read or delivered. Together with one read of the store and one
/// mailbox it bounds the cost of a peer that does not read.
const HIGH_WATER_BYTES: usize = 64 * 1024;
/// With more gathered bytes than this, they are sent before more is gathered.
const FLUSH_BYTES: usize = 16 * 1024;
/// The number of arrived frames that are handled before anything else gets its turn.
const FRAMES_AT_ONCE: usize = 32;
/// The most messages being accepted; beyond that the stream is not read. (`IN_FLIGHT_MAX` bounds what an honest client
/// has outstanding.)
const ACCEPTS_MAX: usize = IN_FLIGHT_MAX as usize;

/// A connection whose epoch is durable.
pub(super) struct Opened {
    pub(super) caller: Caller,
    pub(super) epoch: ConnectionEpoch,
    pub(super) registration: Registration,
}

/// The outcome of any store call but an accept.
enum Work {
    Read(Result<Vec<QueueItem>, StoreError>),
    Acked(Vec<RowId>, Result<Option<u64>, StoreError>),
    Renewed(Result<Caller, ServiceError>),
    Seen,
}

/// What the loop waits for.
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

/// One stream, from its welcome to its end.
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

    /// Runs the stream to its end, and returns why it ended.
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

    /// Returns whether more may be read and delivered: the peer reads what it is sent.
    fn has_room(&self) -> bool {
        holds(Countermeasure::WriterBound, self.writer.pending() < HIGH_WATER_BYTES)
    }

    /// Waits for the next event.
    async fn wait(&mut self) -> Event {
        let pending = self.writer.pending();
        let open = self.has_room();
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

    /// Handles an event.
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

    /// Writes a frame to the peer's buffer.
    fn put(&mut self, frame: &ServerFrame) {
        let bytes: Bytes = frame.encode();
        self.writer.frame(&bytes);
    }
}

/// Returns how long the caller's token is still good.
fn life_left(core: &Core, caller: &Caller) -> Duration {
    Duration::from_millis(caller.expires_at.since(core.clock.now()))
}
