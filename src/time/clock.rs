//! What time it is for the timers of one runtime: the system's, or one that tests move.
//!
//! A clock that nobody has paused is the system's, at the price of one relaxed load. Once paused
//! it stands still, and moves only when it is told to; resumed, it runs on from where it was, so
//! it is behind or ahead of the system's from then on.

use std::time::{Duration, Instant};

use super::epoch::Epoch;
use crate::primitive::Mutex;
use crate::primitive::atomic::AtomicBool;
use crate::primitive::atomic::Ordering::Relaxed;

/// Further away than anybody waits: what an `Instant` can always tell.
pub(super) const FAR: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// `duration` after `instant`, or a hundred years if that is beyond what an `Instant` can tell.
#[inline]
pub(super) fn after(instant: Instant, duration: Duration) -> Instant {
    instant.checked_add(duration).unwrap_or_else(|| far_after(instant))
}

#[cold]
fn far_after(instant: Instant) -> Instant {
    instant.checked_add(FAR).unwrap_or(instant)
}

/// See the module's page.
#[derive(Debug)]
pub(crate) struct Clock {
    /// Whether anybody has ever paused this clock.
    moved: AtomicBool,
    /// Whether anybody has ever set a timer by it. Without timers, nobody need look at it.
    used: AtomicBool,
    /// At hand without a look at its lock.
    epoch: &'static Epoch,
    hands: Mutex<Hands>,
}

/// A moved clock: it showed this when the system's showed that, and stands still without that.
#[derive(Debug)]
struct Hands {
    shown: Instant,
    since: Option<Instant>,
}

impl Hands {
    fn at(&self, real: Instant) -> Instant {
        match self.since {
            Some(since) => after(self.shown, real.saturating_duration_since(since)),
            None => self.shown,
        }
    }
}

impl Clock {
    pub(super) fn new(paused: bool) -> Self {
        let shown = Instant::now();
        let since = (!paused).then_some(shown);
        Self {
            moved: AtomicBool::new(paused),
            used: AtomicBool::new(false),
            epoch: Epoch::get(),
            hands: Mutex::new(Hands { shown, since }),
        }
    }

    #[inline]
    pub(super) fn now(&self) -> Instant {
        self.at(Instant::now())
    }

    /// The number of now, if that is the system's.
    #[inline]
    pub(super) fn number(&self) -> Option<u64> {
        // Ordering: as in `at`.
        (!self.moved.load(Relaxed)).then(|| self.epoch.now())
    }

    /// What this clock shows when the system's shows `real`.
    #[inline]
    pub(super) fn at(&self, real: Instant) -> Instant {
        // Ordering: Relaxed; who pauses the clock from elsewhere does so at some time.
        if self.moved.load(Relaxed) { self.moved_at(real) } else { real }
    }

    #[cold]
    fn moved_at(&self, real: Instant) -> Instant {
        self.hands.lock().at(real)
    }

    pub(super) fn epoch(&self) -> &'static Epoch {
        self.epoch
    }

    /// Notes that timers are set by this clock.
    #[inline]
    pub(crate) fn use_it(&self) {
        if !self.used.load(Relaxed) {
            // Ordering: Relaxed; a sleeper that must learn of it is told by a fence, see `Idle`.
            self.used.store(true, Relaxed);
        }
    }

    #[inline]
    pub(crate) fn is_used(&self) -> bool {
        self.used.load(Relaxed)
    }

    /// Whether anybody has ever paused it.
    #[inline]
    pub(crate) fn is_moved(&self) -> bool {
        self.moved.load(Relaxed)
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.moved.load(Relaxed) && self.hands.lock().since.is_none()
    }

    /// Stops the clock; false if it stood still already.
    pub(super) fn pause(&self) -> bool {
        let mut hands = self.hands.lock();
        if hands.since.is_none() {
            return false;
        }
        // Not before what `number` has told until now, which is a little ahead of `Instant`.
        let real = self.epoch.instant(self.epoch.now());
        *hands = Hands { shown: hands.at(real), since: None };
        self.moved.store(true, Relaxed);
        true
    }

    /// Lets the clock run on; false if it runs.
    pub(super) fn resume(&self) -> bool {
        let mut hands = self.hands.lock();
        let paused = hands.since.is_none();
        if paused {
            hands.since = Some(Instant::now());
        }
        paused
    }

    /// Moves a clock that stands still; false if it runs.
    pub(super) fn advance(&self, by: Duration) -> bool {
        let mut hands = self.hands.lock();
        let paused = hands.since.is_none();
        if paused {
            hands.shown = after(hands.shown, by);
        }
        paused
    }

    /// Moves a clock that stands still to `target`, unless it is later.
    pub(super) fn advance_to(&self, target: Instant) {
        let mut hands = self.hands.lock();
        if hands.since.is_none() && hands.shown < target {
            hands.shown = target;
        }
    }
}
