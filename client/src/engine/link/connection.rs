//! The states of the stream, each with the data that it has and no other.
//!
//! ```text
//! Closed ──open──▶ Opening ──opened──▶ Open ──welcome──▶ Ready
//!    ▲                │                 │                  │
//!    └────────────────┴─────lost────────┴──────────────────┘
//! ```

use sealpost_api::frames::ClientFrame;
use sealpost_api::ids::RowId;
use sealpost_api::limits::ACK_MAX_IDS;

use crate::engine::effect::Effect;

/// The stream.
#[derive(Default)]
pub(super) enum Connection {
    /// There is no stream.
    #[default]
    Closed,
    /// Asked for, not open yet.
    Opening,
    /// Open. The server has not welcomed this device yet, so nothing may be sent.
    Open,
    /// Welcomed.
    Ready(Ready),
}

/// How far the delivery of what waited at the server has come.
#[derive(Clone, Copy, Default)]
enum Backlog {
    /// More is coming.
    #[default]
    Coming,
    /// All was delivered.
    Drained,
    /// All was delivered and taken in, and that was told.
    Told,
}

/// What a stream has once the server has welcomed this device.
#[derive(Default)]
pub(super) struct Ready {
    acks: Vec<RowId>,
    backlog: Backlog,
}

impl Ready {
    pub(super) fn ack(&mut self, id: RowId) {
        self.acks.push(id);
    }

    pub(super) fn flush_acks(&mut self, effects: &mut Vec<Effect>) {
        for ids in std::mem::take(&mut self.acks).chunks(ACK_MAX_IDS) {
            effects.push(Effect::SendFrame(ClientFrame::Ack { ids: ids.to_vec() }.encode()));
        }
    }

    pub(super) const fn drained(&mut self) {
        if matches!(self.backlog, Backlog::Coming) {
            self.backlog = Backlog::Drained;
        }
    }

    pub(super) const fn is_drained(&self) -> bool {
        matches!(self.backlog, Backlog::Drained | Backlog::Told)
    }

    pub(super) const fn is_draining(&self) -> bool {
        matches!(self.backlog, Backlog::Drained)
    }

    /// Notes that it is told now. Returns whether that is news.
    pub(super) const fn tell_drained(&mut self) -> bool {
        let news = self.is_draining();
        if news {
            self.backlog = Backlog::Told;
        }
        news
    }
}
