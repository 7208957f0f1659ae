use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use proptest::prelude::*;
use sealpost_api::ids::{MessageNumber, RowId};
use sealpost_crypto::{AccountId, DeviceAddress, DeviceId, RegistrationId, UnixMillis};

use super::*;

fn row(id: u64, bytes: usize) -> QueueItem {
    QueueItem::Message {
        id: RowId(id),
        from: DeviceAddress {
            account: AccountId::from_bytes([1; 16]),
            device: DeviceId::new(1).unwrap(),
            registration: RegistrationId::from_bytes([2; 32]),
        },
        number: MessageNumber(id),
        accepted_at: UnixMillis(0),
        ciphertext: Bytes::from(vec![0; bytes]),
    }
}

fn ids(deliveries: &Deliveries) -> Vec<u64> {
    deliveries.rows.iter().map(|item| item.id().0).collect()
}

fn live() -> Delivery {
    let mut delivery = Delivery::default();
    delivery.begin_read().unwrap();
    assert!(delivery.read_done(vec![]).drained);
    delivery
}

#[test]
fn drained_is_said_once() {
    let mut delivery = live();
    delivery.offer(VecDeque::new(), true);
    delivery.begin_read().unwrap();
    assert!(!delivery.read_done(vec![]).drained);
}

#[test]
fn a_row_offered_during_a_read_is_delivered_once_whichever_way_it_comes_first() {
    let mut delivery = Delivery::default();
    delivery.begin_read().unwrap();
    delivery.offer(VecDeque::from([row(1, 1)]), false);
    assert_eq!(ids(&delivery.read_done(vec![row(1, 1)])), [1]);
    let read = delivery.begin_read().unwrap();
    assert!(read.delivered.contains(&RowId(1)));
    delivery.offer(VecDeque::from([row(1, 1), row(2, 1)]), false);
    let deliveries = delivery.read_done(vec![]);
    assert_eq!(ids(&deliveries), [2]);
    assert!(deliveries.drained);
}

#[test]
fn a_late_offer_of_a_deleted_row_is_not_delivered_again() {
    let mut delivery = live();
    assert_eq!(ids(&delivery.offer(VecDeque::from([row(1, 1)]), false)), [1]);
    delivery.ack(&[RowId(1)]).unwrap();
    let batch = delivery.take_acks();
    delivery.acks_done(&batch);
    assert!(delivery.offer(VecDeque::from([row(1, 1)]), false).rows.is_empty());
}

#[test]
fn a_full_window_leaves_the_rest_to_the_store_until_something_is_acked() {
    let mut delivery = live();
    let rows: VecDeque<_> = (1..=70).map(|id| row(id, 1)).collect();
    assert_eq!(delivery.offer(rows, false).rows.len(), DELIVERY_WINDOW_ROWS);
    assert_eq!(delivery.begin_read(), None);
    assert!(delivery.offer(VecDeque::from([row(71, 1)]), false).rows.is_empty());
    delivery.ack(&[RowId(3)]).unwrap();
    let read = delivery.begin_read().unwrap();
    assert_eq!(read.rows_max, 1);
    assert!(read.delivered.contains(&RowId(3)), "acknowledged rows may still be in the store");
}

#[test]
fn bytes_fill_the_window_too() {
    let mut delivery = live();
    let rows: VecDeque<_> = (1..=20).map(|id| row(id, 96 * 1024)).collect();
    let delivered = delivery.offer(rows, false).rows;
    assert_eq!(delivered.len(), 11, "the eleventh crosses 1 MiB and ends the window");
    assert_eq!(delivery.begin_read(), None);
}

#[test]
fn an_ack_with_one_unknown_id_changes_nothing() {
    let mut delivery = live();
    delivery.offer(VecDeque::from([row(1, 1), row(2, 1)]), false);
    for wrong in [vec![RowId(1), RowId(9)], vec![RowId(1), RowId(1)]] {
        assert_eq!(delivery.ack(&wrong), Err(AckUnknown));
        assert_eq!(delivery.acks_waiting(), 0);
    }
    delivery.ack(&[RowId(1), RowId(2)]).unwrap();
    assert_eq!(delivery.ack(&[RowId(1)]), Err(AckUnknown));
}

