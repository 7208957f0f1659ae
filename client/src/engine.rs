//! The client engine: everything a Sealpost client decides, without I/O.
//!
//! It takes [`Input`]s and gives [`Effect`]s; it opens no connection, reads no clock and has no global state. What it must
//! not forget goes through [`VaultTransaction`].
//!
//! # How a driver uses it
//!
//! 1. Begin a vault transaction and make a [`Context`] of it, with the time and a random number generator.
//! 2. Call [`Engine::handle_all`] with the inputs at hand, and keep the effects.
//! 3. Commit. Only then perform the effects, in order.
//! 4. If `handle` fails or the commit does, drop the engine and its effects, and [open](Engine::open) a new one.
//!
//! So an ack, a frame or a request never leaves before what it promises is on disk, and nothing in memory is needed to go
//! on after a crash: the engine remembers only the connection and the requests that are under way.

mod account;
mod answers;
mod bundles;
mod calls;
mod codec;
mod command;
mod contacts;
mod devices;
mod effect;
mod event;
#[cfg(fuzzing)]
pub mod fuzzing;
mod history;
mod http;
mod inbox;
mod limits;
mod model;
mod notices;
mod order;
mod outbox;
mod prekeys;
mod profile;
mod record;
mod recovery;
mod repair;
mod sealing;
mod state;
mod stream;
mod tokens;

pub use command::{Command, CommandError, CommandId, DeviceOffer, InvalidCommand, Outcome};
pub use effect::{Effect, HttpResponse, Input, Method, Request, RequestFailure, RequestId, StreamRefusal};
pub use event::{Event, OfflineReason};
pub use model::{
    AccountInfo, ContactInfo, DeviceInfo, Direction, GapKind, HistoryEntry, KeyStatus, Limit, MessageFlag,
    MessageReceipt, Notice, NoticeBody, OutboxEntry, PeerDevice, SessionRow, Status, Undecryptable,
};

use std::collections::{BTreeMap, BTreeSet};

use rand_core::CryptoRng;
use sealpost_api::ids::{RowId, ServerId};
use sealpost_api::password::Password;
use sealpost_api::username::Username;
use sealpost_crypto::{AccountId, DeviceAddress, PairSessions, UnixMillis};

use crate::vault::{Log, Table, VaultError, VaultTransaction};
use calls::Waiting;
use codec::parse;
use http::{Backoff, Purpose};
use state::{
    AccountRequest, Contact, Held, Item, Keys, ListsToPublish, Login, Marks, Me, Offered, PasswordChange, Peer,
    PrekeyUpload, Sender, StoredMe,
};

/// What the engine is lent for one call.
pub struct Context<'a> {
    /// The open transaction; the driver commits it.
    pub vault: &'a mut dyn VaultTransaction,
    /// The time.
    pub now: UnixMillis,
    /// For keys, ids, tokens and jitter.
    pub rng: &'a mut dyn CryptoRng,
}

/// The engine can't go on with this vault: drop it, and the transaction with it.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The vault failed.
    #[error("the vault failed")]
    Vault(#[from] VaultError),
    /// A record in the vault is not what this version wrote.
    #[error("the vault's record of {what} could not be read")]
    Record {
        /// What it is about.
        what: &'static str,
    },
    /// A bug of ours.
    #[error("something went wrong inside the client")]
    Internal,
}

/// What messages are sent one after the other: a recipient, by account once that is known.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Lane {
    Name(Username),
    Account(AccountId),
}

/// The stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Closed,
    /// Asked for, not open yet.
    Opening,
    /// Open; the server has not welcomed this device yet, so nothing may be sent.
    Open,
    /// Welcomed.
    Ready,
}

/// The engine. See the [module](self) for how it is driven.
pub struct Engine {
    // What is in the vault as well, and written through.
    me: Option<Me>,
    offered: Option<Offered>,
    sender: Sender,
    login: Option<Login>,
    keys: Keys,
    marks: Marks,
    contacts: BTreeMap<AccountId, Contact>,
    names: BTreeMap<Username, AccountId>,
    held: BTreeMap<DeviceAddress, BTreeMap<(u64, u64), Held>>,
    items: BTreeMap<u64, Item>,
    lanes: BTreeMap<Lane, BTreeSet<u64>>,
    account_request: Option<AccountRequest>,
    upload: Option<PrekeyUpload>,
    publishing: Option<ListsToPublish>,
    password_change: Option<PasswordChange>,
    peers: BTreeMap<DeviceAddress, Peer>,
    /// Read when first needed, because sessions are large and most devices are silent most of the time.
    sessions: BTreeMap<DeviceAddress, PairSessions>,

