//! Figures of the relay.

use prometheus::{IntCounter, IntGauge};

use super::make::Make;
use crate::relay::{RelayCounts, RelayState};

/// What goes between nodes.
#[derive(Debug)]
pub(super) struct Relayed {
    wanted: IntGauge,
    connected: IntGauge,
    sent: IntCounter,
    heard: IntCounter,
    dropped: IntCounter,
}

impl Relayed {
    /// Makes the figures.
    pub(super) fn new(make: &Make) -> Result<Self, prometheus::Error> {
        Ok(Self {
            wanted: make.gauge("sealpost_relay_wanted", "Whether the node is told to use a relay.")?,
            connected: make.gauge("sealpost_relay_connected", "Whether the relay is connected.")?,
            sent: make.counter("sealpost_relay_sent_total", "Hints to other nodes handed to the relay.")?,
            heard: make.counter("sealpost_relay_heard_total", "Hints of other nodes heard from the relay.")?,
            dropped: make.counter(
                "sealpost_relay_dropped_total",
                "Hints that the relay did not carry, or that could not be read.",
            )?,
        })
    }

    /// Keeps how the node hears of others, and what the relay has carried by now.
    pub(super) fn keep(&self, state: RelayState, counts: RelayCounts) {
        self.wanted.set(i64::from(matches!(state, RelayState::Connected | RelayState::Disconnected)));
        self.connected.set(i64::from(state == RelayState::Connected));
        for (counter, now) in [(&self.sent, counts.sent), (&self.heard, counts.heard), (&self.dropped, counts.dropped)]
        {
            counter.inc_by(now.saturating_sub(counter.get()));
        }
    }
}
