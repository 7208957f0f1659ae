//! A connection's mailbox: a bounded number of rows, merged notices, and the reason to end.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use sealpost_api::close;
use sealpost_api::limits::DELIVERY_WINDOW_ROWS;
use sealpost_crypto::AccountId;
use tokio::sync::Notify;

use crate::store::QueueItem;

/// The most rows kept for a busy connection: one delivery window. Further rows stay in the store.
const ROWS_MAX: usize = DELIVERY_WINDOW_ROWS;
/// The most bytes of those rows, so that many connections that do not read cost bounded memory.
const ROWS_MAX_BYTES: usize = 128 * 1024;
/// The most accounts whose changed list waits to be told. These are hints; a client checks anyway when it connects.
const LIST_CHANGES_MAX: usize = 8;

/// Why a connection ends. The first reason stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// A newer stream of the device took over.
    Replaced,
    /// Its login ended: by logging out, a password change, removal of the device, or deletion of the account.
    SessionEnded,
    /// The access token expired unrenewed, or was invalid.
    Unauthenticated,
    /// The node is stopping.
    Stopping,
    /// The peer did not read, or answered no ping.
    TooSlow,
    /// The peer broke the protocol of the stream.
    Protocol,
    /// The peer broke the WebSocket protocol underneath.
    WebSocket,
    /// A message was larger than allowed.
    TooLarge,
    /// There is no room for the connection now.
    TryLater,
    /// The store failed.
    Internal,
    /// The peer closed the connection, and is answered as RFC 6455 §5.5.1 demands, or it is gone.
    Gone,
}

impl CloseReason {
    /// Every reason.
    pub const ALL: &'static [Self] = &[
        Self::Replaced,
        Self::SessionEnded,
        Self::Unauthenticated,
        Self::Stopping,
        Self::TooSlow,
        Self::Protocol,
        Self::WebSocket,
        Self::TooLarge,
        Self::TryLater,
        Self::Internal,
        Self::Gone,
    ];

    /// Returns the WebSocket close code.
    #[must_use]
    pub const fn code(self) -> u16 {
        /// RFC 6455 *protocol error*.
        const PROTOCOL_ERROR: u16 = 1002;
        /// RFC 6455 *message too big*.
        const TOO_BIG: u16 = 1009;
        /// RFC 6455 *internal error*.
        const INTERNAL: u16 = 1011;
        /// RFC 6455 *normal closure*.
        const NORMAL: u16 = 1000;
        /// IANA's registry *try again later*.
        const TRY_LATER: u16 = 1013;
        match self {
            Self::Replaced => close::REPLACED,
            Self::SessionEnded | Self::Unauthenticated => close::UNAUTHENTICATED,
            Self::Stopping => close::RESTART,
            Self::TooSlow => close::TOO_SLOW,
            Self::Protocol => close::PROTOCOL,
            Self::WebSocket => PROTOCOL_ERROR,
            Self::TooLarge => TOO_BIG,
            Self::TryLater => TRY_LATER,
            Self::Internal => INTERNAL,
            Self::Gone => NORMAL,
        }
    }

    /// Returns a word for metrics, logs and the close frame.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Replaced => "replaced",
            Self::SessionEnded => "session_ended",
            Self::Unauthenticated => "unauthenticated",
            Self::Stopping => "stopping",
            Self::TooSlow => "too_slow",
            Self::Protocol => "protocol",
            Self::WebSocket => "websocket",
            Self::TooLarge => "too_large",
            Self::TryLater => "try_later",
            Self::Internal => "internal",
            Self::Gone => "gone",
        }
    }
}

/// A fact for a connected device. Notices are hints: they are merged, and lost with the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Few one-time prekeys are left.
    PrekeysLow {
        /// The number that is left.
        left: u32,
    },
    /// An account has a new device list.
    DeviceListChanged {
        /// The account.
        account: AccountId,
        /// The list's version.
        version: u64,
    },
}

/// The contents of a mailbox.
#[derive(Debug, Default)]
pub struct Letters {
    /// Rows that became durable.
    pub rows: VecDeque<QueueItem>,
    /// Whether the store can have more than `rows`.
    pub more: bool,
    /// The number of one-time prekeys that are left, if the device must be told.
    pub prekeys_low: Option<u32>,
    /// Changed device lists.
    pub device_lists: Vec<(AccountId, u64)>,
}

impl Letters {
    fn is_empty(&self) -> bool {
        self.rows.is_empty() && !self.more && self.prekeys_low.is_none() && self.device_lists.is_empty()
    }
}

#[derive(Debug, Default)]
struct Contents {
    letters: Letters,
    row_bytes: usize,
    close: Option<CloseReason>,
}

/// What waits for one connection. Adding to it never blocks.
#[derive(Debug, Default)]
pub struct Mailbox {
    contents: Mutex<Contents>,
    /// A copy of whether `contents` has a reason, so that every accept can check it without the lock.
    closed: AtomicBool,
    arrived: Notify,
    closing: Notify,
}

impl Mailbox {
    /// Adds a row that became durable.
    pub fn offer(&self, item: QueueItem) {
        let mut contents = self.contents.lock();
        let bytes = contents.row_bytes.saturating_add(item.bytes());
        let fits = contents.letters.rows.len() < ROWS_MAX && bytes <= ROWS_MAX_BYTES;
        // Once a row was left to the store, later rows are left to it too, because the store knows their order.
        if contents.letters.more || !fits {
            contents.letters.more = true;
        } else {
            contents.row_bytes = bytes;
            contents.letters.rows.push_back(item);
        }
        drop(contents);
        self.arrived.notify_one();
    }

    /// Notes that the store has something new.
    pub fn wake(&self) {
        self.contents.lock().letters.more = true;
        self.arrived.notify_one();
    }

    /// Adds a fact to tell.
    pub fn notify(&self, notice: Notice) {
        let mut contents = self.contents.lock();
        match notice {
            Notice::PrekeysLow { left } => contents.letters.prekeys_low = Some(left),
            Notice::DeviceListChanged { account, version } => {
                let lists = &mut contents.letters.device_lists;
                if let Some(known) = lists.iter_mut().find(|(known, _)| *known == account) {
                    known.1 = known.1.max(version);
                } else if lists.len() < LIST_CHANGES_MAX {
                    lists.push((account, version));
                }
            }
        }
        drop(contents);
        self.arrived.notify_one();
    }

    /// Asks the connection to end. The first reason stays.
    pub fn close(&self, reason: CloseReason) {
        self.contents.lock().close.get_or_insert(reason);
        self.closed.store(true, Ordering::Release);
        self.closing.notify_one();
    }

    /// Returns why the connection must end, if it must.
    #[must_use]
    pub fn close_reason(&self) -> Option<CloseReason> {
        if self.closed.load(Ordering::Acquire) { self.contents.lock().close } else { None }
    }

    /// Waits until the connection must end. Only the connection's own task waits here.
    pub async fn closed(&self) -> CloseReason {
        loop {
            if let Some(reason) = self.close_reason() {
                return reason;
            }
            self.closing.notified().await;
        }
    }

    /// Waits for contents and takes them. Only the connection's own task waits here.
    pub async fn arrived(&self) -> Letters {
        loop {
            let letters = self.take();
            if !letters.is_empty() {
                return letters;
            }
            self.arrived.notified().await;
        }
    }

    fn take(&self) -> Letters {
        let mut contents = self.contents.lock();
        contents.row_bytes = 0;
        std::mem::take(&mut contents.letters)
    }
}
