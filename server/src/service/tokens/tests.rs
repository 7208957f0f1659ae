use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD as B64URL};
use ed25519_dalek::{Signer as _, SigningKey};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};

use super::*;

const SEED: [u8; 32] = [7; 32];
const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

fn key(id: &str, seed: [u8; 32]) -> TokenKey {
    TokenKey::from_seed(TokenKeyId::parse(id).unwrap(), &seed)
}

fn tokens() -> Tokens {
    Tokens::new(&[key("old", [6; 32]), key("new", SEED)], ServerId::from_bytes([1; 16])).unwrap()
}

fn address() -> DeviceAddress {
    DeviceAddress {
        account: AccountId::from_bytes([2; 16]),
        device: DeviceId::new(3).unwrap(),
        registration: RegistrationId::from_bytes([4; 32]),
    }
}

const SESSION: SessionId = SessionId::from_bytes([5; 16]);

fn good() -> String {
    tokens().issue(NOW, &address(), SESSION, 9).unwrap().reveal().to_owned()
}

fn part(token: &str, index: usize) -> Value {
    serde_json::from_slice(&B64URL.decode(token.split('.').nth(index).unwrap()).unwrap()).unwrap()
}

/// Signs header and claims, given as text, with the right key.
fn signed(header: &str, claims: &str) -> String {
    let message = format!("{}.{}", B64URL.encode(header), B64URL.encode(claims));
    let signature = SigningKey::from_bytes(&SEED).sign(message.as_bytes());
    format!("{message}.{}", B64URL.encode(signature.to_bytes()))
}

fn with_claims(change: impl FnOnce(&mut Value)) -> String {
    let mut claims = part(&good(), 1);
    change(&mut claims);
    signed(&part(&good(), 0).to_string(), &claims.to_string())
}

fn with_header(change: impl FnOnce(&mut Value)) -> String {
    let mut header = part(&good(), 0);
    change(&mut header);
    signed(&header.to_string(), &part(&good(), 1).to_string())
}

fn hs256(secret: &[u8]) -> String {
    let mut header = part(&good(), 0);
    header["alg"] = json!("HS256");
    let message = format!("{}.{}", B64URL.encode(header.to_string()), B64URL.encode(part(&good(), 1).to_string()));
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret).unwrap();
    mac.update(message.as_bytes());
    format!("{message}.{}", B64URL.encode(mac.finalize().into_bytes()))
}

#[test]
fn a_token_says_what_it_was_issued_for() {
    let claims = tokens().check(NOW, &good()).unwrap();
    assert_eq!(claims.address, address());
    assert_eq!(claims.session, SESSION);
    assert_eq!(claims.generation, 9);
    assert_eq!(claims.expires_at, NOW.saturating_add(600_000));
    // What the table of bad tokens is made with is good when nothing is changed.
    assert!(tokens().check(NOW, &with_claims(|_| {})).is_ok());
    assert!(tokens().check(NOW, &with_header(|_| {})).is_ok());
}

#[test]
fn a_token_lives_ten_minutes_and_five_seconds_of_leeway() {
    for (after, good_still) in [(0, true), (600_000, true), (604_999, true), (605_000, false), (86_400_000, false)] {
        assert_eq!(tokens().check(NOW.saturating_add(after), &good()).is_ok(), good_still, "{after}");
    }
    assert!(tokens().check(NOW.saturating_sub(5_000), &good()).is_ok());
    assert!(tokens().check(NOW.saturating_sub(6_000), &good()).is_err());
}

#[test]
fn tokens_of_an_older_key_stay_good_and_those_of_a_retired_one_do_not() {
    let server = ServerId::from_bytes([1; 16]);
    let before = Tokens::new(&[key("old", [6; 32])], server).unwrap();
    let token = before.issue(NOW, &address(), SESSION, 1).unwrap();
    assert!(tokens().check(NOW, token.reveal()).is_ok());
    assert!(Tokens::new(&[key("new", SEED)], server).unwrap().check(NOW, token.reveal()).is_err());
    assert!(matches!(Tokens::new(&[], server), Err(TokensError::NoKey)));
    assert!(matches!(Tokens::new(&[key("a", SEED), key("a", [1; 32])], server), Err(TokensError::DuplicateKey)));
}

#[test]
fn another_servers_token_is_not_good_here() {
    let other = Tokens::new(&[key("new", SEED)], ServerId::from_bytes([2; 16])).unwrap();
    let token = other.issue(NOW, &address(), SESSION, 9).unwrap();
    assert_eq!(tokens().check(NOW, token.reveal()), Err(InvalidToken));
}

