//! Who may have a connection: so many in all, so many per address, and whoever waits makes room first.
//!
//! # Invariants
//! - A connection is closed to make room only while we wait for its client: for a request, or for the rest of one. One that is being
//!   answered never is.
//! - The table has one entry per open connection.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout};

use super::pace::{Pace, SPARED};
use crate::guesses::network;

/// Time between two looks for a connection that can make room.
const LOOK: Duration = Duration::from_millis(25);

/// Time a program of this machine waits for a place among the others of this machine, until the youngest of them are spared no longer.
const LOCAL_WAIT: Duration = SPARED.saturating_mul(2);

/// Time a connection that was told to make room has to go before another one is told.
const TO_LEAVE: Duration = Duration::from_millis(100);

/// Time without a place for a new connection after which clients are said to be waiting.
const PATIENCE: Duration = Duration::from_secs(1);

/// Least time between two warnings about an address that has too many connections.
const WARN_EVERY: Duration = Duration::from_secs(10);

/// Places for connections.
#[derive(Debug)]
pub(super) struct Places {
    slots: Arc<Semaphore>,
    max: usize,
    per_address: usize,
    per_loopback: usize,
    table: Mutex<Table>,
    /// Whether a client has been waiting for a place for longer than [`PATIENCE`].
    full: AtomicBool,
}

#[derive(Debug, Default)]
struct Table {
    last: u64,
    open: HashMap<u64, Holder>,
    /// Connections per address, those that are leaving excepted.
    addresses: HashMap<IpAddr, usize>,
    warned: Option<Instant>,
}

#[derive(Debug)]
struct Holder {
    address: IpAddr,
    pace: Arc<Pace>,
    leaving: bool,
}

/// One place, held as long as this lives.
#[derive(Debug)]
pub(super) struct Place {
    key: u64,
    places: Arc<Places>,
    _slot: OwnedSemaphorePermit,
}

// === impl Places ===

impl Places {
    /// Makes `max` places, of which one address gets at most `per_address`; 0 is as many as there are. All programs of this machine
    /// together leave an eighth to others.
    pub(super) fn new(max: usize, per_address: usize) -> Self {
        let per_address = if per_address == 0 { max } else { per_address.min(max) };
        Self {
            slots: Arc::new(Semaphore::new(max)),
            max,
            per_address,
            per_loopback: (max - max / 8).max(per_address),
            table: Mutex::default(),
            full: AtomicBool::new(false),
        }
    }

    /// Takes a place for a connection of `peer`, which waits until there is one. `None`: its address has all it may have.
    pub(super) async fn take(self: &Arc<Self>, peer: IpAddr, pace: &Arc<Pace>) -> Option<Place> {
        // Several addresses of this machine are one client. The network of ::1 would be that of other addresses.
        let is_local = peer.to_canonical().is_loopback();
        let address = if is_local { Ipv4Addr::LOCALHOST.into() } else { network(peer) };
        if !self.room_for(address).await {
            return None;
        }
        let slot = self.slot().await?;
        let mut table = self.table();
        table.last += 1;
        let key = table.last;
        table.open.insert(key, Holder { address, pace: Arc::clone(pace), leaving: false });
        *table.addresses.entry(address).or_default() += 1;
        Some(Place { key, places: Arc::clone(self), _slot: slot })
    }

    /// Whether clients have to wait because all places are taken by connections that are being answered.
    pub(super) fn is_full(&self) -> bool {
        self.full.load(Relaxed)
    }

    /// Whether an address may have one more connection, after one of its own has made room if need be.
    async fn room_for(&self, address: IpAddr) -> bool {
        let (most, wait) =
            if address.is_loopback() { (self.per_loopback, LOCAL_WAIT) } else { (self.per_address, Duration::ZERO) };
        if most >= self.max {
            // There is no bound of its own; it waits for a slot.
            return true;
        }
        let deadline = Instant::now() + wait;
        loop {
            {
                let mut table = self.table();
                if table.addresses.get(&address).is_none_or(|open| *open < most) || table.make_room(Some(address)) {
                    return true;
                }
                if Instant::now() >= deadline {
                    table.warn(address, most);
                    return false;
                }
            }
            sleep(LOOK).await;
        }
    }

    /// A slot; `None` never happens, because the semaphore is never closed.
    async fn slot(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() {
            return Some(slot);
        }
        let since = Instant::now();
        // One that was told to leave for its address's sake leaves a slot, too.
        let mut told = self.table().has_leaving().then_some(since);
        loop {
            if told.is_none_or(|told| told.elapsed() >= TO_LEAVE) && self.table().make_room(None) {
                told = Some(Instant::now());
            }
            if let Ok(slot) = timeout(LOOK, Arc::clone(&self.slots).acquire_owned()).await {
                if self.full.swap(false, Relaxed) {
                    tracing::info!("clients get connections again");
                }
                return slot.ok();
            }
            if since.elapsed() >= PATIENCE && !self.full.swap(true, Relaxed) {
                tracing::warn!("all connections are being answered: clients have to wait for one");
            }
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // A panic cannot leave the table half changed: nothing in between can panic.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn free(&self) -> usize {
        self.slots.available_permits()
    }
}

// === impl Table ===

impl Table {
    /// Ends the connection that has kept us waiting for longest, idle ones first; among those of one address, or of all.
    fn make_room(&mut self, address: Option<IpAddr>) -> bool {
        let now = Instant::now();
        loop {
            let candidates = self.open.iter().filter_map(|(key, holder)| {
                let is_one = !holder.leaving && address.is_none_or(|address| address == holder.address);
                let (waiting, since) = if is_one { holder.pace.waiting(now)? } else { return None };
                Some((waiting, since, *key))
            });
            let Some((waiting, _, key)) = candidates.min() else { return false };
            let Some(holder) = self.open.get_mut(&key) else { return false };
            // Otherwise its client has just gone on: the next one, then.
            if holder.pace.make_room(waiting) {
                holder.leaving = true;
                let address = holder.address;
                self.leave(address);
                return true;
            }
        }
    }

    /// Returns whether a connection that was told to make room is still there.
    fn has_leaving(&self) -> bool {
        self.open.values().any(|holder| holder.leaving)
    }

    fn leave(&mut self, address: IpAddr) {
        if let Some(open) = self.addresses.get_mut(&address) {
            *open -= 1;
            if *open == 0 {
                self.addresses.remove(&address);
            }
        }
    }

    fn warn(&mut self, address: IpAddr, most: usize) {
        if self.warned.is_none_or(|warned| warned.elapsed() >= WARN_EVERY) {
            self.warned = Some(Instant::now());
            tracing::warn!(%address, most, "an address has all the connections it may have; more are refused with 503");
        }
    }
}

// === impl Place ===

impl Drop for Place {
    fn drop(&mut self) {
        let mut table = self.places.table();
        if let Some(holder) = table.open.remove(&self.key)
            && !holder.leaving
        {
            table.leave(holder.address);
        }
    }
}
