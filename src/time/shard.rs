//! The timers of a runtime: a wheel for each seat, so that seats seldom meet at a lock.
//!
//! A timer belongs to the shard of the seat on which its future was first polled, and keeps it:
//! its handle is as good on another thread, or after the runtime.
//!
//! # Invariants
//!
//! 1. `next` is never later than the deadline of a timer in the wheel; it is `NEVER` if and only
//!    if the wheel is empty. It is written under the lock and read without it.
//! 2. No waker is called, cloned or dropped under the lock.
//! 3. A shard is never freed: it goes from runtime to runtime through a pool, and each is another
//!    `life` of it. A handle of a former life finds out under the lock.
//!
//! The third spares each timer two counts of references, which would be a sixth of its cost. The
//! pool is as large as there were ever workers at once.

use std::sync::{Mutex, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

use super::clock::Clock;
use super::epoch::Epoch;
use super::wheel::{NEVER, Wheel};
use crate::primitive::atomic::AtomicU64;
use crate::primitive::atomic::Ordering::Relaxed;
use crate::util::{CachePadded, SpinLock, WakeBatch};

/// The timers of one seat.
#[derive(Debug)]
pub(crate) struct Shard {
    /// Invariant 1.
    next: AtomicU64,
    state: SpinLock<State>,
}

#[derive(Debug)]
struct State {
    life: u32,
    /// None when the runtime of this life has ended.
    wheel: Option<Wheel>,
}

impl State {
    /// The wheel, if it is still that of `life`.
    #[inline]
    fn wheel(&mut self, life: u32) -> Option<&mut Wheel> {
        self.wheel.as_mut().filter(|_| self.life == life)
    }
}

/// What has become of a timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Waits,
    Fired,
    /// The runtime has ended before it could fire.
    Orphaned,
}

/// A timer that is set, until this drops.
#[derive(Debug)]
pub(super) struct Registration {
    shard: &'static Shard,
    life: u32,
    key: u32,
}

/// The key of a timer that is no more.
const CANCELLED: u32 = u32::MAX;

impl Registration {
    /// Sets a timer, and says whether it is the first of its shard to be due, so that whoever
    /// looks after that must learn of it. None if the runtime has ended; then the waker is left.
    #[inline]
    pub(super) fn new(
        shard: &'static Shard,
        time: u64,
        waker: &mut Option<Waker>,
    ) -> Option<(Self, bool)> {
        let mut state = shard.state.lock();
        let life = state.life;
        let key = state.wheel.as_mut()?.insert(time, waker.take()?);
        let is_first = time < shard.next.load(Relaxed);
        if is_first {
            // Ordering: Relaxed; a sleeper learns of it by the fences of `Idle`.
            shard.next.store(time, Relaxed);
        }
        Some((Self { shard, life, key }, is_first))
    }

    /// What has become of the timer; while it waits, it will wake `waker`. This is the last call
    /// if it does not wait.
    #[inline]
    pub(super) fn poll(&mut self, waker: &Waker) -> Stage {
        let mut new: Option<Waker> = None;
        loop {
            let mut state = self.shard.state.lock();
            let Some(wheel) = state.wheel(self.life) else {
                self.key = CANCELLED;
                return Stage::Orphaned;
            };
            let Some(old) = wheel.waker(self.key) else {
                // There is no waker to drop.
                wheel.remove(self.key);
                self.key = CANCELLED;
                return Stage::Fired;
            };
            if old.will_wake(waker) {
                return Stage::Waits;
            }
            if let Some(new) = &mut new {
                // The old one drops with `new`, after the lock.
                std::mem::swap(old, new);
                return Stage::Waits;
            }
            drop(state);
            new = Some(waker.clone());
        }
    }

    /// Moves the timer to a later deadline; false if it has fired.
    pub(super) fn postpone(&self, deadline: Instant) -> bool {
        let time = Epoch::get().number(deadline);
        let mut state = self.shard.state.lock();
        state.wheel(self.life).is_some_and(|wheel| wheel.reset(self.key, time))
    }

    /// Cancels the timer, and wakes its task to set it anew.
    pub(super) fn recall(mut self) {
        let waker = self.cancel();
        self.key = CANCELLED;
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Takes the timer out, and its waker if that was not woken.
    #[inline]
    fn cancel(&self) -> Option<Waker> {
        let mut state = self.shard.state.lock();
        let wheel = state.wheel(self.life)?;
        let waker = wheel.remove(self.key);
        if wheel.is_empty() {
            self.shard.next.store(NEVER, Relaxed);
        }
        waker
    }
}

impl Drop for Registration {
    #[inline]
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
        let mut state = self.state.lock();
        let Some(wheel) = &mut state.wheel else { return };
        while !batch.is_full() {
            let Some(waker) = wheel.pop(now) else { break };
            batch.push(waker);
        }
        self.next.store(wheel.next(), Relaxed);
    }
}

/// Shards that no runtime uses.
static POOL: Mutex<Vec<&'static CachePadded<Shard>>> = Mutex::new(Vec::new());

/// The shards of a runtime, and its clock.
#[derive(Debug)]
pub(crate) struct Timers {
    shards: Box<[&'static CachePadded<Shard>]>,
    clock: Clock,
}

impl Timers {
    pub(crate) fn new(shards: usize, paused: bool) -> Self {
        let shard = |_| {
            let pooled = POOL.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let shard = pooled.unwrap_or_else(|| {
                let state = SpinLock::new(State { life: 0, wheel: None });
                let next = AtomicU64::new(NEVER);
                Box::leak(Box::new(CachePadded::new(Shard { next, state })))
            });
            let mut state = shard.state.lock();
            *state = State { life: state.life + 1, wheel: Some(Wheel::new()) };
            shard
        };
        Self { shards: (0..shards).map(shard).collect(), clock: Clock::new(paused) }
    }

    pub(crate) fn shard(&self, index: usize) -> &'static Shard {
        self.shards[index]
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
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

    /// When the first timer of this shard is due.
    pub(crate) fn next_of(&self, index: usize) -> u64 {
        if self.clock.is_used() { self.shards[index].due_at(Duration::ZERO) } else { NEVER }
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
        self.clock.epoch().number(self.clock.at(real))
    }

    /// Everybody waits: moves a clock that stands still on to the next timer.
    pub(crate) fn advance(&self) {
        let next = self.next(|_| Duration::ZERO);
        if next != NEVER {
            self.clock.advance_to(self.clock.epoch().instant(next));
        }
    }

    /// The end: fires whatever is left, due or not, so that who waits learns of it.
    pub(crate) fn close(&self, mut wake: impl FnMut(&mut WakeBatch)) {
        for shard in &self.shards {
            let mut state = shard.state.lock();
            shard.next.store(NEVER, Relaxed);
            let mut wheel = state.wheel.take();
            drop(state);
            let mut pop = || wheel.as_mut().and_then(Wheel::pop_any);
            while let Some(waker) = pop() {
                let mut batch = WakeBatch::new();
                batch.push(waker);
                wake(&mut batch);
            }
        }
    }
}

impl Drop for Timers {
    fn drop(&mut self) {
        // They are closed, unless the runtime did not even start, and then they are empty. One
        // whose lives are used up is left alone.
        let reusable = |shard: &&CachePadded<Shard>| shard.state.lock().life < u32::MAX;
        let shards = self.shards.iter().copied().filter(reusable);
        POOL.lock().unwrap_or_else(PoisonError::into_inner).extend(shards);
    }
}
