//! Serves the profile's socket while this process owns the profile.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::peer::Peer;
use crate::failure::{Exit, Failure};
use crate::owner::Owner;
use crate::profile::Profile;
use crate::sink::Sink;
use crate::task::{self, Entry};

/// Commands served at a time; more wait in the listener's backlog.
const CONNECTIONS_MAX: usize = 64;
/// The pause after a connection could not be taken, as when there are no file descriptors left.
const AFTER_FAILURE: Duration = Duration::from_millis(100);

/// Listens until dropped; then the socket is gone.
pub(crate) struct SocketServer {
    path: PathBuf,
    /// Whether the socket is in the profile's folder, not in a folder of its own.
    direct: bool,
    accepting: JoinHandle<()>,
}

impl SocketServer {
    /// Binds the profile's socket, mode 0600, and carries out the tasks of this list for others. Only the profile's owner
    /// may call this; must run inside a local task set.
    pub(crate) fn start(profile: &Profile, owner: &Rc<Owner>, tasks: &'static [Entry]) -> Result<Self, Failure> {
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
        let accepting = tokio::task::spawn_local(accept(listener, Rc::clone(owner), tasks));
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

async fn accept(listener: UnixListener, owner: Rc<Owner>, tasks: &'static [Entry]) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        if let Ok((stream, _)) = listener.accept().await {
            let owner = Rc::clone(&owner);
            tokio::task::spawn_local(async move {
                serve(stream, &owner, tasks).await;
                drop(place);
            });
        } else {
            tokio::time::sleep(AFTER_FAILURE).await;
        }
    }
}

/// Serves one asker.
async fn serve(stream: UnixStream, owner: &Owner, tasks: &[Entry]) {
    let peer = Peer::new(stream);
    let request = match peer.request().await {
        Ok(Some(request)) => request,
        Ok(None) => return,
        Err(error) => return peer.done(Err(not_understood(&error))).await,
    };
    // A command whose asker was killed ends at its next line; what it put into the outbox is sent all the same.
    let outcome = match task::carry_out(tasks, &request, owner, &Sink::Peer(peer.clone())).await {
        Ok(outcome) => outcome,
        Err(error) => Err(not_understood(&error)),
    };
    peer.done(outcome).await;
}

fn not_understood(error: &dyn std::error::Error) -> Failure {
    Failure::new(Exit::Failed, "version", format!("the owner of this profile did not understand: {error}"))
        .hint("Another version of sealpost owns the profile. Stop it and start it again.")
}