#[derive(Clone, Debug)]
enum Step {
    /// A row becomes durable, and is offered now, or late.
    Arrive {
        offered: bool,
    },
    LateOffer,
    BeginRead,
    FinishRead,
    Ack(u8),
    StoreAcks,
    FinishAcks {
        fail: bool,
    },
}

fn a_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => any::<bool>().prop_map(|offered| Step::Arrive { offered }),
        2 => Just(Step::LateOffer),
        2 => Just(Step::BeginRead),
        2 => Just(Step::FinishRead),
        3 => (1_u8..80).prop_map(Step::Ack),
        1 => Just(Step::StoreAcks),
        1 => any::<bool>().prop_map(|fail| Step::FinishAcks { fail }),
    ]
}

/// The store, the peer and the connection's timing, as far as delivery depends on them.
#[derive(Default)]
struct World {
    delivery: Delivery,
    next: u64,
    stored: BTreeMap<u64, QueueItem>,
    late: VecDeque<QueueItem>,
    /// A read's snapshot, taken when it began.
    snapshot: Option<Vec<QueueItem>>,
    acking: Option<Vec<RowId>>,
    delivered: Vec<u64>,
    unacked: BTreeSet<u64>,
    drained: u32,
}

impl World {
    fn deliver(&mut self, deliveries: Deliveries) {
        for id in ids(&deliveries) {
            assert!(!self.delivered.contains(&id), "row {id} was delivered twice");
            self.delivered.push(id);
            self.unacked.insert(id);
        }
        assert!(self.unacked.len() <= DELIVERY_WINDOW_ROWS);
        self.drained += u32::from(deliveries.drained);
        assert!(self.drained <= 1, "Drained was said twice");
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Arrive { offered } => {
                self.next += 1;
                let item = row(self.next, 10);
                self.stored.insert(self.next, item.clone());
                self.late.push_back(item);
                if *offered {
                    self.step(&Step::LateOffer);
                }
            }
            Step::LateOffer => {
                let rows = self.late.drain(..).collect();
                let deliveries = self.delivery.offer(rows, false);
                self.deliver(deliveries);
            }
            Step::BeginRead => {
                if self.snapshot.is_none()
                    && let Some(read) = self.delivery.begin_read()
                {
                    let rows = self.stored.values().filter(|item| !read.delivered.contains(&item.id()));
                    self.snapshot = Some(rows.take(read.rows_max).cloned().collect());
                }
            }
            Step::FinishRead => {
                if let Some(rows) = self.snapshot.take() {
                    let deliveries = self.delivery.read_done(rows);
                    self.deliver(deliveries);
                }
            }
            Step::Ack(count) => {
                let ids: Vec<_> = self.unacked.iter().take(usize::from(*count)).copied().map(RowId).collect();
                ids.iter().for_each(|id| {
                    self.unacked.remove(&id.0);
                });
                self.delivery.ack(&ids).unwrap();
            }
            Step::StoreAcks => {
                if self.acking.is_none() && self.delivery.acks_waiting() > 0 {
                    self.acking = Some(self.delivery.take_acks());
                }
            }
            Step::FinishAcks { fail } => match self.acking.take() {
                Some(ids) if *fail => self.delivery.acks_failed(ids),
                Some(ids) => {
                    ids.iter().for_each(|id| {
                        self.stored.remove(&id.0);
                    });
                    self.delivery.acks_done(&ids);
                }
                None => {}
            },
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn every_row_is_delivered_exactly_once_on_a_connection_in_any_schedule(
        steps in proptest::collection::vec(a_step(), 0..250)
    ) {
        let mut world = World::default();
        steps.iter().for_each(|step| world.step(step));
        for _ in 0..world.next + 8 {
            for step in [
                Step::LateOffer, Step::FinishRead, Step::Ack(64), Step::StoreAcks,
                Step::FinishAcks { fail: false }, Step::BeginRead, Step::FinishRead,
            ] {
                world.step(&step);
            }
        }
        prop_assert_eq!(world.delivered.len() as u64, world.next);
        prop_assert!(world.stored.is_empty());
        prop_assert_eq!(world.drained, 1);
    }
}
