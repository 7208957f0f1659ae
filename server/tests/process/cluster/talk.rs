//! People who talk while things break: each sends numbered messages to the next, repeats what was not answered, comes back
//! when its connection ends, and counts what it gets.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sealpost_api::frames::{ClientFrame, ServerFrame};
use sealpost_api::ids::RowId;
use sealpost_api::problem::ProblemCode;
use tokio::task::JoinHandle;

use super::super::world::{Client, Person, Socket};

/// A talk that takes longer hangs: this, and as long for each message.
const PATIENCE: Duration = Duration::from_secs(60);
const PATIENCE_EACH: Duration = Duration::from_millis(300);
/// Sent and not answered, of one sender.
const OPEN_MAX: usize = 32;
/// Between two tries to come back.
const RETRY: Duration = Duration::from_millis(50);

/// What one person does.
#[derive(Clone)]
pub(super) struct Plan {
    /// How it connects.
    pub(super) client: Client,
    /// Messages that it sends.
    pub(super) messages: u64,
    /// Between two of them.
    pub(super) pause: Duration,
}

/// What became of a talk.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) sent: u64,
    pub(super) received: u64,
    /// The same row twice on one connection, or another row for a message that its sender had no reason to repeat.
    pub(super) doubled: u64,
    /// Another row for a message that was delivered before its sender had an answer, and that the sender had to repeat: clients
    /// know it by its number and bytes, and do not show it again.
    pub(super) repeated: u64,
    /// To the wrong person, from the wrong one, or with another text.
    pub(super) misdelivered: u64,
    /// The same row on another connection: its ack was lost with the former one.
    pub(super) again: u64,
    /// Sends that were answered with a refusal that asks to try again.
    pub(super) refused: u64,
    pub(super) breaks: u64,
    /// The longest time from a break to the next `Welcome`.
    pub(super) away_max: Duration,
    /// The longest time from a message's acceptance, by its node's clock, to its first delivery.
    pub(super) late_max: Duration,
    /// The nodes that people were on.
    pub(super) nodes: BTreeSet<String>,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.sent += other.sent;
        self.received += other.received;
        self.doubled += other.doubled;
        self.misdelivered += other.misdelivered;
        self.again += other.again;
        self.repeated += other.repeated;
        self.refused += other.refused;
        self.breaks += other.breaks;
        self.away_max = self.away_max.max(other.away_max);
        self.late_max = self.late_max.max(other.late_max);
        self.nodes.extend(other.nodes);
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lost = self.sent.saturating_sub(self.received);
        write!(
            formatter,
            "{} messages over {} nodes: {lost} lost, {} doubled, {} misdelivered; {} redelivered after a break, {} stored \
             again for a sender without an answer, {} refused for a while, {} breaks, away at most {} ms, late at most {} ms",
            self.sent,
            self.nodes.len(),
            self.doubled,
            self.misdelivered,
            self.again,
            self.repeated,
            self.refused,
            self.breaks,
            self.away_max.as_millis(),
            self.late_max.as_millis(),
        )
    }
}

/// A talk that goes on.
pub(super) struct Talk {
    tasks: Vec<JoinHandle<Tally>>,
    people: Arc<Vec<Person>>,
    client: Client,
    room: Arc<Room>,
    messages: u64,
}

/// What all of them share.
#[derive(Default)]
struct Room {
    received: AtomicU64,
    /// Senders and numbers of messages that were sent more than once.
    repeated: Mutex<HashSet<(usize, u64)>>,
}

impl Talk {
    /// Starts a conversation in which each person sends this number of messages to the next. `clients` take turns.
    pub(super) fn begin(people: Vec<Person>, clients: &[Client], messages: u64, pause: Duration) -> Self {
        let (people, room) = (Arc::new(people), Arc::new(Room::default()));
        let each = messages.div_ceil(people.len() as u64);
        let tasks = (0..people.len()).zip(clients.iter().cycle()).map(|(own, client)| {
            let plan = Plan { client: client.clone(), messages: each, pause };
            tokio::spawn(speak(own, Arc::clone(&people), plan, Arc::clone(&room)))
        });
        let tasks = tasks.collect();
        let messages = each * people.len() as u64;
        Self { tasks, people, client: clients[0].clone(), room, messages }
    }

