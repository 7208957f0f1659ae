//! XMPP, as far as the bench needs it: plain TCP, SASL PLAIN, one resource, messages with a body.
//!
//! It reads no XML in general: it finds where a stanza of a well-behaved server ends, and looks for a few names in it. Bodies
//! of the bench hold nothing that XML would escape.

use anyhow::{Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};

use super::{Arrival, Step};

/// The domain that the configurations of the peers serve.
const DOMAIN: &str = "localhost";
/// Every account has the same password: nobody else is on the machine's loopback.
const PASSWORD: &str = "bench";
/// The `id` of a fence begins so; its count follows.
const FENCE: &str = "fence-";

/// Appends the head of a stream.
pub(crate) fn put_stream(out: &mut BytesMut) {
    put(
        out,
        &format!(
            "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='{DOMAIN}' \
             version='1.0'>"
        ),
    );
}

/// Appends the request for an account (XEP-0077).
pub(crate) fn put_registration(out: &mut BytesMut, name: &str) {
    put(
        out,
        &format!(
            "<iq type='set' id='register' to='{DOMAIN}'><query xmlns='jabber:iq:register'><username>{name}</username>\
             <password>{PASSWORD}</password></query></iq>"
        ),
    );
}

/// Appends name and password.
pub(crate) fn put_log_in(out: &mut BytesMut, name: &str) {
    let credentials = STANDARD.encode(format!("\0{name}\0{PASSWORD}"));
    put(out, &format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{credentials}</auth>"));
}

/// Appends the request for an address.
pub(crate) fn put_bind(out: &mut BytesMut) {
    put(
        out,
        "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>r</resource></bind></iq>",
    );
}

/// Appends the word that the client is there, on which the server sends what waited.
pub(crate) fn put_presence(out: &mut BytesMut) {
    put(out, "<presence/>");
}

/// Appends a message to user number `to`.
pub(super) fn put_message(out: &mut BytesMut, to: usize, body: &[u8]) {
    put(out, &format!("<message type='chat' to='u{to}@{DOMAIN}'><body>"));
    out.extend_from_slice(body);
    put(out, "</body></message>");
}

/// Appends a request to the server, which it answers (if only with an error) after the stanzas before it.
pub(super) fn put_fence(out: &mut BytesMut, count: usize) {
    put(out, &format!("<iq type='get' id='{FENCE}{count}' to='{DOMAIN}'><ping xmlns='urn:xmpp:ping'/></iq>"));
}

fn put(out: &mut BytesMut, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

/// Takes the next stanza, or head of a stream, off `input`, if it is whole.
pub(super) fn take(input: &mut BytesMut) -> Result<Option<Arrival>> {
    if input.starts_with(b"</stream:stream") {
        bail!("the server ended the stream");
    }
    let Some(len) = stanza_len(input) else { return Ok(None) };
    let stanza = input.split_to(len).freeze();
    read(&stanza).map(Some)
}

fn read(stanza: &Bytes) -> Result<Arrival> {
    let head = stanza.trim_ascii_start().split(|&byte| byte == b'>').next().unwrap_or_default();
    let shown = || String::from_utf8_lossy(stanza).chars().take(400).collect::<String>();
    Ok(if head.starts_with(b"<message") {
        ensure!(find(head, b"type='error'").is_none(), "the server sent a message back: {}", shown());
        match (find(stanza, b"<body>"), find(stanza, b"</body>")) {
            (Some(start), Some(end)) if start + 6 <= end => {
                Arrival::Message { body: stanza.slice(start + 6..end), receipt: None }
            }
            _ => Arrival::Other,
        }
    } else if head.starts_with(b"<iq") {
        if let Some(at) = find(head, FENCE.as_bytes()) {
            let digits = head.iter().skip(at + FENCE.len()).take_while(|byte| byte.is_ascii_digit());
            Arrival::Accepted(digits.fold(0, |count, digit| count * 10 + usize::from(digit - b'0')))
        } else {
            ensure!(find(head, b"type='error'").is_none(), "the server refused: {}", shown());
            if find(head, b"'register'").is_some() {
                Arrival::Step(Step::Registered)
            } else if find(head, b"'bind'").is_some() {
                Arrival::Step(Step::Bound)
            } else {
                Arrival::Other
            }
        }
    } else if head.starts_with(b"<presence") {
        // Only the client's own comes back: nobody here has contacts.
        Arrival::Step(Step::Listening)
    } else if head.starts_with(b"<stream:features") {
        Arrival::Step(Step::Features)
    } else if head.starts_with(b"<success") {
        Arrival::Step(Step::LoggedIn)
    } else if head.starts_with(b"<stream:error") || head.starts_with(b"<failure") {
        bail!("the server refused: {}", shown())
    } else {
        Arrival::Other
    })
}

/// The length of the first stanza, or of the declaration or the head of a stream, once it is whole.
fn stanza_len(input: &[u8]) -> Option<usize> {
    if input.starts_with(b"<?xml") || input.starts_with(b"<stream:stream ") {
        return tag_len(input);
    }
    let mut depth = 0_usize;
    let mut at = 0;
    loop {
        at += input.get(at..)?.iter().position(|&byte| byte == b'<')?;
        let len = tag_len(input.get(at..)?)?;
        let tag = input.get(at..at + len)?;
        at += len;
        if tag.starts_with(b"</") {
            depth = depth.saturating_sub(1);
        } else if !tag.ends_with(b"/>") {
            depth += 1;
        }
        if depth == 0 {
            return Some(at);
        }
    }
}

/// The length of the tag that `input` begins with. A `>` within quotes doesn't end it.
fn tag_len(input: &[u8]) -> Option<usize> {
    let mut quote = None;
    for (at, &byte) in input.iter().enumerate() {
        match (quote, byte) {
            (None, b'>') => return Some(at + 1),
            (None, b'\'' | b'"') => quote = Some(byte),
            (Some(open), byte) if open == byte => quote = None,
            _ => {}
        }
    }
    None
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

#[cfg(test)]
mod tests {
    use bytes::{Bytes, BytesMut};

    use super::{put_message, take};
    use crate::peers::wire::{Arrival, Step};

    /// What ejabberd 23.01 says to a client that logs in and gets a message, with a `>` in quotes added.
    const SAID: &str = "<?xml version='1.0'?><stream:stream id='94' version='1.0' xml:lang='en' \
        xmlns:stream='http://etherx.jabber.org/streams' from='localhost' xmlns='jabber:client'><stream:features><mechanisms \
        xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms></stream:features><iq \
        xml:lang='en' from='localhost' type='result' id='register'/><success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/><iq \
        type='result' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>u1@localhost/r</jid></bind></iq><message \
        xml:lang='en' to='u1@localhost' from='s1@localhost/r' id='a>b'><delay from='localhost' stamp='2026' \
        xmlns='urn:xmpp:delay'>Offline storage</delay><body>hello</body></message><presence from='u1@localhost/r'/><iq \
        type='error' id='fence-20'><ping xmlns='urn:xmpp:ping'/><error type='cancel'/></iq>";

    #[test]
    fn what_a_server_says_is_read_at_any_cut() {
        for cut in 0..SAID.len() {
            let mut input = BytesMut::from(&SAID[..cut]);
            let mut arrivals = Vec::new();
            while let Some(arrival) = take(&mut input).unwrap() {
                arrivals.push(arrival);
            }
            input.extend_from_slice(&SAID.as_bytes()[cut..]);
            while let Some(arrival) = take(&mut input).unwrap() {
                arrivals.push(arrival);
            }
            let step = Arrival::Step;
            let expected = [
                Arrival::Other,
                Arrival::Other,
                step(Step::Features),
                step(Step::Registered),
                step(Step::LoggedIn),
                step(Step::Bound),
                Arrival::Message { body: Bytes::from_static(b"hello"), receipt: None },
                step(Step::Listening),
                Arrival::Accepted(20),
            ];
            assert_eq!(arrivals, expected, "cut at {cut}");
            assert!(input.is_empty());
        }
    }

    #[test]
    fn a_message_is_read_as_it_was_written() {
        let mut out = BytesMut::new();
        put_message(&mut out, 3, &[b'x'; 1024]);
        let body = Bytes::from(vec![b'x'; 1024]);
        assert_eq!(take(&mut out).unwrap(), Some(Arrival::Message { body, receipt: None }));
        assert!(out.is_empty());
    }

    #[test]
    fn a_refusal_is_an_error() {
        for said in [
            "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>",
            "<iq id='bind' type='error'><error type='cancel'/></iq>",
            "<message type='error' from='u1@localhost'><body>hello</body></message>",
            "<stream:error><policy-violation/></stream:error>",
            "</stream:stream>",
        ] {
            assert!(take(&mut BytesMut::from(said)).is_err(), "{said}");
        }
    }
}
