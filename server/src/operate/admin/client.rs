//! The client of the operator's socket.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::protocol::{Failure, REPLY_MAX_BYTES, Reply, Request};
use super::socket_path;

/// The longest time to wait for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    /// No server listens.
    #[error("no server runs on the data folder {}; start it with: sealpost-server serve --data {}", .0.display(), .0.display())]
    NotRunning(PathBuf),
    /// The socket is somebody else's.
    #[error("the server on {} takes orders only from its own user and from root", .0.display())]
    Forbidden(PathBuf),
    /// The connection broke.
    #[error("the server did not answer; look at its log")]
    Broken(#[source] io::Error),
    /// The answer is not understood; perhaps the server has another version.
    #[error("the server answered what this program does not understand; are both of one version?")]
    Strange(#[source] serde_json::Error),
    /// The server refused or failed.
    #[error("{}", .0.message)]
    Refused(Failure),
}

/// Asks the server that runs on this data folder.
pub(crate) fn ask(data: &Path, request: &Request) -> Result<Reply, AskError> {
    let stream = connect(data).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => AskError::NotRunning(data.to_owned()),
        io::ErrorKind::PermissionDenied => AskError::Forbidden(data.to_owned()),
        _ => AskError::Broken(error),
    })?;
    let answer = exchange(stream, request).map_err(AskError::Broken)?;
    match serde_json::from_str::<Reply>(&answer) {
        Ok(reply) => Ok(reply),
        Err(error) => Err(serde_json::from_str::<Failure>(&answer).map_or(AskError::Strange(error), AskError::Refused)),
    }
}

fn connect(data: &Path) -> io::Result<UnixStream> {
    let folder = File::open(data)?;
    let stream = UnixStream::connect(socket_path(data, &folder))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn exchange(mut stream: UnixStream, request: &Request) -> io::Result<String> {
    let mut line = zeroize::Zeroizing::new(serde_json::to_vec(request)?);
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut answer = String::new();
    if BufReader::new(stream.take(REPLY_MAX_BYTES)).read_line(&mut answer)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(answer)
}