#[test]
fn every_tampered_token_is_refused() {
    let token = good();
    let parts: Vec<&str> = token.split('.').collect();
    let (head, body, signature) = (parts[0], parts[1], parts[2]);
    let claims_text = part(&token, 1).to_string();
    let header_text = part(&token, 0).to_string();
    let public = SigningKey::from_bytes(&SEED).verifying_key();
    let none = B64URL.encode(header_text.replace("EdDSA", "none"));
    let mut bad: Vec<(&str, String)> = vec![
        ("empty", String::new()),
        ("dots", "..".to_owned()),
        ("two parts", format!("{head}.{body}")),
        ("four parts", format!("{token}.{signature}")),
        ("no signature", format!("{head}.{body}.")),
        ("alg none", format!("{none}.{body}.")),
        ("alg none with a signature", format!("{none}.{body}.{signature}")),
        ("HS256 with the public key", hs256(public.as_bytes())),
        ("HS256 with the public key as text", hs256(STANDARD.encode(public.as_bytes()).as_bytes())),
        ("HS256 with nothing", hs256(&[])),
        ("another signature", format!("{head}.{body}.{}", B64URL.encode([0; 64]))),
        ("a short signature", format!("{head}.{body}.{}", B64URL.encode([0; 63]))),
        ("padding", format!("{token}=")),
        ("space before", format!(" {token}")),
        ("space after", format!("{token} ")),
        ("newline", format!("{token}\n")),
        ("quotes", format!("\"{token}\"")),
        ("too long", format!("{token}{}", "A".repeat(4_096))),
        ("duplicate claim", signed(&header_text, &claims_text.replacen('{', "{\"gen\":9,", 1))),
        ("duplicate header", signed(&header_text.replacen('{', "{\"kid\":\"new\",", 1), &claims_text)),
        ("claims are a list", signed(&header_text, "[1]")),
        ("claims are null", signed(&header_text, "null")),
        ("claims with something after", signed(&header_text, &format!("{claims_text} {{}}"))),
        ("header is a list", signed("[]", &claims_text)),
    ];
    for (name, value) in [
        ("alg", json!("HS256")),
        ("alg", json!("eddsa")),
        ("alg", json!("ES256")),
        ("alg", Value::Null),
        ("typ", json!("JWT")),
        ("typ", json!("at+JWT")),
        ("typ", Value::Null),
        ("kid", json!("old")),
        ("kid", json!("unknown")),
        ("kid", json!("../new")),
        ("kid", json!("new' OR '1'='1")),
        ("kid", json!(1)),
        ("kid", Value::Null),
        ("jku", json!("https://evil.example/keys")),
        ("jwk", json!({"kty": "OKP"})),
        ("x5u", json!("https://evil.example/x")),
        ("crit", json!(["exp"])),
        ("b64", json!(false)),
        ("zip", json!("DEF")),
    ] {
        bad.push(("header", with_header(|header| header[name] = value)));
    }
    for name in ["iss", "aud", "sub", "dev", "reg", "sid", "gen", "exp", "nbf", "iat"] {
        bad.push((name, with_claims(|claims| drop(claims.as_object_mut().unwrap().remove(name)))));
        bad.push((name, with_claims(|claims| claims[name] = Value::Null)));
        bad.push((name, with_claims(|claims| claims[name] = json!([claims[name].clone()]))));
        bad.push((name, with_claims(|claims| claims[name] = json!({"$gt": ""}))));
    }
    for (name, value) in [
        ("iss", json!("https://evil.example")),
        ("aud", json!("somebody else")),
        ("sub", json!("")),
        ("sub", json!("AAAA")),
        ("dev", json!(0)),
        ("dev", json!(128)),
        ("dev", json!(-1)),
        ("dev", json!("3")),
        ("reg", json!("AAAA")),
        ("sid", json!("../../x")),
        ("gen", json!(-9)),
        ("gen", json!("9")),
        ("gen", json!(4_294_967_296_u64)),
        ("exp", json!("9999999999")),
        ("exp", json!(1)),
        ("exp", json!(-1)),
        ("exp", json!(1e300)),
        ("exp", json!(u64::MAX)),
        ("exp", json!(1_800_000_600.5)),
        ("nbf", json!("x")),
        ("nbf", json!(1_800_000_006)),
        ("nbf", json!(0.5)),
        ("iat", json!(1_800_000_006)),
        ("iat", json!("0")),
        ("iat", json!(0)),
        ("admin", json!(true)),
    ] {
        bad.push((name, with_claims(|claims| claims[name] = value)));
    }
    assert!(bad.len() >= 100);
    for (what, token) in bad {
        assert_eq!(tokens().check(NOW, &token), Err(InvalidToken), "{what}: {token}");
    }
}

#[test]
fn no_single_changed_character_is_accepted() {
    let token = good();
    for index in 0..token.len() {
        let mut changed = token.clone().into_bytes();
        changed[index] = if changed[index] == b'A' { b'B' } else { b'A' };
        assert!(tokens().check(NOW, &String::from_utf8(changed).unwrap()).is_err(), "{index}");
    }
}

#[test]
fn a_key_does_not_print_its_seed() {
    assert_eq!(format!("{:?}", key("new", SEED)), "TokenKey(new, seed hidden)");
    assert!(["", "A", "a b", "ü", "../x", &"a".repeat(33)].iter().all(|id| TokenKeyId::parse(id).is_err()));
}
