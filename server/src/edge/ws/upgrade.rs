//! Upgrades of connections. The application answers a request for an upgrade like any other. If the answer is 101, the
//! connection is passed to the stream that the answer carries, and actix's HTTP machinery with its buffers is dropped.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use actix_codec::{Encoder as _, Framed};
use actix_http::body::{BodySize, BoxBody, MessageBody};
use actix_http::h1::{Codec, Message};
use actix_http::{ConnectionType, HttpMessage as _, Request, Response};
use actix_service::{Service, ServiceFactory};
use actix_web::dev::ServiceResponse;
use bytes::BytesMut;
use futures_util::future::LocalBoxFuture;

use super::reader::{SocketLimits, SocketReader};
use super::socket::{Io, Socket};
use super::writer::{Answers, SocketWriter};
use crate::service::stream::Gone;

/// How long a peer can take to read the last bytes and to close.
const LINGER_TIMEOUT: Duration = Duration::from_secs(3);

tokio::task_local! {
    /// The stream on the connection that this task serves.
    static STREAM: Rc<RefCell<Option<LocalBoxFuture<'static, ()>>>>;
}

/// Serves a connection to its end, and then the stream that it became, if it did. All memory of HTTP is freed before
/// the stream begins.
pub async fn with_streams<F: Future>(served: F) -> F::Output {
    let stream = Rc::default();
    let output = Box::pin(STREAM.scope(Rc::clone(&stream), served)).await;
    let stream = stream.take();
    if let Some(stream) = stream {
        stream.await;
    }
    output
}

/// Marks a request that is answered here. The HTTP parser recognises fewer spellings of an upgrade than the handshake
/// does, and continues to read requests after the others.
pub(super) struct Upgradable;

/// The stream that begins with a 101, carried in the answer's extensions.
pub(super) struct Handover {
    limits: SocketLimits,
    begin: Box<dyn FnOnce(SocketReader, SocketWriter) -> LocalBoxFuture<'static, ()>>,
}

impl Handover {
    pub(super) fn new<R>(limits: SocketLimits, begin: impl FnOnce(SocketReader, SocketWriter) -> R + 'static) -> Self
    where
        R: Future<Output = ()> + 'static,
    {
        Self { limits, begin: Box::new(|reader, writer| Box::pin(begin(reader, writer))) }
    }
}

/// The factory of the service for upgrades, made from the application's factory.
pub struct Upgrades<F>(F);

impl<F> Upgrades<F> {
    /// Wraps the application, which also answers all other requests.
    pub const fn new(app: F) -> Self {
        Self(app)
    }
}

/// The service for upgrades.
pub struct Upgrade<S>(S);

impl<F, T> ServiceFactory<(Request, Framed<T, Codec>)> for Upgrades<F>
where
    F: ServiceFactory<Request, Config = (), Response = ServiceResponse<BoxBody>>,
    F::Error: Into<Response<BoxBody>>,
    F::Service: 'static,
    F::Future: 'static,
    <F::Service as Service<Request>>::Future: 'static,
    T: Io + 'static,
{
    type Response = ();
    type Error = UpgradeFailed;
    type Config = ();
    type Service = Upgrade<F::Service>;
    type InitError = F::InitError;
    type Future = LocalBoxFuture<'static, Result<Self::Service, Self::InitError>>;

    fn new_service(&self, (): ()) -> Self::Future {
        let app = self.0.new_service(());
        Box::pin(async move { Ok(Upgrade(app.await?)) })
    }
}

/// The error type, which has no value: a failure ends the connection.
#[derive(Debug, thiserror::Error)]
pub enum UpgradeFailed {}

impl From<UpgradeFailed> for Response<BoxBody> {
    fn from(never: UpgradeFailed) -> Self {
        match never {}
    }
}

impl<S, T> Service<(Request, Framed<T, Codec>)> for Upgrade<S>
where
    S: Service<Request, Response = ServiceResponse<BoxBody>>,
    S::Error: Into<Response<BoxBody>>,
    S::Future: 'static,
    T: Io + 'static,
{
    type Response = ();
    type Error = UpgradeFailed;
    type Future = LocalBoxFuture<'static, Result<(), UpgradeFailed>>;

    actix_service::always_ready!();

    fn call(&self, (request, framed): (Request, Framed<T, Codec>)) -> Self::Future {
        request.extensions_mut().insert(Upgradable);
        let answer = self.0.call(request);
        Box::pin(async move {
            let response = match answer.await {
                Ok(response) => response.into(),
                Err(error) => error.into(),
            };
            let _gone = answered(response, framed).await;
            Ok(())
        })
    }
}

/// Writes the answer. After a 101 it leaves the stream to [`with_streams`].
async fn answered<T: Io + 'static>(mut response: Response<BoxBody>, framed: Framed<T, Codec>) -> Result<(), Gone> {
    let handover = response.extensions_mut().remove::<Handover>();
    let parts = framed.into_parts();
    let mut codec = parts.codec;
    let socket = Socket::new(Box::new(parts.io));
    // Answers to earlier requests that the connection has not taken yet.
    socket.gathered.borrow_mut().bytes.extend_from_slice(&parts.write_buf);
    if handover.is_none() {
        response.head_mut().set_connection_type(ConnectionType::Close);
    }
    // The body is kept to the end, because it keeps what the request holds.
    let mut body = BoxBody::new(());
    let head = response.map_body(|_, held| body = held);
    let size = if handover.is_some() { BodySize::None } else { body.size() };
    encode(&mut codec, Message::Item((head, size)), &socket)?;
    match handover {
        Some(Handover { limits, begin }) => {
            tokio::time::timeout(LINGER_TIMEOUT, socket.write_all()).await.map_err(|_| Gone)??;
            // Bytes that arrived with the request. They are copied, so that the large buffer can be freed.
            let early = BytesMut::from(parts.read_buf.as_ref());
            drop((codec, parts.read_buf, parts.write_buf));
            let reader = SocketReader::new(Rc::clone(&socket), Answers::new(Rc::clone(&socket)), limits, early);
            let begun = begin(reader, SocketWriter::new(Rc::clone(&socket)));
            let stream = Box::pin(async move {
                begun.await;
                socket.end(LINGER_TIMEOUT).await;
                drop(body);
            });
            STREAM.with(|place| place.replace(Some(stream)));
        }
        None => {
            let _too_slow = tokio::time::timeout(LINGER_TIMEOUT, write_body(&mut codec, &mut body, &socket)).await;
            socket.end(LINGER_TIMEOUT).await;
        }
    }
    Ok(())
}

async fn write_body(codec: &mut Codec, body: &mut BoxBody, socket: &Socket) -> Result<(), Gone> {
    if !matches!(body.size(), BodySize::None | BodySize::Sized(0)) {
        while let Some(chunk) = std::future::poll_fn(|context| Pin::new(&mut *body).poll_next(context)).await {
            encode(codec, Message::Chunk(Some(chunk.map_err(|_| Gone)?)), socket)?;
            socket.write_all().await?;
        }
        encode(codec, Message::Chunk(None), socket)?;
    }
    socket.write_all().await
}

fn encode(codec: &mut Codec, message: Message<(Response<()>, BodySize)>, socket: &Socket) -> Result<(), Gone> {
    codec.encode(message, &mut socket.gathered.borrow_mut().bytes).map_err(|_| Gone)
}
