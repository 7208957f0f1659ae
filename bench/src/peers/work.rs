//! The work of every peer, the same as `bench load` gives our server.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bytes::BytesMut;
use tokio::io::AsyncWriteExt as _;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::client::{Connection, Reader, Who};
use super::daemon::Daemon;
use super::side::{IDLE, Latency, RATE, Round, Scale};
use super::tally::Arrivals;
use super::wire::{Arrival, Protocol, mqtt};
use crate::load::plan::{Outcome, count};
use crate::rig::clock::{Clock, Elapsed};
use crate::rig::payload::Tally;
use crate::rig::process::memory;

/// Connections that are being made at a time.
const CONNECTING: usize = 16;
/// Bytes that a sender writes at a time, where nothing bounds what is under way.
const WRITE_LEN: usize = 32 * 1024;
/// How long memory may settle before the idle connections come.
const SETTLING: Duration = Duration::from_secs(5);

/// Runs all of the work on a freshly started server.
pub(crate) async fn round(mut server: Daemon, scale: &Scale, with_idle: bool) -> Result<Round> {
    let scale = &Scale { messages: scale.messages / server.peer().fewer, ..*scale };
    let receivers = scale.receivers.max(scale.pairs);
    register(&server, 0..receivers, Who::Receiver).await.context("registering")?;
    register(&server, 0..scale.senders.max(scale.pairs), Who::Sender).await.context("registering")?;
    let warm = Scale { messages: scale.warm_up(), ..*scale };
    let stored = Arc::new(Arrivals::new(warm.messages, warm.receivers));
    store(&server, &warm, &stored).await.context("warm-up")?;
    drain(&server, &warm, &stored).await.context("warm-up")?;
    online(&server, &warm).await.context("warm-up")?;
    let stored = Arc::new(Arrivals::new(scale.messages, scale.receivers));
    let store = store(&server, scale, &stored).await.context("store")?;
    let drain = drain(&server, scale, &stored).await.context("drain")?;
    let online = online(&server, scale).await.context("online")?;
    let latency = latency(&server, scale).await.context("latency")?;
    let idle = if with_idle {
        let people = receivers..receivers + scale.idle;
        // By MQTT a session begins with its first connection, and its memory is taken from then on: count it.
        if server.peer().protocol == Protocol::Xmpp {
            register(&server, people.clone(), Who::Receiver).await.context("registering")?;
        }
        Some(idle(&mut server, people).await.context("idle connections")?)
    } else {
        None
    };
    Ok(Round { store, drain, online, latency, idle })
}

