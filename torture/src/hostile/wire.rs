//! TLS connections on which anything can be written, and just enough HTTP to see what comes back.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use sealpost_api::frames::ServerFrame;
use sealpost_transport::ServerTrust;
use serde_json::Value;

/// Longer than the server gives a head or a body, on a loaded machine: what is silent for this long hangs.
const PATIENCE: Duration = Duration::from_secs(60);
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PONG: u8 = 10;
/// No answer of the server is larger.
const ANSWER_MAX_BYTES: usize = 4 * 1024 * 1024;

/// Where the server is.
pub(super) struct Target {
    authority: String,
    name: ServerName<'static>,
    tls: Arc<ClientConfig>,
}

/// What became of a request.
#[derive(Debug)]
pub(super) enum Outcome {
    Answer(Answer),
    /// The server closed and said nothing.
    Closed,
    /// Nothing happened.
    Silent,
}

#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Of a problem.
    pub(super) code: Option<String>,
    pub(super) body: Vec<u8>,
    /// Whether another request may follow.
    pub(super) goes_on: bool,
}

impl Answer {
    /// Returns whether the answer says that there is no login.
    pub(super) fn is_unauthenticated(&self) -> bool {
        self.code.as_deref() == Some("unauthenticated")
    }
}

/// A connection.
pub(super) struct Wire {
    stream: StreamOwned<ClientConnection, TcpStream>,
    /// What was read beyond an answer.
    rest: Vec<u8>,
}

impl Target {
    pub(super) fn new(url: &str, ca: &Path) -> Result<Self> {
        let authority = url.strip_prefix("https://").context("the server speaks TLS")?.trim_end_matches('/').to_owned();
        let (host, _) = authority.rsplit_once(':').context("the URL has a port")?;
        let tls = ServerTrust::from_pem(&std::fs::read(ca)?)?.roots()?.client_config()?;
        let name = ServerName::try_from(host.to_owned())?;
        Ok(Self { authority, name, tls: Arc::new(tls) })
    }

    pub(super) fn connect(&self) -> Result<Wire> {
        let socket = TcpStream::connect(&self.authority)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        let connection = ClientConnection::new(Arc::clone(&self.tls), self.name.clone())?;
        Ok(Wire { stream: StreamOwned::new(connection, socket), rest: Vec::new() })
    }

    /// Fetches the server's OpenAPI document.
    pub(super) fn document(&self) -> Result<Value> {
        self.call(&format!("GET /v1/openapi.json HTTP/1.1\r\nhost: {}\r\n\r\n", self.authority))
    }

    /// Makes a call that must succeed.
    pub(super) fn call(&self, request: &str) -> Result<Value> {
        match self.connect()?.request(request.as_bytes(), false) {
            Outcome::Answer(answer) if answer.status == 200 => Ok(serde_json::from_slice(&answer.body)?),
            other => anyhow::bail!("an honest call was answered with {other:?}"),
        }
    }

    pub(super) fn authority(&self) -> &str {
        &self.authority
    }
}

impl Wire {
    /// Writes and reads one answer. `bodiless`: the answer has no body whatever its head says.
    pub(super) fn request(&mut self, bytes: &[u8], bodiless: bool) -> Outcome {
        // A server that refuses early closes while it is written to; its answer may be there all the same.
        let _refused_early = self.stream.write_all(bytes).and_then(|()| self.stream.flush());
        let mut buffer = std::mem::take(&mut self.rest);
        loop {
            if let Some((answer, rest)) = parse(&buffer, bodiless) {
                if answer.status == 100 {
                    buffer = rest;
                    continue;
                }
                self.rest = rest;
                return Outcome::Answer(answer);
            }
            match self.more(&mut buffer) {
                Ok(true) => {}
                Ok(false) => return Outcome::Closed,
                Err(()) => return Outcome::Silent,
            }
        }
    }

