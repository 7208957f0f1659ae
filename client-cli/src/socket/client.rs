//! Asks the profile's owner.

use std::io;
use std::path::Path;

use tokio::net::UnixStream;

use super::{Acknowledgement, Answer, read_frame, write_frame};
use crate::failure::Failure;
use crate::sink::Sink;
use crate::task::Request;

/// How asking ended.
pub(crate) enum Asked {
    /// The owner did it, or says why not.
    Answered(Result<(), Failure>),
    /// The owner ended before its answer was complete. Whoever asks takes over and asks again.
    OwnerGone,
}

/// A connection to the owner, if one listens.
///
/// # Errors
/// When the path is there but may not be used.
pub(crate) async fn connect(path: &Path) -> io::Result<Option<UnixStream>> {
    match UnixStream::connect(path).await {
        Ok(stream) => Ok(Some(stream)),
        // Not there; or an owner that ended a moment ago, or has its hands full: whoever asks looks again.
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

/// Has the owner do the task, and prints what it says.
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
