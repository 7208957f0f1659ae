//! The operator's commands: `sealpost-server admin` asks the running server over a Unix socket in the data folder.
//!
//! Each connection has one question. The client writes one [`Request`] as a line of JSON, the server writes one
//! [`Reply`] or [`Failure`](protocol::Failure) as a line, and both close. Only the server's own user and root can use
//! the socket: its mode is 0600, and the server asks the kernel for the user at the other end.

mod args;
mod client;
mod command;
mod print;
pub mod protocol;
pub(crate) mod socket;

pub use args::{AdminArgs, AdminCommand};
pub(crate) use client::ask;
pub use command::run;
pub use protocol::{Reply, Request};

use std::path::Path;

/// The socket's name in the data folder.
pub const SOCKET: &str = "admin.sock";
/// The longest path of a socket's address, without its final zero.
const SOCKET_PATH_MAX_BYTES: usize = 107;

/// Returns a path that reaches the socket in this folder. A long path goes through the open folder, because an address
/// has room for only 107 bytes; `folder` must stay open meanwhile.
fn socket_path(data: &Path, folder: &std::fs::File) -> std::path::PathBuf {
    use std::os::fd::AsRawFd as _;
    use std::os::unix::ffi::OsStrExt as _;
    let path = data.join(SOCKET);
    if path.as_os_str().as_bytes().len() <= SOCKET_PATH_MAX_BYTES {
        return path;
    }
    Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(SOCKET)
}
