//! What a node does because other nodes share its store: it follows their hints, and looks into the store without any.
//!
//! A hint can be forged, doubled or lost. It only says *when* to look, and the store has the facts. A hint about
//! something that is not connected here costs one look at the hub. The others are merged in sets that cannot outgrow
//! the connected devices. A flood of hints costs a few reads for many devices at once, a fixed number of times a
//! second.
//!
//! Without hints everything is found too: ended logins within a second, messages and newer connections with the sweep.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use sealpost_api::ids::SessionId;
use sealpost_crypto::{AccountId, DeviceAddress};
use sealpost_sabotage::{Countermeasure, without};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::Core;
use super::hub::{CloseReason, Hub, Notice};
use crate::relay::{Hint, Listener};
use crate::store::StoreError;

/// The interval of the checks of all connected logins. With the duration of a check, a login that ended on another node
/// must be over here within a second.
const SESSIONS_INTERVAL: Duration = Duration::from_millis(600);
/// The interval of the sweeps of the connected devices. What a sweep finds must be delivered within 5 s.
const SWEEP_INTERVAL: Duration = Duration::from_secs(4);
/// The number of sweeps after which one makes every connection read its queue, whatever the store's counters say.
const SWEEPS_TO_READ_ALL: u32 = 15;
/// The shortest time between two checks that hints ask for.
const HINTS_PAUSE: Duration = Duration::from_millis(50);
/// The shortest time between two sweeps that missed hints ask for.
const MISSED_PAUSE: Duration = Duration::from_secs(1);
/// The time in which hints wake a device once. Devices with further hints are looked at together when it is over.
const WAKE_ROUND: Duration = Duration::from_millis(20);
/// The most devices that are woken directly in one round; each of them reads its queue. The rest is looked at together.
const WAKES_AT_ONCE: usize = 20;
/// The most accounts whose device lists are read between two checks, one after the other, so that the sweep does not
/// wait for many.
const LISTS_AT_ONCE: usize = 20;
/// The most connections in one question to the store.
const ASKED_MAX: usize = 1_000;

#[derive(Debug, Default)]
struct Inbox {
    wakes: HashSet<DeviceAddress>,
    connected: BTreeSet<DeviceAddress>,
    ended: BTreeSet<SessionId>,
    lists: BTreeSet<AccountId>,
}

/// Hints about connections of this node that were heard and not followed yet.
#[derive(Debug)]
pub struct Hearing {
    hub: Arc<Hub>,
    inbox: Mutex<Inbox>,
    woken: Notify,
    ended: Notify,
    changed: Notify,
    sweep: AtomicBool,
    look: AtomicBool,
}

impl Hearing {
    /// Creates a receiver for the devices of this hub.
    #[must_use]
    pub fn new(hub: Arc<Hub>) -> Self {
        Self {
            hub,
            inbox: Mutex::default(),
            woken: Notify::new(),
            ended: Notify::new(),
            changed: Notify::new(),
            sweep: AtomicBool::new(false),
            look: AtomicBool::new(false),
        }
    }

    /// Takes accounts whose lists must be read; the rest waits for its turn.
    fn take_lists(&self) -> BTreeSet<AccountId> {
        let mut inbox = self.inbox.lock();
        let rest = inbox.lists.iter().nth(LISTS_AT_ONCE).copied().map(|next| inbox.lists.split_off(&next));
        let taken = std::mem::replace(&mut inbox.lists, rest.unwrap_or_default());
        if !inbox.lists.is_empty() {
            self.changed.notify_one();
        }
        taken
    }

    fn take<T: Default>(&self, of: impl FnOnce(&mut Inbox) -> &mut T) -> T {
        std::mem::take(of(&mut self.inbox.lock()))
    }
}

impl Listener for Hearing {
    fn heard(&self, hint: Hint) {
        match hint {
            Hint::Wake(address) if self.hub.is_connected(&address) => {
                self.inbox.lock().wakes.insert(address);
                self.woken.notify_one();
            }
            Hint::Connected(address) if self.hub.is_connected(&address) => {
                self.inbox.lock().connected.insert(address);
                self.changed.notify_one();
            }
            Hint::DeviceListChanged(account) if self.hub.has_account(&account) => {
                self.inbox.lock().lists.insert(account);
                self.changed.notify_one();
            }
            Hint::SessionsEnded(sessions) => {
                let here: Vec<_> = sessions.into_iter().filter(|session| self.hub.has_session(session)).collect();
                planted_obedience(&self.hub, &here);
                if !here.is_empty() {
                    self.inbox.lock().ended.extend(here);
                    self.ended.notify_one();
                }
            }
            Hint::Wake(_) | Hint::Connected(_) | Hint::DeviceListChanged(_) => {}
        }
    }

