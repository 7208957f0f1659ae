//! Tokens with one fault each, signed with the server's own key wherever the fault is not the signature.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD as B64URL};
use ed25519_dalek::{Signer as _, SigningKey};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};

use crate::server::{TOKEN_KEY_ID, TOKEN_SEED};

/// A description, and the token.
type Bad = (String, String);

/// The order of the group, little-endian: a signature whose scalar is this much larger verifies where nobody checks.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];
const CLAIMS: [&str; 10] = ["iss", "aud", "sub", "dev", "reg", "sid", "gen", "exp", "nbf", "iat"];

/// A good token's parts, and the key to sign others with.
pub(super) struct Forge {
    token: String,
    pub(super) header: Value,
    pub(super) claims: Value,
}

fn part(token: &str, index: usize) -> Value {
    serde_json::from_slice(&B64URL.decode(token.split('.').nth(index).unwrap()).unwrap()).unwrap()
}

fn bad(what: impl Into<String>, token: String) -> Bad {
    (what.into(), token)
}

fn signed_by(key: &SigningKey, header: &str, claims: &str) -> String {
    let message = format!("{}.{}", B64URL.encode(header), B64URL.encode(claims));
    format!("{message}.{}", B64URL.encode(key.sign(message.as_bytes()).to_bytes()))
}

impl Forge {
    pub(super) fn of(token: &str) -> Self {
        let (header, claims) = (part(token, 0), part(token, 1));
        assert_eq!(header["kid"], TOKEN_KEY_ID);
        Self { token: token.to_owned(), header, claims }
    }

    pub(super) fn signed(&self, header: &str, claims: &str) -> String {
        signed_by(&SigningKey::from_bytes(&TOKEN_SEED), header, claims)
    }

    fn with_header(&self, name: &str, value: Value) -> String {
        let mut header = self.header.clone();
        header[name] = value;
        self.signed(&header.to_string(), &self.claims.to_string())
    }

    fn with_claim(&self, name: &str, value: Value) -> String {
        let mut claims = self.claims.clone();
        claims[name] = value;
        self.signed(&self.header.to_string(), &claims.to_string())
    }

    /// The claims' text, so that it need not be JSON.
    fn with_claim_text(&self, name: &str, value: &str) -> String {
        let claims = self.claims.to_string();
        let old = format!("\"{name}\":{}", self.claims[name]);
        assert!(claims.contains(&old));
        self.signed(&self.header.to_string(), &claims.replace(&old, &format!("\"{name}\":{value}")))
    }

