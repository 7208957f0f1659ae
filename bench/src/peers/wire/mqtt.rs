//! MQTT 3.1.1, as far as the bench needs it. Packets are made and read whole.

use anyhow::{Result, bail, ensure};
use bytes::{Buf as _, BufMut as _, BytesMut};

use super::{Arrival, Step};

/// First bytes of packets: the type, and the flags that the specification fixes.
const CONNECT: u8 = 0x10;
const CONNACK: u8 = 0x20;
const PUBLISH_QOS_1: u8 = 0x32;
const PUBLISH_QOS_1_AGAIN: u8 = 0x3a;
const PUBACK: u8 = 0x40;
const SUBSCRIBE: u8 = 0x82;
const SUBACK: u8 = 0x90;
/// The protocol level of 3.1.1.
const LEVEL: u8 = 4;
/// The flag of a session that doesn't outlive its connection.
const CLEAN_SESSION: u8 = 2;
/// The identifier of the one SUBSCRIBE of a connection.
const SUBSCRIBE_PACKET: u16 = 1;
/// A SUBACK that grants QoS 1.
const GRANTED_QOS_1: u8 = 1;
/// Packet identifiers are 16 bits, and 0 is not valid.
const PACKETS: u64 = 0xffff;

/// Appends CONNECT. A session that is kept collects messages while its client is away.
pub(crate) fn put_connect(out: &mut BytesMut, client: &str, keep_session: bool) {
    put_head(out, CONNECT, 12 + client.len());
    put_string(out, "MQTT");
    out.put_u8(LEVEL);
    out.put_u8(if keep_session { 0 } else { CLEAN_SESSION });
    // No keep-alive: an idle connection stays idle.
    out.put_u16(0);
    put_string(out, client);
}

/// Appends SUBSCRIBE to the topic of user number `user`, with QoS 1.
pub(crate) fn put_subscribe(out: &mut BytesMut, user: usize) {
    let topic = topic(user);
    put_head(out, SUBSCRIBE, 5 + topic.len());
    out.put_u16(SUBSCRIBE_PACKET);
    put_string(out, &topic);
    out.put_u8(1);
}

/// Appends PUBLISH with QoS 1 to the topic of user number `to`.
pub(crate) fn put_publish(out: &mut BytesMut, packet: u64, to: usize, body: &[u8]) {
    let topic = topic(to);
    put_head(out, PUBLISH_QOS_1, 4 + topic.len() + body.len());
    put_string(out, &topic);
    let identifier = packet.saturating_sub(1) % PACKETS + 1;
    out.put_u16(u16::try_from(identifier).unwrap_or(u16::MAX));
    out.extend_from_slice(body);
}

/// Appends PUBACK for the message that arrived with `receipt`.
pub(crate) fn put_puback(out: &mut BytesMut, receipt: u16) {
    put_head(out, PUBACK, 2);
    out.put_u16(receipt);
}

/// Takes the next packet off `input`, if it is whole.
pub(super) fn take(input: &mut BytesMut) -> Result<Option<Arrival>> {
    let Some((head_len, body_len)) = lengths(input)? else { return Ok(None) };
    if input.len() < head_len + body_len {
        return Ok(None);
    }
    let mut packet = input.split_to(head_len + body_len).freeze();
    let kind = packet.first().copied().unwrap_or_default();
    packet.advance(head_len);
    let arrival = match kind {
        PUBLISH_QOS_1 | PUBLISH_QOS_1_AGAIN => {
            ensure!(packet.len() >= 2, "a PUBLISH without a topic");
            let topic_len = usize::from(packet.get_u16());
            ensure!(packet.len() >= topic_len + 2, "a PUBLISH shorter than its topic");
            packet.advance(topic_len);
            let receipt = packet.get_u16();
            Arrival::Message { body: packet, receipt: Some(receipt) }
        }
        PUBACK => Arrival::Accepted(1),
        CONNACK => {
            ensure!(packet.get(1) == Some(&0), "the server refused the connection: CONNACK {:?}", packet.get(1));
            Arrival::Step(Step::LoggedIn)
        }
        SUBACK => {
            ensure!(packet.get(2) == Some(&GRANTED_QOS_1), "the server didn't grant QoS 1");
            Arrival::Step(Step::Listening)
        }
        _ => bail!("a packet that nobody asked for: {kind:#04x}"),
    };
    Ok(Some(arrival))
}

