//! The link: the stream to the server. It is opened when it is wanted, and again with growing waits.

mod connection;
mod welcome;

use sealpost_api::close;
use sealpost_api::frames::ClientFrame;
use sealpost_api::ids::RowId;
use sealpost_api::password::AccessToken;

pub(crate) use welcome::{Unbelievable, Welcomed};

use super::backoff::Backoff;
use super::command::{CommandError, Outcome};
use super::effect::{Effect, StreamRefusal};
use super::event::{Event, OfflineReason};
use super::fact::Fact;
use super::step::Step;
use super::waiting::Waiting;
use connection::{Connection, Ready};

/// Refusals of an access token in a row after which opening waits like after any failure.
const UNAUTHENTICATED_MAX: u32 = 2;

/// The stream, and what went wrong with it since the last welcome.
#[derive(Default)]
pub(crate) struct Link {
    wanted: bool,
    connection: Connection,
    backoff: Backoff,
    /// Access tokens that were refused on opening, in a row.
    unauthenticated: u32,
}

impl Link {
    /// Returns whether it is online, or tries to be.
    pub(crate) const fn is_wanted(&self) -> bool {
        self.wanted
    }

    /// Has it opened, and opened again.
    pub(crate) const fn want(&mut self) {
        self.wanted = true;
    }

    /// Ends the wait before the next try: somebody asks.
    pub(crate) const fn try_now(&mut self) {
        self.backoff.try_now();
    }

    /// Returns whether the server has welcomed this device.
    pub(crate) const fn is_ready(&self) -> bool {
        matches!(self.connection, Connection::Ready(_))
    }

    /// Returns whether there is no stream, and none is being opened.
    pub(crate) const fn is_closed(&self) -> bool {
        matches!(self.connection, Connection::Closed)
    }

    /// Returns whether the server may now welcome this device.
    pub(crate) const fn awaits_welcome(&self) -> bool {
        matches!(self.connection, Connection::Open)
    }

    /// Returns whether a stream is to be opened now; if it is only too early, asks to be woken.
    pub(crate) fn is_to_be_opened(&self, step: &mut Step<'_>) -> bool {
        if !self.wanted || !self.is_closed() {
            return false;
        }
        if self.backoff.retry_at() > step.now {
            step.wake_at(self.backoff.retry_at());
            return false;
        }
        true
    }

    /// Opens a stream.
    pub(crate) fn open(&mut self, step: &mut Step<'_>, bearer: AccessToken) {
        self.connection = Connection::Opening;
        step.effect(Effect::OpenStream { bearer });
    }

    /// Handles that the stream is open.
    pub(crate) fn opened(&mut self) {
        if matches!(self.connection, Connection::Opening) {
            self.connection = Connection::Open;
        }
    }

    /// Records that the server has welcomed this device, and that its welcome was checked.
    pub(crate) fn welcomed(&mut self, step: &mut Step<'_>, pending: u64) {
        self.connection = Connection::Ready(Ready::default());
        self.backoff = Backoff::default();
        self.unauthenticated = 0;
        step.lent.requests.reached();
        step.emit(Event::Online { pending });
        step.complete_all(|waiting| matches!(waiting, Waiting::Online), &Ok(Outcome::Done));
    }

    /// Handles that the server closed the stream, or that it broke.
    pub(crate) fn closed(&mut self, step: &mut Step<'_>, code: Option<u16>) {
        if self.is_closed() {
            return;
        }
        self.lost(step);
        match code {
            Some(close::REPLACED) => {
                self.wanted = false;
                step.emit(Event::Offline { reason: OfflineReason::Replaced, retry_at: None });
                step.complete_all(
                    |waiting| matches!(waiting, Waiting::Online | Waiting::Send { .. }),
                    &Err(CommandError::Superseded),
                );
            }
            Some(close::UNAUTHENTICATED) => self.refused_token(step, close::UNAUTHENTICATED),
            Some(code @ (close::FORBIDDEN | close::PROTOCOL)) => {
                self.retry(step, OfflineReason::Refused { code }, None);
            }
            _ => self.retry(step, OfflineReason::Unreachable, None),
        }
    }

