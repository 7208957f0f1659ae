//! Where results go: this process's standard output, or the process that asked over the socket.

use std::cell::RefCell;
use std::io::{self, Write as _};
use std::rc::Rc;

use crate::failure::{Exit, Failure};
use crate::line::Line;
use crate::socket::peer::Peer;

/// Takes results. A batch counts as shown once [`Sink::lines`] has returned.
#[derive(Clone)]
pub(crate) enum Sink {
    /// This process's standard output, as JSON or for people.
    Stdout {
        /// JSON objects instead of sentences.
        json: bool,
        /// Nothing but results.
        quiet: bool,
    },
    /// Another process.
    Peer(Peer),
    /// A place in this process's memory, for commands that are made of others.
    Collected(Rc<RefCell<Vec<Line>>>),
}

impl Sink {
    /// Writes the lines and flushes them.
    ///
    /// # Errors
    /// When they could not be written; then some of them may have been.
    pub(crate) async fn lines(&self, lines: &[Line]) -> Result<(), Failure> {
        match self {
            Self::Stdout { json, .. } => print(lines, *json),
            Self::Peer(peer) => peer.lines(lines).await,
            Self::Collected(collected) => {
                collected.borrow_mut().extend_from_slice(lines);
                Ok(())
            }
        }
    }

    /// Writes one line and flushes it.
    pub(crate) async fn line(&self, line: Line) -> Result<(), Failure> {
        self.lines(&[line]).await
    }

    /// Returns when nobody is there any more to print for. For standard output it never returns: only writing tells.
    pub(crate) async fn closed(&self) {
        match self {
            Self::Stdout { .. } | Self::Collected(_) => std::future::pending().await,
            Self::Peer(peer) => peer.closed().await,
        }
    }

    /// Returns whether a person reads what this process prints.
    pub(crate) const fn is_for_a_person(&self) -> bool {
        matches!(self, Self::Stdout { json: false, quiet: false })
    }
}

/// Writes to standard output and flushes it.
fn print(lines: &[Line], json: bool) -> Result<(), Failure> {
    let mut text = String::new();
    for line in lines {
        let shown = if json { &line.json } else { &line.text };
        if !shown.is_empty() {
            text.push_str(shown);
            text.push('\n');
        }
    }
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(|error| {
        let mut failure =
            Failure::new(Exit::Failed, "output", format!("standard output could not be written: {error}"));
        // A reader that closed the pipe (`| head -1`) has all it wanted.
        failure.quiet = error.kind() == io::ErrorKind::BrokenPipe;
        failure
    })
}
