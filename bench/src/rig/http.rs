//! Sequential calls on one connection.

use std::time::Duration;

use anyhow::{Result, bail};
use bytes::Bytes;
use sealpost_transport::{Answer, Call, Connector, HttpClient};
use serde_json::Value;

/// The longest wait for an answer, behind a queue of passwords.
const PATIENCE: Duration = Duration::from_secs(120);
/// The largest body that is read, larger than any answer.
const BODY_MAX_BYTES: usize = 4 * 1024 * 1024;

/// A connection for calls.
pub(crate) struct Http(HttpClient);

impl Http {
    /// Opens a connection.
    pub(crate) async fn connect(server: &Connector) -> Result<Self> {
        let client = HttpClient::new(server.clone(), BODY_MAX_BYTES);
        client.connect_ahead().await?;
        Ok(Self(client))
    }

    /// Makes one call that must succeed, and returns the answer's body.
    pub(crate) async fn call(&self, method: &str, path: &str, token: Option<&str>, body: &str) -> Result<Bytes> {
        let mut call = Call::new(method, path);
        if let Some(token) = token {
            call = call.bearer(token);
        }
        if !body.is_empty() {
            call = call.json(Bytes::copy_from_slice(body.as_bytes()));
        }
        success(self.0.request(&call, PATIENCE).await?)
    }
}

fn success(answer: Answer) -> Result<Bytes> {
    if answer.status == 200 || answer.status == 201 {
        return Ok(answer.body);
    }
    let code = serde_json::from_slice::<Value>(&answer.body).ok();
    let code = code.as_ref().and_then(|problem| problem.get("code")?.as_str()).unwrap_or("no code");
    bail!("the server answered {} ({code})", answer.status)
}
