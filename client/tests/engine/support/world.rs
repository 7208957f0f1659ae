//! Clients, a server, the wires between them, and a clock: everything in one thread, in an order that the test decides.

use std::collections::VecDeque;

use bytes::Bytes;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use sealpost_api::close;
use sealpost_api::frames::{ClientFrame, ServerFrame};
use sealpost_api::password::{AccessToken, Password};
use sealpost_api::username::Username;
use sealpost_client::engine::{
    Command, CommandError, CommandId, Context, Effect, Engine, Event, HistoryEntry, Input, Notice, NoticeBody, Outcome,
    Request, RequestFailure, StreamRefusal,
};
use sealpost_crypto::{DeviceAddress, UnixMillis};

use super::server::Server;
use super::vault::MemoryVault;

pub(crate) const PASSWORD: &str = "correct horse battery";

pub(crate) fn name(text: &str) -> Username {
    Username::parse(text).unwrap()
}

/// Something on its way. `client` and `life` say whose; what belongs to an earlier life of a client is lost.
#[derive(Debug)]
pub(crate) enum Wire {
    Request(Request),
    Response(sealpost_client::engine::RequestId, sealpost_client::engine::HttpResponse),
    Open(AccessToken),
    ToServer(usize, Bytes),
    Close(usize),
    ToClient(usize, Box<Input>),
}

/// Changes an answer's body, by its path.
type Tamper = Box<dyn Fn(&str, &mut Vec<u8>)>;

/// What becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Arrive,
    /// The connection breaks here.
    Lose,
    /// The client dies here, before it arrives.
    Kill,
    /// The client dies after it was handled, before the effects went out.
    KillAfter,
    /// The commit fails: the transaction is rolled back and the engine opened anew.
    FailCommit,
}

pub(crate) struct Client {
    pub(crate) vault: MemoryVault,
    pub(crate) engine: Engine,
    pub(crate) rng: StdRng,
    pub(crate) events: Vec<Event>,
    pub(crate) life: u64,
    pub(crate) stream: Option<usize>,
    pub(crate) wake: Option<u64>,
    next_command: u64,
}

