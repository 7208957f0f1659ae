//! The process that asked, as its owner's commands print for it.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use super::frames::{self, Acknowledgement, Answer};
use crate::failure::{Exit, Failure};
use crate::line::Line;

/// How long an asker may take to say what it wants.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an asker may take to print what it was given, before others go on without it.
const PRINT_TIMEOUT: Duration = Duration::from_secs(30);
/// How often an asker that prints nothing is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// The process that asked.
#[derive(Clone)]
pub(crate) struct Peer {
    /// One batch at a time: the next goes out after the last was acknowledged.
    channel: Rc<Mutex<Channel>>,
}

struct Channel {
    reader: OwnedReadHalf,
    writer: OwnedWriteHalf,
}

impl Peer {
    /// Takes over a connection.
    pub(crate) fn new(stream: UnixStream) -> Self {
        let (reader, writer) = stream.into_split();
        Self { channel: Rc::new(Mutex::new(Channel { reader, writer })) }
    }

    /// Reads the request. Returns `None` if none came in time.
    pub(crate) async fn request(&self) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
        let mut channel = self.channel.lock().await;
        tokio::time::timeout(REQUEST_TIMEOUT, frames::read_bytes(&mut channel.reader)).await.unwrap_or(Ok(None))
    }

    /// Has the lines printed; returns when the asker says that they were.
    pub(crate) async fn lines(&self, lines: &[Line]) -> Result<(), Failure> {
        let gone = || {
            let mut failure = Failure::new(Exit::Failed, "asker_gone", "the command that asked has ended");
            failure.quiet = true;
            failure
        };
        let exchange = async {
            let mut channel = self.channel.lock().await;
            frames::write(&mut channel.writer, &Answer::Lines(lines.to_vec())).await.map_err(|_| gone())?;
            match frames::read(&mut channel.reader).await {
                Ok(Some(Acknowledgement::Printed)) => Ok(()),
                Ok(None) | Err(_) => Err(gone()),
            }
        };
        tokio::time::timeout(PRINT_TIMEOUT, exchange).await.map_err(|_| gone())?
    }

    /// Says how the command ended. An asker that is gone does not hear it.
    pub(crate) async fn done(&self, outcome: Result<(), Failure>) {
        let mut channel = self.channel.lock().await;
        let _ = frames::write(&mut channel.writer, &Answer::Done(outcome.err())).await;
    }

    /// Returns when the asker has gone away, while nothing is being printed.
    pub(crate) async fn closed(&self) {
        loop {
            {
                let channel = self.channel.lock().await;
                let mut byte = [0; 1];
                match channel.reader.try_read(&mut byte) {
                    Ok(0) => return,
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(_) => return,
                }
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}
