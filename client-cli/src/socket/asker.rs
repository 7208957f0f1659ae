//! The client of the socket of a profile's owner.

use std::io;
use std::path::Path;

use serde::Serialize;
use tokio::net::UnixStream;

use super::frames::{self, Acknowledgement, Answer};
use crate::failure::Failure;
use crate::sink::Sink;

/// The result of asking the owner.
pub(crate) enum Asked {
    /// The owner carried out the task or gave the reason why not.
    Answered(Result<(), Failure>),
    /// The owner ended before its answer was complete. The caller takes over the profile and repeats the task.
    OwnerGone,
}

/// Connects to the owner. Returns `None` if none listens.
///
/// # Errors
/// An error if the path exists but cannot be used.
pub(crate) async fn connect(path: &Path) -> io::Result<Option<UnixStream>> {
    match UnixStream::connect(path).await {
        Ok(stream) => Ok(Some(stream)),
        // The socket is missing, or its owner ended a moment ago or is busy: the caller looks again.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound
                    | io::ErrorKind::ConnectionRefused
                    | io::ErrorKind::ConnectionReset
                    | io::ErrorKind::BrokenPipe
                    | io::ErrorKind::WouldBlock
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Lets the owner carry out the request, and prints its output.
pub(crate) async fn ask(mut stream: UnixStream, request: &impl Serialize, sink: &Sink) -> Asked {
    if frames::write(&mut stream, request).await.is_err() {
        return Asked::OwnerGone;
    }
    loop {
        match frames::read(&mut stream).await {
            Ok(Some(Answer::Lines(lines))) => {
                if let Err(failure) = sink.lines(&lines).await {
                    return Asked::Answered(Err(failure));
                }
                if frames::write(&mut stream, &Acknowledgement::Printed).await.is_err() {
                    return Asked::OwnerGone;
                }
            }
            Ok(Some(Answer::Done(None))) => return Asked::Answered(Ok(())),
            Ok(Some(Answer::Done(Some(failure)))) => return Asked::Answered(Err(failure)),
            Ok(None) | Err(_) => return Asked::OwnerGone,
        }
    }
}
