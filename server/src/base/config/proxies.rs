//! The proxies that are believed about where a request comes from.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Bits before an IPv4 address in its mapped form, `::ffff:a.b.c.d`.
const MAPPED_BITS: u8 = 96;
const ADDRESS_BITS: u8 = 128;

/// An address, or all addresses with the same first bits: `192.0.2.1`, `10.0.0.0/8`, `2001:db8::/32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressRange {
    address: IpAddr,
    /// The number of leading bits that are compared, in the address's own form.
    bits: u8,
}

/// The text is not a range of addresses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no address and no range such as 10.0.0.0/8")]
pub struct AddressRangeError(String);

impl AddressRange {
    /// Returns whether the range contains the address. An IPv4 address and its IPv6-mapped form are the same.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let skipped = if self.address.is_ipv4() { MAPPED_BITS } else { 0 };
        let free = ADDRESS_BITS.saturating_sub(skipped).saturating_sub(self.bits);
        let prefix = |address: IpAddr| mapped(address).checked_shr(u32::from(free)).unwrap_or(0);
        prefix(self.address) == prefix(address)
    }
}

fn mapped(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_ipv6_mapped()),
        IpAddr::V6(v6) => u128::from(v6),
    }
}

impl FromStr for AddressRange {
    type Err = AddressRangeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unknown = || AddressRangeError(text.to_owned());
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u8>().map_err(|_| unknown())?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| unknown())?;
        let most = if address.is_ipv4() { ADDRESS_BITS - MAPPED_BITS } else { ADDRESS_BITS };
        let bits = bits.unwrap_or(most);
        if bits > most { Err(unknown()) } else { Ok(Self { address, bits }) }
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.address, self.bits)
    }
}

impl Serialize for AddressRange {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for AddressRange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// The proxies that are believed about where a request comes from. Anyone else could choose the address that rate
/// limits count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TrustedProxies(Vec<AddressRange>);

impl TrustedProxies {
    /// Returns the proxies on this machine.
    #[must_use]
    pub fn loopback() -> Self {
        let range = |address, bits| AddressRange { address, bits };
        Self(vec![range(IpAddr::from([127, 0, 0, 0]), 8), range(IpAddr::V6(Ipv6Addr::LOCALHOST), ADDRESS_BITS)])
    }

    /// Returns whether this peer is one of the proxies.
    #[must_use]
    pub fn contains(&self, peer: IpAddr) -> bool {
        self.0.iter().any(|range| range.contains(peer))
    }
}

/// Reads addresses and ranges separated by commas, `true` for this machine's, or `false` for none.
impl FromStr for TrustedProxies {
    type Err = AddressRangeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "" | "false" => Ok(Self::default()),
            "true" => Ok(Self::loopback()),
            list => list.split(',').map(|range| range.trim().parse()).collect::<Result<_, _>>().map(Self),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_holds_the_addresses_that_begin_alike_and_no_others() {
        let holds =
            |range: &str, address: &str| range.parse::<AddressRange>().unwrap().contains(address.parse().unwrap());
        for (range, inside, outside) in [
            ("192.0.2.1", "192.0.2.1", "192.0.2.2"),
            ("10.0.0.0/8", "::ffff:10.9.8.7", "11.0.0.0"),
            ("10.0.0.0/9", "10.127.255.255", "10.128.0.0"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::1"),
            ("::1", "::1", "::2"),
            ("0.0.0.0/0", "203.0.113.9", "2001:db8::1"),
        ] {
            assert!(holds(range, inside) && !holds(range, outside), "{range}");
        }
        assert!(holds("::/0", "2001:db8::1"));
        for text in ["", "10", "10.0.0.0/33", "10.0.0.0/-1", "::/129", "proxy.example", "10.0.0.0/8/8"] {
            text.parse::<AddressRange>().unwrap_err();
        }
    }

    #[test]
    fn proxies_are_none_this_machine_or_a_list() {
        let parse = |text: &str| text.parse::<TrustedProxies>().unwrap();
        let local = IpAddr::from([127, 0, 0, 1]);
        assert!(parse("true").contains(local) && !parse("false").contains(local) && !parse("").contains(local));
        let list = parse("10.0.0.0/8, 127.0.0.1");
        assert!(list.contains(local) && list.contains([10, 1, 1, 1].into()) && !list.contains([127, 0, 0, 2].into()));
        "10.0.0.0/8,yes".parse::<TrustedProxies>().unwrap_err();
    }
}
