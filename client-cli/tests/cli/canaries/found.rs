//! The canaries: what is secret, in every form in which a program would write it down.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use sealpost_client::vault::{Table, Value, Vault, VaultError, VaultKeySource, VaultTransaction};
use sealpost_crypto::OneTimePrekeyPair;
use sealpost_harness::scan::Canaries;

/// Secrets by their kind; the same one is counted once.
#[derive(Default)]
pub(crate) struct Secrets(std::collections::BTreeSet<(&'static str, Vec<u8>)>);

impl Secrets {
    pub(crate) fn add(&mut self, kind: &'static str, secret: impl AsRef<[u8]>) {
        self.0.insert((kind, secret.as_ref().to_vec()));
    }

    pub(crate) fn join(&mut self, other: &Self) {
        self.0.extend(other.0.iter().cloned());
    }

    pub(crate) fn count(&self, kind: &str) -> usize {
        self.0.iter().filter(|(of, _)| *of == kind).count()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Those of one kind.
    pub(crate) fn of(all: &Self, kind: &str) -> Self {
        Self(all.0.iter().filter(|(of, _)| *of == kind).cloned().collect())
    }

    /// Each in each form.
    pub(crate) fn canaries(&self) -> Canaries {
        let forms = self.0.iter().flat_map(|(kind, secret)| {
            let name = format!("{kind} {:?}", String::from_utf8_lossy(secret));
            forms(secret).map(move |(form, bytes)| (format!("{name} as {form}"), bytes))
        });
        Canaries::new(forms.collect()).unwrap()
    }

    /// Each as it is.
    pub(crate) fn raw(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(|(_, secret)| secret.as_slice())
    }

    /// What a vault holds that nobody else may see. The profile must not be in use.
    pub(crate) fn add_vault(&mut self, path: &Path, passphrase: &str) {
        let source = VaultKeySource::Passphrase(passphrase.to_owned().into());
        let mut vault = Vault::open(path, &source).unwrap();
        vault.transaction::<_, VaultError>(|vault| self.add_records(vault)).unwrap();
    }

    fn add_records(&mut self, vault: &mut dyn VaultTransaction) -> Result<(), VaultError> {
        if let Some(me) = record(vault.get(Table::Identity, b"me")?) {
            self.add_encoded("an identity's private key", &me["device_seed"]);
            self.add_encoded("an identity's private key", &me["account_seed"]);
        }
        if let Some(login) = record(vault.get(Table::Meta, b"login")?) {
            self.add_encoded("a refresh token", &login["refresh"]);
            if let Some(token) = login["access"].as_str() {
                self.add("an access token", token);
            }
        }
        for (name, pair) in vault.entries(Table::Prekey)? {
            // Before the private half is the id, of a signed one its expiry too.
            let begin = if name.first() == Some(&b's') { 12 } else { 4 };
            self.add("a prekey's private half", &pair[begin..begin + 32]);
        }
        for (_, sessions) in vault.entries(Table::Session)? {
            self.add_ratchets(&sessions);
        }
        Ok(())
    }

    /// A ratchet is found by its key pair, a private half before its public one; after these are root and sending chain, and
    /// behind two counters the receiving chain (or, before the first answer, the other's public key, which is no secret).
    fn add_ratchets(&mut self, sessions: &[u8]) {
        let established = 2;
        for (at, window) in sessions.windows(1 + 4 * 32 + 8 + 32).enumerate() {
            let (private, public) = (&window[1..33], &window[33..65]);
            // A private key is 32 random bytes; most of what is tried here is something else.
            let pair = OneTimePrekeyPair::from_bytes(&[&[0; 4], private].concat()).unwrap();
            if pair.public().key.as_bytes() != public {
                continue;
            }
            assert!(at > 0);
            self.add("a ratchet's key", private);
            self.add("a ratchet's key", &window[65..97]);
            self.add("a ratchet's key", &window[97..129]);
            if window[0] == established {
                self.add("a ratchet's key", &window[137..169]);
            }
        }
    }

    fn add_encoded(&mut self, kind: &'static str, value: &serde_json::Value) {
        self.add(kind, URL_SAFE_NO_PAD.decode(value.as_str().unwrap()).unwrap());
    }
}

fn record(value: Option<Value>) -> Option<serde_json::Value> {
    value.map(|value| serde_json::from_slice(&value).unwrap())
}

/// As it is, and as encodings and `{:?}` would write it.
fn forms(secret: &[u8]) -> impl Iterator<Item = (&'static str, Vec<u8>)> + use<> {
    let numbers = secret.iter().map(u8::to_string).collect::<Vec<_>>().join(", ");
    let hex = secret.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    // What the last bytes become depends on what follows them.
    let whole = &secret[..secret.len() / 3 * 3];
    [
        ("bytes", secret.to_vec()),
        ("base64url", URL_SAFE_NO_PAD.encode(whole).into_bytes()),
        ("base64", STANDARD_NO_PAD.encode(whole).into_bytes()),
        ("capital hex", hex.to_uppercase().into_bytes()),
        ("hex", hex.into_bytes()),
        ("numbers", numbers.into_bytes()),
    ]
    .into_iter()
}
