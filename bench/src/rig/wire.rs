//! Where connections come from.

use std::net::Ipv4Addr;

/// Sockets that come from one address: below what a server allows one network by default.
const SOCKETS_PER_ADDRESS: usize = 500;

/// Returns the address that the `index`-th of many sockets comes from: 127.0.1.0 and up.
pub(super) fn source(index: usize) -> Ipv4Addr {
    let network = u32::try_from(index / SOCKETS_PER_ADDRESS).unwrap_or_default();
    Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 0, 1, 0)).saturating_add(network % 60_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_sockets_come_from_many_addresses() {
        assert_eq!(source(499), Ipv4Addr::new(127, 0, 1, 0));
        assert_eq!(source(500), Ipv4Addr::new(127, 0, 1, 1));
        assert_eq!(source(500 * 300), Ipv4Addr::new(127, 0, 2, 44));
    }
}
