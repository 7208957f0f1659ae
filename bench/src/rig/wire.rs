//! Where connections come from, and where they go.

use std::net::Ipv4Addr;
use std::path::Path;

use anyhow::{Context as _, Result};
use sealpost_transport::{Connector, Roots};

/// Sockets that come from one address: below what a server allows one network by default.
const SOCKETS_PER_ADDRESS: usize = 500;

/// Returns a connector that trusts this authority and nobody else. Sessions are never resumed, so that each connection costs
/// what a new client's does.
pub(super) fn connector(url: &str, ca: Option<&Path>) -> Result<Connector> {
    let roots = match ca {
        Some(ca) => Roots::none().with_pem(&std::fs::read(ca).context("the server's authority cannot be read")?)?,
        None => Roots::none(),
    };
    Ok(Connector::with_roots(url.parse()?, roots)?.without_resumption())
}

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
