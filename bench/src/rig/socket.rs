//! A stream: WebSocket frames written and read in batches, so that the generator costs less than the server.

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use sealpost_api::frames::{ClientFrame, ServerFrame, Welcome};
use sealpost_transport::{Connector, Io};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::people::Person;
use super::wire::source;

const BINARY: u8 = 0x82;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;
/// Set in the second byte of every frame of a client.
const MASKED: u8 = 0x80;
/// What one read may bring on a busy stream.
const BUSY_READ: usize = 64 * 1024;
/// And on one that hardly ever hears anything, of which there are thousands.
const IDLE_READ: usize = 256;

/// An open stream.
pub(crate) struct Socket {
    io: Box<dyn Io>,
    input: BytesMut,
    output: BytesMut,
    read: usize,
    mask: u32,
}

impl Socket {
    /// Opens a stream and reads its `Welcome`.
    pub(crate) async fn open(server: &Connector, person: &Person) -> Result<(Self, Welcome)> {
        Self::welcomed(server.connect().await?, person, BUSY_READ).await
    }

    /// Opens the `index`-th of many streams, which will hardly hear anything.
    pub(crate) async fn open_idle(server: &Connector, person: &Person, index: usize) -> Result<Self> {
        Ok(Self::welcomed(server.connect_from(source(index)).await?, person, IDLE_READ).await?.0)
    }

    async fn welcomed(mut io: Box<dyn Io>, person: &Person, read: usize) -> Result<(Self, Welcome)> {
        let request = format!(
            "GET /v1/stream HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: {}\r\nauthorization: Bearer {}\r\n\r\n",
            STANDARD.encode(rand::random::<[u8; 16]>()),
            person.token()?
        );
        io.write_all(request.as_bytes()).await?;
        io.flush().await?;
        let mut input = BytesMut::with_capacity(read);
        let status = read_head(&mut io, &mut input).await?;
        if status != 101 {
            bail!("a stream was answered with {status}");
        }
        let mut socket = Self { io, input, output: BytesMut::new(), read, mask: rand::random::<u32>() | 1 };
        loop {
            match socket.next()? {
                Some(ServerFrame::Welcome(welcome)) => return Ok((socket, welcome)),
                Some(other) => bail!("the first frame was {other:?}"),
                None => socket.read().await?,
            }
        }
    }

    /// Puts a frame into the next batch.
    pub(crate) fn push(&mut self, frame: &ClientFrame) {
        self.push_raw(BINARY, &frame.encode());
    }

    fn push_raw(&mut self, opcode: u8, payload: &[u8]) {
        self.output.put_u8(opcode);
        match u16::try_from(payload.len()) {
            Ok(length @ 0..126) => self.output.put_u8(MASKED | length.to_le_bytes()[0]),
            Ok(length) => {
                self.output.put_u8(MASKED | 126);
                self.output.put_u16(length);
            }
            Err(_) => {
                self.output.put_u8(MASKED | 127);
                self.output.put_u64(payload.len().try_into().unwrap_or(u64::MAX));
            }
        }
        // Xorshift: masks have to differ, and need not be secret from a server on the same machine.
        self.mask ^= self.mask << 13;
        self.mask ^= self.mask >> 17;
        self.mask ^= self.mask << 5;
        let mask = self.mask.to_be_bytes();
        self.output.put_slice(&mask);
        let wide = u64::from_ne_bytes(<[u8; 8]>::try_from([mask, mask].concat()).unwrap_or_default());
        let (words, rest) = payload.as_chunks::<8>();
        self.output.reserve(payload.len());
        for word in words {
            self.output.put_slice(&(u64::from_ne_bytes(*word) ^ wide).to_ne_bytes());
        }
        for (byte, mask) in rest.iter().zip(mask.iter().cycle()) {
            self.output.put_u8(byte ^ mask);
        }
    }

    /// Writes the batch.
    pub(crate) async fn flush(&mut self) -> Result<()> {
        if !self.output.is_empty() {
            self.io.write_all_buf(&mut self.output).await?;
            self.io.flush().await?;
        }
        Ok(())
    }

    /// Waits for more bytes. Dropping the future loses nothing.
    pub(crate) async fn read(&mut self) -> Result<()> {
        self.input.reserve(self.read);
        if self.io.read_buf(&mut self.input).await? == 0 {
            bail!("the server closed a stream");
        }
        Ok(())
    }

    /// The next frame of what was read; pings are answered with the next batch.
    pub(crate) fn next(&mut self) -> Result<Option<ServerFrame>> {
        while let Some((opcode, payload)) = self.take() {
            match opcode {
                BINARY => return Ok(Some(ServerFrame::decode(payload)?)),
                PING => self.push_raw(PONG, &payload),
                PONG => {}
                CLOSE => {
                    let code = payload.first_chunk::<2>().map_or(0, |code| u16::from_be_bytes(*code));
                    bail!("the server closed a stream with {code}");
                }
                other => bail!("the server sent a frame of the kind {other:#x}"),
            }
        }
        Ok(None)
    }

    fn take(&mut self) -> Option<(u8, Bytes)> {
        let (opcode, short) = (*self.input.first()?, *self.input.get(1)?);
        let (head, length) = match short {
            126 => (4, usize::from(u16::from_be_bytes(*self.input.get(2..)?.first_chunk()?))),
            127 => (10, usize::try_from(u64::from_be_bytes(*self.input.get(2..)?.first_chunk()?)).ok()?),
            short => (2, usize::from(short)),
        };
        if self.input.len() < length.checked_add(head)? {
            return None;
        }
        self.input.advance(head);
        Some((opcode, self.input.split_to(length).freeze()))
    }

    /// Says goodbye and waits for the server's, so that it has done everything before.
    pub(crate) async fn close(mut self) -> Result<()> {
        self.push_raw(CLOSE, &1000_u16.to_be_bytes());
        self.flush().await.context("a goodbye could not be sent")?;
        loop {
            // The server leaves it to us to end the connection: its own goodbye is the answer.
            while let Some((opcode, _)) = self.take() {
                if opcode == CLOSE {
                    return Ok(());
                }
            }
            if self.io.read_buf(&mut self.input).await.unwrap_or(0) == 0 {
                return Ok(());
            }
        }
    }
}

/// Reads the head of the server's answer, and returns its status.
async fn read_head(io: &mut Box<dyn Io>, input: &mut BytesMut) -> Result<u16> {
    loop {
        if let Some(end) = input.windows(4).position(|window| window == b"\r\n\r\n") {
            return parse_head(&input.split_to(end.saturating_add(4)));
        }
        if io.read_buf(input).await? == 0 {
            bail!("the server closed instead of answering");
        }
    }
}

fn parse_head(head: &[u8]) -> Result<u16> {
    let head = String::from_utf8_lossy(head);
    head.split(' ').nth(1).and_then(|status| status.parse().ok()).context("an answer has no status")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_tells_its_status() {
        assert_eq!(parse_head(b"HTTP/1.1 101 Switching Protocols\r\n\r\n").unwrap(), 101);
        assert!(parse_head(b"nonsense").is_err());
    }
}