    /// Cut, lengthened, re-encoded, re-ordered.
    pub(super) fn of_bad_form(&self) -> Vec<Bad> {
        let token = &self.token;
        let parts: Vec<&str> = token.split('.').collect();
        let (head, body, signature) = (parts[0], parts[1], parts[2]);
        let (header, claims) = (self.header.to_string(), self.claims.to_string());
        let raw = B64URL.decode(signature).unwrap();
        let mut list: Vec<Bad> = (0..10)
            .map(|tenth| bad(format!("cut at {tenth} tenths"), token[..token.len() * tenth / 10].to_owned()))
            .collect();
        for (what, token) in [
            ("dots", "..".to_owned()),
            ("two parts", format!("{head}.{body}")),
            ("four parts", format!("{token}.{signature}")),
            ("five parts", format!("{head}.{body}.{signature}.{head}.{body}")),
            ("an empty part before", format!(".{token}")),
            ("an empty part after", format!("{token}.")),
            ("no signature", format!("{head}.{body}.")),
            ("one byte less", token[..token.len() - 1].to_owned()),
            ("a signature of zeroes", format!("{head}.{body}.{}", B64URL.encode([0; 64]))),
            ("a short signature", format!("{head}.{body}.{}", B64URL.encode(&raw[..63]))),
            ("a long signature", format!("{head}.{body}.{}", B64URL.encode([raw.as_slice(), &[0]].concat()))),
            ("a padded signature", format!("{head}.{body}.{}", URL_SAFE.encode(&raw))),
            ("trailing =", format!("{token}=")),
            ("trailing text", format!("{token}AAAA")),
            ("a line break", format!("{token}\n")),
            ("a line break inside", format!("{head}.\n{body}.{signature}")),
            ("a space before", format!(" {token}")),
            ("a tab before", format!("\t{token}")),
            ("quotes", format!("\"{token}\"")),
            ("a comma", format!("{token},{token}")),
            ("twice", format!("{token} {token}")),
            ("a NUL", format!("{token}\0")),
            ("too long", format!("{token}{}", "A".repeat(4_096))),
            ("padded claims", format!("{head}.{body}=.{signature}")),
            ("parts exchanged", format!("{body}.{head}.{signature}")),
            ("claims without a header", format!("{}.{body}.{signature}", B64URL.encode("{}"))),
            ("JSON serialization", json!({"payload": body, "protected": head, "signature": signature}).to_string()),
            ("claims as they are", format!("{head}.{claims}.{signature}")),
            ("header as it is", format!("{header}.{body}.{signature}")),
            ("claims after a byte order mark", self.signed(&header, &format!("\u{feff}{claims}"))),
            ("something after the claims", self.signed(&header, &format!("{claims} {{}}"))),
            ("two objects", self.signed(&header, &format!("{claims}{claims}"))),
            ("claims are a list", self.signed(&header, &format!("[{claims}]"))),
            ("claims are null", self.signed(&header, "null")),
            ("claims are empty", self.signed(&header, "")),
            ("claims are no JSON", self.signed(&header, "sub=1")),
            ("header is a list", self.signed(&format!("[{header}]"), &claims)),
            ("header is empty", self.signed("", &claims)),
            ("something after the header", self.signed(&format!("{header}{{}}"), &claims)),
        ] {
            list.push(bad(what, token));
        }
        let mut scalar = raw.clone();
        let mut carry = 0_u16;
        for (byte, more) in scalar[32..].iter_mut().zip(ORDER) {
            carry += u16::from(*byte) + u16::from(more);
            *byte = carry.to_le_bytes()[0];
            carry >>= 8;
        }
        list.push(bad("a scalar beyond the order", format!("{head}.{body}.{}", B64URL.encode(&scalar))));
        for index in [0, 31, 32, 63] {
            let mut flipped = raw.clone();
            flipped[index] ^= 1;
            list.push(bad(format!("bit {index} flipped"), format!("{head}.{body}.{}", B64URL.encode(&flipped))));
        }
        list
    }

