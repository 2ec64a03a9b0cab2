//! The timers of a runtime: a wheel for each seat, so that seats seldom meet at a lock.
//!
//! A timer belongs to the shard of the seat on which its future was first polled, and keeps it:
//! its handle holds the shard alive, and is as good on another thread, or after the runtime.
//!
//! # Invariants
//!
//! 1. `next` is never later than the deadline of a timer in the wheel; it is `NEVER` if and only
//!    if the wheel is empty. It is written under the lock and read without it.
//! 2. No waker is called, cloned or dropped under the lock.

use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use super::clock::Clock;
use super::wheel::{NEVER, Wheel};
use crate::primitive::Mutex;
use crate::primitive::atomic::AtomicU64;
use crate::primitive::atomic::Ordering::{Relaxed, Release};
use crate::util::{CachePadded, WakeBatch};

/// The timers of one seat.
#[derive(Debug)]
pub(crate) struct Shard {
    /// Invariant 1.
    next: AtomicU64,
    clock: Arc<Clock>,
    /// None once the runtime has ended.
    wheel: Mutex<Option<Wheel>>,
}

/// A shard, as its timers hold it.
pub(crate) type SharedShard = Arc<CachePadded<Shard>>;

/// What has become of a timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Waits,
    Fired,
    /// The runtime has ended before it could fire.
    Orphaned,
}

/// The key of a timer that is no more.
const CANCELLED: u32 = u32::MAX;

/// A timer that is set, until this drops.
#[derive(Debug)]
pub(super) struct Registration {
    shard: SharedShard,
    key: u32,
}

impl Registration {
    /// Sets a timer, and says whether it is the first of its shard to be due; none if the
    /// runtime has ended.
    pub(super) fn new(
        shard: &SharedShard,
        deadline: Instant,
        waker: &Waker,
    ) -> Option<(Self, bool)> {
        let waker = waker.clone();
        let time = shard.clock.nanos(deadline);
        let mut guard = shard.wheel.lock();
        let Some(wheel) = &mut *guard else {
            drop(guard);
            return None;
        };
        shard.clock.use_it();
        let key = wheel.insert(time, waker);
        // The flag and `next` are seen by a sleeper through the fences of `Idle`.
        let first = time < shard.next.load(Relaxed) || wheel.len() == 1;
        if first {
            shard.next.store(time.min(NEVER - 1), Release);
        }
        drop(guard);
        Some((Self { shard: Arc::clone(shard), key }, first))
    }

    /// What has become of the timer; while it waits, it will wake `waker`.
    pub(super) fn poll(&self, waker: &Waker) -> Stage {
        let mut new = None;
        loop {
            let mut guard = self.shard.wheel.lock();
            let Some(wheel) = &mut *guard else { return Stage::Orphaned };
            match (wheel.waker(self.key), &mut new) {
                (None, _) => return Stage::Fired,
                (Some(old), _) if old.will_wake(waker) => return Stage::Waits,
                (Some(old), Some(new)) => {
                    // The old one drops with `new`, after the lock.
                    std::mem::swap(old, new);
                    drop(guard);
                    return Stage::Waits;
                }
                (Some(_), none) => {
                    drop(guard);
                    *none = Some(waker.clone());
                }
            }
        }
    }

    /// Moves the timer to a later deadline; false if it has fired.
    pub(super) fn postpone(&self, deadline: Instant) -> bool {
        let time = self.shard.clock.nanos(deadline);
        self.shard.wheel.lock().as_mut().is_some_and(|wheel| wheel.reset(self.key, time))
    }

    /// Cancels the timer, and wakes its task to set it anew.
    pub(super) fn recall(mut self) {
        let waker = self.cancel();
        self.key = CANCELLED;
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Takes the timer out; the waker that was not woken is dropped after the lock.
    fn cancel(&self) -> Option<Waker> {
        let mut guard = self.shard.wheel.lock();
        let wheel = guard.as_mut()?;
        let waker = wheel.remove(self.key);
        if wheel.len() == 0 {
            self.shard.next.store(NEVER, Relaxed);
        }
        waker
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        if self.key != CANCELLED {
            // Cancel: from whatever thread.
            drop(self.cancel());
        }
    }
}

impl Shard {
    #[inline]
    fn due_at(&self, patience: Duration) -> u64 {
        self.next.load(Relaxed).saturating_add(patience.as_nanos() as u64)
    }

