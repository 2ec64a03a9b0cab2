//! Reads that are not made because they would be in vain.
//!
//! A read that fills its buffer, or takes a datagram, does not say whether there is more. The next one
//! finds out; and where each message is answered before the next one comes, it does so in vain, by a
//! call of the system for nothing. So where that is a source's habit, who would read next waits at
//! once, *in doubt* (`readiness.rs`). Usually the system tells of the next message soon, and that is
//! all. If not, a worker tells, and then the read is made: when it looks at the sockets and the doubt is
//! a millisecond old, or before the last of the workers sleeps.
//!
//! # Invariants
//!
//! 1. Who waits in doubt is here, or was told, or somebody has tried since.
//! 2. While somebody is here, somebody is awake, or a sentinel looks up now and then. Who adds sits on a
//!    seat of the runtime. Who goes to sleep, or leaves its seat, sets the seat's bit in `Idle`, and then
//!    looks whether others are awake; the last finds none, and settles what all have left, or has
//!    somebody sent (`Shared::forgets_doubts`).
//! 3. Nobody is told, and no entry dropped, under the lock.
//!
//! Perf: one connection, one worker: TCP 68.0 to 70.3 thousand round trips, UDP 74.9 to 80.1. 64 of them, two
//! workers: 110 to 113, and 141 to 147; reads in vain: one or two a round trip, and then 128 or 256 in all.

use std::sync::Arc;
use std::sync::atomic::AtomicI8;
use std::time::Instant;

use super::readiness::Seen;
use super::{Entry, News, Ready};
use crate::primitive::atomic::AtomicBool;
use crate::primitive::atomic::Ordering::Relaxed;
use crate::tuning::DOUBT;
use crate::util::SpinLock;

/// So many reads in a row that were made in doubt have to be in vain.
const ENOUGH: i8 = 2;
/// So many more, after a wait in doubt was in vain: whoever waits so loses a wake and a poll.
const PAUSE: i8 = 14;

/// What has come of the reads of one source that were made in doubt: a hint, so that models of the
/// reactor need not know of it.
#[derive(Debug, Default)]
pub(super) struct Habit(AtomicI8);

impl Habit {
    /// Whether the next such read, too, would be in vain.
    #[inline]
    pub(super) fn is_to_try_in_vain(&self) -> bool {
        self.0.load(Relaxed) >= ENOUGH
    }

    pub(super) fn tried(&self, succeeded: bool) {
        let before = self.0.load(Relaxed);
        let now = if succeeded { before.min(0) } else { (before + 1).min(ENOUGH) };
        self.0.store(now, Relaxed);
    }

    /// Somebody has waited in doubt, and the system has told of nothing.
    pub(super) fn waited_in_vain(&self) {
        self.0.store(-PAUSE, Relaxed);
    }
}

/// Those who wait in doubt.
#[derive(Debug)]
pub(crate) struct Doubts {
    any: AtomicBool,
    lists: SpinLock<Lists>,
}

struct Lists {
    /// When the lists were last exchanged.
    exchanged: Instant,
    /// Since then, and from before.
    new: Vec<(Arc<Entry>, Seen)>,
    old: Vec<(Arc<Entry>, Seen)>,
}

impl Doubts {
    pub(super) fn new() -> Self {
        let lists = Lists { exchanged: Instant::now(), new: Vec::new(), old: Vec::new() };
        Self { any: AtomicBool::new(false), lists: SpinLock::new(lists) }
    }

    #[inline]
    pub(super) fn has_any(&self) -> bool {
        self.any.load(Relaxed)
    }

    /// The caller works for the runtime, or there is nobody to look after this one.
    pub(super) fn add(&self, entry: Arc<Entry>, since: Seen) {
        let mut lists = self.lists.lock();
        lists.new.push((entry, since));
        self.any.store(true, Relaxed);
    }

    /// Somebody has looked at the sockets: gives `ready`, behind what was found there, those who have
    /// waited for long.
    #[inline]
    pub(super) fn age(&self, ready: &mut Ready) {
        if self.has_any() {
            self.give(ready, false);
        }
    }

    /// Gives `ready` all.
    #[inline]
    pub(super) fn settle(&self, ready: &mut Ready) {
        while self.has_any() {
            self.give(ready, true);
        }
    }

    /// Gives the old ones, if it is time, or `all` are to go.
    fn give(&self, ready: &mut Ready, all: bool) {
        let time = Instant::now();
        let mut lists = self.lists.lock();
        if !all && time.saturating_duration_since(lists.exchanged) < DOUBT {
            return;
        }
        lists.exchanged = time;
        let Lists { new, old, .. } = &mut *lists;
        ready.0.extend(old.drain(..).map(|(entry, since)| (entry, News::Doubt(since))));
        std::mem::swap(new, old);
        self.any.store(!old.is_empty(), Relaxed);
    }
}
