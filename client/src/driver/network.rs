//! Performs the engine's effects on the network, and turns what comes back into inputs.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use sealpost_api::frames::ServerFrame;
use sealpost_api::password::AccessToken;
use sealpost_api::problem::{Problem, ProblemCode};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::error::NetworkFailure;
use crate::engine::{HttpResponse, Input, Request, RequestFailure, RequestId, StreamRefusal};
use crate::native::stream::{self, ConnectError, Received, StreamReceiver, StreamSender};
use crate::native::{BaseUrl, Connector, HttpClient, ServerTrust, TransportError};

/// Longest wait for an answer. Logging in and registering hash a password on the server, behind a bounded queue.
const REQUEST_PATIENCE: Duration = Duration::from_secs(20);
/// Inputs that wait for the engine. A full channel makes the stream's reader wait, and so the server.
const ARRIVALS_MAX: usize = 256;
/// Longest wait, when the driver ends, for frames to leave.
const FINISH_PATIENCE: Duration = Duration::from_secs(2);
/// The close code for a peer that sends what is no frame (RFC 6455 *protocol error*).
const PROTOCOL_ERROR: u16 = 1002;

/// The server to talk to.
#[derive(Debug)]
pub struct Server {
    connector: Connector,
}

impl Server {
    /// Returns the server at this address, which must show a certificate that `trust` accepts.
    ///
    /// # Errors
    /// [`TransportError::Tls`] when the trust cannot be used.
    pub fn new(base: BaseUrl, trust: &ServerTrust) -> Result<Self, TransportError> {
        Connector::new(base, trust).map(|connector| Self { connector })
    }
}

/// Something from the network. Its generation tells whether it belongs to the current engine or stream.
pub(super) enum Arrived {
    /// A request's end.
    Response { generation: u64, request: RequestId, result: Result<HttpResponse, RequestFailure> },
    /// Something about a stream.
    Stream { generation: u64, event: StreamEvent },
}

/// Something about a stream.
pub(super) enum StreamEvent {
    Opened,
    Refused(StreamRefusal),
    Frame(ServerFrame),
    Closed(Option<u16>),
}

/// What goes out on a stream.
enum Outgoing {
    Frame(Bytes),
    Close,
}

/// The network as the worker uses it.
pub(super) struct Network {
    http: Option<Rc<HttpClient>>,
    connector: Option<Connector>,
    arrivals: mpsc::Sender<Arrived>,
    reports: Rc<watch::Sender<Option<NetworkFailure>>>,
    engine_generation: u64,
    stream_generation: u64,
    stream: Option<OpenStream>,
    /// Streams that are still sending what was given to them.
    closing: Vec<JoinHandle<()>>,
}

/// The stream that counts.
struct OpenStream {
    /// Unbounded, because the engine bounds what is in flight: 256 sends, and the acks of one delivery window.
    outgoing: mpsc::UnboundedSender<Outgoing>,
    task: JoinHandle<()>,
}

impl Network {
    pub(super) fn new(
        server: Option<Server>,
        reports: watch::Sender<Option<NetworkFailure>>,
    ) -> (Self, mpsc::Receiver<Arrived>) {
        let (arrivals, arrived) = mpsc::channel(ARRIVALS_MAX);
        let connector = server.map(|server| server.connector);
        let network = Self {
            http: connector.clone().map(|connector| Rc::new(HttpClient::new(connector))),
            connector,
            arrivals,
            reports: Rc::new(reports),
            engine_generation: 0,
            stream_generation: 0,
            stream: None,
            closing: Vec::new(),
        };
        (network, arrived)
    }

    /// Returns what the engine is to be told, or `None` for what belongs to an engine or a stream that is gone.
    pub(super) fn input(&mut self, arrived: Arrived) -> Option<Input> {
        match arrived {
            Arrived::Response { generation, request, result } if generation == self.engine_generation => {
                Some(Input::Response { request, result })
            }
            Arrived::Stream { generation, event } if generation == self.stream_generation => match event {
                StreamEvent::Opened => Some(Input::StreamOpened),
                StreamEvent::Refused(refusal) => {
                    self.stream = None;
                    Some(Input::StreamRefused(refusal))
                }
                StreamEvent::Frame(frame) => Some(Input::Frame(frame)),
                StreamEvent::Closed(code) => {
                    self.stream = None;
                    Some(Input::StreamClosed { code })
                }
            },
            Arrived::Response { .. } | Arrived::Stream { .. } => None,
        }
    }

    /// Sends a request; its answer arrives later, always.
    pub(super) fn request(&self, request: Request) {
        let (http, arrivals, reports) = (self.http.clone(), self.arrivals.clone(), Rc::clone(&self.reports));
        let generation = self.engine_generation;
        tokio::task::spawn_local(async move {
            let Request { id, method, path, body, bearer } = request;
            let bearer = bearer.as_ref().map(AccessToken::reveal);
            let result = match http {
                Some(http) => match http.request(method.as_str(), &path, bearer, body, REQUEST_PATIENCE).await {
                    Ok(response) => {
                        reports.send_replace(None);
                        Ok(HttpResponse { status: response.status, body: response.body })
                    }
                    Err(error) => {
                        let failure = failure(&error);
                        reports.send_replace(Some(report(&error)));
                        Err(failure)
                    }
                },
                None => Err(RequestFailure::Unreachable),
            };
            // Without a receiver the driver has ended.
            let _ = arrivals.send(Arrived::Response { generation, request: id, result }).await;
        });
    }