    /// Fires what is due, as far as it fits in `batch`.
    fn fire(&self, now: u64, batch: &mut WakeBatch) {
        let mut guard = self.wheel.lock();
        let Some(wheel) = &mut *guard else { return };
        while !batch.is_full() {
            let Some(waker) = wheel.pop(now) else { break };
            batch.push(waker);
        }
        self.next.store(wheel.next(), Relaxed);
    }
}

/// The shards of a runtime, and its clock.
#[derive(Debug)]
pub(crate) struct Timers {
    shards: Box<[SharedShard]>,
    clock: Arc<Clock>,
}

impl Timers {
    pub(crate) fn new(shards: usize, paused: bool) -> Self {
        let clock = Arc::new(Clock::new(paused));
        let shard = |_| {
            let wheel = Mutex::new(Some(Wheel::new()));
            let clock = Arc::clone(&clock);
            Arc::new(CachePadded::new(Shard { next: AtomicU64::new(NEVER), clock, wheel }))
        };
        Self { shards: (0..shards).map(shard).collect(), clock }
    }

    pub(crate) fn shard(&self, index: usize) -> &SharedShard {
        &self.shards[index]
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Whether a timer has ever been set.
    #[inline]
    pub(crate) fn is_used(&self) -> bool {
        self.clock.is_used()
    }

    /// When the first timer is due of those that this caller looks after; a shard for whose
    /// timers it has `patience` may be so late. `NEVER` if there is none.
    #[inline]
    pub(crate) fn next(&self, patience: impl Fn(usize) -> Duration) -> u64 {
        if !self.clock.is_used() {
            return NEVER;
        }
        let shards = self.shards.iter().enumerate();
        shards.map(|(index, shard)| shard.due_at(patience(index))).min().unwrap_or(NEVER)
    }

    /// Fires one batch of what is due in each shard, as far as `patience` is over; gives the
    /// wakers to `wake`. `real` is the system's time. Says whether there was any.
    pub(crate) fn fire(
        &self,
        real: Instant,
        patience: impl Fn(usize) -> Duration,
        mut wake: impl FnMut(&mut WakeBatch),
    ) -> bool {
        let now = self.nanos(real);
        let mut any = false;
        for (index, shard) in self.shards.iter().enumerate() {
            if shard.due_at(patience(index)) <= now {
                let mut batch = WakeBatch::new();
                shard.fire(now, &mut batch);
                any |= !batch.is_empty();
                wake(&mut batch);
            }
        }
        any
    }

    /// The system's time `real` by this clock, as the wheels count it.
    pub(crate) fn nanos(&self, real: Instant) -> u64 {
        self.clock.nanos(self.clock.at(real))
    }

    /// Whether the clock stands still.
    pub(crate) fn is_paused(&self) -> bool {
        self.clock.is_paused()
    }

    /// Everybody waits: moves a clock that stands still on to the next timer; false if there is
    /// none.
    pub(crate) fn advance(&self) -> bool {
        let next = self.next(|_| Duration::ZERO);
        if next != NEVER {
            self.clock.advance_to(next);
        }
        next != NEVER
    }

    /// The end: fires whatever is left, due or not, so that who waits learns of it.
    pub(crate) fn close(&self, mut wake: impl FnMut(&mut WakeBatch)) {
        for shard in &self.shards {
            let mut wheel = shard.wheel.lock().take();
            shard.next.store(NEVER, Relaxed);
            let mut pop = || wheel.as_mut().and_then(Wheel::pop_any);
            while let Some(waker) = pop() {
                let mut batch = WakeBatch::new();
                batch.push(waker);
                wake(&mut batch);
            }
        }
    }
}
