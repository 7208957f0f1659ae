//! A server, people with real keys, and sockets that say what they got.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::web;
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use sealpost_api::frames::{ClientFrame, Copy, Deliver, Refused, Send, SendKind, Sent, ServerFrame, Welcome};
use sealpost_api::ids::{MessageNumber, RefreshTokenHash, RowId, SessionId};
use sealpost_api::password::{AccessToken, Password};
use sealpost_api::server::RegistrationPolicy;
use sealpost_api::username::Username;
use sealpost_crypto::{
    AccountId, AccountIdentityKeyPair, DeviceAddress, DeviceEntry, DeviceId, DeviceIdentityKeyPair, DeviceList,
    DeviceListBody, OneTimePrekey, OneTimePrekeyId, PrekeyPublic, RegistrationId, Signature, SignedPrekey,
    SignedPrekeyId, UnixMillis,
};
use sealpost_server::base::config::Limit;
use sealpost_server::base::config::TrustedProxies;
use sealpost_server::domain::clock::{Clock, SystemRandom};
use sealpost_server::edge::http::{self, BODY_TIMEOUT, Http, HttpSettings};
use sealpost_server::edge::ws::OriginPolicy;
use sealpost_server::process::serve::serve_plain;
use sealpost_server::relay::local::LocalRelay;
use sealpost_server::service::hub::Hub;
use sealpost_server::service::limiter::{LimitTable, Limiter};
use sealpost_server::service::passwords::{PasswordSettings, Passwords};
use sealpost_server::service::stream::StreamSettings;
use sealpost_server::service::tokens::{TokenKey, Tokens};
use sealpost_server::service::{Core, NoMetrics, RetiredNamesKey, ServiceMetrics, ServiceSettings, Services};
use sealpost_server::store::embedded::{EmbeddedOptions, EmbeddedStore};
use sealpost_server::store::{
    CreateAccount, DeviceKeys, LogIn, NewAccount, NewSession, PublishList, PublishOutcome, QueueLimits, StartSession,
    Store as _,
};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::Message;

/// Far longer than anything takes; a test that waits this long has failed.
const PATIENCE: Duration = Duration::from_secs(20);
pub(super) const DAY: u64 = 24 * 3_600_000;

/// Everybody's.
pub(super) const PASSWORD: &str = "correct horse battery";

/// A clock that stands until it is told to move.
pub(super) struct ManualClock {
    now: AtomicU64,
    trapped: AtomicBool,
}

impl ManualClock {
    /// Makes the next call of the clock panic.
    pub(super) fn panic_once(&self) {
        self.trapped.store(true, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> UnixMillis {
        assert!(!self.trapped.swap(false, Ordering::SeqCst), "injected");
        UnixMillis(self.now.load(Ordering::SeqCst))
    }
}

fn fresh<const N: usize>() -> [u8; N] {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut bytes = [0x2a; N];
    bytes[..8].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_le_bytes());
    bytes
}

pub(super) struct World {
    pub(super) services: Services,
    pub(super) clock: Arc<ManualClock>,
    port: u16,
    handle: ServerHandle,
    _folder: tempfile::TempDir,
}

/// What a test changes of the defaults.
pub(super) struct Options {
    pub(super) stream: StreamSettings,
    pub(super) queue: QueueLimits,
    pub(super) limits: LimitTable,
    pub(super) metrics: Arc<dyn ServiceMetrics>,
}

impl Default for Options {
    fn default() -> Self {
        let mut limits = LimitTable::default();
        for name in ["send_pair", "connect_device", "requests_address"] {
            limits.set(name, Limit { burst: 1_000_000, tokens: 1_000_000, per_seconds: 1 }).unwrap();
        }
        Self {
            stream: StreamSettings::default(),
            queue: QueueLimits {
                messages_max: 10_000,
                bytes_max: 64 * 1024 * 1024,
                sender_messages_max: 10_000,
                dormant_after_millis: 30 * DAY,
            },
            limits,
            metrics: Arc::new(NoMetrics),
        }
    }
}

impl World {
    pub(super) async fn start() -> Self {
        Self::start_with(Options::default()).await
    }

