//! Relays that carry nothing: for a single node, and for several nodes without a relay.

use super::{Hint, Relay, RelayState};

/// Does nothing, because every stream is in this process's hub.
#[derive(Clone, Copy, Debug, Default)]
pub struct LocalRelay;

impl Relay for LocalRelay {
    fn publish(&self, _: Hint) {}

    fn state(&self) -> RelayState {
        RelayState::Local
    }
}

/// Does nothing, although other nodes may share the store: they find news by looking for it.
#[derive(Clone, Copy, Debug, Default)]
pub struct AbsentRelay;

impl Relay for AbsentRelay {
    fn publish(&self, _: Hint) {}

    fn state(&self) -> RelayState {
        RelayState::Absent
    }
}