    /// Handles that the stream could not be opened.
    pub(crate) fn refused(&mut self, step: &mut Step<'_>, refusal: StreamRefusal) {
        if self.is_closed() {
            return;
        }
        self.lost(step);
        match refusal {
            StreamRefusal::Unreachable => self.retry(step, OfflineReason::Unreachable, None),
            StreamRefusal::Status { status: 401, .. } => self.refused_token(step, 401),
            StreamRefusal::Status { status, retry_after, .. } => {
                self.retry(step, OfflineReason::Refused { code: status }, retry_after);
            }
        }
    }

    /// Handles that the access token was refused. Another one is requested, which shows whether the login has ended.
    fn refused_token(&mut self, step: &mut Step<'_>, code: u16) {
        step.tell(Fact::TokenRefused);
        self.unauthenticated = self.unauthenticated.saturating_add(1);
        if self.unauthenticated > UNAUTHENTICATED_MAX {
            return self.retry(step, OfflineReason::Refused { code }, None);
        }
        let retry_at = Some(step.now);
        step.emit(Event::Offline { reason: OfflineReason::NotLoggedIn, retry_at });
    }

    fn retry(&mut self, step: &mut Step<'_>, reason: OfflineReason, at_least_ms: Option<u64>) {
        let jitter = step.draw_u64();
        self.backoff.fail(step.now, jitter, at_least_ms);
        let retry_at = Some(self.backoff.retry_at());
        step.emit(Event::Offline { reason, retry_at });
        step.note_failure();
    }

    /// Drops the stream. It is unknown which of its last frames arrived.
    fn lost(&mut self, step: &mut Step<'_>) {
        self.connection = Connection::Closed;
        step.tell(Fact::StreamLost);
    }

    /// Closes the stream; it is opened again if it is still wanted.
    pub(crate) fn close(&mut self, step: &mut Step<'_>) {
        if !self.is_closed() {
            self.flush_acks(&mut step.lent.effects);
            self.lost(step);
            step.effect(Effect::CloseStream);
        }
    }

    /// Closes the stream for good.
    pub(crate) fn go_offline(&mut self, step: &mut Step<'_>, reason: OfflineReason) {
        self.wanted = false;
        if !self.is_closed() {
            self.close(step);
            step.emit(Event::Offline { reason, retry_at: None });
        }
    }

    /// Gives the open stream another access token.
    pub(crate) fn renew(&self, step: &mut Step<'_>, token: AccessToken) {
        if matches!(self.connection, Connection::Open | Connection::Ready(_)) {
            step.effect(Effect::SendFrame(ClientFrame::Auth { token }.encode()));
        }
    }

    /// Notes that a row was taken in. It is acked at the end of the step, and the driver sends that after the commit.
    pub(crate) fn ack(&mut self, id: RowId) {
        if let Connection::Ready(ready) = &mut self.connection {
            ready.ack(id);
        }
    }

    /// Acks what was taken in.
    pub(crate) fn flush_acks(&mut self, effects: &mut Vec<Effect>) {
        if let Connection::Ready(ready) = &mut self.connection {
            ready.flush_acks(effects);
        }
    }

    /// Records that the server has delivered everything that waited.
    pub(crate) const fn drained(&mut self) {
        if let Connection::Ready(ready) = &mut self.connection {
            ready.drained();
        }
    }

    /// Returns whether all that waited at the server was delivered on this connection.
    pub(crate) const fn is_drained(&self) -> bool {
        matches!(&self.connection, Connection::Ready(ready) if ready.is_drained())
    }

    /// Returns whether all that waited was delivered and that was not told yet.
    pub(crate) const fn is_draining(&self) -> bool {
        matches!(&self.connection, Connection::Ready(ready) if ready.is_draining())
    }

    /// Tells that all that waited was taken in.
    pub(crate) fn tell_drained(&mut self, step: &mut Step<'_>) {
        if let Connection::Ready(ready) = &mut self.connection
            && ready.tell_drained()
        {
            ready.flush_acks(&mut step.lent.effects);
            step.emit(Event::Drained);
        }
    }
}
