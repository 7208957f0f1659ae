//! A way to the server that makes a person come from an address of their own.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// Passes connections on as if from this address of this machine, as long as the test runs. Where clients connect.
pub(crate) fn come_from(address: Ipv4Addr, server: SocketAddr) -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let here = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(pass_on(stream, address, server));
            }
        });
    });
    here
}

async fn pass_on(mut near: TcpStream, address: Ipv4Addr, server: SocketAddr) -> std::io::Result<()> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((address, 0).into())?;
    let mut far = socket.connect(server).await?;
    tokio::io::copy_bidirectional(&mut near, &mut far).await.map(drop)
}