    /// Waits until this part of the messages, in percent, has arrived.
    pub(super) async fn reached(&self, percent: u64) {
        let begin = Instant::now();
        while self.room.received.load(Ordering::Relaxed) * 100 < self.messages * percent {
            assert!(!self.tasks.iter().any(JoinHandle::is_finished) || percent == 100, "somebody broke down");
            assert!(begin.elapsed() < PATIENCE + PATIENCE_EACH * self.messages as u32, "{percent} % are not reached");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits for its end. Nothing may be lost, doubled, misdelivered, or left in a queue.
    pub(super) async fn end(self, what: &str) -> Tally {
        let mut sum = Tally::default();
        for task in self.tasks {
            sum.add(task.await.unwrap());
        }
        println!("{what}: {sum}");
        assert_eq!((sum.sent, sum.received), (self.messages, self.messages), "{what}: {sum}");
        assert_eq!((sum.doubled, sum.misdelivered), (0, 0), "{what}: {sum}");
        for person in self.people.iter() {
            let begin = Instant::now();
            while drain(&self.client, person).await != Some(0) {
                assert!(begin.elapsed() < PATIENCE, "{what}: something is left in a queue");
                tokio::time::sleep(RETRY).await;
            }
        }
        sum
    }
}

/// What still waits: an ack that was on its way when its connection ended is refused once there is a newer one, and what it was
/// for comes again. It is acknowledged now.
async fn drain(client: &Client, person: &Person) -> Option<u64> {
    let (mut socket, welcome) = client.try_welcomed(person).await.ok()?;
    if welcome.pending > 0 {
        loop {
            match socket.next().await.ok()? {
                ServerFrame::Deliver(deliver) => {
                    socket.try_put(ClientFrame::Ack { ids: vec![deliver.id] }).await.ok()?;
                }
                ServerFrame::Drained => break,
                _ => {}
            }
        }
    }
    socket.try_close().await;
    Some(welcome.pending)
}

fn text(from: usize, to: usize, number: u64) -> String {
    format!("message {number} from {from} to {to}")
}

/// What one person keeps in mind over all connections.
struct Mind {
    own: usize,
    people: Arc<Vec<Person>>,
    plan: Plan,
    next: u64,
    due: Instant,
    /// Sent and not answered; those that were refused for a while wait until then.
    open: BTreeMap<u64, Option<Instant>>,
    /// By sender's number: the row.
    seen: HashMap<u64, RowId>,
    tally: Tally,
    room: Arc<Room>,
    begin: Instant,
}

impl Mind {
    fn to(&self) -> usize {
        (self.own + 1) % self.people.len()
    }

    fn from(&self) -> usize {
        (self.own + self.people.len() - 1) % self.people.len()
    }

    fn is_done(&self) -> bool {
        self.next > self.plan.messages && self.open.is_empty() && self.seen.len() as u64 == self.plan.messages
    }

    /// Breaks down where nothing has come for too long, and says what is missing.
    fn look_at_the_clock(&self) {
        let each = u32::try_from(self.plan.messages).unwrap() * u32::try_from(self.people.len()).unwrap();
        if self.begin.elapsed() > PATIENCE + PATIENCE_EACH * each {
            let missing: Vec<_> = (1..=self.plan.messages).filter(|number| !self.seen.contains_key(number)).collect();
            panic!("person {}: no answer to {:?}, never got {missing:?}, {:?}", self.own, self.open, self.tally);
        }
    }

    async fn put(&self, socket: &mut Socket, number: u64) -> bool {
        let to = self.to();
        socket.try_send(number, &self.people[to], &text(self.own, to, number)).await.is_ok()
    }

    /// Sends what is due; `None` when the connection has ended.
    async fn send_due(&mut self, socket: &mut Socket) -> Option<()> {
        let now = Instant::now();
        let again: Vec<_> =
            self.open.iter().filter(|(_, at)| at.is_some_and(|at| at <= now)).map(|(n, _)| *n).collect();
        for number in again {
            self.open.insert(number, None);
            self.room.repeated.lock().unwrap().insert((self.own, number));
            self.put(socket, number).await.then_some(())?;
        }
        while self.next <= self.plan.messages && self.open.len() < OPEN_MAX && self.due <= now {
            let number = self.next;
            self.next += 1;
            self.due += self.plan.pause;
            self.tally.sent += 1;
            self.open.insert(number, None);
            self.put(socket, number).await.then_some(())?;
        }
        Some(())
    }

    /// When something is to be sent next.
    fn next_due(&self) -> Instant {
        let far = Instant::now() + Duration::from_secs(1);
        let fresh = (self.next <= self.plan.messages && self.open.len() < OPEN_MAX).then_some(self.due);
        self.open.values().flatten().copied().chain(fresh).chain([far]).min().unwrap()
    }

    /// Takes a frame; rows to acknowledge.
    fn take(&mut self, frame: ServerFrame, here: &mut BTreeSet<RowId>) -> Option<RowId> {
        match frame {
            ServerFrame::Sent(sent) => {
                assert!(sent.skipped.is_empty());
                self.open.remove(&sent.number.0);
                None
            }
            ServerFrame::Refused(refused) => {
                let passing =
                    [ProblemCode::Busy, ProblemCode::Unavailable, ProblemCode::Superseded, ProblemCode::Internal];
                assert!(passing.contains(&refused.code), "{refused:?}");
                self.tally.refused += 1;
                let at = Instant::now() + Duration::from_millis(refused.retry_after.clamp(50, 500));
                self.open.entry(refused.number.0).and_modify(|again| *again = Some(at));
                None
            }
            ServerFrame::Deliver(deliver) => {
                let from = self.from();
                let number = deliver.number.0;
                let right = deliver.from == self.people[from].address
                    && deliver.ciphertext == text(from, self.own, number).as_bytes();
                self.tally.misdelivered += u64::from(!right);
                self.tally.doubled += u64::from(!here.insert(deliver.id));
                match self.seen.insert(number, deliver.id) {
                    Some(row) if row != deliver.id => {
                        let had_to = self.room.repeated.lock().unwrap().contains(&(from, number));
                        self.tally.repeated += u64::from(had_to);
                        self.tally.doubled += u64::from(!had_to);
                    }
                    Some(_) => self.tally.again += 1,
                    None => {
                        self.tally.received += 1;
                        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
                        let late = now.saturating_sub(Duration::from_millis(deliver.accepted_at));
                        self.tally.late_max = self.tally.late_max.max(late);
                    }
                }
                Some(deliver.id)
            }
            ServerFrame::Drained | ServerFrame::PrekeysLow { .. } | ServerFrame::Pong { .. } => None,
            other => panic!("{other:?}"),
        }
    }
}

async fn speak(own: usize, people: Arc<Vec<Person>>, plan: Plan, room: Arc<Room>) -> Tally {
    let mut mind = Mind {
        own,
        people,
        plan,
        next: 1,
        due: Instant::now(),
        open: BTreeMap::new(),
        seen: HashMap::new(),
        tally: Tally::default(),
        room: Arc::clone(&room),
        begin: Instant::now(),
    };
    let mut away = Instant::now();
    let (mut connected_before, mut reported) = (false, 0);
    while !mind.is_done() {
        mind.look_at_the_clock();
        let person = &mind.people[own];
        let (mut socket, welcome) = match mind.plan.client.try_welcomed(person).await {
            Ok(opened) => opened,
            Err(_) => {
                tokio::time::sleep(RETRY).await;
                continue;
            }
        };
        mind.tally.nodes.insert(welcome.node);
        if connected_before {
            mind.tally.breaks += 1;
            mind.tally.away_max = mind.tally.away_max.max(away.elapsed());
        }
        connected_before = true;
        let mut here = BTreeSet::new();
        // Whatever became of them is found by sending the same again.
        let open: Vec<u64> = mind.open.keys().copied().collect();
        for number in open {
            mind.open.insert(number, Some(Instant::now()));
        }
        while !mind.is_done() {
            mind.look_at_the_clock();
            if mind.send_due(&mut socket).await.is_none() {
                break;
            }
            let next = tokio::time::timeout_at(mind.next_due().into(), socket.next()).await;
            let frame = match next {
                Err(_) => continue,
                Ok(Ok(frame)) => frame,
                Ok(Err(_)) => break,
            };
            if let Some(row) = mind.take(frame, &mut here)
                && socket.try_put(ClientFrame::Ack { ids: vec![row] }).await.is_err()
            {
                break;
            }
            room.received.fetch_add(mind.tally.received - reported, Ordering::Relaxed);
            reported = mind.tally.received;
        }
        away = Instant::now();
        if mind.is_done() {
            // So that the server has read the last acks.
            socket.try_close().await;
        }
    }
    mind.tally
}