pub(crate) struct World {
    pub(crate) server: Server,
    pub(crate) clients: Vec<Client>,
    pub(crate) now: u64,
    pub(crate) wires: VecDeque<(usize, u64, Wire)>,
    pub(crate) server_down: bool,
    pub(crate) fate: Box<dyn FnMut(&Wire) -> Fate>,
    next_stream: usize,
    pub(crate) sends_on_wire: usize,
    /// Requests to paths that begin so are answered by something that is no answer.
    pub(crate) spoiled: Option<&'static str>,
    pub(crate) spoiled_answers: usize,
    /// Changes the body of an answer to this path before it goes out.
    pub(crate) tamper: Option<Tamper>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            server: Server::new(),
            clients: Vec::new(),
            now: 1_800_000_000_000,
            wires: VecDeque::new(),
            server_down: false,
            fate: Box::new(|_| Fate::Arrive),
            next_stream: 0,
            sends_on_wire: 0,
            spoiled: None,
            spoiled_answers: 0,
            tamper: None,
        }
    }

    /// A world with registered users who are online.
    pub(crate) fn with(names: &[&str]) -> Self {
        let mut world = Self::new();
        for text in names {
            let client = world.add();
            world.register(client, text).unwrap();
            world.online(client);
        }
        world
    }

    /// A new, empty profile.
    pub(crate) fn add(&mut self) -> usize {
        let mut vault = MemoryVault::default();
        let mut rng = StdRng::seed_from_u64(self.clients.len() as u64 + 1);
        let engine =
            Engine::open(&mut Context { vault: &mut vault, now: UnixMillis(self.now), rng: &mut rng }).unwrap();
        self.clients.push(Client {
            vault,
            engine,
            rng,
            events: Vec::new(),
            life: 0,
            stream: None,
            wake: None,
            next_command: 0,
        });
        self.clients.len() - 1
    }

    pub(crate) fn register(&mut self, client: usize, text: &str) -> Result<Outcome, CommandError> {
        let command =
            Command::Register { username: name(text), password: Password::new(PASSWORD.to_owned()), invite: None };
        self.command(client, command).unwrap()
    }

    pub(crate) fn login(&mut self, client: usize, text: &str, new_identity: bool) -> Result<Outcome, CommandError> {
        let password = Password::new(PASSWORD.to_owned());
        self.command(client, Command::Login { username: name(text), password, new_identity }).unwrap()
    }

    pub(crate) fn online(&mut self, client: usize) {
        assert_eq!(self.command(client, Command::GoOnline), Some(Ok(Outcome::Done)));
    }

    pub(crate) fn offline(&mut self, client: usize) {
        assert_eq!(self.command(client, Command::GoOffline), Some(Ok(Outcome::Done)));
    }

    pub(crate) fn send(&mut self, client: usize, to: &str, text: &str) -> Option<Result<Outcome, CommandError>> {
        self.command(client, Command::Send { to: name(to), text: text.to_owned() })
    }

    /// Sends, and expects that the server accepts.
    pub(crate) fn sent(&mut self, client: usize, to: &str, text: &str) {
        let outcome = self.send(client, to, text);
        assert!(matches!(outcome, Some(Ok(Outcome::Sent(_)))), "{outcome:?}");
    }

    /// Begins a command without running anything.
    pub(crate) fn begin(&mut self, client: usize, command: Command) -> CommandId {
        let it = &mut self.clients[client];
        it.next_command += 1;
        let id = CommandId(it.life * 1_000_000 + it.next_command);
        self.input(client, Input::Command { id, command }, Fate::Arrive);
        id
    }

    /// A command, and its outcome if it ended when nothing was left to do.
    pub(crate) fn command(&mut self, client: usize, command: Command) -> Option<Result<Outcome, CommandError>> {
        let id = self.begin(client, command);
        self.run();
        self.outcome(client, id)
    }

    pub(crate) fn outcome(&self, client: usize, id: CommandId) -> Option<Result<Outcome, CommandError>> {
        self.clients[client].events.iter().find_map(|event| match event {
            Event::Completed { id: found, outcome } if *found == id => Some(outcome.clone()),
            _ => None,
        })
    }

    /// Hands an input in, commits, performs the effects.
    pub(crate) fn input(&mut self, client: usize, input: Input, fate: Fate) {
        let now = UnixMillis(self.now);
        let it = &mut self.clients[client];
        let before = (fate == Fate::FailCommit).then(|| it.vault.clone());
        let effects = it.engine.handle(&mut Context { vault: &mut it.vault, now, rng: &mut it.rng }, input).unwrap();
        if let Some(before) = before {
            it.vault = before;
            return self.kill(client);
        }
        if fate == Fate::KillAfter {
            return self.kill(client);
        }
        for effect in effects {
            self.perform(client, effect);
        }
    }

    fn perform(&mut self, client: usize, effect: Effect) {
        let life = self.clients[client].life;
        match effect {
            Effect::Request(request) => self.wires.push_back((client, life, Wire::Request(request))),
            Effect::OpenStream { bearer } => self.wires.push_back((client, life, Wire::Open(bearer))),
            Effect::SendFrame(frame) => {
                let stream = self.clients[client].stream.expect("a frame without a stream");
                self.wires.push_back((client, life, Wire::ToServer(stream, frame)));
            }
            Effect::CloseStream => {
                if let Some(stream) = self.clients[client].stream.take() {
                    self.wires.push_back((client, life, Wire::Close(stream)));
                }
            }
            Effect::WakeAt(at) => self.clients[client].wake = Some(at.0),
            Effect::Emit(event) => self.clients[client].events.push(event),
        }
    }

    /// The process dies, and another one opens the vault. It is online again if it was.
    pub(crate) fn kill(&mut self, client: usize) {
        let now = UnixMillis(self.now);
        let it = &mut self.clients[client];
        it.life += 1;
        it.wake = None;
        if let Some(stream) = it.stream.take() {
            self.server.connections.remove(&stream);
        }
        it.engine = Engine::open(&mut Context { vault: &mut it.vault, now, rng: &mut it.rng }).unwrap();
    }

    /// Runs until nothing is on its way.
    pub(crate) fn run(&mut self) {
        let mut steps = 0;
        while self.step() {
            steps += 1;
            assert!(steps < 200_000, "it never ends");
        }
    }

    pub(crate) fn step(&mut self) -> bool {
        let Some((client, life, wire)) = self.wires.pop_front() else { return false };
        if self.clients[client].life != life {
            return true;
        }
        let fate = (self.fate)(&wire);
        if fate == Fate::Kill {
            self.kill(client);
            return true;
        }
        let lost = fate == Fate::Lose;
        match wire {
            Wire::Request(request) => {
                if lost || self.server_down {
                    let result = Err(RequestFailure::Unreachable);
                    self.input(client, Input::Response { request: request.id, result }, fate);
                } else {
                    let mut response = self.server.handle(self.now, &request);
                    if self.spoiled.is_some_and(|path| request.path.starts_with(path)) {
                        self.spoiled_answers += 1;
                        response.status = 200;
                        response.body = b"<html>".to_vec();
                    }
                    if let Some(tamper) = &self.tamper {
                        tamper(&request.path, &mut response.body);
                    }
                    self.close_dropped();
                    self.wires.push_back((client, life, Wire::Response(request.id, response)));
                }
            }
            Wire::Response(request, response) => {
                let result = if lost { Err(RequestFailure::Unreachable) } else { Ok(response) };
                self.input(client, Input::Response { request, result }, fate);
            }
            Wire::Open(bearer) => self.open(client, &bearer, lost),
            Wire::ToServer(stream, frame) => {
                if lost {
                    self.break_stream(client, None);
                } else if self.clients[client].stream == Some(stream) {
                    let frame = ClientFrame::decode(frame).unwrap();
                    self.sends_on_wire += usize::from(matches!(frame, ClientFrame::Send(_)));
                    for answer in self.server.frame(self.now, stream, frame) {
                        self.queue_for(client, stream, Input::Frame(answer));
                    }
                    self.deliver_all();
                }
            }
            Wire::Close(stream) => {
                self.server.connections.remove(&stream);
            }
            Wire::ToClient(stream, input) => {
                if self.clients[client].stream != Some(stream) {
                    return true;
                }
                if lost {
                    self.break_stream(client, None);
                } else {
                    if matches!(*input, Input::StreamClosed { .. }) {
                        self.clients[client].stream = None;
                    }
                    self.input(client, *input, fate);
                }
            }
        }
        true
    }

    fn open(&mut self, client: usize, bearer: &AccessToken, lost: bool) {
        if lost || self.server_down {
            return self.input(client, Input::StreamRefused(StreamRefusal::Unreachable), Fate::Arrive);
        }
        self.next_stream += 1;
        let stream = self.next_stream;
        match self.server.open(self.now, stream, bearer) {
            Ok((frames, replaced)) => {
                if let Some(replaced) = replaced
                    && let Some(other) = self.clients.iter().position(|it| it.stream == Some(replaced))
                {
                    self.queue_for(other, replaced, Input::StreamClosed { code: Some(close::REPLACED) });
                }
                self.clients[client].stream = Some(stream);
                self.queue_for(client, stream, Input::StreamOpened);
                for frame in frames {
                    self.queue_for(client, stream, Input::Frame(frame));
                }
            }
            Err(status) => {
                let refusal = StreamRefusal::Status { status, code: None, retry_after: None };
                self.input(client, Input::StreamRefused(refusal), Fate::Arrive);
            }
        }
    }

    fn queue_for(&mut self, client: usize, stream: usize, input: Input) {
        let life = self.clients[client].life;
        self.wires.push_back((client, life, Wire::ToClient(stream, Box::new(input))));
    }

    /// Delivers everything that waits at the server to the connected devices.
    pub(crate) fn deliver_all(&mut self) {
        for client in 0..self.clients.len() {
            if let Some(stream) = self.clients[client].stream {
                for frame in self.server.deliveries(stream) {
                    self.queue_for(client, stream, Input::Frame(frame));
                }
            }
        }
    }

    /// Sockets that the server has closed.
    fn close_dropped(&mut self) {
        for client in 0..self.clients.len() {
            if let Some(stream) = self.clients[client].stream
                && !self.server.connections.contains_key(&stream)
            {
                self.queue_for(client, stream, Input::StreamClosed { code: Some(close::UNAUTHENTICATED) });
            }
        }
    }

    pub(crate) fn break_stream(&mut self, client: usize, code: Option<u16>) {
        if let Some(stream) = self.clients[client].stream.take() {
            self.server.connections.remove(&stream);
            self.input(client, Input::StreamClosed { code }, Fate::Arrive);
        }
    }

    /// Lets time pass, and lets everyone do what falls due meanwhile.
    pub(crate) fn pass(&mut self, ms: u64) {
        let end = self.now + ms;
        self.run();
        let mut turns = 0;
        while let Some((at, client)) = self
            .clients
            .iter()
            .enumerate()
            .filter_map(|(client, it)| Some((it.wake?, client)))
            .filter(|(at, _)| *at <= end)
            .min()
        {
            self.now = self.now.max(at);
            self.clients[client].wake = None;
            self.input(client, Input::Tick, Fate::Arrive);
            self.run();
            turns += 1;
            assert!(turns < 20_000, "it never rests");
        }
        self.now = end;
    }

    pub(crate) fn frame(&mut self, client: usize, frame: ServerFrame) {
        self.input(client, Input::Frame(frame), Fate::Arrive);
        self.run();
    }

    pub(crate) fn query<T>(&mut self, client: usize, question: impl FnOnce(&mut Engine, &mut Context<'_>) -> T) -> T {
        let now = UnixMillis(self.now);
        let it = &mut self.clients[client];
        question(&mut it.engine, &mut Context { vault: &mut it.vault, now, rng: &mut it.rng })
    }

    pub(crate) fn notices(&mut self, client: usize) -> Vec<Notice> {
        self.query(client, |engine, context| engine.notices(context, 0, usize::MAX).unwrap())
    }

    /// The texts that a client is to show, in order.
    pub(crate) fn shown(&mut self, client: usize) -> Vec<String> {
        self.shown_messages(client).into_iter().map(|entry| entry.text).collect()
    }

    pub(crate) fn shown_messages(&mut self, client: usize) -> Vec<HistoryEntry> {
        self.notices(client)
            .into_iter()
            .filter_map(|notice| match notice.body {
                NoticeBody::Message(entry) => Some(entry),
                _ => None,
            })
            .collect()
    }

    /// The notices that are not messages.
    pub(crate) fn warnings(&mut self, client: usize) -> Vec<NoticeBody> {
        self.notices(client)
            .into_iter()
            .map(|notice| notice.body)
            .filter(|body| !matches!(body, NoticeBody::Message(_)))
            .collect()
    }

    pub(crate) fn address(&self, client: usize) -> DeviceAddress {
        let info = self.clients[client].engine.whoami().unwrap();
        DeviceAddress { account: info.account, device: info.device, registration: info.registration }
    }

    pub(crate) fn count(&self, client: usize, matches: impl Fn(&Event) -> bool) -> usize {
        self.clients[client].events.iter().filter(|event| matches(event)).count()
    }
}
