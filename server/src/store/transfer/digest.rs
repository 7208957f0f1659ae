//! Comparing two stores: counts and a hash over everything that they hold.

use sealpost_crypto::DeviceAddress;
use sha2::{Digest as _, Sha256};

use super::moved::{MovedAccount, MovedDevice, MovedMessage, MovedSession};
use crate::store::invites::InviteRecord;

/// Counts of, and a hash over, what was read from a store.
#[derive(Clone, Default)]
pub struct Digest {
    hash: Sha256,
    /// How many records there were of each kind.
    pub counts: Counts,
}

/// How many records there were of each kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, serde::Serialize)]
pub struct Counts {
    /// Accounts.
    pub accounts: u64,
    /// Device lists.
    pub device_lists: u64,
    /// Devices of current lists.
    pub devices: u64,
    /// Signed prekeys.
    pub signed_prekeys: u64,
    /// Sessions, live or not.
    pub sessions: u64,
    /// Messages that wait.
    pub messages: u64,
    /// Bytes of their ciphertexts.
    pub message_bytes: u64,
    /// Notices.
    pub notices: u64,
    /// Invites.
    pub invites: u64,
    /// Retired names.
    pub retired_names: u64,
}

fn add(count: &mut u64, more: usize) {
    *count = count.saturating_add(u64::try_from(more).unwrap_or(u64::MAX));
}

impl Digest {
    /// Hashes a value with its length before it, so that no two sequences of values are the same bytes.
    fn bytes(&mut self, bytes: &[u8]) {
        self.number(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        self.hash.update(bytes);
    }

    fn number(&mut self, number: u64) {
        self.hash.update(number.to_be_bytes());
    }

    fn option(&mut self, bytes: Option<&[u8]>) {
        self.number(u64::from(bytes.is_some()));
        self.bytes(bytes.unwrap_or_default());
    }

    /// Adds an account.
    pub fn account(&mut self, account: &MovedAccount) {
        add(&mut self.counts.accounts, 1);
        add(&mut self.counts.device_lists, account.lists.len());
        add(&mut self.counts.sessions, account.sessions.len());
        add(&mut self.counts.devices, account.devices.len());
        self.bytes(account.id.as_bytes());
        self.bytes(account.username.as_str().as_bytes());
        self.bytes(account.password_hash.as_bytes());
        self.number(account.created_at.0);
        self.option(account.disabled_at.map(|at| at.0.to_be_bytes()).as_ref().map(<[u8; 8]>::as_slice));
        self.bytes(&account.list_hash);
        for (version, encoded) in &account.lists {
            self.number(*version);
            self.bytes(encoded);
        }
        for session in &account.sessions {
            self.session(session);
        }
        for device in &account.devices {
            self.device(device);
        }
    }

    fn session(&mut self, session: &MovedSession) {
        self.bytes(session.id.as_bytes());
        self.bytes(&session.address.to_bytes());
        self.bytes(session.refresh_hash.as_bytes());
        self.option(session.previous_hash.as_ref().map(|hash| hash.as_bytes().as_slice()));
        for number in
            [u64::from(session.generation), session.created_at.0, session.last_used_at.0, u64::from(session.ended)]
        {
            self.number(number);
        }
    }

    fn device(&mut self, device: &MovedDevice) {
        add(&mut self.counts.notices, device.notices.len());
        add(&mut self.counts.signed_prekeys, usize::from(device.signed_prekey.is_some()));
        self.bytes(&device.address.to_bytes());
        self.bytes(device.identity.as_bytes());
        self.bytes(&device.window);
        for number in [
            device.last_seen_at.0,
            u64::from(device.key_epoch),
            u64::from(device.max_issued_id),
            device.connection_epoch,
            device.highest_number,
        ] {
            self.number(number);
        }
        if let Some(prekey) = &device.signed_prekey {
            self.number(u64::from(prekey.id.0));
            self.bytes(prekey.key.as_bytes());
            self.number(prekey.expires_at.0);
            self.bytes(prekey.signature.as_bytes());
        }
        for notice in &device.notices {
            self.bytes(&[notice.kind, notice.reason, u8::from(notice.sealed)]);
            self.bytes(&notice.peer.to_bytes());
            self.number(notice.count);
            self.number(notice.created_at.0);
            notice.numbers.iter().for_each(|number| self.number(*number));
        }
    }

    /// Adds messages of a queue.
    pub fn messages(&mut self, to: &DeviceAddress, messages: &[MovedMessage]) {
        add(&mut self.counts.messages, messages.len());
        for message in messages {
            add(&mut self.counts.message_bytes, message.ciphertext.len());
            self.bytes(&to.to_bytes());
            self.bytes(&message.from.to_bytes());
            self.number(message.number);
            self.number(message.accepted_at.0);
            self.bytes(&message.ciphertext);
        }
    }

    /// Adds invites.
    pub fn invites(&mut self, invites: &[InviteRecord]) {
        add(&mut self.counts.invites, invites.len());
        for invite in invites {
            self.bytes(&invite.hash);
            self.number(invite.created_at.0);
            self.number(invite.expires_at.0);
        }
    }

    /// Adds hashes of retired names.
    pub fn retired_names(&mut self, names: &[[u8; 32]]) {
        add(&mut self.counts.retired_names, names.len());
        names.iter().for_each(|name| self.bytes(name));
    }

    /// Returns SHA-256 over everything that was added, in hexadecimal.
    #[must_use]
    pub fn hash(&self) -> String {
        hex::encode(self.hash.clone().finalize())
    }
}
