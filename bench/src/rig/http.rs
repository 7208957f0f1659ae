//! Just enough HTTP/1.1 for calls one after the other on one connection.

use anyhow::{Context as _, Result, bail};
use bytes::{Bytes, BytesMut};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::Endpoint;
use super::wire::Io;

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Bytes,
}

impl Answer {
    /// The body of a success.
    pub(crate) fn success(self) -> Result<Bytes> {
        if self.status == 200 || self.status == 201 {
            return Ok(self.body);
        }
        let code = serde_json::from_slice::<Value>(&self.body).ok();
        let code = code.as_ref().and_then(|problem| problem.get("code")?.as_str()).unwrap_or("no code");
        bail!("the server answered {} ({code})", self.status)
    }
}

/// A connection for calls.
pub(crate) struct Http {
    io: Box<dyn Io>,
    host: String,
    input: BytesMut,
}

impl Http {
    /// A new connection.
    pub(crate) async fn connect(endpoint: &Endpoint) -> Result<Self> {
        Ok(Self { io: endpoint.connect().await?, host: endpoint.address.to_string(), input: BytesMut::new() })
    }

    /// One call.
    pub(crate) async fn call(&mut self, method: &str, path: &str, token: Option<&str>, body: &str) -> Result<Answer> {
        let token = token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\n{token}content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            self.host,
            body.len()
        );
        self.io.write_all(request.as_bytes()).await?;
        self.io.flush().await?;
        let (status, length) = read_head(&mut self.io, &mut self.input).await?;
        while self.input.len() < length {
            if self.io.read_buf(&mut self.input).await? == 0 {
                bail!("the server closed in the middle of an answer");
            }
        }
        Ok(Answer { status, body: self.input.split_to(length).freeze() })
    }
}

/// Reads the head of an answer: its status and how long its body is.
pub(crate) async fn read_head(io: &mut Box<dyn Io>, input: &mut BytesMut) -> Result<(u16, usize)> {
    loop {
        if let Some(end) = input.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = input.split_to(end.saturating_add(4));
            return parse_head(&head);
        }
        if io.read_buf(input).await? == 0 {
            bail!("the server closed instead of answering");
        }
    }
}

fn parse_head(head: &[u8]) -> Result<(u16, usize)> {
    let head = String::from_utf8_lossy(head).to_lowercase();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).context("an answer has no status")?;
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    Ok((status, length.unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_tells_status_and_length() {
        assert_eq!(parse_head(b"HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n").unwrap(), (200, 17));
        assert_eq!(parse_head(b"HTTP/1.1 101 Switching Protocols\r\n\r\n").unwrap(), (101, 0));
        assert!(parse_head(b"nonsense").is_err());
    }
}
