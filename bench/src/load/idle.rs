//! What a connection costs that is merely there: memory of the server for each of many idle streams.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use futures_util::stream::{StreamExt as _, iter};
use sealpost_api::frames::{ClientFrame, ServerFrame};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::plan::{bar, count};
use crate::rig::Rig;
use crate::rig::process::memory;
use crate::rig::socket::Socket;

/// Streams that come at once.
const AT_ONCE: usize = 64;
/// Streams that came and went before, so that what the server keeps for the first ones is not counted.
const WARM: usize = 256;
/// A server that answers no ping for so long has lost the stream.
const PATIENCE: Duration = Duration::from_secs(60);

/// The memory of the server around many idle streams.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Idle {
    pub(crate) sockets: u64,
    /// Streams that did not live to the end.
    pub(crate) lost: u64,
    /// Bytes.
    pub(crate) before: u64,
    /// Bytes.
    pub(crate) after: u64,
}

impl Idle {
    /// KiB of the server for each stream.
    pub(crate) fn kib(&self) -> f64 {
        count(self.after.saturating_sub(self.before)) / count(self.sockets.max(1)) / 1_024.0
    }
}

/// Opens a stream for each of the rig's people and leaves them alone for a while.
pub(crate) async fn idle(rig: &mut Rig, settle: Duration) -> Result<Idle> {
    rig.refresh_tokens(rig.people.len()).await?;
    for person in rig.people.iter().take(WARM) {
        Socket::open_idle(rig.server.connector()?, person, 0).await?.close().await?;
    }
    let (pid, connector) = (rig.server.pid()?, rig.server.connector()?);
    let before = memory(pid)?;
    let bar = bar("idle streams", u64::try_from(rig.people.len())?);
    let opening = iter(rig.people.iter().enumerate().map(async |(index, person)| {
        let socket = Socket::open_idle(connector, person, index).await;
        bar.inc(1);
        socket
    }));
    let sockets: Vec<Result<Socket>> = opening.buffer_unordered(AT_ONCE).collect().await;
    bar.finish_and_clear();
    let until = Instant::now() + settle;
    let mut living = JoinSet::new();
    for socket in sockets {
        let socket = socket?;
        living.spawn(live(socket, until));
    }
    let mut quiet = Vec::with_capacity(living.len());
    while let Some(lived) = living.join_next().await {
        quiet.push(lived.context("a stream broke down")?);
    }
    let after = memory(pid)?;
    let sockets = u64::try_from(quiet.len())?;
    let mut lost: u64 = 0;
    for socket in quiet {
        let answered = match socket {
            Ok(socket) => answers(socket).await,
            Err(error) => Err(error),
        };
        lost = lost.saturating_add(u64::from(answered.is_err()));
    }
    Ok(Idle { sockets, lost, before, after })
}

/// Answers the server's pings until then.
async fn live(mut socket: Socket, until: Instant) -> Result<Socket> {
    loop {
        while let Some(frame) = socket.next()? {
            match frame {
                ServerFrame::Drained | ServerFrame::PrekeysLow { .. } => {}
                other => bail!("an idle stream was sent {other:?}"),
            }
        }
        socket.flush().await?;
        match timeout_at(until, socket.read()).await {
            Ok(read) => read?,
            Err(_) => return Ok(socket),
        }
    }
}

/// Whether the stream still lives.
async fn answers(mut socket: Socket) -> Result<()> {
    socket.push(&ClientFrame::Ping { nonce: 1 });
    socket.flush().await?;
    let until = Instant::now() + PATIENCE;
    loop {
        while let Some(frame) = socket.next()? {
            if matches!(frame, ServerFrame::Pong { .. }) {
                return Ok(());
            }
        }
        timeout_at(until, socket.read()).await??;
    }
}
