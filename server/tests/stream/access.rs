//! The access matrix of the stream: every kind of frame, from everybody who must not, with every id that it names.
//!
//! It goes with the matrix of the HTTP routes. A frame or a field that is not written out here does not compile.

use std::collections::BTreeSet;

use sealpost_api::close;
use sealpost_api::frames::{ClientFrame, Copy, Refused, Send, SendKind, ServerFrame};
use sealpost_api::ids::{MessageNumber, RowId};
use sealpost_api::limits::ACCESS_TOKEN_SECONDS;
use sealpost_api::password::AccessToken;
use sealpost_crypto::{AccountId, DeviceId, RegistrationId, UnixMillis};

use super::world::{Device, Got, Person, Socket, World, message, text};

/// What a frame can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Id {
    /// Whose session goes on: a token is good on the stream of its own session alone.
    Token,
    /// The sender's own number, although others can have used the same one.
    Number,
    /// Anybody may be written to.
    Recipient,
    /// A device of the recipient.
    Device,
    Registration,
    /// Only what was delivered on this connection.
    Row,
}

/// Every field is named, so that a new one has to be thought about.
fn ids_of(frame: &ClientFrame) -> &'static [Id] {
    match frame {
        ClientFrame::Auth { token: _ } => &[Id::Token],
        ClientFrame::Send(Send { number: _, to: _, kind: SendKind::Message | SendKind::Device, copies }) => {
            for Copy { device: _, registration: _, ciphertext: _ } in copies {}
            &[Id::Number, Id::Recipient, Id::Device, Id::Registration]
        }
        ClientFrame::Ack { ids: _ } => &[Id::Row],
        ClientFrame::Ping { nonce: _ } => &[],
    }
}

/// What the victim has, or nobody.
struct Names {
    token: String,
    number: u64,
    recipient: AccountId,
    device: DeviceId,
    registration: RegistrationId,
    rows: Vec<RowId>,
}

/// The frame, to `friend`, with one id exchanged for another's.
fn naming(frame: &ClientFrame, id: Id, names: &Names) -> ClientFrame {
    match (frame.clone(), id) {
        (ClientFrame::Auth { .. }, Id::Token) => ClientFrame::Auth { token: AccessToken::new(names.token.clone()) },
        (ClientFrame::Ack { .. }, Id::Row) => ClientFrame::Ack { ids: names.rows.clone() },
        (ClientFrame::Send(mut send), id) => {
            match id {
                Id::Number => send.number = MessageNumber(names.number),
                Id::Recipient => send.to = names.recipient,
                Id::Device => send.copies[0].device = names.device,
                Id::Registration => send.copies[0].registration = names.registration,
                Id::Token | Id::Row => panic!("a send names no {id:?}"),
            }
            ClientFrame::Send(send)
        }
        (other, id) => panic!("{other:?} names no {id:?}"),
    }
}

/// What is answered to a frame until the socket closes, or falls silent.
async fn answer(socket: &mut Socket, frame: ClientFrame) -> Vec<Got> {
    let mut got = Vec::new();
    // A send's answer comes when the store has given its own, so that nothing else may be waited for.
    let is_send = matches!(frame, ClientFrame::Send(_));
    socket.put(frame).await;
    if !is_send {
        socket.put(ClientFrame::Ping { nonce: 4_711 }).await;
    }
    loop {
        match socket.got().await {
            Got::Frame(ServerFrame::Pong { nonce: 4_711 }) => return got,
            // The device ids that the sender wrote come back to it; all else must be the same.
            Got::Frame(ServerFrame::Refused(refused)) => {
                let refused = Refused { extra: Vec::new(), ..refused };
                return vec![Got::Frame(ServerFrame::Refused(refused))];
            }
            Got::Frame(ServerFrame::Sent(sent)) => return vec![Got::Frame(ServerFrame::Sent(sent))],
            Got::Closed(code) => {
                got.push(Got::Closed(code));
                return got;
            }
            other => got.push(other),
        }
    }
}

/// Everything that waits for the victim's devices, and their highest numbers.
async fn victims(world: &World, victim: &Person) -> String {
    let store = &world.core().store;
    let mut text = String::new();
    for device in &victim.devices {
        let rows = store.undelivered(device.address, &BTreeSet::new(), 1_000, usize::MAX).await.unwrap();
        let record = store.device(device.address).await.unwrap().unwrap();
        text.push_str(&format!("{rows:?} {:?} {:?}\n", record.highest_number, record.queued_messages));
    }
    text + &format!("{:?}", store.sessions(victim.id).await.unwrap())
}

/// A victim with two devices, of which the first has messages waiting and has sent some; a stranger; a friend of all.
async fn scene(world: &World) -> (Person, Person, Person, Vec<RowId>) {
    let (mut victim, stranger) = (world.person("victim").await, world.person("stranger").await);
    let friend = world.person("friend").await;
    world.add_device(&mut victim).await;
    let mut sender = world.online(&friend.devices[0]).await;
    for number in 1..=3 {
        let send = Send { kind: SendKind::Device, ..message(number, &victim, vec![victim.devices[0].copy("x")]) };
        sender.send(send).await;
        sender.sent().await;
    }
    let mut socket = world.online_with(&victim.devices[0], 3).await;
    for number in 1..=3 {
        socket.send(text(number, &friend, "x")).await;
        socket.sent().await;
    }
    let none = BTreeSet::new();
    let waiting = world.core().store.undelivered(victim.devices[0].address, &none, 9, usize::MAX).await.unwrap();
    (victim, stranger, friend, waiting.iter().map(|item| item.id()).collect())
}

