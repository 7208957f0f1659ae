//! WebSocket messages, each wrong in some way: a changed frame of the API, or arbitrary bytes.

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{Rng as _, RngExt as _};
use sealpost_api::frames::{ClientFrame, Copy, Send, SendKind};
use sealpost_api::ids::{MessageNumber, RowId};
use sealpost_api::limits::{CIPHERTEXT_MAX_BYTES, COPIES_MAX};
use sealpost_api::password::AccessToken;
use sealpost_crypto::{AccountId, DeviceAddress, DeviceId, RegistrationId};

use super::identity::Identity;

const BINARY: u8 = 2;
const PING: u8 = 9;
const FIN: u8 = 0x80;

/// The share of batches that end with a message that ends the stream.
const FATAL: f64 = 0.1;

/// The messages on the streams of one account.
pub(super) struct Talk<'a> {
    pub(super) identity: &'a Identity,
    /// The account that is written to. It is the same attacker's, because valid messages must not disturb honest
    /// people.
    pub(super) friend: &'a DeviceAddress,
    /// The number of the last message.
    pub(super) number: u64,
}

/// Returns the request that opens a stream.
pub(super) fn opening(authority: &str, identity: &Identity) -> Vec<u8> {
    format!(
        "GET /v1/stream HTTP/1.1\r\nhost: {authority}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nauthorization: Bearer {}\r\n\r\n",
        identity.token
    )
    .into_bytes()
}

/// Returns a number of messages that the stream survives, and now and then one more that can end it. That one is the
/// last, because nothing after it would be read.
pub(super) fn batch(rng: &mut StdRng, talk: &mut Talk<'_>, most: u64) -> (u64, Vec<u8>) {
    let mut bytes = Vec::new();
    for _ in 0..most {
        let message = nearly_valid(rng, talk);
        wrap(FIN | BINARY, &message, &mut bytes);
    }
    if rng.random_bool(FATAL) {
        fatal(rng, talk.identity, &mut bytes);
        return (most + 1, bytes);
    }
    (most, bytes)
}

/// Returns a ping with this payload. Its pong shows that everything before it was read.
pub(super) fn ping(payload: &[u8], bytes: &mut Vec<u8>) {
    wrap(FIN | PING, payload, bytes);
}

/// Returns a message that differs from a valid one in one field, or in some bytes where the server can still read it.
fn nearly_valid(rng: &mut StdRng, talk: &mut Talk<'_>) -> Vec<u8> {
    let frame = match rng.random_range(0..40) {
        0 => ClientFrame::Auth { token: AccessToken::new(talk.identity.token.clone()) },
        1 | 2 => ClientFrame::Ping { nonce: rng.random() },
        _ => ClientFrame::Send(nearly_valid_send(rng, talk)),
    };
    let valid = frame.encode().to_vec();
    if rng.random_bool(0.3) {
        let mut message = valid.clone();
        mutate(rng, &mut message);
        if is_readable(&message, talk.number) {
            return message;
        }
    }
    valid
}

/// Returns whether the stream survives a frame. An ack of undelivered rows or an invalid token ends it, and a number
/// far ahead, once accepted, makes every later one too old.
fn is_readable(message: &[u8], number: u64) -> bool {
    match ClientFrame::decode(Bytes::copy_from_slice(message)) {
        Ok(ClientFrame::Send(send)) => send.number.0 <= number,
        Ok(ClientFrame::Ping { .. }) => true,
        _ => false,
    }
}

fn nearly_valid_send(rng: &mut StdRng, talk: &mut Talk<'_>) -> Send {
    talk.number += 1;
    let copy = |rng: &mut StdRng| Copy {
        device: talk.friend.device,
        registration: talk.friend.registration,
        ciphertext: Bytes::from(vec![0x5a; rng.random_range(1..600)]),
    };
    let mut send = Send {
        number: MessageNumber(talk.number),
        to: talk.friend.account,
        kind: SendKind::Message,
        copies: vec![copy(rng)],
    };
    match rng.random_range(0..20) {
        0 => {
            send.number = MessageNumber(rng.random());
            send.to = AccountId::generate(rng);
        }
        1 => send.number = MessageNumber(rng.random_range(0..talk.number)),
        2 => send.to = AccountId::generate(rng),
        3 => send.to = talk.identity.address.account,
        4 => send.kind = SendKind::Device,
        5 => send.copies.clear(),
        6 => {
            let more = (2..=COPIES_MAX).filter_map(|device| DeviceId::new(u8::try_from(device).ok()?).ok());
            let more = more.take(rng.random_range(0..COPIES_MAX));
            send.copies.extend(more.map(|device| Copy { device, ..copy(rng) }).collect::<Vec<_>>());
        }
        kind => {
            for copy in &mut send.copies {
                match kind {
                    7 => copy.registration = RegistrationId::generate(rng),
                    8 => copy.device = DeviceId::new(rng.random_range(1..128)).unwrap_or(copy.device),
                    9 => copy.ciphertext = Bytes::new(),
                    10 => copy.ciphertext = vec![0xff; CIPHERTEXT_MAX_BYTES + rng.random_range(0..2)].into(),
                    _ => {}
                }
            }
        }
    }
    send
}