    pub(super) async fn start_with(options: Options) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock { now: AtomicU64::new(1_800_000_000_000), trapped: AtomicBool::new(false) });
        let random = Arc::new(SystemRandom);
        let store = EmbeddedStore::open(&folder.path().join("data"), &EmbeddedOptions::default(), &fresh()).unwrap();
        let tokens = Tokens::new(&[TokenKey::generate(random.as_ref())], store.server_id()).unwrap();
        let cheap = PasswordSettings { memory_kib: 8, passes: 1, ..PasswordSettings::default() };
        let core = Core {
            store: Arc::new(store),
            clock: clock.clone(),
            passwords: Passwords::new(&cheap, random.clone()).unwrap(),
            random,
            hub: Arc::new(Hub::new()),
            relay: Arc::new(LocalRelay),
            limiter: Limiter::new(options.limits),
            tokens,
            metrics: options.metrics,
            settings: ServiceSettings {
                registration: RegistrationPolicy::Open,
                retired_names_key: RetiredNamesKey::from_bytes(fresh()),
                queue: options.queue,
                stream: options.stream,
            },
        };
        let services = Services::new(Arc::new(core));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let settings = HttpSettings {
            tls: false,
            trusted_proxies: TrustedProxies::default(),
            body_timeout: BODY_TIMEOUT,
            origins: OriginPolicy::new(vec!["https://chat.example".to_owned()]),
        };
        let shared = web::Data::new(Http::new(services.clone(), settings));
        let server = serve_plain(listener, 2, move || http::app(shared.clone())).unwrap();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        Self { services, clock, port, handle, _folder: folder }
    }

    pub(super) const fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn core(&self) -> &Core {
        self.services.core()
    }

    pub(super) fn pass(&self, millis: u64) {
        self.clock.now.fetch_add(millis, Ordering::SeqCst);
    }

    /// An account with one device.
    pub(super) async fn person(&self, name: &str) -> Person {
        let identity = AccountIdentityKeyPair::from_seed(&fresh());
        let id = AccountId::from_bytes(fresh());
        let device = Device::new(id, 1);
        let body = DeviceListBody {
            account: id,
            account_identity: identity.public(),
            version: 1,
            previous_hash: [0; 32],
            new_identity: false,
            devices: vec![device.entry],
        };
        let list = DeviceList::sign(&identity, body).unwrap();
        let account = NewAccount {
            username: Username::parse(name).unwrap(),
            username_hash: fresh(),
            password_hash: self.core().passwords.hash(Password::new(PASSWORD.to_owned())).await.unwrap(),
            device_list: list.clone(),
            keys: self.keys(&device),
            session: NewSession { id: device.session, address: device.address, refresh_hash: device.refresh_hash },
            invite_hash: None,
        };
        let created = self.core().store.create_account(account, self.clock.now()).await.unwrap();
        assert_eq!(created, CreateAccount::Created);
        let device = self.with_token(device, 1);
        Person { id, identity, list, devices: vec![device] }
    }

    fn with_token(&self, mut device: Device, generation: u32) -> Device {
        let token = self.core().tokens.issue(self.clock.now(), &device.address, device.session, generation).unwrap();
        device.token = token.reveal().to_owned();
        device
    }

    /// A new token of the device's session.
    pub(super) fn renew(&self, device: &Device) -> AccessToken {
        self.core().tokens.issue(self.clock.now(), &device.address, device.session, 1).unwrap()
    }

    fn keys(&self, device: &Device) -> DeviceKeys {
        let signed_prekey = SignedPrekey {
            id: SignedPrekeyId(1),
            key: PrekeyPublic::from_bytes(&fresh()).unwrap(),
            expires_at: self.clock.now().saturating_add(45 * DAY),
            signature: Signature::from_bytes([3; 64]),
        };
        let one_time_prekeys = (1..=30)
            .map(|id| OneTimePrekey { id: OneTimePrekeyId(id), key: PrekeyPublic::from_bytes(&fresh()).unwrap() })
            .collect();
        DeviceKeys { device: device.address.device, signed_prekey, one_time_prekeys }
    }

    /// Publishes the next list with these devices, and logs the new ones in.
    pub(super) async fn publish(&self, person: &mut Person, devices: Vec<Device>) {
        let known = |device: &Device| person.devices.iter().any(|old| old.address == device.address);
        let body = DeviceListBody {
            version: person.list.version() + 1,
            previous_hash: person.list.hash(),
            devices: devices.iter().map(|device| device.entry).collect(),
            ..person.list.body().clone()
        };
        let list = DeviceList::sign(&person.identity, body).unwrap();
        let new: Vec<_> = devices.iter().filter(|device| !known(device)).cloned().collect();
        let added = new.iter().map(|device| self.keys(device)).collect();
        let publish = PublishList { device_list: list.clone(), added, log_in: None };
        match self.core().store.publish_device_list(publish, self.clock.now()).await.unwrap() {
            PublishOutcome::Published { ended_sessions, notified, .. } => {
                self.core().end_sockets(&ended_sessions);
                self.core().wake(&notified);
                self.core().announce_device_list(person.id, list.version());
            }
            other => panic!("{other:?}"),
        }
        for device in &new {
            let session = NewSession { id: device.session, address: device.address, refresh_hash: device.refresh_hash };
            let password_hash = self.core().store.account(person.id).await.unwrap().unwrap().password_hash;
            let log_in = LogIn { session, password_hash };
            let started = self.core().store.start_session(log_in, self.clock.now()).await.unwrap();
            assert!(matches!(started, StartSession::Started { generation: 1, .. }));
        }
        person.list = list;
        person.devices = devices
            .into_iter()
            .map(|device| if device.token.is_empty() { self.with_token(device, 1) } else { device })
            .collect();
    }

    pub(super) async fn add_device(&self, person: &mut Person) {
        let number = u8::try_from(person.devices.len() + 1).unwrap();
        let mut devices = person.devices.clone();
        devices.push(Device::new(person.id, number));
        self.publish(person, devices).await;
    }

    /// A socket with these headers, if the server upgrades it; else the HTTP status.
    pub(super) async fn try_socket(&self, headers: &[(&'static str, &str)]) -> Result<Socket, u16> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let mut request = format!("ws://127.0.0.1:{}/v1/stream", self.port).into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().append(*name, value.parse().unwrap());
        }
        match tokio_tungstenite::client_async(request, stream).await {
            Ok((socket, _)) => Ok(Socket { socket }),
            Err(tokio_tungstenite::tungstenite::Error::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    pub(super) async fn socket(&self, device: &Device) -> Socket {
        self.try_socket(&[("authorization", &format!("Bearer {}", device.token))]).await.unwrap()
    }

    /// A socket that has read its `Welcome`.
    pub(super) async fn connect(&self, device: &Device) -> (Socket, Welcome) {
        let mut socket = self.socket(device).await;
        match socket.frame().await {
            ServerFrame::Welcome(welcome) => (socket, welcome),
            other => panic!("{other:?}"),
        }
    }

    /// A socket that has read everything that waited.
    pub(super) async fn online(&self, device: &Device) -> Socket {
        let (mut socket, _) = self.connect(device).await;
        assert_eq!(socket.until_drained().await, []);
        socket
    }

    /// Opens a stream that has read all waiting messages and acked none of them.
    pub(super) async fn online_with(&self, device: &Device, waiting: usize) -> Socket {
        let (mut socket, _) = self.connect(device).await;
        assert_eq!(socket.until_drained().await.len(), waiting);
        socket
    }

    pub(super) async fn queued(&self, device: &Device) -> u64 {
        self.core().store.device(device.address).await.unwrap().unwrap().queued_messages
    }

    /// Waits until this number of rows is queued, because acks become durable a little after they were sent.
    pub(super) async fn until_queued(&self, device: &Device, count: u64) {
        eventually(async || self.queued(device).await == count).await;
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let handle = self.handle.clone();
        actix_web::rt::spawn(async move { handle.stop(false).await });
    }
}

/// Waits until it holds.
pub(super) async fn eventually(mut holds: impl AsyncFnMut() -> bool) {
    let begin = std::time::Instant::now();
    while !holds().await {
        assert!(begin.elapsed() < PATIENCE, "it never came to hold");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub(super) struct Person {
    pub(super) id: AccountId,
    pub(super) identity: AccountIdentityKeyPair,
    pub(super) list: DeviceList,
    pub(super) devices: Vec<Device>,
}

#[derive(Clone)]
pub(super) struct Device {
    pub(super) address: DeviceAddress,
    pub(super) entry: DeviceEntry,
    pub(super) session: SessionId,
    pub(super) refresh_hash: RefreshTokenHash,
    pub(super) token: String,
}

impl Device {
    pub(super) fn new(account: AccountId, device: u8) -> Self {
        let (device, registration) = (DeviceId::new(device).unwrap(), RegistrationId::from_bytes(fresh()));
        let identity = DeviceIdentityKeyPair::from_seed(&fresh()).public();
        Self {
            address: DeviceAddress { account, device, registration },
            entry: DeviceEntry { device, registration, identity },
            session: SessionId::from_bytes(fresh()),
            refresh_hash: RefreshTokenHash::from_bytes(fresh()),
            token: String::new(),
        }
    }

    pub(super) fn copy(&self, text: impl Into<Vec<u8>>) -> Copy {
        Copy {
            device: self.address.device,
            registration: self.address.registration,
            ciphertext: Bytes::from(text.into()),
        }
    }
}

/// A message with these copies.
pub(super) fn message(number: u64, to: &Person, copies: Vec<Copy>) -> Send {
    Send { number: MessageNumber(number), to: to.id, kind: SendKind::Message, copies }
}

/// The same text to every device of a person.
pub(super) fn text(number: u64, to: &Person, text: &str) -> Send {
    message(number, to, to.devices.iter().map(|device| device.copy(text)).collect())
}

pub(super) struct Socket {
    socket: WebSocketStream<TcpStream>,
}

/// What a socket got.
#[derive(Debug, PartialEq)]
pub(super) enum Got {
    Frame(ServerFrame),
    Ping,
    /// The close code; `None` when the peer was just gone.
    Closed(Option<u16>),
}

impl Socket {
    pub(super) async fn raw(&mut self, message: Message) {
        // The server may have closed already; what it said is then still to be read.
        let _closed = self.socket.send(message).await;
    }

    pub(super) async fn put(&mut self, frame: ClientFrame) {
        self.raw(Message::Binary(frame.encode())).await;
    }

    pub(super) async fn send(&mut self, send: Send) {
        self.put(ClientFrame::Send(send)).await;
    }

    pub(super) async fn ack(&mut self, ids: &[RowId]) {
        self.put(ClientFrame::Ack { ids: ids.to_vec() }).await;
    }

    pub(super) async fn got(&mut self) -> Got {
        let next = tokio::time::timeout(PATIENCE, self.socket.next()).await.expect("the server said nothing");
        match next {
            Some(Ok(Message::Binary(bytes))) => Got::Frame(ServerFrame::decode(bytes).unwrap()),
            Some(Ok(Message::Ping(_))) => Got::Ping,
            Some(Ok(Message::Close(reason))) => Got::Closed(reason.map(|reason| u16::from(reason.code))),
            Some(Ok(other)) => panic!("{other:?}"),
            Some(Err(_)) | None => Got::Closed(None),
        }
    }

    pub(super) async fn frame(&mut self) -> ServerFrame {
        loop {
            match self.got().await {
                Got::Frame(frame) => return frame,
                Got::Ping => {}
                Got::Closed(code) => panic!("closed with {code:?}"),
            }
        }
    }

    /// Reads until the socket is closed, and says with what code.
    pub(super) async fn closed(&mut self) -> Option<u16> {
        loop {
            if let Got::Closed(code) = self.got().await {
                return code;
            }
        }
    }

    pub(super) async fn delivered(&mut self) -> Deliver {
        match self.frame().await {
            ServerFrame::Deliver(deliver) => deliver,
            other => panic!("{other:?}"),
        }
    }

    pub(super) async fn sent(&mut self) -> Sent {
        match self.frame().await {
            ServerFrame::Sent(sent) => sent,
            other => panic!("{other:?}"),
        }
    }

    pub(super) async fn refused(&mut self) -> Refused {
        match self.frame().await {
            ServerFrame::Refused(refused) => refused,
            other => panic!("{other:?}"),
        }
    }

    pub(super) async fn until_drained(&mut self) -> Vec<Deliver> {
        let mut delivers = Vec::new();
        loop {
            match self.frame().await {
                ServerFrame::Deliver(deliver) => delivers.push(deliver),
                ServerFrame::Drained => return delivers,
                other => panic!("{other:?}"),
            }
        }
    }

    /// Asks for an answer that is never read. Gives up on a server that takes nothing more.
    pub(super) async fn ping_without_reading(&mut self, nonce: u64) {
        let ping = Message::Binary(ClientFrame::Ping { nonce }.encode());
        let _full = tokio::time::timeout(Duration::from_millis(100), self.socket.send(ping)).await;
    }

    /// Proves that nothing else came before: the answer to a ping is the next frame.
    pub(super) async fn is_quiet(&mut self) {
        self.put(ClientFrame::Ping { nonce: 77 }).await;
        assert_eq!(self.frame().await, ServerFrame::Pong { nonce: 77 });
    }
}