    /// Opens the stream; an older one is closed.
    pub(super) fn open_stream(&mut self, bearer: AccessToken) {
        self.close_stream();
        let generation = self.stream_generation;
        let (connector, arrivals, reports) = (self.connector.clone(), self.arrivals.clone(), Rc::clone(&self.reports));
        let (outgoing, frames) = mpsc::unbounded_channel();
        let task = tokio::task::spawn_local(async move {
            let tell = async |event| arrivals.send(Arrived::Stream { generation, event }).await.is_ok();
            let Some(connector) = connector else {
                tell(StreamEvent::Refused(StreamRefusal::Unreachable)).await;
                return;
            };
            match stream::connect(&connector, Some(bearer.reveal()), REQUEST_PATIENCE).await {
                Ok((sender, receiver)) => {
                    reports.send_replace(None);
                    if tell(StreamEvent::Opened).await {
                        carry(sender, receiver, frames, tell).await;
                    }
                }
                Err(error) => {
                    let refusal = refusal(&error);
                    reports.send_replace(match error {
                        ConnectError::Transport(error) => Some(report(&error)),
                        ConnectError::Refused { .. } => None,
                    });
                    tell(StreamEvent::Refused(refusal)).await;
                }
            }
        });
        self.stream = Some(OpenStream { outgoing, task });
    }

    /// Sends a frame on the open stream. Without one the frame is dropped: the engine hears that the stream is gone.
    pub(super) fn send_frame(&self, frame: Bytes) {
        if let Some(stream) = &self.stream {
            let _ = stream.outgoing.send(Outgoing::Frame(frame));
        }
    }

    /// Closes the stream, after what was given to it has left. Nothing of it arrives any more.
    pub(super) fn close_stream(&mut self) {
        self.stream_generation += 1;
        self.closing.retain(|task| !task.is_finished());
        if let Some(stream) = self.stream.take() {
            let _ = stream.outgoing.send(Outgoing::Close);
            self.closing.push(stream.task);
        }
    }

    /// Drops the answers to requests of an engine that is gone.
    pub(super) const fn forget_requests(&mut self) {
        self.engine_generation += 1;
    }

    /// Lets what was given to streams leave, and closes them.
    pub(super) async fn finish(&mut self, arrivals: &mut mpsc::Receiver<Arrived>) {
        self.close_stream();
        let discard = async { while arrivals.recv().await.is_some() {} };
        let ended = async {
            for task in &mut self.closing {
                let _ = task.await;
            }
        };
        let ended = async {
            tokio::select! {
                () = ended => {}
                () = discard => {}
            }
        };
        let _ = tokio::time::timeout(FINISH_PATIENCE, ended).await;
    }
}

/// Carries frames both ways until either side ends.
async fn carry(
    mut sender: StreamSender,
    mut receiver: StreamReceiver,
    mut frames: mpsc::UnboundedReceiver<Outgoing>,
    tell: impl AsyncFn(StreamEvent) -> bool,
) {
    let read = async {
        loop {
            let event = match receiver.next().await {
                Received::Frame(bytes) => match ServerFrame::decode(bytes) {
                    Ok(frame) => StreamEvent::Frame(frame),
                    // A server that sends what is no frame can't be talked to.
                    Err(_) => StreamEvent::Closed(Some(PROTOCOL_ERROR)),
                },
                Received::Closed { code } => StreamEvent::Closed(code),
            };
            let last = matches!(event, StreamEvent::Closed(_));
            if !tell(event).await || last {
                return;
            }
        }
    };
    let write = async {
        while let Some(outgoing) = frames.recv().await {
            match outgoing {
                Outgoing::Frame(frame) => {
                    if sender.send(frame).await.is_err() {
                        tell(StreamEvent::Closed(None)).await;
                        return;
                    }
                }
                Outgoing::Close => break,
            }
        }
        sender.close().await;
    };
    tokio::select! {
        () = read => {}
        () = write => {}
    }
}

/// Returns what a person is told about a failure.
fn report(error: &TransportError) -> NetworkFailure {
    match error {
        TransportError::Tls(_) => NetworkFailure::Untrusted(error.to_string()),
        _ => NetworkFailure::Unreachable(error.to_string()),
    }
}

fn failure(error: &TransportError) -> RequestFailure {
    match error {
        TransportError::Unreachable { .. } | TransportError::Broken { .. } | TransportError::Tls(_) => {
            RequestFailure::Unreachable
        }
        TransportError::Timeout => RequestFailure::Timeout,
        _ => RequestFailure::Protocol,
    }
}

fn refusal(error: &ConnectError) -> StreamRefusal {
    match error {
        ConnectError::Transport(_) => StreamRefusal::Unreachable,
        ConnectError::Refused { status, retry_after, body } => {
            let problem = serde_json::from_slice::<Problem>(body).ok();
            StreamRefusal::Status {
                status: *status,
                code: problem.as_ref().and_then(|problem| ProblemCode::parse(&problem.code)),
                retry_after: problem
                    .and_then(|problem| problem.retry_after)
                    .or_else(|| retry_after.map(|seconds| seconds.saturating_mul(1000))),
            }
        }
    }
}