    // What a crash may take: the connection and what is under way.
    server: Option<ServerId>,
    /// The account's password, as given with a command, for logging in again.
    password: Option<Password>,
    identity_attempts: u32,
    link: Link,
    online_wanted: bool,
    /// All that waited was delivered on this connection.
    drained: bool,
    told_drained: bool,
    stream_backoff: Backoff,
    /// Access tokens were refused on opening a stream, in a row.
    stream_unauthenticated: u32,
    /// Numbers handed to this connection.
    sent_here: BTreeSet<u64>,
    /// Numbers not answered yet, and the outbox item of each; none for what is sent again after a restore.
    in_flight: BTreeMap<u64, Option<u64>>,
    /// Numbers that were refused for now, and when to send them again.
    retry_at: BTreeMap<u64, UnixMillis>,
    acks: Vec<RowId>,
    waiting: BTreeMap<CommandId, Waiting>,
    wanted_lists: BTreeSet<AccountId>,
    /// Devices that have no usable prekey now and get no copy until they come back.
    unreachable_devices: BTreeSet<DeviceAddress>,
    /// Devices that a session was begun with and nothing was sent in it.
    fresh_sessions: BTreeSet<DeviceAddress>,
    requests: BTreeMap<RequestId, Purpose>,
    backoffs: BTreeMap<Purpose, Backoff>,
    next_request: u64,
    failures: u32,
    told_needs_login: bool,
    effects: Vec<Effect>,
    wake: Option<UnixMillis>,
}

impl Engine {
    /// Reads what is in the vault. Nothing is asked of the server before an input comes.
    ///
    /// # Errors
    /// [`EngineError`] if the vault fails or holds what this version can't read.
    pub fn open(context: &mut Context<'_>) -> Result<Self, EngineError> {
        let me = match context.load::<StoredMe>(Table::Identity, state::ME, "the account")? {
            Some(stored) => Some(Me::from_stored(stored).ok_or(EngineError::Record { what: "the account" })?),
            None => None,
        };
        let mut engine = Self {
            me,
            offered: context.load(Table::Identity, state::OFFERED, "the offered device")?,
            sender: context.load(Table::Meta, state::SENDER, "the sender")?.unwrap_or_default(),
            login: context.load(Table::Meta, state::LOGIN, "the session")?,
            keys: context.load(Table::Meta, state::KEYS, "the prekeys")?.unwrap_or_default(),
            marks: context.load(Table::Meta, state::MARKS, "the marks")?.unwrap_or_default(),
            contacts: BTreeMap::new(),
            names: BTreeMap::new(),
            held: BTreeMap::new(),
            items: BTreeMap::new(),
            lanes: BTreeMap::new(),
            account_request: context.load(Table::Request, state::ACCOUNT_REQUEST, "the account request")?,
            upload: context.load(Table::Request, state::PREKEY_REQUEST, "the prekey upload")?,
            publishing: context.load(Table::Request, state::LIST_REQUEST, "the device list")?,
            password_change: context.load(Table::Request, state::PASSWORD_REQUEST, "the password change")?,
            peers: BTreeMap::new(),
            sessions: BTreeMap::new(),
            server: None,
            password: None,
            identity_attempts: 0,
            link: Link::Closed,
            online_wanted: false,
            drained: false,
            told_drained: false,
            stream_backoff: Backoff::default(),
            stream_unauthenticated: 0,
            sent_here: BTreeSet::new(),
            in_flight: BTreeMap::new(),
            retry_at: BTreeMap::new(),
            acks: Vec::new(),
            waiting: BTreeMap::new(),
            wanted_lists: BTreeSet::new(),
            unreachable_devices: BTreeSet::new(),
            fresh_sessions: BTreeSet::new(),
            requests: BTreeMap::new(),
            backoffs: BTreeMap::new(),
            next_request: 0,
            failures: 0,
            told_needs_login: false,
            effects: Vec::new(),
            wake: None,
        };
        for (key, value) in context.vault.entries(Table::Contact)? {
            let account =
                <[u8; 16]>::try_from(key.as_slice()).map_err(|_| EngineError::Record { what: "a contact" })?;
            let contact: Contact = parse(&value, "a contact")?;
            engine.index_contact(AccountId::from_bytes(account), contact);
        }
        for (_, value) in context.vault.entries(Table::Inbox)? {
            let mut held: Held = parse(&value, "a received message")?;
            held.stored = true;
            engine.held.entry(held.from).or_default().insert((held.stream, held.counter), held);
        }
        for (key, value) in context.vault.entries(Table::Peer)? {
            let damaged = || EngineError::Record { what: "a device" };
            let address = key.as_slice().try_into().map_err(|_| damaged())?;
            let address = DeviceAddress::from_bytes(address).map_err(|_| damaged())?;
            engine.peers.insert(address, parse(&value, "a device")?);
        }
        engine.in_flight.extend(engine.sender.resend.iter().map(|number| (*number, None)));
        engine.read_outbox(context)?;
        Ok(engine)
    }

