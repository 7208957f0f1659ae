//! The stream: opened when it is wanted, opened again with growing waits, and what the server says on it.

use sealpost_api::close;
use sealpost_api::frames::{ClientFrame, Expired, Missed, ServerFrame};
use sealpost_api::ids::{MessageId, RowId};
use sealpost_api::limits::ACK_MAX_IDS;
use sealpost_crypto::DeviceAddress;

use super::calls::Waiting;
use super::codec::Bin;
use super::command::{CommandError, Outcome};
use super::effect::{Effect, StreamRefusal};
use super::event::{Event, OfflineReason};
use super::http::Backoff;
use super::notices::{StoredDevice, StoredNotice};
use super::state::SentRecord;
use super::{Context, Engine, EngineError, Link};
use crate::vault::Table;

/// Refusals of an access token in a row after which opening waits like after any failure.
const UNAUTHENTICATED_MAX: u32 = 2;

impl Engine {
    pub(super) fn advance_stream(&mut self, context: &mut Context<'_>) -> Result<(), EngineError> {
        self.advance_tokens(context)?;
        if !self.online_wanted || self.link != Link::Closed {
            return Ok(());
        }
        if self.stream_backoff.retry_at > context.now {
            self.wake_at(self.stream_backoff.retry_at);
            return Ok(());
        }
        if let Some(bearer) = self.bearer(context)? {
            self.link = Link::Opening;
            self.effects.push(Effect::OpenStream { bearer });
        }
        Ok(())
    }

    pub(super) fn on_stream_opened(&mut self) {
        if self.link == Link::Opening {
            self.link = Link::Open;
        }
    }

    pub(super) fn on_frame(&mut self, context: &mut Context<'_>, frame: ServerFrame) -> Result<(), EngineError> {
        match (self.link, frame) {
            (Link::Open, ServerFrame::Welcome(welcome)) => self.on_welcome(context, &welcome),
            (Link::Ready, frame) => self.on_frame_when_ready(context, frame),
            // Left over from a stream that is closed, or out of turn.
            _ => Ok(()),
        }
    }

    fn on_frame_when_ready(&mut self, context: &mut Context<'_>, frame: ServerFrame) -> Result<(), EngineError> {
        match frame {
            ServerFrame::Deliver(deliver) => self.on_deliver(context, &deliver),
            ServerFrame::Drained => {
                self.drained = true;
                Ok(())
            }
            ServerFrame::Sent(sent) => self.on_sent(context, &sent),
            ServerFrame::Refused(refused) => self.on_refused(context, &refused),
            ServerFrame::PrekeysLow { .. } => self.want_top_up(context),
            ServerFrame::Expired(expired) => self.on_expired(context, &expired),
            ServerFrame::Missed(missed) => self.on_missed(context, &missed),
            ServerFrame::DeviceListChanged { account, version } => {
                let own = self.me.as_ref().filter(|me| me.address.account == account).map(|me| &me.list);
                let pinned = own.or_else(|| self.contacts.get(&account).map(|contact| &contact.list));
                if pinned.is_some_and(|list| list.version() < version) {
                    self.wanted_lists.insert(account);
                }
                Ok(())
            }
            // Acks that were not taken are delivered again; nothing else that is sent can be wrong.
            ServerFrame::Error { .. } | ServerFrame::Pong { .. } | ServerFrame::Welcome(_) => Ok(()),
        }
    }

    /// The server has welcomed this device, and what its welcome says was looked at.
    pub(super) fn go_ready(&mut self, pending: u64) {
        self.link = Link::Ready;
        self.drained = false;
        self.told_drained = false;
        self.stream_backoff = Backoff::default();
        self.stream_unauthenticated = 0;
        self.failures = 0;
        self.sent_here.clear();
        self.retry_at.clear();
        self.emit(Event::Online { pending });
        self.complete_all(|waiting| matches!(waiting, Waiting::Online), &Ok(Outcome::Done));
    }

    pub(super) fn on_stream_closed(&mut self, context: &mut Context<'_>, code: Option<u16>) -> Result<(), EngineError> {
        if self.link == Link::Closed {
            return Ok(());
        }
        self.link_lost();
        match code {
            Some(close::REPLACED) => {
                self.online_wanted = false;
                self.emit(Event::Offline { reason: OfflineReason::Replaced, retry_at: None });
                self.complete_all(
                    |waiting| matches!(waiting, Waiting::Online | Waiting::Send { .. }),
                    &Err(CommandError::Superseded),
                );
                Ok(())
            }
            Some(close::UNAUTHENTICATED) => self.stream_unauthenticated(context, close::UNAUTHENTICATED),
            Some(code @ (close::FORBIDDEN | close::PROTOCOL)) => {
                self.retry_stream(context, OfflineReason::Refused { code }, None)
            }
            _ => self.retry_stream(context, OfflineReason::Unreachable, None),
        }
    }

