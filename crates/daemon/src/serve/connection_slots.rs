//! Limits on the number of connections, in total and per address, with eviction of waiting connections when a limit is
//! reached.
//!
//! # Invariants
//! - A connection is evicted only while the service waits for its client: for a request, or for the rest of one. A
//!   connection whose request is being answered is never evicted.
//! - An evicted connection that is still open after [`EVICTION_TIMEOUT`] because its request has arrived meanwhile
//!   counts as before, and may be evicted again.
//! - Each client that waits for a slot has at most one evicted connection that has yet to close.
//! - The table has one entry per open connection.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout};

use crate::proxies::TrustedProxies;

use super::connection_timeouts::{ConnectionActivity, EVICTION_GRACE, WaitKind};
use crate::address_throttle::peer_network;

/// Interval between attempts to find a connection to evict.
const EVICTION_RETRY_INTERVAL: Duration = Duration::from_millis(25);

/// Maximum number of candidates found at a time: a flood of clients must not cost a look at all connections each.
const FOUND: usize = 64;

/// Maximum time a connection from this machine waits for others from this machine to become evictable.
const LOCAL_EVICTION_WAIT: Duration = EVICTION_GRACE.saturating_mul(2);

/// Time an evicted connection has to close. After that another one is evicted, and it no longer counts as evicted if
/// its request has arrived meanwhile.
const EVICTION_TIMEOUT: Duration = Duration::from_millis(100);

/// Time a new connection waits for a slot before the service reports that clients are waiting.
const REPORT_WAITING_AFTER: Duration = Duration::from_secs(1);

/// Minimum interval between warnings about addresses with too many connections.
const WARN_INTERVAL: Duration = Duration::from_secs(10);

/// Slots for connections.
#[derive(Debug)]
pub(super) struct ConnectionSlots {
    slots: Arc<Semaphore>,
    max: usize,
    per_address: usize,
    per_loopback: usize,
    /// Reverse proxies, whose connections are those of many clients.
    proxies: Arc<TrustedProxies>,
    table: Mutex<Table>,
    /// Whether a client has been waiting for a slot for longer than [`REPORT_WAITING_AFTER`].
    full: AtomicBool,
}

#[derive(Debug, Default)]
struct Table {
    last: u64,
    open: HashMap<u64, SlotHolder>,
    /// Connections per address, excluding those being evicted.
    addresses: HashMap<IpAddr, usize>,
    /// Connections being evicted, with the time of their eviction.
    leaving: HashMap<u64, Instant>,
    /// Number of clients that wait for a slot.
    waiting: usize,
    found: Evictable,
    warned: Option<Instant>,
}

#[derive(Debug)]
struct SlotHolder {
    address: IpAddr,
    activity: Arc<ConnectionActivity>,
    /// Whether the connection is in [`Table::leaving`].
    leaving: bool,
}

/// Connections that may be evicted.
#[derive(Debug, Default)]
struct Evictable {
    /// When all connections of an address, or of all with `None`, were looked at.
    looked: Option<(Instant, Option<IpAddr>)>,
    /// Connections that were waiting then, and since when; the first ones are evicted first.
    candidates: VecDeque<(WaitKind, Instant, u64)>,
    /// Whether there were more.
    is_part: bool,
}

/// A client that waits for a slot, counted until drop.
#[derive(Debug)]
struct Waiter<'a>(&'a ConnectionSlots);

/// A slot, held until drop.
#[derive(Debug)]
pub(super) struct ConnectionSlot {
    key: u64,
    slots: Arc<ConnectionSlots>,
    _slot: OwnedSemaphorePermit,
}

// === impl ConnectionSlots ===

impl ConnectionSlots {
    /// Creates `max` slots, of which one address gets at most `per_address` (0 means no limit). All programs of this
    /// machine together leave an eighth of the slots to other clients.
    pub(super) fn new(max: usize, per_address: usize) -> Self {
        let per_address = if per_address == 0 { max } else { per_address.min(max) };
        Self {
            slots: Arc::new(Semaphore::new(max)),
            max,
            per_address,
            per_loopback: (max - max / 8).max(per_address),
            proxies: Arc::default(),
            table: Mutex::default(),
            full: AtomicBool::new(false),
        }
    }