    /// Reads what there is: whether there was anything before the end. An error when nothing happened.
    fn more(&mut self, buffer: &mut Vec<u8>) -> std::result::Result<bool, ()> {
        let mut chunk = [0; 16 * 1024];
        match self.stream.read(&mut chunk) {
            Ok(0) => Ok(false),
            Ok(length) => {
                buffer.extend_from_slice(chunk.get(..length).unwrap_or_default());
                Ok(buffer.len() <= ANSWER_MAX_BYTES)
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Err(()),
            Err(_) => Ok(false),
        }
    }

    /// Writes frames that end with a ping of this payload, and reads until its pong or the end of the stream: what the server
    /// said meanwhile, and what became of the stream.
    pub(super) fn frames(&mut self, bytes: &[u8], pong: &[u8], heard: &mut Vec<ServerFrame>) -> Outcome {
        let _refused_early = self.stream.write_all(bytes).and_then(|()| self.stream.flush());
        let mut buffer = std::mem::take(&mut self.rest);
        loop {
            while let Some((opcode, payload)) = take_frame(&mut buffer) {
                if opcode == BINARY {
                    heard.extend(ServerFrame::decode(payload.clone().into()));
                }
                if opcode == PONG && payload == pong {
                    self.rest = buffer;
                    return Outcome::Answer(Answer { status: 101, code: None, body: Vec::new(), goes_on: true });
                }
                // The socket itself ends a little later, so that a peer that still writes hears this.
                if opcode == CLOSE {
                    return Outcome::Closed;
                }
            }
            match self.more(&mut buffer) {
                Ok(true) => {}
                Ok(false) => return Outcome::Closed,
                Err(()) => return Outcome::Silent,
            }
        }
    }
}

/// Takes a server's frame from the beginning of the bytes, which are unmasked: its opcode and its payload.
fn take_frame(bytes: &mut Vec<u8>) -> Option<(u8, Vec<u8>)> {
    let short = usize::from(*bytes.get(1)?);
    let (head, length) = match short {
        126 => (4, usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?))),
        127 => (10, usize::try_from(u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)).ok()?),
        short => (2, short),
    };
    let end = length.checked_add(head)?;
    let payload = bytes.get(head..end)?.to_vec();
    let opcode = bytes.first()? & 0x0f;
    bytes.drain(..end);
    Some((opcode, payload))
}

/// Parses a complete answer at the beginning of the bytes, and returns what follows it.
fn parse(bytes: &[u8], bodiless: bool) -> Option<(Answer, Vec<u8>)> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?.checked_add(4)?;
    let (head, rest) = bytes.split_at_checked(end)?;
    let head = String::from_utf8_lossy(head).to_lowercase();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim));
    let length: usize = match header("content-length") {
        _ if bodiless || status < 200 => 0,
        Some(length) => length.parse().ok()?,
        None => 0,
    };
    let (body, rest) = rest.split_at_checked(length)?;
    let code = serde_json::from_slice::<Value>(body)
        .ok()
        .and_then(|problem| problem.get("code").and_then(Value::as_str).map(str::to_owned));
    let goes_on = status >= 200 && header("connection") != Some("close");
    Some((Answer { status, code, body: body.to_vec(), goes_on }, rest.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_taken_when_it_is_whole() {
        let mut bytes = [&[0x82, 126, 1, 0][..], &[7; 256], &[0x8a, 1, 9, 0x88]].concat();
        assert_eq!(take_frame(&mut bytes), Some((2, vec![7; 256])));
        assert_eq!(take_frame(&mut bytes), Some((PONG, vec![9])));
        assert_eq!(take_frame(&mut bytes), None);
        assert_eq!(bytes, [0x88]);
    }

    #[test]
    fn an_answer_ends_where_its_length_says() {
        let bytes = b"HTTP/1.1 404 Not Found\r\nContent-Length: 14\r\nConnection: close\r\n\r\n{\"code\":\"none\"}";
        assert!(parse(&bytes[..bytes.len() - 2], false).is_none(), "the body is not whole");
        let (answer, rest) = parse(bytes, false).unwrap();
        assert_eq!((answer.status, answer.goes_on, rest.len()), (404, false, 1));
        assert_eq!(parse(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n", true).unwrap().0.status, 200);
    }
}
