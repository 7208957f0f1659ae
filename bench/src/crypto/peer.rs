//! vodozemac's side: Olm sessions. Its messages are handed over as values, not serialised, which only helps it.

use std::hint::black_box;

use anyhow::{Context as _, Result, bail};
use vodozemac::Curve25519PublicKey;
use vodozemac::olm::{Account, OlmMessage, Session, SessionConfig};

/// Two who begin and accept one session after another.
pub(crate) struct People {
    alice: Account,
    bob: Account,
    one_time_key: Option<Curve25519PublicKey>,
}

impl People {
    pub(crate) fn new() -> Self {
        Self { alice: Account::new(), bob: Account::new(), one_time_key: None }
    }

    /// Makes the one-time key that the next session uses up.
    pub(crate) fn refill(&mut self) {
        self.bob.generate_one_time_keys(1);
        self.one_time_key = self.bob.one_time_keys().values().next().copied();
        self.bob.mark_keys_as_published();
    }

    /// Begins a session and encrypts the first message. No signature is checked: that is left to its caller.
    pub(crate) fn initiate(&mut self, plaintext: &[u8]) -> Result<OlmMessage> {
        let one_time_key = self.one_time_key.context("a one-time key was made")?;
        let identity_key = self.bob.curve25519_key();
        let mut session = self.alice.create_outbound_session(SessionConfig::version_1(), identity_key, one_time_key)?;
        Ok(session.encrypt(plaintext)?)
    }

    /// Decrypts a first message. Its own next ratchet key is left to the reply.
    pub(crate) fn accept(&mut self, message: &OlmMessage) -> Result<()> {
        let OlmMessage::PreKey(message) = message else { bail!("a first message is a pre-key message") };
        let identity_key = self.alice.curve25519_key();
        black_box(self.bob.create_inbound_session(SessionConfig::version_1(), identity_key, message)?);
        Ok(())
    }
}

/// Two in the middle of a conversation.
pub(crate) struct Conversation {
    at_alice: Session,
    at_bob: Session,
}

impl Conversation {
    pub(crate) fn settled() -> Result<Self> {
        let mut people = People::new();
        people.refill();
        let one_time_key = people.one_time_key.context("a one-time key was made")?;
        let config = SessionConfig::version_1();
        let mut at_alice = people.alice.create_outbound_session(config, people.bob.curve25519_key(), one_time_key)?;
        let OlmMessage::PreKey(first) = at_alice.encrypt("first")? else {
            bail!("a first message is a pre-key message")
        };
        let at_bob = people.bob.create_inbound_session(config, people.alice.curve25519_key(), &first)?.session;
        let mut conversation = Self { at_alice, at_bob };
        let message = conversation.bob_encrypts(b"reply")?;
        conversation.alice_decrypts(&message)?;
        let message = conversation.alice_encrypts(b"settled")?;
        conversation.bob_decrypts(&message)?;
        Ok(conversation)
    }

    pub(crate) fn alice_encrypts(&mut self, plaintext: &[u8]) -> Result<OlmMessage> {
        Ok(self.at_alice.encrypt(plaintext)?)
    }

    pub(crate) fn bob_encrypts(&mut self, plaintext: &[u8]) -> Result<OlmMessage> {
        Ok(self.at_bob.encrypt(plaintext)?)
    }

    pub(crate) fn alice_decrypts(&mut self, message: &OlmMessage) -> Result<()> {
        black_box(self.at_alice.decrypt(message)?);
        Ok(())
    }

    pub(crate) fn bob_decrypts(&mut self, message: &OlmMessage) -> Result<()> {
        black_box(self.at_bob.decrypt(message)?);
        Ok(())
    }
}
