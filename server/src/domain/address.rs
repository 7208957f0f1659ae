//! The addresses that requests come from, as rate limits use them.

use std::net::IpAddr;

/// Returns the network that an address is counted for: the whole IPv4 address (mapped, as `::ffff:a.b.c.d`), or the /64
/// of an IPv6 address, because a single customer is given a /64.
#[must_use]
pub fn client_network(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => v4.to_ipv6_mapped().octets(),
            None => {
                let prefix = u128::from(v6) & (u128::from(u64::MAX) << 64);
                prefix.to_be_bytes()
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> [u8; 16] {
        client_network(text.parse().unwrap())
    }

    #[test]
    fn an_ipv6_customer_counts_once_and_ipv4_one_by_one() {
        assert_eq!(network("2001:db8:1:2::1"), network("2001:db8:1:2:ffff::9"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
        assert_eq!(network("192.0.2.1"), network("::ffff:192.0.2.1"));
    }
}