    pub(super) fn on_stream_refused(
        &mut self,
        context: &mut Context<'_>,
        refusal: StreamRefusal,
    ) -> Result<(), EngineError> {
        if self.link == Link::Closed {
            return Ok(());
        }
        self.link_lost();
        match refusal {
            StreamRefusal::Unreachable => self.retry_stream(context, OfflineReason::Unreachable, None),
            StreamRefusal::Status { status: 401, .. } => self.stream_unauthenticated(context, 401),
            StreamRefusal::Status { status, retry_after, .. } => {
                self.retry_stream(context, OfflineReason::Refused { code: status }, retry_after)
            }
        }
    }

    /// The access token was not taken: another is asked for, which tells whether the session has ended.
    fn stream_unauthenticated(&mut self, context: &mut Context<'_>, code: u16) -> Result<(), EngineError> {
        self.forget_access_token(context)?;
        self.stream_unauthenticated = self.stream_unauthenticated.saturating_add(1);
        if self.stream_unauthenticated > UNAUTHENTICATED_MAX {
            return self.retry_stream(context, OfflineReason::Refused { code }, None);
        }
        let retry_at = Some(context.now);
        self.emit(Event::Offline { reason: OfflineReason::NotLoggedIn, retry_at });
        Ok(())
    }

    fn retry_stream(
        &mut self,
        context: &mut Context<'_>,
        reason: OfflineReason,
        at_least_ms: Option<u64>,
    ) -> Result<(), EngineError> {
        self.stream_backoff.fail(context, at_least_ms);
        let retry_at = Some(self.stream_backoff.retry_at);
        self.emit(Event::Offline { reason, retry_at });
        self.note_failure(context)
    }

    /// Nothing more comes from this stream, and nobody knows what it carried.
    fn link_lost(&mut self) {
        self.link = Link::Closed;
        self.acks.clear();
        self.sent_here.clear();
        self.retry_at.clear();
        for item in self.items.values_mut() {
            item.unknown |= item.number.is_some();
        }
    }

    /// Closes the stream; it is opened again if it is still wanted.
    pub(super) fn close_link(&mut self) {
        if self.link != Link::Closed {
            self.flush_acks();
            self.link_lost();
            self.effects.push(Effect::CloseStream);
        }
    }

    /// Closes the stream for good.
    pub(super) fn go_offline(&mut self, reason: OfflineReason) {
        self.online_wanted = false;
        if self.link != Link::Closed {
            self.close_link();
            self.emit(Event::Offline { reason, retry_at: None });
        }
    }

    pub(super) fn ack(&mut self, id: RowId) {
        self.acks.push(id);
    }

    /// Acks what was taken in. The driver sends it once that is on disk.
    pub(super) fn flush_acks(&mut self) {
        let acks = std::mem::take(&mut self.acks);
        if self.link == Link::Ready {
            for ids in acks.chunks(ACK_MAX_IDS) {
                self.effects.push(Effect::SendFrame(ClientFrame::Ack { ids: ids.to_vec() }.encode()));
            }
        }
    }

    /// Tells that all that waited was taken in, once that is so: also what only waits for its sender's name.
    pub(super) fn tell_drained(&mut self) {
        let waits_for_name = self.held.values().flat_map(|held| held.values()).any(|held| held.in_order);
        if self.drained && !self.told_drained && !waits_for_name && self.link == Link::Ready {
            self.told_drained = true;
            self.flush_acks();
            self.emit(Event::Drained);
        }
    }

    pub(super) fn stored_device(&self, address: DeviceAddress) -> StoredDevice {
        StoredDevice { label: self.label(address.account), address: Bin(address) }
    }

    fn on_expired(&mut self, context: &mut Context<'_>, expired: &Expired) -> Result<(), EngineError> {
        /// Messages named in one notice; the count says how many there are.
        const NAMED_MAX: usize = 64;
        self.ack(expired.id);
        let mut messages: Vec<Bin<MessageId>> = Vec::new();
        for number in expired.numbers.iter().take(NAMED_MAX) {
            let record: Option<SentRecord> = context.load(Table::Sent, &number.0.to_be_bytes(), "a sent message")?;
            messages.extend(record.filter(|record| record.history.is_some()).map(|record| Bin(record.message_id)));
        }
        let to = self.stored_device(expired.to);
        let count = u64::try_from(expired.numbers.len()).unwrap_or(u64::MAX);
        self.note(context, StoredNotice::Expired { to, messages, count, reason: expired.reason.into() })
    }

    fn on_missed(&mut self, context: &mut Context<'_>, missed: &Missed) -> Result<(), EngineError> {
        self.ack(missed.id);
        let from = self.stored_device(missed.from);
        self.note(context, StoredNotice::Missed { from, count: missed.count, reason: missed.reason.into() })
    }
}
