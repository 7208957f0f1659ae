use proptest::prelude::*;

use super::*;

fn a_device() -> DeviceAddress {
    DeviceAddress {
        account: AccountId::from_bytes([1; 16]),
        device: DeviceId::new(3).unwrap(),
        registration: RegistrationId::from_bytes([2; 32]),
    }
}

#[test]
fn server_frames_come_back_as_they_were() {
    let frames = [
        ServerFrame::Welcome(Welcome {
            connection_epoch: ConnectionEpoch(7),
            key_epoch: KeyEpoch(1),
            store: StoreId::from_bytes([9; 16]),
            node: "node".to_owned(),
            pending: 5,
            highest_number: MessageNumber(77),
        }),
        ServerFrame::Deliver(Deliver {
            id: RowId(1),
            from: a_device(),
            number: MessageNumber(4),
            accepted_at: 1,
            ciphertext: Bytes::from_static(b"sealed"),
        }),
        ServerFrame::Drained,
        ServerFrame::Sent(Sent {
            number: MessageNumber(1),
            skipped: vec![Skipped { device: a_device().device, reason: SkipReason::Dormant }],
            accepted_at: 4,
        }),
        ServerFrame::Refused(Refused {
            number: MessageNumber(8),
            code: ProblemCode::DevicesMismatch,
            missing: vec![a_device().device],
            extra: vec![],
            stale: vec![],
            maybe_stored: false,
            retry_after: 0,
        }),
        ServerFrame::Expired(Expired {
            id: RowId(4),
            to: a_device(),
            numbers: vec![MessageNumber(1), MessageNumber(2)],
            reason: ExpiryReason::AccountDeleted,
        }),
        ServerFrame::Missed(Missed { id: RowId(4), from: a_device(), count: 3, reason: MissedReason::QueueFull }),
        ServerFrame::Error { code: ProblemCode::AckUnknown, detail: "x".to_owned(), close: false },
    ];
    for frame in frames {
        assert_eq!(ServerFrame::decode(frame.encode()), Ok(frame));
    }
}

fn a_send(copies: Vec<Copy>) -> Send {
    Send { number: MessageNumber(1), to: a_device().account, kind: SendKind::Message, copies }
}

fn a_copy() -> Copy {
    Copy { device: a_device().device, registration: a_device().registration, ciphertext: Bytes::from_static(b"x") }
}

#[test]
fn a_send_comes_back_as_it_was() {
    let send = a_send(vec![a_copy()]);
    match ClientFrame::decode(ClientFrame::Send(send.clone()).encode()) {
        Ok(ClientFrame::Send(decoded)) => assert_eq!(decoded, send),
        other => panic!("{other:?}"),
    }
}

#[test]
fn two_copies_for_one_device_are_refused() {
    let frame = ClientFrame::Send(a_send(vec![a_copy(), a_copy()])).encode();
    assert_eq!(ClientFrame::decode(frame).unwrap_err(), FrameError::Field("send.copies"));
}

#[test]
fn an_ack_names_at_least_one_row_and_at_most_256() {
    for (count, fine) in [(0, false), (1, true), (256, true), (257, false)] {
        let frame = ClientFrame::Ack { ids: (0..count).map(RowId).collect() }.encode();
        assert_eq!(ClientFrame::decode(frame).is_ok(), fine, "{count}");
    }
}

#[test]
fn a_frame_over_the_limit_is_refused_before_it_is_decoded() {
    let bytes = Bytes::from(vec![0; FRAME_MAX_BYTES + 1]);
    assert_eq!(ClientFrame::decode(bytes).unwrap_err(), FrameError::TooLarge);
}

proptest! {
    #[test]
    fn any_bytes_are_decoded_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        let bytes = Bytes::from(bytes);
        let _ = ServerFrame::decode(bytes.clone());
        if let Ok(frame) = ClientFrame::decode(bytes) {
            prop_assert!(ClientFrame::decode(frame.encode()).is_ok());
        }
    }
}