/// Creates the accounts of these numbers.
async fn register(server: &Daemon, numbers: Range<usize>, who: fn(usize) -> Who) -> Result<()> {
    let (protocol, port) = (server.peer().protocol, server.port());
    let mut tasks = JoinSet::new();
    for number in numbers {
        if tasks.len() >= CONNECTING
            && let Some(ended) = tasks.join_next().await
        {
            ended??;
        }
        tasks.spawn(async move { Connection::register(protocol, port, who(number)).await });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(())
}

/// Makes the connections of these numbers, in their order.
async fn connect(server: &Daemon, numbers: Range<usize>, who: fn(usize) -> Who) -> Result<Vec<Connection>> {
    let (protocol, port) = (server.peer().protocol, server.port());
    let gate = Arc::new(Semaphore::new(CONNECTING));
    let open = |number| {
        let gate = Arc::clone(&gate);
        async move {
            let _permit = gate.acquire().await?;
            let mut connection = Connection::open(protocol, port, who(number)).await?;
            if let Who::Receiver(_) = who(number) {
                connection.listen().await?;
                connection.listening().await?;
            }
            anyhow::Ok(connection)
        }
    };
    futures_util::future::try_join_all(numbers.map(open)).await
}

/// Sends messages to absent receivers until the server has accepted all of them.
async fn store(server: &Daemon, scale: &Scale, arrivals: &Arc<Arrivals>) -> Result<Outcome> {
    let protocol = server.peer().protocol;
    let connections = connect(server, 0..scale.senders, Who::Sender).await?;
    let (clock, began) = (Clock::start(server.pid())?, Instant::now());
    let mut tasks = JoinSet::new();
    for (sender, Connection { mut reader, mut writer }) in connections.into_iter().enumerate() {
        let numbers = (sender..scale.messages).step_by(scale.senders);
        let count = numbers.len();
        let arrivals = Arc::clone(arrivals);
        let sending = async move {
            let mut out = BytesMut::with_capacity(2 * WRITE_LEN);
            for (packet, number) in (1..).zip(numbers) {
                protocol.put_message(&mut out, packet, arrivals.receiver(number), &arrivals.body(number));
                if out.len() >= WRITE_LEN {
                    writer.write_all_buf(&mut out).await?;
                }
            }
            protocol.put_fence(&mut out, count);
            writer.write_all_buf(&mut out).await?;
            // Kept until the answers are there.
            anyhow::Ok(writer)
        };
        let hearing = async move {
            let mut accepted = 0;
            while accepted < count {
                if let Arrival::Accepted(more) = reader.next().await? {
                    accepted += more;
                }
            }
            anyhow::Ok(())
        };
        tasks.spawn(async move { tokio::try_join!(sending, hearing).map(drop) });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    // What was accepted is looked at when it is drained.
    outcome(clock, began, Instant::now(), scale.messages, Tally::default()).await
}

/// Connects the receivers and takes the waiting messages; connecting counts.
async fn drain(server: &Daemon, scale: &Scale, arrivals: &Arc<Arrivals>) -> Result<Outcome> {
    let (protocol, port) = (server.peer().protocol, server.port());
    let (clock, began) = (Clock::start(server.pid())?, Instant::now());
    let mut tasks = JoinSet::new();
    for receiver in 0..scale.receivers {
        let arrivals = Arc::clone(arrivals);
        tasks.spawn(async move {
            let mut connection = Connection::open(protocol, port, Who::Receiver(receiver)).await?;
            connection.listen().await?;
            receive(connection, |body| {
                arrivals.count(receiver, body);
            })
            .await
        });
    }
    let end = settled(arrivals, &mut tasks).await?;
    // The connections stay open until the server is idle, so that it reads the last acks.
    let outcome = outcome(clock, began, end, scale.messages, Tally::default()).await?;
    Ok(Outcome { tally: arrivals.tally(), ..outcome })
}

/// Sends messages between connected pairs as fast as possible.
async fn online(server: &Daemon, scale: &Scale) -> Result<Outcome> {
    let protocol = server.peer().protocol;
    let arrivals = Arc::new(Arrivals::new(scale.messages, scale.pairs));
    let receivers = connect(server, 0..scale.pairs, Who::Receiver).await?;
    let senders = connect(server, 0..scale.pairs, Who::Sender).await?;
    let (clock, began) = (Clock::start(server.pid())?, Instant::now());
    let mut tasks = JoinSet::new();
    for (pair, (receiver, sender)) in receivers.into_iter().zip(senders).enumerate() {
        let window = Arc::new(Semaphore::new(scale.window));
        let (counted, opened) = (Arc::clone(&arrivals), Arc::clone(&window));
        tasks.spawn(async move {
            receive(receiver, |body| {
                counted.count(pair, body);
                opened.add_permits(1);
            })
            .await
        });
        let Connection { reader, mut writer } = sender;
        tasks.spawn(ignore(reader));
        let numbers = (pair..scale.messages).step_by(scale.pairs);
        let arrivals = Arc::clone(&arrivals);
        tasks.spawn(async move {
            let mut out = BytesMut::new();
            for (packet, number) in (1..).zip(numbers) {
                if window.available_permits() == 0 {
                    writer.write_all_buf(&mut out).await?;
                }
                window.acquire().await?.forget();
                protocol.put_message(&mut out, packet, pair, &arrivals.body(number));
            }
            writer.write_all_buf(&mut out).await?;
            // Kept until the messages are there.
            std::future::pending().await
        });
    }
    let end = settled(&arrivals, &mut tasks).await?;
    let outcome = outcome(clock, began, end, scale.messages, Tally::default()).await?;
    Ok(Outcome { tally: arrivals.tally(), ..outcome })
}

/// Sends messages at a fixed rate, however long each takes.
async fn latency(server: &Daemon, scale: &Scale) -> Result<Latency> {
    let messages = RATE * scale.seconds;
    let arrivals = Arc::new(Arrivals::new(messages, scale.pairs));
    let times = Arc::new(Mutex::new(Vec::with_capacity(messages)));
    let receivers = connect(server, 0..scale.pairs, Who::Receiver).await?;
    let mut tasks = JoinSet::new();
    let mut writers = Vec::new();
    for Connection { reader, writer } in connect(server, 0..scale.pairs, Who::Sender).await? {
        tasks.spawn(ignore(reader));
        writers.push(writer);
    }
    let start = Instant::now() + Duration::from_millis(100);
    let apart = Duration::from_secs(1) / u32::try_from(RATE)?;
    let due = move |number: usize| start + apart * u32::try_from(number).unwrap_or(u32::MAX);
    for (pair, receiver) in receivers.into_iter().enumerate() {
        let (arrivals, times) = (Arc::clone(&arrivals), Arc::clone(&times));
        tasks.spawn(async move {
            receive(receiver, |body| {
                if let Some(number) = arrivals.count(pair, body) {
                    let took = Instant::now().saturating_duration_since(due(number));
                    times.lock().unwrap_or_else(PoisonError::into_inner).push(took.as_secs_f64() * 1e3);
                }
            })
            .await
        });
    }
    tasks.spawn(send_in_time(server.peer().protocol, writers, Arc::clone(&arrivals), messages, due));
    settled(&arrivals, &mut tasks).await?;
    let mut times = std::mem::take(&mut *times.lock().unwrap_or_else(PoisonError::into_inner));
    times.sort_by(f64::total_cmp);
    let at = |hundredths: usize| times.get(times.len() * hundredths / 100).copied().unwrap_or(f64::NAN);
    Ok(Latency { p50: at(50), p99: at(99), tally: arrivals.tally() })
}

/// Sends each message when it is due, or as soon after as the server's reading allows.
async fn send_in_time(
    protocol: Protocol,
    mut writers: Vec<OwnedWriteHalf>,
    arrivals: Arc<Arrivals>,
    messages: usize,
    due: impl Fn(usize) -> Instant,
) -> Result<()> {
    let mut out = BytesMut::new();
    for number in 0..messages {
        // The runtime's timer is no finer than a millisecond: look at the clock between looks at the sockets.
        while Instant::now() < due(number) {
            tokio::task::yield_now().await;
        }
        let packet = u64::try_from(number / writers.len() + 1)?;
        let pair = arrivals.receiver(number);
        protocol.put_message(&mut out, packet, pair, &arrivals.body(number));
        writers.get_mut(pair).context("each pair has a sender")?.write_all_buf(&mut out).await?;
    }
    // Kept until the messages are there.
    std::future::pending().await
}

/// KiB of memory an idle connection, of a server that was started afresh and has its first clients behind it.
async fn idle(server: &mut Daemon, people: Range<usize>) -> Result<f64> {
    let connections = u64::try_from(people.len())?;
    server.restart()?;
    let first = connect(server, 0..CONNECTING, Who::Sender).await?;
    tokio::time::sleep(SETTLING).await;
    let before = memory(server.pid())?;
    let idle = connect(server, people, Who::Receiver).await?;
    tokio::time::sleep(IDLE).await;
    let after = memory(server.pid())?;
    drop((first, idle));
    Ok(count(after.saturating_sub(before)) / count(connections) / 1_024.0)
}

/// Passes on and acknowledges what arrives, for as long as the connection is open.
async fn receive(mut connection: Connection, mut arrived: impl FnMut(&[u8])) -> Result<()> {
    let mut out = BytesMut::new();
    loop {
        while let Some(arrival) = connection.reader.take()? {
            if let Arrival::Message { body, receipt } = arrival {
                arrived(&body);
                if let Some(receipt) = receipt {
                    mqtt::put_puback(&mut out, receipt);
                }
            }
        }
        connection.write(&mut out).await?;
        connection.reader.fill().await?;
    }
}

/// Reads and ignores a sender's arrivals, so that the server can continue.
async fn ignore(mut reader: Reader) -> Result<()> {
    loop {
        reader.next().await?;
    }
}

/// Waits as [`Arrivals::settled`] does, unless a connection breaks before.
async fn settled(arrivals: &Arrivals, tasks: &mut JoinSet<Result<()>>) -> Result<Instant> {
    let mut waiting = std::pin::pin!(arrivals.settled());
    loop {
        tokio::select! {
            end = &mut waiting => return Ok(end),
            Some(ended) = tasks.join_next() => ended??,
        }
    }
}

/// The clock's reading, with the wall's time up to `end` only.
async fn outcome(clock: Clock, began: Instant, end: Instant, messages: usize, tally: Tally) -> Result<Outcome> {
    let elapsed = clock.stop().await?;
    let wall = end.saturating_duration_since(began);
    Ok(Outcome { messages: u64::try_from(messages)?, elapsed: Elapsed { wall, ..elapsed }, tally })
}