    fn missed(&self) {
        if planted_trust_in_hints() {
            return;
        }
        self.sweep.store(true, Ordering::Release);
        self.changed.notify_one();
        self.look.store(true, Ordering::Release);
        self.ended.notify_one();
    }
}

/// Logs once that the store cannot be asked, and once that it can again.
struct Trouble {
    what: &'static str,
    lasts: bool,
}

impl Trouble {
    const fn about(what: &'static str) -> Self {
        Self { what, lasts: false }
    }

    fn note(&mut self, outcome: Result<(), StoreError>) {
        match outcome {
            Ok(()) if self.lasts => {
                self.lasts = false;
                tracing::info!("{} can be looked at again", self.what);
            }
            Err(error) if !self.lasts => {
                self.lasts = true;
                tracing::warn!(%error, "{} cannot be looked at now; it is tried again and again", self.what);
            }
            _ => {}
        }
    }
}

impl Core {
    /// Wakes the devices that hints name: directly where that is cheap, and otherwise those for which the store has
    /// something. Never returns.
    pub async fn follow_wakes(&self, hearing: &Hearing) {
        let mut trouble = Trouble::about("what waits for connected devices");
        let (mut woken, mut later) = (HashSet::new(), BTreeSet::new());
        let mut round_ends = Instant::now();
        loop {
            tokio::select! {
                () = hearing.woken.notified() => {}
                () = tokio::time::sleep_until(round_ends), if !later.is_empty() => {}
            }
            if Instant::now() >= round_ends {
                let due: Vec<_> = std::mem::take(&mut later).into_iter().collect();
                woken.clear();
                round_ends = Instant::now() + WAKE_ROUND;
                if !due.is_empty() {
                    trouble.note(self.look_at(&due).await);
                }
            }
            for address in hearing.take(|inbox| &mut inbox.wakes) {
                if woken.len() < WAKES_AT_ONCE && woken.insert(address) {
                    self.hub.wake(&address);
                } else {
                    later.insert(address);
                }
            }
        }
    }

    /// Ends the streams of ended logins, soon after a hint and within a second without one. Never returns.
    pub async fn follow_sessions(&self, hearing: &Hearing) {
        let mut trouble = Trouble::about("the sessions of connected devices");
        let mut due = Instant::now() + SESSIONS_INTERVAL;
        loop {
            tokio::select! {
                () = hearing.ended.notified() => {}
                () = tokio::time::sleep_until(due) => {}
            }
            let named = hearing.take(|inbox| &mut inbox.ended);
            let all = hearing.look.swap(false, Ordering::Acquire) || Instant::now() >= due;
            let sessions = if all { self.hub.sessions() } else { named.into_iter().collect() };
            if all {
                due = Instant::now() + SESSIONS_INTERVAL;
            }
            trouble.note(self.end_what_is_over(&sessions).await);
            tokio::time::sleep(HINTS_PAUSE).await;
        }
    }

    /// Checks the connected devices: those that hints name soon, and all of them with every sweep. Never returns.
    pub async fn follow_devices(&self, hearing: &Hearing) {
        let mut trouble = Trouble::about("what waits for connected devices");
        let (mut due, mut swept) = (Instant::now() + SWEEP_INTERVAL, None::<Instant>);
        let mut sweeps = 0_u32;
        loop {
            let missed_due = swept.map_or_else(Instant::now, |swept| swept + MISSED_PAUSE);
            let missed = hearing.sweep.load(Ordering::Acquire);
            tokio::select! {
                () = hearing.changed.notified() => {}
                () = tokio::time::sleep_until(if missed { due.min(missed_due) } else { due }) => {}
            }
            let connected = hearing.take(|inbox| &mut inbox.connected);
            let lists = hearing.take_lists();
            let now = Instant::now();
            let missed = now >= missed_due && hearing.sweep.swap(false, Ordering::AcqRel);
            if missed || now >= due {
                (due, swept) = (now + SWEEP_INTERVAL, Some(now));
                sweeps = sweeps.wrapping_add(1);
                trouble.note(self.sweep(sweeps.is_multiple_of(SWEEPS_TO_READ_ALL)).await);
            } else if !connected.is_empty() {
                trouble.note(self.look_at(&connected.into_iter().collect::<Vec<_>>()).await);
            }
            for account in lists {
                trouble.note(self.tell_of_list(account).await);
            }
            tokio::time::sleep(HINTS_PAUSE).await;
        }
    }

