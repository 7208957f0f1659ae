//! Hints as NATS messages.
//!
//! ```text
//! sealpost.<server id>.wake.<account id>.<device>       payload: version (1) ‖ registration id (32)
//! sealpost.<server id>.connected.<account id>.<device>  payload: version (1) ‖ registration id (32)
//! sealpost.<server id>.list.<account id>                payload: version (1)
//! sealpost.<server id>.ended                            payload: version (1) ‖ session id (16), one or more
//! ```
//!
//! Ids in subjects are hexadecimal. The server id identifies the cluster, because it is the store's, so several
//! clusters can share a NATS.

use bytes::Bytes;
use sealpost_api::ids::{ServerId, SessionId};
use sealpost_crypto::{AccountId, DeviceAddress, DeviceId, RegistrationId};

use crate::relay::Hint;

/// The version of the payloads.
const VERSION: u8 = 1;
/// The most logins in one message, so that it stays far below what NATS accepts: 16 KiB.
const SESSIONS_MAX: usize = 1_024;

/// The subjects of a cluster.
pub(super) struct Subjects {
    prefix: String,
}

impl Subjects {
    pub(super) fn new(cluster: ServerId) -> Self {
        Self { prefix: format!("sealpost.{cluster}.") }
    }

    /// Returns the subject that a node subscribes to.
    pub(super) fn all(&self) -> String {
        format!("{}>", self.prefix)
    }

    /// Encodes a hint as one or more messages.
    pub(super) fn encode(&self, hint: &Hint) -> Vec<(String, Bytes)> {
        match hint {
            Hint::Wake(address) => vec![self.of_device("wake", address)],
            Hint::Connected(address) => vec![self.of_device("connected", address)],
            Hint::DeviceListChanged(account) => {
                vec![(format!("{}list.{}", self.prefix, hex(account.as_bytes())), Bytes::from_static(&[VERSION]))]
            }
            Hint::SessionsEnded(sessions) => sessions
                .chunks(SESSIONS_MAX)
                .map(|some| {
                    let ids = some.iter().flat_map(|session| *session.as_bytes());
                    (format!("{}ended", self.prefix), std::iter::once(VERSION).chain(ids).collect())
                })
                .collect(),
        }
    }

    fn of_device(&self, kind: &str, address: &DeviceAddress) -> (String, Bytes) {
        let subject = format!("{}{kind}.{}.{}", self.prefix, hex(address.account.as_bytes()), address.device.get());
        (subject, std::iter::once(VERSION).chain(*address.registration.as_bytes()).collect())
    }

    /// Decodes a message. Returns `None` if it is not a hint of this cluster.
    pub(super) fn decode(&self, subject: &str, payload: &[u8]) -> Option<Hint> {
        let (version, payload) = payload.split_first()?;
        if *version != VERSION {
            return None;
        }
        let mut words = subject.strip_prefix(&self.prefix)?.split('.');
        let kind = words.next()?;
        let hint = match kind {
            "wake" | "connected" => {
                let account = account(words.next()?)?;
                let device = DeviceId::new(words.next()?.parse().ok()?).ok()?;
                let registration = RegistrationId::from_bytes(payload.try_into().ok()?);
                let address = DeviceAddress { account, device, registration };
                if kind == "wake" { Hint::Wake(address) } else { Hint::Connected(address) }
            }
            "list" if payload.is_empty() => Hint::DeviceListChanged(account(words.next()?)?),
            "ended" => {
                let (ids, []) = payload.as_chunks::<16>() else { return None };
                if ids.is_empty() || ids.len() > SESSIONS_MAX {
                    return None;
                }
                Hint::SessionsEnded(ids.iter().map(|id| SessionId::from_bytes(*id)).collect())
            }
            _ => return None,
        };
        words.next().is_none().then_some(hint)
    }
}

fn hex(bytes: &[u8; 16]) -> String {
    format!("{:032x}", u128::from_be_bytes(*bytes))
}

fn account(text: &str) -> Option<AccountId> {
    let plain = text.len() == 32 && text.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    if !plain {
        return None;
    }
    u128::from_str_radix(text, 16).ok().map(|id| AccountId::from_bytes(id.to_be_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address() -> DeviceAddress {
        DeviceAddress {
            account: AccountId::from_bytes([0x0a; 16]),
            device: DeviceId::new(127).unwrap(),
            registration: RegistrationId::from_bytes([7; 32]),
        }
    }

    #[test]
    fn every_hint_is_understood_by_its_own_cluster_alone() {
        let (ours, other) =
            (Subjects::new(ServerId::from_bytes([1; 16])), Subjects::new(ServerId::from_bytes([2; 16])));
        let sessions: Vec<_> = (0..2_500_u128).map(|id| SessionId::from_bytes(id.to_be_bytes())).collect();
        for hint in [
            Hint::Wake(address()),
            Hint::Connected(address()),
            Hint::DeviceListChanged(address().account),
            Hint::SessionsEnded(sessions.clone()),
        ] {
            let heard: Vec<Hint> = ours
                .encode(&hint)
                .iter()
                .map(|(subject, payload)| {
                    assert_eq!(other.decode(subject, payload), None);
                    assert!(payload.len() <= 16 * 1_024 + 1);
                    ours.decode(subject, payload).unwrap()
                })
                .collect();
            match hint {
                Hint::SessionsEnded(_) => {
                    let all = heard.into_iter().flat_map(|hint| match hint {
                        Hint::SessionsEnded(some) => some,
                        other => panic!("{other:?}"),
                    });
                    assert!(all.eq(sessions.iter().copied()));
                }
                hint => assert_eq!(heard, [hint]),
            }
        }
    }

    #[test]
    fn what_is_none_of_ours_is_no_hint() {
        let subjects = Subjects::new(ServerId::from_bytes([1; 16]));
        let cluster = "01".repeat(16);
        let account = "0a".repeat(16);
        let registration = [&[1_u8][..], &[7; 32]].concat();
        let good = format!("sealpost.{cluster}.wake.{account}.127");
        assert!(subjects.decode(&good, &registration).is_some());
        for (subject, payload) in [
            (good.clone(), &registration[..32]),
            (good.clone(), &[2][..]),
            (good.clone(), &[][..]),
            (good.replace(".127", ".128"), &registration[..]),
            (good.replace(".127", ".0"), &registration[..]),
            (good.replace(".127", ""), &registration[..]),
            (format!("{good}.1"), &registration[..]),
            (good.replace("0a0a", "0A0A"), &registration[..]),
            (good.replace("0a0a", "+a0a"), &registration[..]),
            (good.replace("wake", "sleep"), &registration[..]),
            (format!("sealpost.{cluster}.ended"), &[1; 16][..]),
            (format!("sealpost.{cluster}.ended"), &[1][..]),
            (format!("sealpost.{cluster}.list.{account}"), &[1, 1][..]),
            ("sealpost".to_owned(), &[1][..]),
            (String::new(), &[1][..]),
        ] {
            assert_eq!(subjects.decode(&subject, payload), None, "{subject} {payload:?}");
        }
    }
}
