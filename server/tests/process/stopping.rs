use rustix::process::Signal;
use sealpost_api::close;
use sealpost_api::frames::ServerFrame;

use super::world::World;

#[tokio::test]
async fn a_signal_drains_tells_the_sockets_to_come_back_and_ends_well() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut world = World::new();
        let mut server = world.start_local();
        let client = server.client();
        let alice = client.register("alice", "correct horse battery").await;
        let mut socket = client.connect(&alice).await;
        while socket.frame().await != ServerFrame::Drained {}
        server.signal(signal);
        let code = loop {
            if let Err(code) = socket.next().await {
                break code;
            }
        };
        assert_eq!(code, Some(close::RESTART));
        assert_eq!(server.ended().code(), Some(0), "{}", server.log());
    }
}
