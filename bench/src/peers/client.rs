//! A connection to a peer, logged in.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

use super::wire::{Arrival, Protocol, Step, mqtt, xmpp};

/// How long a server can take for one step of logging in, on a busy machine.
const STEP_LIMIT: Duration = Duration::from_secs(60);
/// Bytes that are read at a time.
const READ_LEN: usize = 64 * 1024;

/// Who logs in.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Who {
    /// User of that number, who gets messages.
    Receiver(usize),
    /// Sender of that number, who gets none.
    Sender(usize),
}

impl Who {
    fn name(self) -> String {
        match self {
            Self::Receiver(number) => format!("u{number}"),
            Self::Sender(number) => format!("s{number}"),
        }
    }
}

/// The half of a connection that hears.
pub(crate) struct Reader {
    half: OwnedReadHalf,
    input: BytesMut,
    protocol: Protocol,
}

/// A connection that is logged in.
pub(crate) struct Connection {
    /// What the server says.
    pub(crate) reader: Reader,
    /// What the server is told.
    pub(crate) writer: OwnedWriteHalf,
}

impl Reader {
    /// The next arrival that is already here.
    pub(crate) fn take(&mut self) -> Result<Option<Arrival>> {
        self.protocol.take(&mut self.input)
    }

    /// Waits until more is here.
    pub(crate) async fn fill(&mut self) -> Result<()> {
        self.input.reserve(READ_LEN);
        let read = self.half.read_buf(&mut self.input).await.context("reading from the server")?;
        ensure!(read > 0, "the server closed the connection");
        Ok(())
    }

    /// Waits for the next arrival.
    pub(crate) async fn next(&mut self) -> Result<Arrival> {
        loop {
            if let Some(arrival) = self.take()? {
                return Ok(arrival);
            }
            self.fill().await?;
        }
    }

    /// Skips what comes before the answer to a step. There are no messages among it: they wait for the last step.
    async fn until(&mut self, step: Step) -> Result<()> {
        let answer = async {
            while self.next().await? != Arrival::Step(step) {}
            Ok(())
        };
        timeout(STEP_LIMIT, answer).await.with_context(|| format!("no answer to {step:?} within {STEP_LIMIT:?}"))?
    }
}

impl Connection {
    /// Connects and logs in. Messages for a receiver aren't delivered before [`Connection::listen`], except by MQTT, where
    /// a session that is there gets them at once.
    pub(crate) async fn open(protocol: Protocol, port: u16, who: Who) -> Result<Self> {
        let mut connection = Self::reach(protocol, port).await?;
        let mut out = BytesMut::new();
        match protocol {
            Protocol::Mqtt => {
                mqtt::put_connect(&mut out, &who.name(), matches!(who, Who::Receiver(_)));
                connection.step(&mut out, Step::LoggedIn).await?;
            }
            Protocol::Xmpp => {
                xmpp::put_stream(&mut out);
                connection.step(&mut out, Step::Features).await?;
                xmpp::put_log_in(&mut out, &who.name());
                connection.step(&mut out, Step::LoggedIn).await?;
                xmpp::put_stream(&mut out);
                connection.step(&mut out, Step::Features).await?;
                xmpp::put_bind(&mut out);
                connection.step(&mut out, Step::Bound).await?;
            }
        }
        Ok(connection)
    }

    /// Says that messages may come. Nothing is awaited, because messages may come before the answer.
    pub(crate) async fn listen(&mut self) -> Result<()> {
        if self.reader.protocol == Protocol::Xmpp {
            let mut out = BytesMut::new();
            xmpp::put_presence(&mut out);
            self.write(&mut out).await?;
        }
        Ok(())
    }

    /// Waits for the answer to [`Connection::listen`], where no message waits.
    pub(crate) async fn listening(&mut self) -> Result<()> {
        if self.reader.protocol == Protocol::Xmpp { self.reader.until(Step::Listening).await } else { Ok(()) }
    }

    /// Makes the account, or what stands for it: by MQTT a receiver is a session that subscribed to the receiver's topic.
    pub(crate) async fn register(protocol: Protocol, port: u16, who: Who) -> Result<()> {
        let mut out = BytesMut::new();
        match (protocol, who) {
            (Protocol::Xmpp, _) => {
                let mut connection = Self::reach(protocol, port).await?;
                xmpp::put_stream(&mut out);
                connection.step(&mut out, Step::Features).await?;
                xmpp::put_registration(&mut out, &who.name());
                connection.step(&mut out, Step::Registered).await
            }
            (Protocol::Mqtt, Who::Receiver(number)) => {
                let mut connection = Self::open(protocol, port, who).await?;
                mqtt::put_subscribe(&mut out, number);
                connection.step(&mut out, Step::Listening).await
            }
            (Protocol::Mqtt, Who::Sender(_)) => Ok(()),
        }
    }

    /// Writes all of `out` and leaves it empty.
    pub(crate) async fn write(&mut self, out: &mut BytesMut) -> Result<()> {
        self.writer.write_all_buf(out).await.context("writing to the server")
    }

    async fn reach(protocol: Protocol, port: u16) -> Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.context("connecting to the server")?;
        stream.set_nodelay(true)?;
        let (half, writer) = stream.into_split();
        Ok(Self { reader: Reader { half, input: BytesMut::new(), protocol }, writer })
    }

    async fn step(&mut self, out: &mut BytesMut, step: Step) -> Result<()> {
        self.write(out).await?;
        self.reader.until(step).await
    }
}
