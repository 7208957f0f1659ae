use proptest::prelude::*;

use super::*;
use crate::identity::DeviceIdentityKeyPair;

fn account() -> AccountIdentityKeyPair {
    AccountIdentityKeyPair::from_seed(&[1; 32])
}

fn entry(device: u8, registration: u8, seed: u8) -> DeviceEntry {
    DeviceEntry {
        device: DeviceId::new(device).unwrap(),
        registration: RegistrationId::from_bytes([registration; 32]),
        identity: DeviceIdentityKeyPair::from_seed(&[seed; 32]).public(),
    }
}

fn body() -> DeviceListBody {
    DeviceListBody {
        account: AccountId::from_bytes([9; 16]),
        account_identity: account().public(),
        version: 1,
        previous_hash: [0; 32],
        new_identity: false,
        devices: vec![entry(1, 10, 20)],
    }
}

fn list(body: DeviceListBody) -> DeviceList {
    DeviceList::sign(&account(), body).unwrap()
}

fn next_of(list: &DeviceList) -> DeviceListBody {
    DeviceListBody { version: list.version() + 1, previous_hash: list.hash(), ..list.body().clone() }
}

#[test]
fn a_signed_list_decodes_to_itself() {
    let signed = list(body());
    assert_eq!(DeviceList::decode(signed.encoded()), Ok(signed.clone()));
    let full: Vec<_> = (1..=8).map(|device| entry(device, device, device)).collect();
    let full = list(DeviceListBody { devices: full, ..body() });
    assert_eq!(full.encoded().len(), DEVICE_LIST_MAX_BYTES);
    assert_eq!(DeviceList::decode(full.encoded()), Ok(full));
}

#[test]
fn every_flipped_bit_is_refused() {
    let signed = list(body());
    for index in 0..signed.encoded().len() * 8 {
        let mut bytes = signed.encoded().to_vec();
        bytes[index / 8] ^= 1 << (index % 8);
        assert!(DeviceList::decode(&bytes).is_err(), "bit {index}");
    }
}

#[test]
fn a_list_cut_short_or_longer_is_refused() {
    let signed = list(body());
    for len in 0..signed.encoded().len() {
        assert!(DeviceList::decode(&signed.encoded()[..len]).is_err(), "{len} bytes");
    }
    let mut longer = signed.encoded().to_vec();
    longer.push(0);
    assert_eq!(DeviceList::decode(&longer), Err(DeviceListError::Length));
}

/// Encodes and signs whatever it is told, as a faulty or hostile client might.
fn signed_without_checks(body: &DeviceListBody) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_body(&mut bytes, body).unwrap();
    let signature = account().sign(&[labels::DEVICE_LIST, &bytes].concat());
    [bytes.as_slice(), signature.as_bytes()].concat()
}

#[test]
fn a_list_that_breaks_a_rule_is_refused_though_well_signed() {
    let many: Vec<_> = (1..=9).map(|device| entry(device, device, device)).collect();
    let cases = [
        (DeviceListBody { devices: vec![], ..body() }, DeviceListError::DeviceCount),
        (DeviceListBody { devices: many, ..body() }, DeviceListError::Length),
        (DeviceListBody { devices: vec![entry(2, 1, 1), entry(1, 2, 2)], ..body() }, DeviceListError::Order),
        (DeviceListBody { devices: vec![entry(1, 1, 1), entry(1, 2, 2)], ..body() }, DeviceListError::Order),
        (DeviceListBody { version: 0, ..body() }, DeviceListError::Version),
        (DeviceListBody { version: 2, ..body() }, DeviceListError::Version),
        (DeviceListBody { previous_hash: [1; 32], ..body() }, DeviceListError::Version),
        (DeviceListBody { new_identity: true, ..body() }, DeviceListError::NewIdentity),
        (
            DeviceListBody {
                version: 2,
                previous_hash: [1; 32],
                new_identity: true,
                devices: vec![entry(1, 1, 1), entry(2, 2, 2)],
                ..body()
            },
            DeviceListError::NewIdentity,
        ),
    ];
    for (body, error) in cases {
        assert_eq!(DeviceList::decode(&signed_without_checks(&body)), Err(error));
        assert!(DeviceList::sign(&account(), body).is_err());
    }
}

#[test]
fn threat_8_only_the_named_key_signs_a_device_list() {
    let other = AccountIdentityKeyPair::from_seed(&[2; 32]);
    assert_eq!(DeviceList::sign(&other, body()), Err(DeviceListError::WrongSigner));
    let mut bytes = Vec::new();
    write_body(&mut bytes, &body()).unwrap();
    let signature = other.sign(&[labels::DEVICE_LIST, &bytes].concat());
    bytes.extend_from_slice(signature.as_bytes());
    assert_eq!(DeviceList::decode(&bytes), Err(DeviceListError::Signature));
}

#[test]
fn a_device_is_found_only_by_its_own_registration() {
    let list = list(body());
    let address = list.addresses().next().unwrap();
    assert!(list.contains(&address));
    assert!(!list.contains(&DeviceAddress { registration: RegistrationId::from_bytes([0; 32]), ..address }));
    assert!(list.device(DeviceId::new(2).unwrap()).is_none());
}

#[test]
fn a_successor_follows_and_nothing_else_does() {
    let first = list(body());
    let next = next_of(&first);
    assert_eq!(first.check_successor(&list(next.clone())), Ok(()));
    let remade = DeviceListBody { devices: vec![entry(1, 11, 21), entry(2, 1, 1)], ..next.clone() };
    assert_eq!(first.check_successor(&list(remade)), Ok(()));

    let other = DeviceListBody { account: AccountId::from_bytes([8; 16]), ..next.clone() };
    let cases = [
        (other, SuccessionError::Account),
        (DeviceListBody { version: 3, ..next.clone() }, SuccessionError::Version),
        (DeviceListBody { previous_hash: [1; 32], ..next.clone() }, SuccessionError::PreviousHash),
        (DeviceListBody { devices: vec![entry(1, 10, 21)], ..next.clone() }, SuccessionError::DeviceIdentity),
    ];
    for (body, error) in cases {
        assert_eq!(first.check_successor(&list(body)), Err(error));
    }
    assert_eq!(first.check_successor(&first), Err(SuccessionError::Version), "an older list never follows");
}

#[test]
fn a_new_identity_follows_only_when_marked() {
    let first = list(body());
    let new = AccountIdentityKeyPair::from_seed(&[3; 32]);
    let unmarked =
        DeviceListBody { account_identity: new.public(), devices: vec![entry(1, 30, 31)], ..next_of(&first) };
    let marked = DeviceListBody { new_identity: true, ..unmarked.clone() };
    let unmarked = DeviceList::sign(&new, unmarked).unwrap();
    assert_eq!(first.check_successor(&unmarked), Err(SuccessionError::AccountIdentity));
    assert_eq!(first.check_successor(&DeviceList::sign(&new, marked).unwrap()), Ok(()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn decoding_any_bytes_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..800)) {
        prop_assert!(DeviceList::decode(&bytes).is_err());
    }

    #[test]
    fn a_list_of_any_devices_round_trips(
        ids in proptest::collection::btree_set(1u8..=127, 1..=8),
        version in 2u64..,
        previous_hash in any::<[u8; 32]>().prop_filter("zeros mean version 1", |hash| *hash != [0; 32]),
    ) {
        let devices = ids.iter().map(|id| entry(*id, *id, *id)).collect();
        let signed = list(DeviceListBody { version, previous_hash, devices, ..body() });
        prop_assert_eq!(DeviceList::decode(signed.encoded()), Ok(signed));
    }
}
