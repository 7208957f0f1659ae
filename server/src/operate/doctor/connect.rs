//! Calls and streams to a running server, as a client makes them.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use bytes::Bytes;
use sealpost_api::endpoint::{Endpoint, RequestBody as _};
use sealpost_api::frames::{ClientFrame, ServerFrame};
use sealpost_api::limits::FRAME_MAX_BYTES;
use sealpost_api::password::AccessToken;
use sealpost_api::problem::Problem;
use sealpost_api::stream::OpenStream;
use sealpost_transport::socket::{self, ConnectError, Received, SocketReceiver, SocketSender};
use sealpost_transport::{BaseUrl, Call, Connector, HttpClient, Roots, TransportError};
use serde::de::DeserializeOwned;

/// How long one call or one frame can take. A cluster without its relay delivers within 5 s, and a password can wait
/// for others.
const PATIENCE: Duration = Duration::from_secs(30);
/// The largest body that is read. The answers here stay far below it.
const BODY_MAX_BYTES: usize = 1024 * 1024;

/// The server's address and the trust in it.
pub(super) struct Server {
    connector: Connector,
}

/// The answer to a call.
pub(super) struct Answer {
    pub(super) status: u16,
    body: Bytes,
}

impl Server {
    /// Returns a server by its URL. `ca` is a file with the authorities to accept; without one, those of the system are, and
    /// the one in `authority`, where there is such a file.
    pub(super) fn new(url: &str, ca: Option<&Path>, authority: Option<&Path>) -> Result<Self> {
        let base = BaseUrl::anywhere(url)
            .with_context(|| format!("{url} is no URL of a server; it looks like https://sealpost.example:8443"))?;
        let roots = if base.is_tls() { roots(ca, authority)? } else { Roots::none() };
        let connector = Connector::with_roots(base, roots).context("TLS cannot be set up")?;
        Ok(Self { connector })
    }

    /// Makes one call on a connection of its own, and returns its answer whatever the status.
    pub(super) async fn call<E: Endpoint>(
        &self,
        endpoint: &E,
        token: Option<&AccessToken>,
        body: &E::Request,
    ) -> Result<Answer> {
        let mut call = Call::new(E::METADATA.method.as_str(), &endpoint.path());
        if let Some(token) = token {
            call = call.bearer(token.reveal());
        }
        if E::Request::EXPECTED {
            call = call.json(serde_json::to_vec(body)?.into());
        }
        let http = HttpClient::new(self.connector.clone(), BODY_MAX_BYTES);
        // On the heap, because the future holds a whole connection.
        let answer = Box::pin(http.request(&call, PATIENCE)).await.map_err(|error| self.explain(error))?;
        Ok(Answer { status: answer.status, body: answer.body })
    }

    /// Makes one call that must succeed, and returns its answer.
    pub(super) async fn ask<E: Endpoint>(
        &self,
        endpoint: &E,
        token: Option<&AccessToken>,
        body: &E::Request,
    ) -> Result<E::Response> {
        self.call(endpoint, token, body).await?.json()
    }

    /// Opens the stream of the token's device.
    pub(super) async fn stream(&self, token: &AccessToken) -> Result<Socket> {
        let call = Call::new("GET", &OpenStream.path()).bearer(token.reveal());
        let opened = Box::pin(socket::open(&self.connector, &call, FRAME_MAX_BYTES, PATIENCE)).await;
        match opened {
            Ok((sender, receiver)) => Ok(Socket { sender, receiver }),
            Err(ConnectError::Refused { status, body, .. }) => Err(Answer { status, body: body.into() }.refusal())
                .context("the stream was refused; does a proxy in front pass WebSockets on?"),
            Err(ConnectError::Transport(error @ TransportError::Protocol)) => {
                Err(error).context("no stream could be opened")
            }
            Err(ConnectError::Transport(error)) => Err(self.explain(error)),
        }
    }

    /// Says what an operator can do about a failure.
    fn explain(&self, error: TransportError) -> anyhow::Error {
        let to = self.connector.base().authority();
        match error {
            TransportError::Unreachable { reason, .. } => {
                anyhow!(reason).context(format!("{to} cannot be reached; does the server run, and is the URL right?"))
            }
            TransportError::Tls(failure) => anyhow!(failure).context(format!(
                "no TLS with {to}; is it https there, and does --ca name the authority of its certificate?"
            )),
            TransportError::Timeout => anyhow!("nothing came in time"),
            TransportError::Broken { reason, .. } => anyhow!(reason).context("the server broke the call off"),
            other => anyhow!(other).context("the server broke the call off"),
        }
    }
}

impl Answer {
    /// Returns the body of a success.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T> {
        if self.status != 200 {
            return Err(self.refusal());
        }
        serde_json::from_slice(&self.body)
            .context("the answer is not what this program understands; are both of one version?")
    }

    /// Returns what the server answered instead.
    pub(super) fn refusal(&self) -> anyhow::Error {
        match serde_json::from_slice::<Problem>(&self.body) {
            Ok(problem) => anyhow::anyhow!("the server answered {} ({}): {}", self.status, problem.code, problem.title),
            Err(_) => anyhow::anyhow!("{} answered, and no Sealpost server: is that a proxy's answer?", self.status),
        }
    }
}

/// An open stream.
pub(super) struct Socket {
    sender: SocketSender,
    receiver: SocketReceiver,
}

impl Socket {
    /// Sends a frame.
    pub(super) async fn put(&mut self, frame: &ClientFrame) -> Result<()> {
        self.sender.send(frame.encode()).await.context("the stream ended")
    }

    /// Returns the next frame.
    pub(super) async fn next(&mut self) -> Result<ServerFrame> {
        match tokio::time::timeout(PATIENCE, self.receiver.next()).await {
            Ok(Received::Frame(bytes)) => {
                ServerFrame::decode(bytes).context("a frame that this program does not understand")
            }
            Ok(Received::Closed { code: Some(code) }) => bail!("the server closed the stream with code {code}"),
            Ok(Received::Closed { code: None }) => bail!("the stream ended"),
            Err(_) => bail!("nothing came within {} s", PATIENCE.as_secs()),
        }
    }

    /// Closes the stream and waits for the server's close frame, so that the server has read everything before.
    pub(super) async fn close(mut self) -> Result<()> {
        self.sender.close().await;
        let goodbye = async { while matches!(self.receiver.next().await, Received::Frame(_)) {} };
        tokio::time::timeout(PATIENCE, goodbye)
            .await
            .with_context(|| format!("nothing came within {} s", PATIENCE.as_secs()))
    }
}

fn roots(ca: Option<&Path>, authority: Option<&Path>) -> Result<Roots> {
    let with_file = |roots: Roots, path: &Path| -> Result<Roots> {
        let unread = || format!("{} holds no certificate of an authority in PEM", path.display());
        let text = fs::read(path).with_context(unread)?;
        roots.with_pem(&text).with_context(unread)
    };
    if let Some(path) = ca {
        return with_file(Roots::none(), path);
    }
    let own = authority.filter(|path| path.exists());
    own.map_or(Ok(Roots::none()), |path| with_file(Roots::none(), path)).map(Roots::with_system)
}
