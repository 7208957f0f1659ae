use bytes::Bytes;
use sealpost_api::ids::{MessageNumber, RowId};
use sealpost_crypto::{DeviceId, RegistrationId, UnixMillis};

use super::*;

fn address(device: u8) -> DeviceAddress {
    DeviceAddress {
        account: AccountId::from_bytes([1; 16]),
        device: DeviceId::new(device).unwrap(),
        registration: RegistrationId::from_bytes([device; 32]),
    }
}

fn session(id: u8) -> SessionId {
    SessionId::from_bytes([id; 16])
}

fn row(id: u64, bytes: usize) -> QueueItem {
    QueueItem::Message {
        id: RowId(id),
        from: address(9),
        number: MessageNumber(id),
        accepted_at: UnixMillis(0),
        ciphertext: Bytes::from(vec![0; bytes]),
    }
}

fn connected(hub: &Arc<Hub>, device: u8, epoch: u64) -> Registration {
    let registration = hub.register(address(device), session(device)).unwrap();
    registration.activate(ConnectionEpoch(epoch));
    registration
}

#[test]
fn of_two_sockets_the_higher_epoch_stays_in_whatever_order_they_arrive() {
    for (first, second) in [(1, 2), (2, 1)] {
        let hub = Arc::new(Hub::new());
        let (one, other) = (connected(&hub, 1, first), connected(&hub, 1, second));
        let (older, newer) = if first < second { (one, other) } else { (other, one) };
        assert_eq!(older.mailbox.close_reason(), Some(CloseReason::Replaced));
        assert_eq!(newer.mailbox.close_reason(), None);
    }
}

#[test]
fn a_socket_that_is_not_yet_open_replaces_nobody_but_hears_the_end_of_its_session() {
    let hub = Arc::new(Hub::new());
    let open = connected(&hub, 1, 1);
    let opening = hub.register(address(1), session(2)).unwrap();
    assert_eq!(open.mailbox.close_reason(), None);
    assert!(hub.offer(&address(1), row(1, 1)));
    hub.close_sessions(&[session(2)], CloseReason::SessionEnded);
    assert_eq!(opening.mailbox.close_reason(), Some(CloseReason::SessionEnded));
    assert_eq!(open.mailbox.close_reason(), None);
}

#[test]
fn a_place_is_given_up_with_the_registration() {
    let hub = Arc::new(Hub::new());
    let registration = connected(&hub, 1, 1);
    assert_eq!((hub.connections(), hub.is_connected(&address(1))), (1, true));
    drop(registration);
    assert_eq!((hub.connections(), hub.is_connected(&address(1))), (0, false));
    assert!(!hub.offer(&address(1), row(1, 1)));
    assert!(hub.registry.lock().sessions.is_empty() && hub.registry.lock().accounts.is_empty());
}

#[test]
fn threat_52_an_account_has_a_bounded_number_of_sockets() {
    let hub = Arc::new(Hub::new());
    let all: Vec<_> = (0..ACCOUNT_SOCKETS_MAX).map(|_| hub.register(address(1), session(1)).unwrap()).collect();
    assert_eq!(hub.register(address(2), session(2)).unwrap_err(), RegisterError::TooMany);
    drop(all);
    hub.register(address(2), session(2)).unwrap();
}

#[test]
fn a_stopped_hub_closes_all_and_takes_nobody() {
    let hub = Arc::new(Hub::new());
    let open = connected(&hub, 1, 1);
    hub.stop();
    assert_eq!(open.mailbox.close_reason(), Some(CloseReason::Stopping));
    assert_eq!(hub.register(address(2), session(2)).unwrap_err(), RegisterError::Stopping);
}

#[test]
fn a_newer_connection_elsewhere_ends_the_older_ones_here() {
    let hub = Arc::new(Hub::new());
    let (open, opening) = (connected(&hub, 1, 5), hub.register(address(1), session(2)).unwrap());
    let other = connected(&hub, 2, 5);
    hub.supersede(&address(1), ConnectionEpoch(5));
    assert_eq!(open.mailbox.close_reason(), None);
    hub.supersede(&address(1), ConnectionEpoch(6));
    assert_eq!(open.mailbox.close_reason(), Some(CloseReason::Replaced));
    assert_eq!((opening.mailbox.close_reason(), other.mailbox.close_reason()), (None, None));
    assert_eq!(hub.devices(), [address(1), address(2)]);
    assert!(hub.has_session(&session(2)) && !hub.has_session(&session(3)));
}

#[tokio::test]
async fn what_does_not_fit_stays_in_the_store_and_the_mailbox_says_so() {
    for bytes in [1, 60 * 1024] {
        let mailbox = Mailbox::default();
        for id in 1..=100 {
            mailbox.offer(row(id, bytes));
        }
        let letters = mailbox.arrived().await;
        assert!(letters.more);
        assert!(letters.rows.len() <= 64 && letters.rows.iter().map(QueueItem::bytes).sum::<usize>() <= 128 * 1024);
        let ids: Vec<_> = letters.rows.iter().map(|row| row.id().0).collect();
        assert_eq!(ids, (1..=ids.len() as u64).collect::<Vec<_>>(), "the oldest, without a hole");
        mailbox.offer(row(101, 1));
        assert!(!mailbox.arrived().await.more, "it has room again");
    }
}

#[tokio::test]
async fn notices_are_merged_and_the_first_reason_to_close_stays() {
    let mailbox = Mailbox::default();
    for left in [24, 23, 22] {
        mailbox.notify(Notice::PrekeysLow { left });
    }
    for (account, version) in [(1, 2), (1, 5), (1, 3), (2, 1)] {
        mailbox.notify(Notice::DeviceListChanged { account: AccountId::from_bytes([account; 16]), version });
    }
    let letters = mailbox.arrived().await;
    assert_eq!(letters.prekeys_low, Some(22));
    assert_eq!(letters.device_lists, [(AccountId::from_bytes([1; 16]), 5), (AccountId::from_bytes([2; 16]), 1)]);
    mailbox.close(CloseReason::Replaced);
    mailbox.close(CloseReason::Stopping);
    assert_eq!(mailbox.closed().await, CloseReason::Replaced);
}