    /// Takes one input. The effects are to be performed in order, after the transaction has committed.
    ///
    /// # Errors
    /// [`EngineError`]: drop the engine and roll the transaction back.
    pub fn handle(&mut self, context: &mut Context<'_>, input: Input) -> Result<Vec<Effect>, EngineError> {
        self.handle_all(context, [input])
    }

    /// Takes several inputs, in their order. What they deliver is acked together.
    ///
    /// # Errors
    /// [`EngineError`]: drop the engine and roll the transaction back.
    pub fn handle_all(
        &mut self,
        context: &mut Context<'_>,
        inputs: impl IntoIterator<Item = Input>,
    ) -> Result<Vec<Effect>, EngineError> {
        for input in inputs {
            self.take_in(context, input)?;
        }
        self.flush_acks();
        Ok(std::mem::take(&mut self.effects))
    }

    fn take_in(&mut self, context: &mut Context<'_>, input: Input) -> Result<(), EngineError> {
        self.wake = None;
        match input {
            Input::Command { id, command } => self.on_command(context, id, command)?,
            Input::Response { request, result } => self.on_response(context, request, result)?,
            Input::StreamOpened => self.on_stream_opened(),
            Input::Frame(frame) => self.on_frame(context, frame)?,
            Input::StreamClosed { code } => self.on_stream_closed(context, code)?,
            Input::StreamRefused(refusal) => self.on_stream_refused(context, refusal)?,
            Input::Tick => {}
        }
        self.advance(context)?;
        if let Some(at) = self.wake.take() {
            self.effects.push(Effect::WakeAt(at));
        }
        Ok(())
    }

    /// Looks at everything that is wanted, and begins what can be begun.
    fn advance(&mut self, context: &mut Context<'_>) -> Result<(), EngineError> {
        self.advance_account(context)?;
        if self.me.is_none() {
            return Ok(());
        }
        self.advance_calls(context)?;
        self.advance_stream(context)?;
        self.advance_contacts(context)?;
        self.advance_devices(context)?;
        self.advance_order(context)?;
        if self.online_wanted {
            self.advance_prekeys(context)?;
            self.advance_repairs(context)?;
            self.advance_outbox(context)?;
        }
        Ok(())
    }

    /// Asks to be woken; the earliest time counts.
    fn wake_at(&mut self, at: UnixMillis) {
        self.wake = Some(self.wake.map_or(at, |earlier| earlier.min(at)));
    }

    fn emit(&mut self, event: Event) {
        self.effects.push(Effect::Emit(event));
    }

    /// What is remembered of a remote device; nothing yet for a new one.
    fn peer(&mut self, address: DeviceAddress) -> &mut Peer {
        self.peers.entry(address).or_default()
    }

    fn save_peer(&mut self, context: &mut Context<'_>, address: DeviceAddress) -> Result<(), EngineError> {
        match self.peers.get(&address) {
            Some(peer) => context.save(Table::Peer, &address.to_bytes(), peer),
            None => Ok(()),
        }
    }

    fn read_outbox(&mut self, context: &mut Context<'_>) -> Result<(), EngineError> {
        const PAGE: usize = 256;
        let mut from = 0;
        loop {
            let page = context.vault.read(Log::Outbox, from, PAGE)?;
            let count = page.len();
            for (position, value) in page {
                let mut item: Item = parse(&value, "an outbox message")?;
                if let Some(number) = item.number {
                    // It may have left before the last engine ended.
                    item.unknown = true;
                    self.in_flight.insert(number, Some(position));
                }
                self.lanes.entry(item.lane()).or_default().insert(position);
                self.items.insert(position, item);
                from = position.saturating_add(1);
            }
            if count < PAGE {
                return Ok(());
            }
        }
    }
}