    /// Not signed, signed with something else, or signed for somebody else's check.
    pub(super) fn of_bad_algorithm(&self) -> Vec<Bad> {
        let (header, claims) = (self.header.to_string(), self.claims.to_string());
        let body = B64URL.encode(&claims);
        let signature = self.token.rsplit('.').next().unwrap();
        let mut list = Vec::new();
        for name in ["none", "None", "NONE", "nOnE", ""] {
            let none = B64URL.encode(header.replace("EdDSA", name));
            list.push(bad(format!("alg {name:?}, unsigned"), format!("{none}.{body}.")));
            list.push(bad(format!("alg {name:?}, signed before"), format!("{none}.{body}.{signature}")));
            list.push(bad(format!("alg {name:?}, signed"), self.with_header("alg", json!(name))));
        }
        let key = SigningKey::from_bytes(&TOKEN_SEED);
        let public = key.verifying_key();
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": B64URL.encode(public.as_bytes())}).to_string();
        let secrets: [Vec<u8>; 8] = [
            public.as_bytes().to_vec(),
            STANDARD.encode(public.as_bytes()).into_bytes(),
            B64URL.encode(public.as_bytes()).into_bytes(),
            hex::encode(public.as_bytes()).into_bytes(),
            jwk.into_bytes(),
            TOKEN_KEY_ID.as_bytes().to_vec(),
            Vec::new(),
            b"secret".to_vec(),
        ];
        for (number, secret) in secrets.iter().enumerate() {
            for name in ["HS256", "HS512"] {
                let message = format!("{}.{body}", B64URL.encode(header.replace("EdDSA", name)));
                let tag = if name == "HS256" {
                    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret).unwrap();
                    mac.update(message.as_bytes());
                    mac.finalize().into_bytes().to_vec()
                } else {
                    let mut mac = Hmac::<sha2::Sha512>::new_from_slice(secret).unwrap();
                    mac.update(message.as_bytes());
                    mac.finalize().into_bytes().to_vec()
                };
                list.push(bad(
                    format!("{name} with public text {number}"),
                    format!("{message}.{}", B64URL.encode(tag)),
                ));
            }
        }
        for alg in ["HS256", "ES256", "RS256", "PS256", "eddsa", "EdDSA ", "Ed25519", "EdDSA\0"] {
            list.push(bad(format!("alg {alg:?}"), self.with_header("alg", json!(alg))));
        }
        let thief = SigningKey::from_bytes(&[0x99; 32]);
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": B64URL.encode(thief.verifying_key().as_bytes())});
        list.push(bad("another key", signed_by(&thief, &header, &claims)));
        for (name, value) in
            [("jwk", jwk.clone()), ("jku", json!("https://thief.example/keys")), ("x5c", json!(["MIIB"]))]
        {
            let mut header = self.header.clone();
            header[name] = value;
            list.push(bad(format!("another key by {name}"), signed_by(&thief, &header.to_string(), &claims)));
        }
        list
    }

    /// Rightly signed; the header is not ours.
    pub(super) fn of_bad_header(&self) -> Vec<Bad> {
        let (header, claims) = (self.header.to_string(), self.claims.to_string());
        let mut list = Vec::new();
        for kid in [
            "",
            "yesterday",
            "unknown",
            "Today",
            "today ",
            "today\0",
            "../today",
            "../../../../dev/null",
            "/dev/null",
            "file:///dev/null",
            "today' OR '1'='1",
            "today; DROP TABLE sessions",
            "$(id)",
            "https://thief.example/key",
        ] {
            list.push(bad(format!("kid {kid:?}"), self.with_header("kid", json!(kid))));
        }
        for (name, value) in [
            ("typ", json!("JWT")),
            ("typ", json!("at+JWT")),
            ("typ", json!("application/at+jwt")),
            ("typ", json!("refresh+jwt")),
            ("typ", json!("")),
            ("typ", Value::Null),
            ("typ", json!(["at+jwt"])),
            ("alg", Value::Null),
            ("alg", json!(["EdDSA"])),
            ("alg", json!(0)),
            ("kid", Value::Null),
            ("kid", json!(1)),
            ("kid", json!({"$gt": ""})),
            ("kid", json!(["today"])),
            ("jku", json!("https://thief.example/keys")),
            ("jwk", json!({"kty": "OKP"})),
            ("x5u", json!("https://thief.example/x")),
            ("x5c", json!([])),
            ("x5t", json!("AAAA")),
            ("crit", json!(["exp"])),
            ("crit", json!([])),
            ("b64", json!(false)),
            ("zip", json!("DEF")),
            ("cty", json!("JWT")),
            ("enc", json!("A128GCM")),
        ] {
            list.push(bad(format!("header {name}: {value}"), self.with_header(name, value)));
        }
        for name in ["alg", "typ", "kid"] {
            let mut without = self.header.clone();
            without.as_object_mut().unwrap().remove(name);
            list.push(bad(format!("no {name}"), self.signed(&without.to_string(), &claims)));
            let twice = header.replacen('{', &format!("{{\"{name}\":{},", self.header[name]), 1);
            list.push(bad(format!("{name} twice"), self.signed(&twice, &claims)));
        }
        list
    }

    /// Rightly signed; claims are missing, twice, too many, or of another type.
    pub(super) fn of_bad_claims(&self) -> Vec<Bad> {
        let (header, claims) = (self.header.to_string(), self.claims.to_string());
        let mut list = Vec::new();
        for name in CLAIMS {
            let mut without = self.claims.clone();
            let value = without.as_object_mut().unwrap().remove(name).unwrap();
            list.push(bad(format!("no {name}"), self.signed(&header, &without.to_string())));
            let twice = claims.replacen('{', &format!("{{\"{name}\":{value},"), 1);
            list.push(bad(format!("{name} twice"), self.signed(&header, &twice)));
            let escaped = format!("\\u{:04x}{}", name.as_bytes()[0], &name[1..]);
            let twice = claims.replacen('{', &format!("{{\"{escaped}\":{value},"), 1);
            list.push(bad(format!("{name} twice, once escaped"), self.signed(&header, &twice)));
            for other in [Value::Null, json!([value]), json!({"$gt": ""}), json!(true)] {
                list.push(bad(format!("{name} is {other}"), self.with_claim(name, other)));
            }
            let mut capital = without.clone();
            capital[name.to_uppercase()] = self.claims[name].clone();
            list.push(bad(format!("{name} in capitals"), self.signed(&header, &capital.to_string())));
        }
        for (name, value) in [("admin", json!(true)), ("scope", json!("all")), ("jti", json!("1")), ("", json!(1))] {
            list.push(bad(format!("one more claim {name:?}"), self.with_claim(name, value)));
        }
        list
    }

    /// Rightly signed and of the right types, for another server, account, device or session.
    pub(super) fn of_another(&self, own: &str, second_device: &str, other_account: &str) -> Vec<Bad> {
        let mut list = Vec::new();
        let urn = self.claims["iss"].as_str().unwrap();
        for issuer in ["https://thief.example", "", &urn.to_uppercase(), &format!("{urn}:api"), &format!("{urn} ")] {
            list.push(bad(format!("iss {issuer}"), self.with_claim("iss", json!(issuer))));
        }
        for audience in [json!(urn), json!(""), json!("somebody else"), json!([self.claims["aud"].clone(), "x"])] {
            list.push(bad(format!("aud {audience}"), self.with_claim("aud", audience)));
        }
        let (own, second, other) = (part(own, 1), part(second_device, 1), part(other_account, 1));
        // One claim of somebody else: what is left does not fit the session.
        for (who, theirs) in [("other device", &second), ("other account", &other)] {
            for name in ["sub", "dev", "reg", "sid"] {
                if theirs[name] != own[name] {
                    list.push(bad(format!("{name} of the {who}"), self.with_claim(name, theirs[name].clone())));
                }
            }
        }
        for (name, value) in [
            ("gen", json!(0)),
            ("gen", json!(2)),
            ("gen", json!(u32::MAX)),
            ("gen", json!(-1)),
            ("gen", json!("1")),
            ("gen", json!(1.5)),
            ("gen", json!(4_294_967_297_u64)),
            ("dev", json!(0)),
            ("dev", json!(2)),
            ("dev", json!(128)),
            ("dev", json!(257)),
            ("dev", json!(-1)),
            ("dev", json!("1")),
            ("sub", json!("")),
            ("sub", json!("AAAA")),
            ("sub", json!("*")),
            ("reg", json!("AAAA")),
            ("sid", json!("../../x")),
            ("sid", json!(B64URL.encode([0; 16]))),
        ] {
            list.push(bad(format!("{name} is {value}"), self.with_claim(name, value)));
        }
        list
    }

    /// Rightly signed; `exp`, `nbf` or `iat` is of another type, no number, or the time is not now.
    pub(super) fn of_bad_times(&self, now: u64) -> Vec<Bad> {
        let mut list = Vec::new();
        for name in ["exp", "nbf", "iat"] {
            let right = self.claims[name].as_u64().unwrap();
            for text in [
                "\"9999999999\"",
                "\"x\"",
                "\"\"",
                "\"0x7fffffff\"",
                "\"NaN\"",
                "null",
                "true",
                "[]",
                "{}",
                "NaN",
                "Infinity",
                "-1",
                "-9223372036854775808",
                "1.5",
                "1e300",
                "1e400",
                "18446744073709551616",
                "0x7fffffff",
                "+1",
                "",
            ] {
                list.push(bad(format!("{name} is {text}"), self.with_claim_text(name, text)));
            }
            for text in [
                format!("\"{right}\""),
                format!("{right}.0"),
                format!("0{right}"),
                format!("{right}e0"),
                format!("[{right}]"),
            ] {
                list.push(bad(format!("{name} is {text}"), self.with_claim_text(name, &text)));
            }
        }
        for exp in [0, 1, now - 86_400, now - 600, now - 5] {
            list.push(bad(format!("exp {exp}: over"), self.with_claim("exp", json!(exp))));
        }
        for exp in [now + 601, now * 1_000, u64::from(u32::MAX), i64::MAX.cast_unsigned(), u64::MAX] {
            list.push(bad(format!("exp {exp}: too long"), self.with_claim("exp", json!(exp))));
        }
        for (name, begin) in [("nbf", now + 6), ("nbf", now + 3_600), ("nbf", u64::MAX), ("iat", now + 6), ("iat", 0)] {
            list.push(bad(format!("{name} {begin}"), self.with_claim(name, json!(begin))));
        }
        list
    }
}