/// Returns a message that most likely ends the stream.
fn fatal(rng: &mut StdRng, identity: &Identity, bytes: &mut Vec<u8>) {
    let mut message = message(rng, identity);
    for _ in 0..rng.random_range(0..3) {
        mutate(rng, &mut message);
    }
    match rng.random_range(0..12) {
        0 => {
            // Any opcode and reserved bit, perhaps without an end.
            let first: u8 = rng.random();
            message.truncate(120);
            wrap(first, &message, bytes);
        }
        1 => {
            // A length beyond the allowed one.
            bytes.extend_from_slice(&[FIN | BINARY, 0xff]);
            bytes.extend_from_slice(&(rng.random::<u64>() | 1 << 40).to_be_bytes());
            bytes.extend_from_slice(&[0; 4]);
        }
        2 => {
            // Without a mask.
            bytes.extend_from_slice(&[FIN | BINARY, 3, 1, 2, 3]);
        }
        3 => {
            // Fragments with a ping between them.
            let (one, other) = message.split_at(message.len() / 2);
            wrap(BINARY, one, bytes);
            ping(b"between", bytes);
            wrap(FIN, other, bytes);
        }
        4 => {
            // A close frame with any code and reason.
            message.truncate(rng.random_range(0..126));
            wrap(FIN | 8, &message, bytes);
        }
        _ => wrap(FIN | BINARY, &message, bytes),
    }
}

/// Returns a valid frame of the API.
fn message(rng: &mut StdRng, identity: &Identity) -> Vec<u8> {
    let frame = match rng.random_range(0..40) {
        0 | 5 | 6 => ClientFrame::Auth { token: AccessToken::new(identity.token.clone()) },
        1 => ClientFrame::Auth { token: AccessToken::new("x".repeat(rng.random_range(0..3_000))) },
        2 => ClientFrame::Ping { nonce: rng.random() },
        3 | 4 => {
            let count = rng.random_range(0..300);
            ClientFrame::Ack { ids: (0..count).map(|_| RowId(rng.random_range(0..1_000))).collect() }
        }
        _ => ClientFrame::Send(send(rng, identity)),
    };
    if rng.random_bool(0.05) {
        let mut bytes = vec![0; rng.random_range(0..2_000)];
        rng.fill_bytes(&mut bytes);
        return bytes;
    }
    frame.encode().to_vec()
}

/// Returns a message to the attacker itself or to nobody. Another scenario covers what strangers send to honest people.
fn send(rng: &mut StdRng, identity: &Identity) -> Send {
    let own = rng.random_bool(0.7);
    let count = rng.random_range(0..10);
    let copies = (0..count)
        .filter_map(|_| {
            Some(Copy {
                device: if own { identity.address.device } else { DeviceId::new(rng.random_range(1..128)).ok()? },
                registration: if own { identity.address.registration } else { RegistrationId::generate(rng) },
                ciphertext: Bytes::from(vec![0x5a; rng.random_range(0..2_000)]),
            })
        })
        .collect();
    let number = if rng.random_bool(0.9) { rng.random_range(0..5_000) } else { rng.random() };
    Send {
        number: MessageNumber(number),
        to: if own { identity.address.account } else { AccountId::generate(rng) },
        kind: if rng.random() { SendKind::Message } else { SendKind::Device },
        copies,
    }
}

fn mutate(rng: &mut StdRng, bytes: &mut Vec<u8>) {
    if bytes.is_empty() {
        return;
    }
    let place = rng.random_range(0..bytes.len());
    match rng.random_range(0..4) {
        0 => bytes.truncate(place),
        1 => bytes.insert(place, rng.random()),
        2 => bytes.extend_from_within(place..),
        _ => {
            if let Some(byte) = bytes.get_mut(place) {
                *byte ^= 1 << rng.random_range(0..8);
            }
        }
    }
}

/// Wraps a payload in a masked frame. The mask is zero, which is valid and changes nothing.
fn wrap(first: u8, payload: &[u8], bytes: &mut Vec<u8>) {
    const MASKED: u8 = 0x80;
    bytes.push(first);
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(length), _) if length < 126 => bytes.push(MASKED | length),
        (_, Ok(length)) => {
            bytes.push(MASKED | 126);
            bytes.extend_from_slice(&length.to_be_bytes());
        }
        _ => {
            bytes.push(MASKED | 127);
            bytes.extend_from_slice(&u64::try_from(payload.len()).unwrap_or(u64::MAX).to_be_bytes());
        }
    }
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(payload);
}
