//! Ports of this machine.

use std::net::{TcpListener, TcpStream};

/// Returns a port that nothing uses now. Something else may take it before a program listens there.
///
/// # Errors
/// If there is none.
pub fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Returns whether a program listens at this port.
#[must_use]
pub fn is_served(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}
