//! Calls and streams to a running server, as a client makes them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::handshake;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use sealpost_api::endpoint::{Endpoint, RequestBody as _};
use sealpost_api::frames::{ClientFrame, ServerFrame};
use sealpost_api::limits::FRAME_MAX_BYTES;
use sealpost_api::password::AccessToken;
use sealpost_api::problem::Problem;
use sealpost_api::stream::OpenStream;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::Error as SocketError;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::{Message, WebSocketConfig};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

/// How long one call or one frame may take. A cluster without its relay delivers within 5 s; a password may wait for others.
const PATIENCE: Duration = Duration::from_secs(30);
/// Largest body of an answer that is read; those that are asked for here stay far below.
const BODY_MAX_BYTES: usize = 1024 * 1024;

trait Io: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// Where the server is, and whose certificates are believed.
pub(super) struct Server {
    host: String,
    port: u16,
    tls: Option<TlsConnector>,
}

/// What a call was answered with.
pub(super) struct Answer {
    pub(super) status: u16,
    body: Bytes,
}

impl Server {
    /// A server by its URL. `ca` is a file with the authorities to believe; without one, those of the system are, and the one
    /// in `authority`, where there is such a file.
    pub(super) fn new(url: &str, ca: Option<&Path>, authority: Option<&Path>) -> Result<Self> {
        let form = || format!("{url} is no URL of a server; it looks like https://sealpost.example:8443");
        let parsed: Uri = url.parse().with_context(form)?;
        let host = parsed.host().with_context(form)?.trim_start_matches('[').trim_end_matches(']').to_owned();
        let is_tls = match parsed.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => bail!(form()),
        };
        if parsed.path().len() > 1 || parsed.query().is_some() {
            bail!(form());
        }
        let port = parsed.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        Ok(Self { host, port, tls: if is_tls { Some(tls(ca, authority)?) } else { None } })
    }

    /// `HOST:PORT`.
    fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    async fn connect(&self) -> Result<Box<dyn Io>> {
        let to = self.authority();
        let tcp = TcpStream::connect((self.host.as_str(), self.port))
            .await
            .with_context(|| format!("{to} cannot be reached; does the server run, and is the URL right?"))?;
        tcp.set_nodelay(true)?;
        let Some(tls) = &self.tls else { return Ok(Box::new(tcp)) };
        let name = ServerName::try_from(self.host.clone()).with_context(|| format!("{} is no host", self.host))?;
        let stream = tls.connect(name, tcp).await.with_context(|| {
            format!("no TLS with {to}; is it https there, and does --ca name the authority of its certificate?")
        })?;
        Ok(Box::new(stream))
    }

    /// Makes one call on a connection of its own, and returns its answer whatever the status.
    pub(super) async fn call<E: Endpoint>(
        &self,
        endpoint: &E,
        token: Option<&AccessToken>,
        body: &E::Request,
    ) -> Result<Answer> {
        let method = E::METADATA.method.as_str();
        let mut request = Request::builder().method(method).uri(endpoint.path()).header(HOST, self.authority());
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, bearer(token)?);
        }
        let mut bytes = Vec::new();
        if E::Request::EXPECTED {
            request = request.header(CONTENT_TYPE, "application/json");
            bytes = serde_json::to_vec(body)?;
        }
        let request = request.body(Full::new(Bytes::from(bytes)))?;
        in_time(async {
            let (mut sender, connection) = handshake(TokioIo::new(self.connect().await?)).await?;
            let connection = tokio::spawn(connection);
            let answer = async {
                let response = sender.send_request(request).await.context("the server broke the call off")?;
                let status = response.status().as_u16();
                let body = Limited::new(response.into_body(), BODY_MAX_BYTES).collect().await;
                let body = body.map_err(|error| anyhow::anyhow!("the answer broke off: {error}"))?.to_bytes();
                Ok(Answer { status, body })
            }
            .await;
            connection.abort();
            answer
        })
        .await
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

    /// Opens the stream of the device that the token is of.
    pub(super) async fn stream(&self, token: &AccessToken) -> Result<Socket> {
        let scheme = if self.tls.is_some() { "wss" } else { "ws" };
        let mut request = format!("{scheme}://{}{}", self.authority(), OpenStream.path()).into_client_request()?;
        request.headers_mut().insert(AUTHORIZATION, bearer(token)?);
        let config =
            WebSocketConfig::default().max_message_size(Some(FRAME_MAX_BYTES)).max_frame_size(Some(FRAME_MAX_BYTES));
        in_time(async {
            match client_async_with_config(request, self.connect().await?, Some(config)).await {
                Ok((socket, _)) => Ok(Socket(socket)),
                Err(SocketError::Http(response)) => {
                    let status = response.status().as_u16();
                    Err(Answer { status, body: response.into_body().unwrap_or_default().into() }.refusal())
                        .context("the stream was refused; does a proxy in front pass WebSockets on?")
                }
                Err(error) => Err(error).context("no stream could be opened"),
            }
        })
        .await
    }
}

