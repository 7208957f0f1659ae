//! The parts of a session's set-up, by themselves, from the same crates that it uses.

use std::hint::black_box;

use anyhow::Result;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use rand::Rng as _;
use x25519_dalek::{PublicKey, StaticSecret};

/// About as long as what a signed prekey's signature covers.
const SIGNED_LEN: usize = 120;

pub(crate) struct Parts {
    secret: StaticSecret,
    public: PublicKey,
    verifying_key: VerifyingKey,
    signed: [u8; SIGNED_LEN],
    signature: Signature,
}

impl Parts {
    pub(crate) fn new() -> Self {
        let secret = StaticSecret::from([7; 32]);
        let signing_key = SigningKey::from_bytes(&[9; 32]);
        let signed = [1; SIGNED_LEN];
        Self {
            public: PublicKey::from(&secret),
            secret,
            verifying_key: signing_key.verifying_key(),
            signature: signing_key.sign(&signed),
            signed,
        }
    }

    pub(crate) fn agree(&mut self) -> Result<()> {
        // Each agreement's output is the next one's key, so that none can be left out.
        self.public = PublicKey::from(self.secret.diffie_hellman(&self.public).to_bytes());
        Ok(())
    }

    pub(crate) fn generate_key(&mut self) -> Result<()> {
        let mut secret = [0; 32];
        rand::rng().fill_bytes(&mut secret);
        black_box(PublicKey::from(&StaticSecret::from(secret)));
        Ok(())
    }

    pub(crate) fn check_signature(&mut self) -> Result<()> {
        self.verifying_key.verify_strict(black_box(&self.signed), &self.signature)?;
        Ok(())
    }
}
