//! Bounds the connections that one network has open at once, so that a network that keeps opening more leaves room for
//! others.

use sealpost_sabotage::{Countermeasure, refuses};
use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

/// A network address, IPv6 cut to its /64; see [`client_network`](crate::domain::address::client_network).
type Network = [u8; 16];

/// The places of every network. Memory is bounded by the open connections, because a network without any is not kept.
#[derive(Debug)]
pub struct Places {
    max: usize,
    taken: Mutex<HashMap<Network, usize>>,
}

/// A place of a network, which is freed when dropped.
#[derive(Debug)]
pub struct Place {
    places: Arc<Places>,
    network: Network,
}

impl Places {
    /// Creates places with this number for each network.
    #[must_use]
    pub fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { max, taken: Mutex::default() })
    }

    /// Takes a place of a network. Returns `None` if all of its places are taken.
    #[must_use]
    pub fn take(self: &Arc<Self>, network: Network) -> Option<Place> {
        let mut taken = self.taken.lock();
        let count = taken.entry(network).or_default();
        if refuses(Countermeasure::ConnectionLimits, *count >= self.max) {
            return None;
        }
        *count = count.saturating_add(1);
        drop(taken);
        Some(Place { places: Arc::clone(self), network })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock();
        if let Some(count) = taken.get_mut(&self.network) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                taken.remove(&self.network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_gets_its_places_and_gives_them_back() {
        let places = Places::new(2);
        let held = [places.take([1; 16]).unwrap(), places.take([2; 16]).unwrap()];
        drop((places.take([1; 16]).unwrap(), held));
        assert!(places.taken.lock().is_empty(), "nothing is kept of who has nothing open");
    }

    #[test]
    fn threat_52_a_network_that_has_its_places_gets_no_more_and_others_do() {
        let places = Places::new(2);
        let held: Vec<_> = (0..2).map(|_| places.take([1; 16]).unwrap()).collect();
        assert!(places.take([1; 16]).is_none());
        assert!(places.take([2; 16]).is_some());
        drop(held);
        assert!(places.take([1; 16]).is_some());
    }
}