impl Answer {
    /// The body of a success.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T> {
        if self.status != 200 {
            return Err(self.refusal());
        }
        serde_json::from_slice(&self.body)
            .context("the answer is not what this program understands; are both of one version?")
    }

    /// What the server said instead.
    pub(super) fn refusal(&self) -> anyhow::Error {
        match serde_json::from_slice::<Problem>(&self.body) {
            Ok(problem) => anyhow::anyhow!("the server answered {} ({}): {}", self.status, problem.code, problem.title),
            Err(_) => anyhow::anyhow!("{} answered, and no Sealpost server: is that a proxy's answer?", self.status),
        }
    }
}

/// An open stream.
pub(super) struct Socket(WebSocketStream<Box<dyn Io>>);

impl Socket {
    /// Sends a frame.
    pub(super) async fn put(&mut self, frame: &ClientFrame) -> Result<()> {
        let sent = self.0.send(Message::Binary(frame.encode()));
        in_time(async { sent.await.context("the stream ended") }).await
    }

    /// The next frame.
    pub(super) async fn next(&mut self) -> Result<ServerFrame> {
        in_time(async {
            loop {
                match self.0.next().await {
                    Some(Ok(Message::Binary(bytes))) => {
                        return ServerFrame::decode(bytes).context("a frame that this program does not understand");
                    }
                    Some(Ok(Message::Close(reason))) => {
                        let code = reason.map_or(1_005, |reason| u16::from(reason.code));
                        bail!("the server closed the stream with code {code}");
                    }
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return Err(error).context("the stream ended"),
                    None => bail!("the stream ended"),
                }
            }
        })
        .await
    }

    /// Says goodbye and waits for the server's, so that it has read everything before.
    pub(super) async fn close(mut self) -> Result<()> {
        in_time(async {
            self.0.close(None).await.context("the stream ended")?;
            while let Some(Ok(_)) = self.0.next().await {}
            Ok(())
        })
        .await
    }
}

/// On the heap: these futures hold whole connections.
fn in_time<'a, T: 'a>(work: impl Future<Output = Result<T>> + 'a) -> impl Future<Output = Result<T>> + 'a {
    let work = Box::pin(work);
    async move {
        match tokio::time::timeout(PATIENCE, work).await {
            Ok(done) => done,
            Err(_) => bail!("nothing came within {} s", PATIENCE.as_secs()),
        }
    }
}

fn bearer(token: &AccessToken) -> Result<HeaderValue> {
    let mut value = HeaderValue::try_from(format!("Bearer {}", token.reveal()))?;
    value.set_sensitive(true);
    Ok(value)
}

fn tls(ca: Option<&Path>, authority: Option<&Path>) -> Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    let mut file = |path: &Path| -> Result<()> {
        let unread = || format!("{} holds no certificate of an authority in PEM", path.display());
        for certificate in CertificateDer::pem_file_iter(path).with_context(unread)? {
            roots.add(certificate.with_context(unread)?).with_context(unread)?;
        }
        Ok(())
    };
    if let Some(path) = ca {
        file(path)?;
    } else {
        if let Some(path) = authority.filter(|path| path.exists()) {
            file(path)?;
        }
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    let config = ClientConfig::builder_with_provider(crate::edge::tls::provider())
        .with_safe_default_protocol_versions()
        .context("TLS cannot be set up")?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}
