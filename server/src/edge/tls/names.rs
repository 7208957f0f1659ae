//! The names of this machine, for the built-in certificate.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Returns localhost, the loopback addresses, the host's name (whole and first label), every interface's address, and
/// the listener's host, sorted and each once. It leaves out link-local IPv6 addresses, because a URL cannot name them
/// without a zone.
#[must_use]
pub fn machine(listen_host: &str) -> Vec<String> {
    let mut names = BTreeSet::from(["localhost".to_owned()]);
    let mut addresses = BTreeSet::from([IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)]);
    let host = rustix::system::uname().nodename().to_string_lossy().to_lowercase();
    let first_label = host.split('.').next().unwrap_or_default().to_owned();
    for name in [host, first_label, listen_host.to_lowercase()] {
        match name.parse::<IpAddr>() {
            Ok(address) if !address.is_unspecified() => {
                addresses.insert(address);
            }
            Ok(_) => {}
            Err(_) if is_host_name(&name) => {
                names.insert(name);
            }
            Err(_) => {}
        }
    }
    match if_addrs::get_if_addrs() {
        Ok(interfaces) => addresses.extend(interfaces.iter().map(if_addrs::Interface::ip).filter(is_nameable)),
        Err(error) => tracing::warn!(%error, "the interfaces' addresses could not be read; the certificate lacks them"),
    }
    names.into_iter().chain(addresses.iter().map(IpAddr::to_string)).collect()
}

fn is_nameable(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => true,
        IpAddr::V6(v6) => !v6.is_unicast_link_local(),
    }
}

/// Returns whether a name has only the letters, digits, hyphens and dots of RFC 1123, which a certificate can contain.
fn is_host_name(name: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_is_localhost_at_least_and_each_name_is_there_once() {
        let names = machine("chat.example");
        for name in ["localhost", "127.0.0.1", "::1", "chat.example"] {
            assert_eq!(names.iter().filter(|known| *known == name).count(), 1, "{name}");
        }
        assert!(!machine("0.0.0.0").contains(&"0.0.0.0".to_owned()));
    }

    #[test]
    fn only_host_names_get_into_a_certificate() {
        assert!(is_host_name("a-b.example"));
        for name in ["", "a..b", "-a", "a_b", "a b", "ä"] {
            assert!(!is_host_name(name), "{name}");
        }
    }
}