    /// Sweeps all connected devices once. With `read` each reads its queue, whatever the store's counters say.
    ///
    /// # Errors
    /// The store's failures. The next sweep finds what this one did not.
    pub async fn sweep(&self, read: bool) -> Result<(), StoreError> {
        if planted_trust_in_hints() {
            return Ok(());
        }
        if read {
            self.hub.wake_all();
        }
        self.look_at(&self.hub.devices()).await
    }

    /// Wakes those of the devices that have something waiting, and ends streams that are not their newest.
    async fn look_at(&self, devices: &[DeviceAddress]) -> Result<(), StoreError> {
        for some in devices.chunks(ASKED_MAX) {
            for glance in self.store.glance(some).await? {
                self.hub.supersede(&glance.address, glance.epoch);
                if glance.waiting {
                    self.hub.wake(&glance.address);
                }
            }
        }
        Ok(())
    }

    async fn end_what_is_over(&self, sessions: &[SessionId]) -> Result<(), StoreError> {
        if planted_indifference() {
            return Ok(());
        }
        for some in sessions.chunks(ASKED_MAX) {
            let live = self.store.live_sessions(some).await?;
            let over: Vec<_> = some.iter().filter(|session| !live.contains(session)).copied().collect();
            self.hub.close_sessions(&over, CloseReason::SessionEnded);
        }
        Ok(())
    }

    async fn tell_of_list(&self, account: AccountId) -> Result<(), StoreError> {
        if let Some(record) = self.store.account(account).await? {
            let version = record.device_list_version;
            self.hub.notify_account(&account, Notice::DeviceListChanged { account, version });
        }
        Ok(())
    }
}

/// Does what a hint says without asking the store, in a build that leaves the countermeasure out.
fn planted_obedience(hub: &Hub, sessions: &[SessionId]) {
    if without(Countermeasure::HintsOnly) {
        hub.close_sessions(sessions, CloseReason::SessionEnded);
    }
}

/// Returns whether nothing is swept, in a build that leaves the countermeasure out.
fn planted_trust_in_hints() -> bool {
    without(Countermeasure::Sweep)
}

/// Returns whether sessions that ended elsewhere go on here, in a build that leaves the countermeasure out.
fn planted_indifference() -> bool {
    without(Countermeasure::Revocation)
}

#[cfg(test)]
mod tests {
    use sealpost_api::ids::ConnectionEpoch;
    use sealpost_crypto::{DeviceId, RegistrationId};

    use super::*;

    fn address(device: u8) -> DeviceAddress {
        DeviceAddress {
            account: AccountId::from_bytes([1; 16]),
            device: DeviceId::new(device).unwrap(),
            registration: RegistrationId::from_bytes([device; 32]),
        }
    }

    #[test]
    fn a_flood_of_hints_leaves_no_more_than_what_is_connected() {
        let hub = Arc::new(Hub::new());
        let hearing = Hearing::new(Arc::clone(&hub));
        let session = SessionId::from_bytes([1; 16]);
        let open = hub.register(address(1), session).unwrap();
        open.activate(ConnectionEpoch(1));
        for id in 0..10_000_u128 {
            let elsewhere = AccountId::from_bytes(id.to_be_bytes());
            for address in [address(1), address(2), DeviceAddress { account: elsewhere, ..address(1) }] {
                hearing.heard(Hint::Wake(address));
                hearing.heard(Hint::Connected(address));
            }
            hearing.heard(Hint::DeviceListChanged(elsewhere));
            hearing.heard(Hint::SessionsEnded(vec![SessionId::from_bytes(id.to_be_bytes()), session]));
        }
        hearing.heard(Hint::DeviceListChanged(address(1).account));
        let inbox = hearing.inbox.lock();
        assert_eq!(inbox.wakes.iter().collect::<Vec<_>>(), [&address(1)]);
        assert_eq!(inbox.connected.iter().collect::<Vec<_>>(), [&address(1)]);
        assert_eq!(inbox.lists.iter().collect::<Vec<_>>(), [&address(1).account]);
        assert_eq!(inbox.ended.iter().collect::<Vec<_>>(), [&session]);
        assert_eq!(open.mailbox.close_reason(), None, "a hint alone closes nothing");
    }

    #[test]
    fn changed_lists_have_their_turn_a_few_at_a_time() {
        let hearing = Hearing::new(Arc::new(Hub::new()));
        let accounts = (0..50_u128).map(|id| AccountId::from_bytes(id.to_be_bytes()));
        hearing.inbox.lock().lists.extend(accounts.clone());
        let turns = [(); 4].map(|()| hearing.take_lists());
        assert_eq!(turns.each_ref().map(BTreeSet::len), [20, 20, 10, 0]);
        assert!(turns.into_iter().flatten().eq(accounts));
    }
}