    /// Gives each of these proxies as many slots as the programs of this machine have together.
    pub(super) fn with_proxies(self, proxies: Arc<TrustedProxies>) -> Self {
        Self { proxies, ..self }
    }

    /// Takes a slot for a connection of `peer` if one is free and its address has not reached its limit.
    pub(super) fn try_take(
        self: &Arc<Self>,
        peer: IpAddr,
        activity: &Arc<ConnectionActivity>,
    ) -> Option<ConnectionSlot> {
        let address = group(peer);
        if !self.table().has_room(address, self.limit_of(peer)) {
            return None;
        }
        let slot = Arc::clone(&self.slots).try_acquire_owned().ok()?;
        Some(self.open(address, activity, slot))
    }

    /// Takes a slot for a connection of `peer`, waiting until one is free. Returns `None` if its address has reached
    /// its limit.
    pub(super) async fn take(
        self: &Arc<Self>,
        peer: IpAddr,
        activity: &Arc<ConnectionActivity>,
    ) -> Option<ConnectionSlot> {
        let address = group(peer);
        if !self.room_for(address, self.limit_of(peer)).await {
            return None;
        }
        let slot = self.slot().await?;
        Some(self.open(address, activity, slot))
    }

    fn open(
        self: &Arc<Self>,
        address: IpAddr,
        activity: &Arc<ConnectionActivity>,
        slot: OwnedSemaphorePermit,
    ) -> ConnectionSlot {
        let mut table = self.table();
        table.last += 1;
        let key = table.last;
        table.open.insert(key, SlotHolder { address, activity: Arc::clone(activity), leaving: false });
        *table.addresses.entry(address).or_default() += 1;
        ConnectionSlot { key, slots: Arc::clone(self), _slot: slot }
    }

    /// Returns `true` if clients have to wait because every slot belongs to a connection that is being served.
    pub(super) fn is_full(&self) -> bool {
        self.full.load(Relaxed)
    }

    /// Returns the maximum number of connections of an address.
    fn limit_of(&self, peer: IpAddr) -> usize {
        if group(peer).is_loopback() || self.proxies.trusts(peer) { self.per_loopback } else { self.per_address }
    }

    /// Returns `true` if an address may have one more connection, evicting its own ones if necessary.
    async fn room_for(&self, address: IpAddr, most: usize) -> bool {
        if most >= self.max {
            // The address has no limit of its own, only that of the slots.
            return true;
        }
        let wait = if address.is_loopback() { LOCAL_EVICTION_WAIT } else { Duration::ZERO };
        let deadline = Instant::now() + wait;
        loop {
            {
                let mut table = self.table();
                table.count_again();
                while !table.has_room(address, most) && table.make_room(Some(address)) {}
                if table.has_room(address, most) {
                    return true;
                }
                if Instant::now() >= deadline {
                    table.warn(address, most);
                    return false;
                }
            }
            sleep(EVICTION_RETRY_INTERVAL).await;
        }
    }

    /// Waits for a free slot, evicting connections if necessary. Never returns `None`, because the semaphore is never
    /// closed.
    async fn slot(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() {
            return Some(slot);
        }
        let since = Instant::now();
        let _waiter = Waiter::new(self);
        loop {
            {
                let mut table = self.table();
                table.count_again();
                // A connection evicted because of its address's limit frees a slot, too.
                while table.about_to_close() < table.waiting && table.make_room(None) {}
            }
            if let Ok(slot) = timeout(EVICTION_RETRY_INTERVAL, Arc::clone(&self.slots).acquire_owned()).await {
                if self.full.swap(false, Relaxed) {
                    tracing::info!("connections are available again");
                }
                return slot.ok();
            }
            if since.elapsed() >= REPORT_WAITING_AFTER && !self.full.swap(true, Relaxed) {
                tracing::warn!("all connections are busy, new clients have to wait");
            }
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // A poisoned lock is safe to use: no code that panics runs between the changes of one update.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn free(&self) -> usize {
        self.slots.available_permits()
    }
}

// === impl Table ===

impl Table {
    /// Returns `true` if an address has fewer than `most` connections.
    fn has_room(&self, address: IpAddr, most: usize) -> bool {
        self.addresses.get(&address).is_none_or(|open| *open < most)
    }

