//! The server's end of the operator's socket.

use std::fs;
use std::future::Future;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;

use super::protocol::{Failure, REQUEST_MAX_BYTES, Reply, Request};
use super::{SOCKET, socket_path};
use crate::base::files::FileError;

/// The most simultaneous questions: one operator and a few scripts.
const CONNECTIONS_MAX: usize = 8;
/// How long the client can take to ask, and to read the answer.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(10);

/// Answers requests.
pub(crate) trait Acts: Send + Sync + 'static {
    /// Handles a request of the user with this id.
    fn act(&self, uid: u32, request: Request) -> impl Future<Output = Result<Reply, Failure>>;
}

/// The socket. Its file is removed with it.
#[derive(Debug)]
pub(crate) struct Socket {
    listener: UnixListener,
    path: PathBuf,
    _folder: fs::File,
}

impl Socket {
    /// Creates the socket. It replaces one that an earlier run left behind, because the folder's lock shows that nobody
    /// serves it.
    ///
    /// # Errors
    /// [`FileError`] if the socket cannot be created.
    pub(crate) fn bind(data: &Path) -> Result<Self, FileError> {
        let path = data.join(SOCKET);
        let failed = |error| FileError::Io(path.clone(), error);
        match fs::symlink_metadata(&path) {
            Ok(found) if found.file_type().is_socket() => fs::remove_file(&path).map_err(failed)?,
            Ok(_) => return Err(failed(io::Error::new(io::ErrorKind::AlreadyExists, "it is no socket; move it away"))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
        let folder = fs::File::open(data).map_err(failed)?;
        let listener = UnixListener::bind(socket_path(data, &folder)).map_err(failed)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).map_err(failed)?;
        Ok(Self { listener, path, _folder: folder })
    }

    /// Answers until the future is dropped, which also removes the socket.
    pub(crate) async fn serve(self, acts: Arc<impl Acts>) {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let acts = Arc::clone(&acts);
                    actix_web::rt::spawn(async move {
                        if let Err(error) = answer(stream, acts.as_ref()).await {
                            tracing::warn!(%error, "an operator's connection broke off");
                        }
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "an operator's connection could not be taken");
                    // If descriptors are exhausted, this would spin without a pause.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(%error, "the operator's socket could not be removed");
        }
    }
}

async fn answer(stream: UnixStream, acts: &impl Acts) -> io::Result<()> {
    let uid = stream.peer_cred()?.uid();
    let (read, mut write) = stream.into_split();
    let outcome = if allowed(uid) {
        let mut line = zeroize::Zeroizing::new(String::new());
        let mut read = BufReader::new(read.take(REQUEST_MAX_BYTES));
        tokio::time::timeout(CLIENT_TIMEOUT, read.read_line(&mut line)).await??;
        match serde_json::from_str::<Request>(&line) {
            Ok(request) => acts.act(uid, request).await,
            Err(error) => {
                tracing::warn!(
                    uid,
                    line = error.line(),
                    column = error.column(),
                    "an operator's question is not valid"
                );
                Err(failure("malformed", "the question is not valid; are program and server of one version?"))
            }
        }
    } else {
        tracing::warn!(uid, "a user who may not asked at the operator's socket");
        Err(failure("forbidden", "the server takes orders only from its own user and from root"))
    };
    let mut line = zeroize::Zeroizing::new(match outcome {
        Ok(reply) => serde_json::to_vec(&reply)?,
        Err(failure) => serde_json::to_vec(&failure)?,
    });
    line.push(b'\n');
    tokio::time::timeout(CLIENT_TIMEOUT, write.write_all(&line)).await??;
    write.shutdown().await
}

/// Returns whether a user can use the socket: the server's own user and root. The socket's mode says the same, in case
/// one of the two checks is changed.
fn allowed(uid: u32) -> bool {
    uid == 0 || uid == rustix::process::geteuid().as_raw()
}

/// Creates a refusal.
pub(crate) fn failure(error: &str, message: &str) -> Failure {
    Failure { error: error.to_owned(), message: message.to_owned() }
}
