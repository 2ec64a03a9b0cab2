//! A value, its version, and who waits for it to change.
//!
//! # Invariants
//!
//! 1. The version goes up while the value is locked for writing, with each change. So who holds
//!    the value for reading has the version that belongs to it.
//! 2. CLOSED is in the same word as the version, and comes last: no sender is left to change
//!    anything. So one look tells whether there is a change, and if not, whether one may come.
//! 3. No waker is called, cloned or dropped while the value is locked, and no value is dropped.

use super::RecvError;
use crate::primitive::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use crate::primitive::atomic::{AtomicU64, AtomicUsize};
use crate::primitive::{RwLock, RwLockReadGuard};
use crate::wait::Event;

/// No sender is left.
const CLOSED: u64 = 1;
/// From version to version.
const STEP: u64 = 2;

/// What the handles of one channel share.
pub(super) struct Shared<T> {
    value: RwLock<T>,
    /// How often the value has changed, in STEPs, and CLOSED.
    version: AtomicU64,
    /// That `version` has.
    pub(super) changed: Event,
    /// Live handles of each side, changed by their `clone` and `drop` and by `subscribe`.
    senders: AtomicUsize,
    receivers: AtomicUsize,
    /// That `receivers` is 0.
    pub(super) deserted: Event,
}

/// A version that is not `version`, for a receiver that has not seen it.
pub(super) fn before(version: u64) -> u64 {
    version.wrapping_sub(STEP)
}

impl<T> Shared<T> {
    pub(super) fn new(value: T) -> Self {
        Self {
            value: RwLock::new(value),
            version: AtomicU64::new(0),
            changed: Event::default(),
            senders: AtomicUsize::new(1),
            receivers: AtomicUsize::new(1),
            deserted: Event::default(),
        }
    }

    /// The version now, and whether it is the last.
    pub(super) fn version(&self) -> (u64, bool) {
        // Ordering: Acquire pairs with the Release of a change: who has seen the version sees
        // what the sender did before. (The value has its lock.)
        let word = self.version.load(Acquire);
        (word & !CLOSED, word & CLOSED != 0)
    }

    /// The value, and the version that belongs to it.
    pub(super) fn read(&self) -> (RwLockReadGuard<'_, T>, u64) {
        let value = self.value.read();
        // Ordering: Relaxed, because versions are written under the lock (invariant 1).
        let version = self.version.load(Relaxed) & !CLOSED;
        (value, version)
    }

    /// What is there to say to a receiver that has seen `seen`; `None`: nothing yet.
    pub(super) fn news(&self, seen: u64) -> Option<Result<u64, RecvError>> {
        match self.version() {
            (version, _) if version != seen => Some(Ok(version)),
            (_, true) => Some(Err(RecvError)),
            (_, false) => None,
        }
    }

    pub(super) fn is_deserted(&self) -> bool {
        // Ordering: Acquire pairs with the Release of the last receiver's `drop`.
        self.receivers.load(Acquire) == 0
    }

    /// Changes the value; whether it did is what `modify` says.
    pub(super) fn modify(&self, modify: impl FnOnce(&mut T) -> bool) -> bool {
        let mut value = self.value.write();
        let modified = modify(&mut value);
        if modified {
            // Ordering: Release pairs with the Acquire in `version`.
            self.version.fetch_add(STEP, Release);
        }
        drop(value);
        if modified {
            self.changed.notify();
        }
        modified
    }

    /// How often the value has changed.
    pub(super) fn changes(&self) -> u64 {
        self.version().0 / STEP
    }

    pub(super) fn receivers(&self) -> usize {
        self.receivers.load(Relaxed)
    }

    pub(super) fn add_sender(&self) {
        // Ordering: Relaxed; made from a live handle, so the count is not zero.
        self.senders.fetch_add(1, Relaxed);
    }

    pub(super) fn add_receiver(&self) {
        // Ordering: Relaxed; a count of handles says nothing about anything else.
        self.receivers.fetch_add(1, Relaxed);
    }

    pub(super) fn drop_sender(&self) {
        // Ordering: Release, so that the last to go has seen the changes of all; Acquire for it.
        if self.senders.fetch_sub(1, AcqRel) == 1 {
            // Ordering: Release pairs with the Acquire in `version`.
            self.version.fetch_or(CLOSED, Release);
            self.changed.notify();
        }
    }

    pub(super) fn drop_receiver(&self) {
        // Ordering: Release, so that the last to go has seen what all did; Acquire for it, and
        // Release again for the Acquire in `is_deserted`.
        if self.receivers.fetch_sub(1, AcqRel) == 1 {
            self.deserted.notify();
        }
    }
}
