//! Signed device lists: each has one encoding, and no list decodes that its account did not sign.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sealpost_crypto::DeviceList;
use sealpost_fuzz::Person;

fuzz_target!(|data: &[u8]| {
    let Ok(list) = DeviceList::decode(data) else { return };
    assert_eq!(list.encoded(), data);
    let own = &Person::bob().list;
    if list.account_identity() == own.account_identity() {
        assert_eq!(list.encoded(), own.encoded(), "a list that Bob never signed");
    }
    let _ = own.check_successor(&list);
});