    /// Evicts the connection that has waited the longest, idle ones first; considers one address, or all with `None`.
    /// Returns `false` if there is no candidate.
    fn make_room(&mut self, address: Option<IpAddr>) -> bool {
        let now = Instant::now();
        let mut looked = !self.found.is_recent(now, address);
        if looked {
            self.find(now, address);
        } else if self.found.candidates.is_empty() {
            return false;
        }
        loop {
            let Some((waiting, since, key)) = self.found.candidates.pop_front() else {
                if looked && !self.found.is_part {
                    return false;
                }
                self.find(now, address);
                looked = true;
                continue;
            };
            let Some(holder) = self.open.get_mut(&key).filter(|holder| !holder.leaving) else { continue };
            // If one of these fails, the state of the connection has changed; try the next candidate.
            if holder.activity.waiting(now) == Some((waiting, since)) && holder.activity.try_evict(waiting) {
                holder.leaving = true;
                let address = holder.address;
                self.leaving.insert(key, now);
                self.release(address);
                return true;
            }
        }
    }

    /// Looks at all connections for candidates.
    fn find(&mut self, now: Instant, address: Option<IpAddr>) {
        let candidates = self.open.iter().filter_map(|(key, holder)| {
            let is_one = !holder.leaving && address.is_none_or(|address| address == holder.address);
            let (waiting, since) = if is_one { holder.activity.waiting(now)? } else { return None };
            Some((waiting, since, *key))
        });
        let mut candidates: Vec<_> = candidates.collect();
        candidates.sort_unstable();
        let is_part = candidates.len() > FOUND;
        candidates.truncate(FOUND);
        self.found = Evictable { looked: Some((now, address)), candidates: candidates.into(), is_part };
    }

    /// Returns the number of evicted connections that are expected to close within [`EVICTION_TIMEOUT`].
    fn about_to_close(&self) -> usize {
        self.leaving.values().filter(|evicted| evicted.elapsed() < EVICTION_TIMEOUT).count()
    }

    /// Counts evicted connections again that are still open because their requests have arrived meanwhile.
    fn count_again(&mut self) {
        let Self { open, addresses, leaving, .. } = self;
        leaving.retain(|key, evicted| {
            let Some(holder) = open.get_mut(key) else { return false };
            let stays = evicted.elapsed() >= EVICTION_TIMEOUT && !holder.activity.is_leaving();
            if stays {
                holder.leaving = false;
                *addresses.entry(holder.address).or_default() += 1;
            }
            !stays
        });
    }

    fn release(&mut self, address: IpAddr) {
        if let Some(open) = self.addresses.get_mut(&address) {
            *open -= 1;
            if *open == 0 {
                self.addresses.remove(&address);
            }
        }
    }

    fn warn(&mut self, address: IpAddr, most: usize) {
        if self.warned.is_none_or(|warned| warned.elapsed() >= WARN_INTERVAL) {
            self.warned = Some(Instant::now());
            tracing::warn!(
                %address,
                most,
                "connection limit of an address reached, further connections are refused with 503"
            );
        }
    }
}

// === impl Evictable ===

impl Evictable {
    /// Returns `true` if the candidates are still the right ones. Without any, clients that wait look again later;
    /// others would be refused.
    fn is_recent(&self, now: Instant, address: Option<IpAddr>) -> bool {
        let Some((looked, of)) = self.looked else { return false };
        let waits = address.is_none_or(|address| address.is_loopback());
        of == address && now < looked + EVICTION_RETRY_INTERVAL && (waits || !self.candidates.is_empty())
    }
}

// === impl ConnectionSlot ===

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        let mut table = self.slots.table();
        table.leaving.remove(&self.key);
        if let Some(holder) = table.open.remove(&self.key)
            && !holder.leaving
        {
            table.release(holder.address);
        }
    }
}

// === impl Waiter ===

impl<'a> Waiter<'a> {
    fn new(slots: &'a ConnectionSlots) -> Self {
        slots.table().waiting += 1;
        Self(slots)
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.0.table().waiting -= 1;
    }
}

/// Returns the address whose limit a client counts towards.
fn group(peer: IpAddr) -> IpAddr {
    // All loopback addresses count as one client. They are handled before `peer_network`, whose /64 prefix of ::1 would
    // cover other addresses.
    if peer.to_canonical().is_loopback() { Ipv4Addr::LOCALHOST.into() } else { peer_network(peer) }
}