/// The lengths of the head and of what follows it, once they are there.
fn lengths(input: &[u8]) -> Result<Option<(usize, usize)>> {
    let mut body_len = 0;
    // The specification: one to four bytes of seven bits each, the least first.
    for at in 0..4_usize {
        let Some(byte) = input.get(1 + at) else { return Ok(None) };
        body_len |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Ok(Some((2 + at, body_len)));
        }
    }
    bail!("a length of more than four bytes")
}

fn put_head(out: &mut BytesMut, kind: u8, mut len: usize) {
    out.put_u8(kind);
    loop {
        let low = u8::try_from(len & 0x7f).unwrap_or_default();
        len >>= 7;
        out.put_u8(if len == 0 { low } else { low | 0x80 });
        if len == 0 {
            return;
        }
    }
}

/// Strings of the bench are a few bytes long.
fn put_string(out: &mut BytesMut, string: &str) {
    out.put_u16(u16::try_from(string.len()).unwrap_or(u16::MAX));
    out.extend_from_slice(string.as_bytes());
}

fn topic(user: usize) -> String {
    format!("u/{user}")
}

#[cfg(test)]
mod tests {
    use bytes::{Bytes, BytesMut};

    use super::{lengths, put_connect, put_head, put_puback, put_publish, put_subscribe, take};
    use crate::peers::wire::{Arrival, Step};

    #[test]
    fn connect_is_the_bytes_of_the_specification() {
        let mut out = BytesMut::new();
        put_connect(&mut out, "r1", true);
        assert_eq!(&out[..], b"\x10\x0e\x00\x04MQTT\x04\x00\x00\x00\x00\x02r1");
        out.clear();
        put_subscribe(&mut out, 7);
        assert_eq!(&out[..], b"\x82\x08\x00\x01\x00\x03u/7\x01");
    }

    #[test]
    fn a_published_message_is_read_back_at_any_cut() {
        let body = vec![0x61; 1024];
        let mut out = BytesMut::new();
        put_publish(&mut out, 65_536, 12, &body);
        put_puback(&mut out, 9);
        let whole = out.freeze();
        for cut in 0..whole.len() {
            let mut input = BytesMut::from(&whole[..cut]);
            let mut arrivals = Vec::new();
            while let Some(arrival) = take(&mut input).unwrap() {
                arrivals.push(arrival);
            }
            input.extend_from_slice(&whole[cut..]);
            while let Some(arrival) = take(&mut input).unwrap() {
                arrivals.push(arrival);
            }
            // The identifier after 65,535 is 1, because 0 is not valid.
            let message = Arrival::Message { body: Bytes::from(body.clone()), receipt: Some(1) };
            assert_eq!(arrivals, [message, Arrival::Accepted(1)], "cut at {cut}");
            assert!(input.is_empty());
        }
    }

    #[test]
    fn lengths_are_read_as_they_are_written() {
        for len in [0, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, 268_435_455] {
            let mut out = BytesMut::new();
            put_head(&mut out, 0x32, len);
            assert_eq!(lengths(&out).unwrap(), Some((out.len(), len)));
        }
        assert!(lengths(b"\x32\xff\xff\xff\xff\x01").is_err());
    }

    #[test]
    fn a_refusal_is_an_error() {
        assert!(take(&mut BytesMut::from(&b"\x20\x02\x00\x05"[..])).is_err(), "not authorised");
        assert!(take(&mut BytesMut::from(&b"\x90\x03\x00\x01\x80"[..])).is_err(), "not subscribed");
        assert!(take(&mut BytesMut::from(&b"\xd0\x00"[..])).is_err(), "an answer to no ping");
        let accepted = take(&mut BytesMut::from(&b"\x20\x02\x00\x00"[..])).unwrap();
        assert_eq!(accepted, Some(Arrival::Step(Step::LoggedIn)));
    }
}