fn all_kinds(friend: &Person) -> [ClientFrame; 4] {
    [
        ClientFrame::Auth { token: AccessToken::new(String::new()) },
        ClientFrame::Send(text(0, friend, "x")),
        ClientFrame::Ack { ids: Vec::new() },
        ClientFrame::Ping { nonce: 1 },
    ]
}

#[actix_web::test]
async fn threat_57_no_frame_that_names_anothers_things_does_more_than_one_that_names_nothing() {
    let world = World::start().await;
    let (victim, stranger, friend, rows) = scene(&world).await;
    let victims_names = Names {
        token: victim.devices[0].token.clone(),
        number: 3,
        recipient: victim.id,
        device: victim.devices[1].address.device,
        registration: victim.devices[0].address.registration,
        rows,
    };
    let nobodys = Names {
        token: "nonsense".to_owned(),
        number: 77,
        recipient: AccountId::from_bytes([0xee; 16]),
        device: DeviceId::new(99).unwrap(),
        registration: RegistrationId::from_bytes([0xee; 32]),
        rows: vec![RowId(u64::MAX - 2), RowId(u64::MAX - 1), RowId(u64::MAX)],
    };
    let mut cells = 0;
    for principal in [&stranger.devices[0], &victim.devices[1]] {
        let mut next = 1_000;
        for frame in all_kinds(&friend) {
            for id in ids_of(&frame) {
                // Of the same account, the other's device is a recipient's device like any other.
                let before = victims(&world, &victim).await;
                let mut answers = Vec::new();
                for names in [&victims_names, &nobodys] {
                    let mut socket = world.online(principal).await;
                    let mut asked = naming(&frame, *id, names);
                    if let ClientFrame::Send(send) = &mut asked
                        && send.number == MessageNumber(0)
                    {
                        next += 1;
                        send.number = MessageNumber(next);
                    }
                    let answer = answer(&mut socket, asked).await;
                    answers.push(answer.into_iter().map(unnumbered).collect::<Vec<_>>());
                }
                let cell = format!("{frame:?} naming {id:?}");
                match id {
                    // Everybody may write to it, with copies for its devices, which these are not.
                    Id::Recipient => assert_ne!(answers[0], answers[1], "{cell}"),
                    _ => assert_eq!(answers[0], answers[1], "{cell}"),
                }
                if *id == Id::Token {
                    let closed = Got::Closed(Some(close::UNAUTHENTICATED));
                    assert_eq!(answers[0].last(), Some(&closed), "{cell}");
                }
                let after = victims(&world, &victim).await;
                if *id == Id::Number && principal.address.account == victim.id {
                    // Its own highest number has risen, and no more.
                    let own = |text: &str| text.lines().next().unwrap().to_owned();
                    assert_eq!(own(&after), own(&before), "{cell}");
                } else {
                    assert_eq!(after, before, "{cell}");
                }
                cells += 1;
            }
        }
    }
    assert_eq!(cells, 12);
}

/// An answer without what the sender itself has drawn: its number, and the time.
fn unnumbered(got: Got) -> Got {
    match got {
        Got::Frame(ServerFrame::Refused(refused)) => {
            Got::Frame(ServerFrame::Refused(Refused { number: MessageNumber(0), ..refused }))
        }
        Got::Frame(ServerFrame::Sent(sent)) => {
            Got::Frame(ServerFrame::Sent(sealpost_api::frames::Sent { number: MessageNumber(0), ..sent }))
        }
        other => other,
    }
}

#[actix_web::test]
async fn who_has_no_good_token_gets_one_answer_to_every_frame_and_changes_nothing() {
    let world = World::start().await;
    let (mut victim, _, friend, rows) = scene(&world).await;
    let mut devices = victim.devices.clone();
    devices.push(Device::new(victim.id, 3));
    world.publish(&mut victim, devices).await;
    let removed = victim.devices[2].token.clone();
    let kept = victim.devices[..2].to_vec();
    world.publish(&mut victim, kept).await;
    let (first, now) = (&victim.devices[0], world.core().clock.now());
    let long_ago = UnixMillis(now.0 - (ACCESS_TOKEN_SECONDS + 6) * 1_000);
    let expired = world.core().tokens.issue(long_ago, &first.address, first.session, 1).unwrap();
    let before = victims(&world, &victim).await;
    let mut answers = Vec::new();
    for token in ["nonsense", removed.as_str(), expired.reveal()] {
        let mut socket = world.try_socket(&[]).await.unwrap();
        let frame = ClientFrame::Auth { token: AccessToken::new(token.to_owned()) };
        answers.push(answer(&mut socket, frame).await);
        // In the header it is a plain 401.
        assert_eq!(world.try_socket(&[("authorization", &format!("Bearer {token}"))]).await.err(), Some(401));
    }
    for frame in all_kinds(&friend) {
        let frame = match frame {
            ClientFrame::Send(_) => ClientFrame::Send(text(9, &victim, "x")),
            ClientFrame::Ack { .. } => ClientFrame::Ack { ids: rows.clone() },
            frame => frame,
        };
        let mut socket = world.try_socket(&[]).await.unwrap();
        answers.push(answer(&mut socket, frame).await);
    }
    for answer in &answers {
        assert_eq!(answer, &[Got::Closed(Some(close::UNAUTHENTICATED))]);
    }
    assert_eq!(answers.len(), 7);
    assert_eq!(victims(&world, &victim).await, before);
}
