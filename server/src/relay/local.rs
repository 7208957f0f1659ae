//! Nodes without a relay: a single one, which has nobody to tell, and one of several, which tells nobody.

use super::{Hint, Relay, RelayState};

/// Does nothing, because every socket is in this process's hub.
#[derive(Clone, Copy, Debug, Default)]
pub struct LocalRelay;

impl Relay for LocalRelay {
    fn publish(&self, _: Hint) {}

    fn state(&self) -> RelayState {
        RelayState::Local
    }
}

/// Does nothing, though other nodes may share the store: they find what is new when they look for it.
#[derive(Clone, Copy, Debug, Default)]
pub struct AbsentRelay;

impl Relay for AbsentRelay {
    fn publish(&self, _: Hint) {}

    fn state(&self) -> RelayState {
        RelayState::Absent
    }
}
