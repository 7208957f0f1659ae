//! The client of the socket of a profile's owner.

use std::io;
use std::path::Path;

use tokio::net::UnixStream;

use super::{Acknowledgement, Answer, read_frame, write_frame};
use crate::failure::Failure;
use crate::sink::Sink;
use crate::task::Request;

/// The result of asking the owner.
pub(crate) enum Asked {
    /// The owner carried out the task or gave the reason why not.
    Answered(Result<(), Failure>),
    /// The owner ended before its answer was complete. The caller takes over the profile and repeats the task.
    OwnerGone,
}

/// A connection to the owner, if one listens.
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

/// Lets the owner carry out the task, and prints its output.
pub(crate) async fn ask(mut stream: UnixStream, request: &Request, sink: &Sink) -> Asked {
    if write_frame(&mut stream, request).await.is_err() {
        return Asked::OwnerGone;
    }
    loop {
        match read_frame(&mut stream).await {
            Ok(Some(Answer::Lines(lines))) => {
                if let Err(failure) = sink.lines(&lines).await {
                    return Asked::Answered(Err(failure));
                }
                if write_frame(&mut stream, &Acknowledgement::Printed).await.is_err() {
                    return Asked::OwnerGone;
                }
            }
            Ok(Some(Answer::Done(None))) => return Asked::Answered(Ok(())),
            Ok(Some(Answer::Done(Some(failure)))) => return Asked::Answered(Err(failure)),
            Ok(None) | Err(_) => return Asked::OwnerGone,
        }
    }
}
