//! What a worker does for the timers: looks at the clock, fires what is due, keeps the time.

use std::time::{Duration, Instant};

use super::Worker;
use super::park::Nap;
use crate::executor::slack::Punctual;
use crate::executor::{SHUTDOWN, wake_all};
use crate::time::NEVER;
use crate::tuning::POLLS_PER_CLOCK;

/// How late timers of another seat may be before somebody else fires them, while the seat is awake.
const PATIENCE: Duration = Duration::from_millis(1);

impl Worker<'_> {
    /// How late the timers of a seat may be before we fire them.
    fn patience(&self, seat: usize) -> Duration {
        let ours = seat == self.index || self.shared.idle.is_parked(seat);
        if ours { Duration::ZERO } else { PATIENCE }
    }

    /// Fires timers that are due, a batch of each seat's; says whether there were any. Their tasks
    /// go to the end of this seat's ring, in the order of the deadlines.
    #[inline]
    pub(super) fn fire_due(&mut self, now: impl FnOnce() -> Instant) -> bool {
        self.shared.timers.clock().is_used() && self.fire(now())
    }

    #[cold]
    fn fire(&mut self, now: Instant) -> bool {
        let timers = &self.shared.timers;
        if timers.next(|seat| self.patience(seat)) > timers.nanos(now) {
            return false;
        }
        self.wake_here(|worker| timers.fire(now, |seat| worker.patience(seat), wake_all))
    }

    /// As `measure`, for the root's polls, of which only timers care how long they take.
    pub(in crate::executor) fn glance_at_clock(&mut self) {
        if self.tick % POLLS_PER_CLOCK == 0 {
            self.fire_due(Instant::now);
            if self.shared.reactor.exists() {
                self.glance_at_sockets(Instant::now());
            }
        }
    }

    /// About to run something: gives up keeping the time, and sees to it that somebody looks
    /// after the timers if that something takes long.
    #[cold]
    pub(super) fn entrust_timers(&mut self) {
        let (idle, timers) = (&self.shared.idle, &self.shared.timers);
        self.context.set_concerned(false);
        if let Some(kept) = self.keeps.take() {
            idle.stop_keeping(kept);
        }
        if timers.clock().is_used() && idle.lacks_sentinel() {
            // In this order: the fence in the first comes after the end of our keeping. Who has set
            // a timer knows of that, or we see the timer.
            let kept = idle.kept_until();
            if timers.next(|_| Duration::ZERO) < kept {
                self.shared.wake(idle.notify_soon());
            }
        }
    }

    /// All others sleep: for how long to sleep, so that no timer is late. Without timers, or if
    /// another keeps the time, until woken.
    pub(super) fn keep_time(&mut self) -> Nap {
        let (idle, timers) = (&self.shared.idle, &self.shared.timers);
        loop {
            let first = timers.next(|_| Duration::ZERO);
            if first == NEVER {
                return Nap::UntilWoken;
            }
            if timers.clock().is_paused() {
                return self.pass_time();
            }
            self.keeps = idle.keep_time(self.index, first);
            if self.keeps.is_none() {
                return Nap::UntilWoken;
            }
            self.context.set_concerned(true);
            // A timer that was set meanwhile may be earlier.
            if first <= timers.next(|_| Duration::ZERO) {
                self.be_punctual();
                return Nap::For(self.until(first));
            }
        }
    }

    /// About to sleep until a timer is due. The seat's own thread is punctual all its life.
    pub(super) fn be_punctual(&mut self) {
        if self.is_guest {
            self.punctual.get_or_insert_with(Punctual::new);
        }
    }

    /// The clock stands still, and everybody waits: moves it to the next timer. If somebody is
    /// awake after all, the last to go to sleep will do it.
    #[cold]
    fn pass_time(&self) -> Nap {
        let (idle, shared) = (&self.shared.idle, self.shared);
        // The end of a closure wakes somebody for this. Before the bits are gone, by which it does.
        if shared.blocking.is_busy() {
            return Nap::UntilWoken;
        }
        // So that nobody wakes up, and sets timers, between our look at them and the move.
        if !self.if_ours(|| idle.take_all()) {
            return Nap::UntilWoken;
        }
        // Who was awake until now may have begun to block since, and set the timer that we would fire.
        let waited_for = shared.guest.is_called() || shared.blocking.is_busy();
        if !waited_for {
            shared.timers.advance();
        }
        idle.release_others(self.index);
        let others = (0..shared.seats.len()).filter(|&seat| seat != self.index);
        others.for_each(|seat| shared.seats[seat].nudge(&shared.reactor));
        if shared.signals() & SHUTDOWN != 0 {
            // The end may have found nobody asleep.
            shared.rouse_all();
        }
        Nap::Over
    }

    /// The time until a timer is due that nobody else looks after.
    pub(super) fn until_due(&self) -> Option<Duration> {
        let first = self.shared.timers.next(|seat| self.patience(seat));
        (first != NEVER && !self.shared.timers.clock().is_paused()).then(|| self.until(first))
    }

    /// The same for a timer that was set here.
    pub(super) fn until_own(&self) -> Option<Duration> {
        let timers = &self.shared.timers;
        let first = timers.next_of(self.index);
        (first != NEVER && !timers.clock().is_paused()).then(|| self.until(first))
    }

    fn until(&self, time: u64) -> Duration {
        let now = self.shared.timers.nanos(Instant::now());
        Duration::from_nanos(time.saturating_sub(now))
    }
}
