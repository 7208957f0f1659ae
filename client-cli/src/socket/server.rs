//! Serves the profile's socket while this process owns the profile.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Mutex, Semaphore};
use tokio::task::JoinHandle;

use super::{Acknowledgement, Answer, read_frame, write_frame};
use crate::failure::{Exit, Failure};
use crate::owner::Owner;
use crate::profile::Profile;
use crate::sink::Sink;
use crate::task::{Line, Request};

/// Commands served at a time; more wait in the listener's backlog.
const CONNECTIONS_MAX: usize = 64;
/// How long an asker may take to print what it was given, before others go on without it.
const PRINT_TIMEOUT: Duration = Duration::from_secs(30);
/// How long an asker may take to say what it wants.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// Listens until dropped; then the socket is gone.
pub(crate) struct SocketServer {
    path: PathBuf,
    direct: bool,
    accepting: JoinHandle<()>,
}

impl SocketServer {
    /// Binds the profile's socket, mode 0600. Only the profile's owner may call this; must run inside a local task set.
    pub(crate) fn start(profile: &Profile, owner: &Rc<Owner>) -> Result<Self, Failure> {
        let path = profile.new_socket()?;
        let direct = profile.vault().parent() == path.parent();
        let failed = |error: io::Error| Failure::io("cannot open the profile's socket", &error);
        // What is left there is from an owner that was killed: the lock says so.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let listener = UnixListener::bind(&path).map_err(failed)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).map_err(failed)?;
        let owner = Rc::clone(owner);
        let accepting = tokio::task::spawn_local(async move {
            let places = std::sync::Arc::new(Semaphore::new(CONNECTIONS_MAX));
            loop {
                let Ok(place) = std::sync::Arc::clone(&places).acquire_owned().await else { return };
                if let Ok((stream, _)) = listener.accept().await {
                    let owner = Rc::clone(&owner);
                    tokio::task::spawn_local(async move {
                        serve(stream, &owner).await;
                        drop(place);
                    });
                } else {
                    // Out of file descriptors, for example; the listener stays good.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        });
        Ok(Self { path, direct, accepting })
    }
}

impl Drop for SocketServer {
    fn drop(&mut self) {
        self.accepting.abort();
        let _ = fs::remove_file(&self.path);
        if !self.direct {
            let _ = self.path.parent().map(fs::remove_dir);
        }
    }
}

/// One asker.
async fn serve(stream: UnixStream, owner: &Rc<Owner>) {
    let (mut reader, writer) = stream.into_split();
    let request = match tokio::time::timeout(REQUEST_TIMEOUT, read_frame::<Request>(&mut reader)).await {
        Ok(Ok(Some(request))) => request,
        Ok(Err(error)) => {
            let mut writer = writer;
            let failure =
                Failure::new(Exit::Failed, "version", format!("the owner of this profile did not understand: {error}"))
                    .hint("Another version of sealpost owns the profile; stop it and start it anew.");
            let _ = write_frame(&mut writer, &Answer::Done(Some(failure))).await;
            return;
        }
        Ok(Ok(None)) | Err(_) => return,
    };
    let peer = PeerSink { channel: Rc::new(Mutex::new(Channel { reader, writer })) };
    // A command whose asker was killed ends at its next line; what it put into the outbox is sent all the same.
    let outcome = owner.run(&request, &Sink::Peer(peer.clone())).await;
    let mut channel = peer.channel.lock().await;
    let _ = write_frame(&mut channel.writer, &Answer::Done(outcome.err())).await;
}

struct Channel {
    reader: OwnedReadHalf,
    writer: OwnedWriteHalf,
}

/// Prints in the process that asked.
#[derive(Clone)]
pub(crate) struct PeerSink {
    /// One batch at a time: the next goes out after the last was acknowledged.
    channel: Rc<Mutex<Channel>>,
}

impl PeerSink {
    /// Has the lines printed; returns when the asker says that they were.
    pub(crate) async fn lines(&self, lines: &[Line]) -> Result<(), Failure> {
        let gone = || {
            let mut failure = Failure::new(Exit::Failed, "asker_gone", "the command that asked has ended");
            failure.quiet = true;
            failure
        };
        let exchange = async {
            let mut channel = self.channel.lock().await;
            write_frame(&mut channel.writer, &Answer::Lines(lines.to_vec())).await.map_err(|_| gone())?;
            match read_frame(&mut channel.reader).await {
                Ok(Some(Acknowledgement::Printed)) => Ok(()),
                Ok(None) | Err(_) => Err(gone()),
            }
        };
        tokio::time::timeout(PRINT_TIMEOUT, exchange).await.map_err(|_| gone())?
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
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}
