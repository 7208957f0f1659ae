//! Writes valid inputs for each target into its corpus, so that the fuzzer starts from accepted ones. It is a target
//! itself only because everything here is built as one: `cargo fuzz run --dev --sanitizer=none seeds -- -runs=0`
#![no_main]

use std::fs;
use std::io;
use std::path::Path;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use sealpost_api::frames::{ClientFrame, Copy, Deliver, Send, SendKind, ServerFrame};
use sealpost_api::ids::{MessageNumber, RowId};
use sealpost_fuzz::{NOW, Person, issued_token};

fuzz_target!(init: write_all().expect("the corpus can be written"), |_data: &[u8]| {});

fn write_all() -> io::Result<()> {
    let (alice, bob) = (Person::alice(), Person::bob());
    let ([first, second, third], session) = Person::conversation();
    let copy = Copy {
        device: bob.address.device,
        registration: bob.address.registration,
        ciphertext: Bytes::from_static(b"ciphertext"),
    };
    let send = Send { number: MessageNumber(1), to: bob.address.account, kind: SendKind::Message, copies: vec![copy] };
    let deliver = Deliver {
        id: RowId(1),
        from: alice.address,
        number: MessageNumber(1),
        accepted_at: NOW.0,
        ciphertext: Bytes::from_static(b"ciphertext"),
    };
    let signed = bob.signed_prekey();
    let one_time = bob.bundle().one_time_prekey.map_or([0; 32], |prekey| *prekey.key.as_bytes());
    let bundle = [
        &signed.id.0.to_be_bytes()[..],
        signed.key.as_bytes(),
        &signed.expires_at.0.to_be_bytes(),
        signed.signature.as_bytes(),
        &one_time,
    ]
    .concat();
    write("frames", "send", &ClientFrame::Send(send).encode())?;
    write("frames", "deliver", &ServerFrame::Deliver(deliver).encode())?;
    write("bundle", "bob", &bundle)?;
    write("device_list", "bob", bob.list.encoded())?;
    write("device_list", "alice", alice.list.encoded())?;
    write("session_state", "one_message", session)?;
    for (name, message) in [("first", first), ("second", second), ("third", third)] {
        write("initial_message", name, message)?;
    }
    write("token", "issued", issued_token().as_bytes())?;
    for name in ["alice", "Bob.2", "a_b_c", "admin"] {
        write("username", name, name.as_bytes())?;
    }
    for (name, body) in sealpost_server::fuzzing::BODY_SEEDS {
        write("json_bodies", name, body.as_bytes())?;
    }
    for (name, text) in sealpost_server::fuzzing::CONFIG_SEEDS {
        write("config", name, text.as_bytes())?;
    }
    for (name, record) in sealpost_client::engine::fuzzing::record_seeds() {
        write("vault_record", name, &record)?;
    }
    Ok(())
}

fn write(target: &str, name: &str, bytes: &[u8]) -> io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(name), bytes)
}
