//! A server that lies: it stands before the real one with a certificate that the clients trust, and changes answers and
//! frames on their way. It can do whatever a malicious server can.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

use std::convert::Infallible;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use futures_util::{SinkExt as _, StreamExt as _};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use sealpost_api::frames::{ClientFrame, Send as SendFrame, ServerFrame};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Message, Role};

/// Changes the body of a successful answer: method and path, then the body.
type Answers = Box<dyn FnMut(&str, Value) -> Value + Send>;
/// Puts other frames, more or none in the place of one from the server.
type Frames = Box<dyn FnMut(ServerFrame) -> Vec<ServerFrame> + Send>;

/// The lying server; it stops with the test.
pub(crate) struct Liar {
    pub(crate) url: String,
    pub(crate) ca: PathBuf,
    lies: Arc<Lies>,
    _runtime: tokio::runtime::Runtime,
}

struct Lies {
    answers: Mutex<Answers>,
    frames: Mutex<Frames>,
    /// What the clients sent.
    sent: Mutex<Vec<SendFrame>>,
    /// The real server's address and authority.
    upstream: String,
    connector: TlsConnector,
}

impl Liar {
    /// Before the server of this address, whose authority is in `ca`. Honest until told otherwise.
    pub(crate) fn before(url: &str, ca: &Path, folder: &Path) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(ca).unwrap()).unwrap();
        let config = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let (authority, certificates, key) = certificate();
        let own_ca = folder.join("liar.pem");
        fs::write(&own_ca, authority).unwrap();
        let acceptor = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(certificates, key)
            .unwrap();
        let lies = Arc::new(Lies {
            answers: Mutex::new(Box::new(|_, body| body)),
            frames: Mutex::new(Box::new(|frame| vec![frame])),
            sent: Mutex::default(),
            upstream: url.strip_prefix("https://").unwrap().trim_end_matches('/').to_owned(),
            connector: TlsConnector::from(Arc::new(config)),
        });
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("https://{}/", listener.local_addr().unwrap());
        runtime.spawn(serve(listener, TlsAcceptor::from(Arc::new(acceptor)), Arc::clone(&lies)));
        Self { url, ca: own_ca, lies, _runtime: runtime }
    }

    /// From now on answers are changed so.
    pub(crate) fn answers(&self, lie: impl FnMut(&str, Value) -> Value + Send + 'static) {
        *self.lies.answers.lock().unwrap() = Box::new(lie);
    }

    /// From now on frames are changed so.
    pub(crate) fn frames(&self, lie: impl FnMut(ServerFrame) -> Vec<ServerFrame> + Send + 'static) {
        *self.lies.frames.lock().unwrap() = Box::new(lie);
    }
}

impl Liar {
    /// What the clients have sent since this was asked last.
    pub(crate) fn sent(&self) -> Vec<SendFrame> {
        std::mem::take(&mut *self.lies.sent.lock().unwrap())
    }
}

/// An authority, and a certificate of it for this machine.
fn certificate() -> (String, Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let mut authority = rcgen::CertificateParams::new(vec![]).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let authority_certificate = authority.self_signed(&authority_key).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let leaf = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &rcgen::Issuer::new(authority, authority_key)).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    (authority_certificate.pem(), vec![leaf.der().clone()], key)
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, lies: Arc<Lies>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, lies) = (acceptor.clone(), Arc::clone(&lies));
        tokio::spawn(async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let handle = service_fn(move |request| {
                let lies = Arc::clone(&lies);
                async move { Ok::<_, Infallible>(answer(request, &lies).await) }
            });
            let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), handle);
            let _client_gone = connection.with_upgrades().await;
        });
    }
}

async fn answer(request: Request<Incoming>, lies: &Arc<Lies>) -> Response<Full<Bytes>> {
    if request.headers().contains_key(UPGRADE) {
        return upgrade(request, Arc::clone(lies));
    }
    let call = format!("{} {}", request.method(), request.uri().path());
    let (mut parts, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    parts.headers.insert(hyper::header::HOST, lies.upstream.parse().unwrap());
    let stream = lies.connect().await;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let answer = sender.send_request(Request::from_parts(parts, Full::new(body))).await.unwrap();
    let (parts, body) = answer.into_parts();
    let mut body = body.collect().await.unwrap().to_bytes();
    if parts.status == StatusCode::OK
        && let Ok(value) = serde_json::from_slice(&body)
    {
        let lie = (lies.answers.lock().unwrap())(&call, value);
        body = serde_json::to_vec(&lie).unwrap().into();
    }
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = parts.status;
    if let Some(kind) = parts.headers.get(CONTENT_TYPE) {
        response.headers_mut().insert(CONTENT_TYPE, kind.clone());
    }
    response
}

/// Accepts the stream, and talks to the real server in its place.
fn upgrade(mut request: Request<Incoming>, lies: Arc<Lies>) -> Response<Full<Bytes>> {
    let accept = derive_accept_key(request.headers()[SEC_WEBSOCKET_KEY].as_bytes());
    let headers = request.headers().clone();
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let client = TokioIo::new(upgrade.await.unwrap());
        let client = WebSocketStream::from_raw_socket(client, Role::Server, None).await;
        pass(client, lies.stream(&headers).await, &lies).await;
    });
    let mut response = Response::new(Full::new(Bytes::new()));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response.headers_mut().insert(UPGRADE, "websocket".parse().unwrap());
    response.headers_mut().insert(hyper::header::CONNECTION, "upgrade".parse().unwrap());
    response.headers_mut().insert(SEC_WEBSOCKET_ACCEPT, accept.parse().unwrap());
    response
}

impl Lies {
    async fn connect(&self) -> TlsStream<TcpStream> {
        let stream = TcpStream::connect(&self.upstream).await.unwrap();
        let host = self.upstream.rsplit_once(':').unwrap().0.to_owned();
        self.connector.connect(ServerName::try_from(host).unwrap(), stream).await.unwrap()
    }

    async fn stream(&self, headers: &HeaderMap) -> WebSocketStream<TlsStream<TcpStream>> {
        let mut request = format!("wss://{}/v1/stream", self.upstream).into_client_request().unwrap();
        request.headers_mut().insert(AUTHORIZATION, headers[AUTHORIZATION].clone());
        tokio_tungstenite::client_async(request, self.connect().await).await.unwrap().0
    }
}

/// Passes frames both ways until one side ends; those of the server go through the lie.
async fn pass<C: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin>(
    mut client: WebSocketStream<C>,
    mut server: WebSocketStream<TlsStream<TcpStream>>,
    lies: &Lies,
) {
    loop {
        tokio::select! {
            message = client.next() => {
                let Some(Ok(message)) = message else { return };
                let end = message.is_close();
                if let Message::Binary(bytes) = &message
                    && let Ok(ClientFrame::Send(send)) = ClientFrame::decode(bytes.clone())
                {
                    lies.sent.lock().unwrap().push(send);
                }
                if server.send(message).await.is_err() || end {
                    return;
                }
            }
            message = server.next() => {
                let Some(Ok(message)) = message else { return };
                let Message::Binary(bytes) = message else {
                    if client.send(message).await.is_err() {
                        return;
                    }
                    continue;
                };
                let lie = (lies.frames.lock().unwrap())(ServerFrame::decode(bytes).unwrap());
                for frame in lie {
                    if client.send(Message::Binary(frame.encode())).await.is_err() {
                        return;
                    }
                }
            }
        }
    }
}
