//! Conversations made by independent implementations, byte for byte: the secret, the associated data, and after every step
//! the whole state.
//!
//! The fixed private keys go in through the random number generator that the code takes anyway.

use std::path::PathBuf;

use serde::Deserialize;

use super::*;
use crate::identity::{DeviceIdentityKey, DeviceIdentityKeyPair};
use crate::prekey::PrekeyError;
use crate::test_support::ReplayRng;
use crate::x3dh::{self, OurPrekeys, TheirKeys};
use x25519_dalek::StaticSecret;

#[derive(Clone, PartialEq, Eq, Deserialize)]
struct Hex(#[serde(with = "hex::serde")] Vec<u8>);

impl std::fmt::Debug for Hex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl Hex {
    fn array(&self) -> [u8; 32] {
        self.0.as_slice().try_into().expect("32 bytes")
    }

    fn of(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    vectors: Vec<Vector>,
    #[serde(default)]
    ed25519_to_x25519: Vec<Conversion>,
    #[serde(default)]
    low_order_x25519: Vec<LowOrder>,
}

#[derive(Deserialize)]
struct Vector {
    name: String,
    keys: Keys,
    x3dh: X3dh,
    ratchet: Conversation,
}

#[derive(Deserialize)]
struct Keys {
    alice: Alice,
    bob: Bob,
}

#[derive(Deserialize)]
struct Alice {
    identity_seed: Hex,
    identity_ed25519_pub: Hex,
    identity_x25519_pub: Hex,
    ephemeral_priv: Hex,
    ephemeral_pub: Hex,
}

#[derive(Deserialize)]
struct Bob {
    identity_seed: Hex,
    identity_ed25519_pub: Hex,
    identity_x25519_pub: Hex,
    spk_priv: Hex,
    spk_pub: Hex,
    spk_sig: Hex,
    spk_signed_bytes: Hex,
    opk_priv: Option<Hex>,
    opk_pub: Option<Hex>,
}

#[derive(Deserialize)]
#[serde(rename_all = "UPPERCASE")]
struct X3dh {
    dh1: Hex,
    dh2: Hex,
    dh3: Hex,
    dh4: Option<Hex>,
    sk: Hex,
    ad: Hex,
    #[serde(rename = "appendix")]
    appendix: Hex,
}

#[derive(Deserialize)]
struct Conversation {
    alice_ratchet_privs: Vec<Hex>,
    steps: Vec<StepVector>,
}

#[derive(Deserialize)]
struct StepVector {
    op: String,
    by: String,
    id: String,
    plaintext: Option<Hex>,
    header: Option<HeaderVector>,
    header_bytes: Option<Hex>,
    mk: Option<Hex>,
    aead_key: Option<Hex>,
    aead_nonce: Option<Hex>,
    aad: Option<Hex>,
    ciphertext: Option<Hex>,
    syndace_exception: Option<String>,
    state_after: Option<StateVector>,
}

#[derive(Deserialize, Clone)]
struct HeaderVector {
    dh: Hex,
    pn: u32,
    n: u32,
}

#[derive(Deserialize, Debug, PartialEq, Eq)]
struct StateVector {
    #[serde(rename = "DHs_priv")]
    dhs_priv: Hex,
    #[serde(rename = "DHs_pub")]
    dhs_pub: Hex,
    #[serde(rename = "DHr")]
    dhr: Hex,
    #[serde(rename = "RK")]
    rk: Hex,
    #[serde(rename = "CKs")]
    cks: Hex,
    #[serde(rename = "Ns")]
    ns: u32,
    #[serde(rename = "CKr")]
    ckr: Option<Hex>,
    #[serde(rename = "Nr")]
    nr: u32,
    #[serde(rename = "PN")]
    pn: u32,
    #[serde(rename = "MKSKIPPED")]
    mkskipped: Vec<SkippedVector>,
}

#[derive(Deserialize, Debug, PartialEq, Eq)]
struct SkippedVector {
    #[serde(rename = "DHr")]
    dhr: Hex,
    n: u32,
    mk: Hex,
}

#[derive(Deserialize)]
struct Conversion {
    seed: Hex,
    scalar: Hex,
    ed25519_pub: Hex,
    x25519_pub: Hex,
    ed25519_sig_of_abc: Hex,
}

#[derive(Deserialize)]
struct LowOrder {
    u: Hex,
}

/// The project's copy, or every `*.json` of the folder that `SEALPOST_VECTORS` names.
fn files() -> Vec<(PathBuf, File)> {
    let folder = std::env::var_os("SEALPOST_VECTORS")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors"), PathBuf::from);
    let files: Vec<_> = std::fs::read_dir(&folder)
        .expect("the folder of vectors can be read")
        .map(|entry| entry.expect("an entry of the folder").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| {
            let text = std::fs::read_to_string(&path).expect("a file of vectors can be read");
            let file = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            (path, file)
        })
        .collect();
    assert!(!files.is_empty(), "{} holds vectors", folder.display());
    files
}

fn state(ratchet: &Ratchet) -> StateVector {
    match &ratchet.0 {
        State::Awaiting(state) => StateVector {
            dhs_priv: Hex::of(state.ours.secret().as_bytes()),
            dhs_pub: Hex::of(state.ours.public().as_bytes()),
            dhr: Hex::of(state.theirs.as_bytes()),
            rk: Hex::of(state.root.as_bytes()),
            cks: Hex::of(state.sending.key.as_bytes()),
            ns: state.sending.next,
            ckr: None,
            nr: 0,
            pn: state.sending.previous_length,
            mkskipped: vec![],
        },
        State::Established(state) => {
            let chains = state.past.iter().chain([&state.receiving.rest]);
            let mut mkskipped: Vec<_> = chains
                .flat_map(|chain| {
                    chain.keys.iter().map(|skipped| SkippedVector {
                        dhr: Hex::of(chain.theirs.as_bytes()),
                        n: skipped.number,
                        mk: Hex::of(skipped.key.as_bytes()),
                    })
                })
                .collect();
            sort(&mut mkskipped);
            StateVector {
                dhs_priv: Hex::of(state.ours.secret().as_bytes()),
                dhs_pub: Hex::of(state.ours.public().as_bytes()),
                dhr: Hex::of(state.receiving.rest.theirs.as_bytes()),
                rk: Hex::of(state.root.as_bytes()),
                cks: Hex::of(state.sending.key.as_bytes()),
                ns: state.sending.next,
                ckr: Some(Hex::of(state.receiving.key.as_bytes())),
                nr: state.receiving.rest.length,
                pn: state.sending.previous_length,
                mkskipped,
            }
        }
    }
}

/// A set: the order in which implementations keep skipped keys is their own.
fn sort(mkskipped: &mut [SkippedVector]) {
    mkskipped.sort_by(|a, b| (&a.dhr.0, a.n).cmp(&(&b.dhr.0, b.n)));
}

fn stored(ratchet: &Ratchet) -> Vec<u8> {
    let mut bytes = Vec::new();
    ratchet.write(&mut bytes);
    assert_eq!(bytes.len(), ratchet.stored_len());
    bytes
}

/// The ratchet after a journey through its stored form.
fn restored(ratchet: &Ratchet) -> Ratchet {
    let bytes = stored(ratchet);
    let mut reader = crate::reader::Reader::new(&bytes);
    let again = Ratchet::read(&mut reader).expect("a stored ratchet can be read");
    assert_eq!(reader.end(), Ok(()));
    assert_eq!(stored(&again), bytes);
    again
}

/// What each receive step of a conversation needs of the send step that it names.
struct Sent {
    header: HeaderVector,
    ciphertext: Hex,
}

fn check(vector: Vector) {
    let name = &vector.name;
    let (alice, bob) = (&vector.keys.alice, &vector.keys.bob);
    let alice_identity = DeviceIdentityKeyPair::from_seed(&alice.identity_seed.array());
    let bob_identity = DeviceIdentityKeyPair::from_seed(&bob.identity_seed.array());
    for (pair, ed25519, x25519) in [
        (&alice_identity, &alice.identity_ed25519_pub, &alice.identity_x25519_pub),
        (&bob_identity, &bob.identity_ed25519_pub, &bob.identity_x25519_pub),
    ] {
        assert_eq!(pair.public().as_bytes(), &ed25519.array(), "{name}");
        assert_eq!(pair.public().to_x25519().as_bytes(), &x25519.array(), "{name}");
    }
    let signature = crate::identity::Signature::from_bytes(bob.spk_sig.0.as_slice().try_into().unwrap());
    assert_eq!(bob_identity.public().verify(&bob.spk_signed_bytes.0, &signature), Ok(()), "{name}");

    let signed_prekey = PrekeyPublic::from_bytes(&bob.spk_pub.array()).unwrap();
    assert_eq!(bob.spk_signed_bytes.0, signed_prekey.encode(), "{name}");
    let one_time_prekey = bob.opk_pub.as_ref().map(|key| PrekeyPublic::from_bytes(&key.array()).unwrap());
    let spk_secret = StaticSecret::from(bob.spk_priv.array());
    let opk_secret = bob.opk_priv.as_ref().map(|key| StaticSecret::from(key.array()));

    // Each DH by itself, from the responder's private keys.
    let ephemeral = PrekeyPublic::from_bytes(&alice.ephemeral_pub.array()).unwrap();
    let dh = |ours: &StaticSecret, theirs: x25519_dalek::PublicKey| {
        Hex::of(crate::dh::diffie_hellman(ours, &theirs).unwrap().as_bytes())
    };
    assert_eq!(dh(&spk_secret, alice_identity.public().to_x25519()), vector.x3dh.dh1, "{name}");
    assert_eq!(dh(&bob_identity.to_x25519(), ephemeral.to_x25519()), vector.x3dh.dh2, "{name}");
    assert_eq!(dh(&spk_secret, ephemeral.to_x25519()), vector.x3dh.dh3, "{name}");
    assert_eq!(opk_secret.as_ref().map(|secret| dh(secret, ephemeral.to_x25519())), vector.x3dh.dh4, "{name}");

    let mut rng = ReplayRng::new(&alice.ephemeral_priv.array());
    let theirs = TheirKeys {
        identity: &DeviceIdentityKey::from_bytes(&bob.identity_ed25519_pub.array()).unwrap(),
        signed_prekey: &signed_prekey,
        one_time_prekey: one_time_prekey.as_ref(),
    };
    let (initiated, base_key) = x3dh::initiate(&mut rng, &alice_identity, &theirs, &vector.x3dh.appendix.0).unwrap();
    assert_eq!(base_key, ephemeral, "{name}");
    let prekeys = OurPrekeys { signed: &spk_secret, one_time: opk_secret.as_ref() };
    let responded =
        x3dh::respond(&bob_identity, &prekeys, &alice_identity.public(), &base_key, &vector.x3dh.appendix.0).unwrap();
    for agreement in [&initiated, &responded] {
        assert_eq!(Hex::of(agreement.secret.as_slice()), vector.x3dh.sk, "{name}");
        assert_eq!(Hex::of(&agreement.associated_data), vector.x3dh.ad, "{name}");
    }

    let associated_data = initiated.associated_data;
    let mut rng = ReplayRng::new(&vector.ratchet.alice_ratchet_privs[0].array());
    let mut alice = Ratchet::initiate(&mut rng, initiated.secret, &signed_prekey).unwrap();
    let mut bob = None;
    let mut responder =
        Some(Responder::new(responded.secret, RatchetKeyPair::from_stored(spk_secret.as_bytes(), signed_prekey)));
    let mut sent = std::collections::HashMap::new();

    for (number, mut step) in vector.ratchet.steps.into_iter().enumerate() {
        let at = format!("{name}, step {number}: {} by {} of {}", step.op, step.by, step.id);
        if let Some(state) = &mut step.state_after {
            sort(&mut state.mkskipped);
        }
        match step.op.as_str() {
            "send" => {
                let ratchet = if step.by == "alice" { &mut alice } else { bob.as_mut().expect("bob has received") };
                check_send(&at, ratchet, &associated_data, &step);
                let (header, ciphertext) = (step.header.unwrap(), step.ciphertext.unwrap());
                sent.insert(step.id, Sent { header, ciphertext });
            }
            "recv" => {
                let Sent { header, ciphertext } = &sent[&step.id];
                let header = header_of(header);
                let after = step.state_after.as_ref().unwrap();
                let ratchet = if step.by == "alice" { Some(&mut alice) } else { bob.as_mut() };
                // A step that makes no new key must not draw one.
                let new_key = ratchet.as_ref().is_none_or(|before| state(before).dhs_priv != after.dhs_priv);
                let randomness = if new_key { after.dhs_priv.0.as_slice() } else { &[] };
                let mut rng = ReplayRng::new(randomness);
                let plaintext = if let Some(ratchet) = ratchet {
                    let (plaintext, change) =
                        ratchet.open(&mut rng, &associated_data, &header, &ciphertext.0).expect(&at);
                    ratchet.commit(change);
                    *ratchet = restored(ratchet);
                    assert_eq!(&state(ratchet), after, "{at}");
                    plaintext
                } else {
                    let responder = responder.take().expect("bob starts once");
                    let (plaintext, started) =
                        responder.open(&mut rng, &associated_data, &header, &ciphertext.0).expect(&at);
                    assert_eq!(&state(&started), after, "{at}");
                    bob = Some(started);
                    plaintext
                };
                assert!(rng.is_used_up(), "{at}");
                assert_eq!(Some(Hex::of(&plaintext)), step.plaintext, "{at}");
            }
            "recv_fail" => {
                let ratchet = if step.by == "alice" { &alice } else { bob.as_ref().expect("bob has received") };
                let before = stored(ratchet);
                let header = header_of(step.header.as_ref().unwrap());
                let sealed = step.ciphertext.unwrap().0;
                let error = ratchet.open(&mut ReplayRng::new(&[]), &associated_data, &header, &sealed).err();
                let expected = match step.syndace_exception.as_deref() {
                    Some("DuplicateMessageException") => OpenError::Duplicate,
                    Some("AuthenticationFailedException") => OpenError::AuthenticationFailed,
                    Some("DoSProtectionException") => OpenError::TooFarAhead,
                    other => panic!("{at}: unknown kind of failure {other:?}"),
                };
                assert_eq!(error, Some(expected), "{at}");
                assert_eq!(stored(ratchet), before, "{at}");
            }
            other => panic!("{at}: unknown operation {other}"),
        }
    }
}

fn header_of(header: &HeaderVector) -> Header {
    Header {
        ratchet_key: PrekeyPublic::from_bytes(&header.dh.array()).unwrap(),
        previous_length: header.pn,
        number: header.n,
    }
}

fn check_send(at: &str, ratchet: &mut Ratchet, associated_data: &[u8], step: &StepVector) {
    let message_key = ratchet.sending_mut().1.key.clone().advance();
    assert_eq!(Some(Hex::of(message_key.as_bytes())), step.mk, "{at}");
    let derived = message_key.derive();
    assert_eq!(Some(Hex::of(&derived[..32])), step.aead_key, "{at}");
    assert_eq!(Some(Hex::of(&derived[32..])), step.aead_nonce, "{at}");

    let mut out = Vec::new();
    let plaintext = &step.plaintext.as_ref().unwrap().0;
    ratchet.seal(associated_data, &mut out, |out| out.extend_from_slice(plaintext)).unwrap();
    let (header, sealed) = out.split_first_chunk::<{ Header::LEN }>().unwrap();
    assert_eq!(Some(Hex::of(header)), step.header_bytes, "{at}");
    assert_eq!(Header::from_bytes(header), Ok(header_of(step.header.as_ref().unwrap())), "{at}");
    assert_eq!(Some(Hex([associated_data, header].concat())), step.aad, "{at}");
    assert_eq!(Some(Hex::of(sealed)), step.ciphertext, "{at}");
    *ratchet = restored(ratchet);
    assert_eq!(Some(state(ratchet)), step.state_after, "{at}");
}

#[test]
fn conversations_of_independent_implementations_are_reproduced() {
    let mut checked = 0;
    for (_, file) in files() {
        checked += file.vectors.len();
        file.vectors.into_iter().for_each(check);
    }
    assert!(checked > 0, "there are conversations to check");
}

#[test]
fn identity_keys_convert_to_x25519_as_others_do_it() {
    for (path, file) in files() {
        for conversion in file.ed25519_to_x25519 {
            let pair = DeviceIdentityKeyPair::from_seed(&conversion.seed.array());
            assert_eq!(pair.public().as_bytes(), &conversion.ed25519_pub.array(), "{}", path.display());
            assert_eq!(pair.public().to_x25519().as_bytes(), &conversion.x25519_pub.array());
            let secret = pair.to_x25519();
            assert_eq!(clamp(*secret.as_bytes()), conversion.scalar.array());
            assert_eq!(PrekeyPublic::of_secret(secret.as_bytes()).as_bytes(), &conversion.x25519_pub.array());
            assert_eq!(pair.sign(b"abc").as_bytes().as_slice(), conversion.ed25519_sig_of_abc.0);
        }
    }
}

/// RFC 7748 section 5.
fn clamp(mut scalar: [u8; 32]) -> [u8; 32] {
    scalar[0] &= 248;
    scalar[31] &= 127;
    scalar[31] |= 64;
    scalar
}

#[test]
fn points_of_low_order_are_refused_wherever_they_come_from() {
    for (_, file) in files() {
        for LowOrder { u } in file.low_order_x25519 {
            let error = PrekeyPublic::from_bytes(&u.array()).unwrap_err();
            assert!(matches!(error, PrekeyError::LowOrder | PrekeyError::NotCanonical), "{u:?}");
        }
    }
}
