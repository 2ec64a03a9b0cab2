//! Going to sleep on a seat, and for how long.
//!
//! | others | timers | sleeps |
//! |---|---|---|
//! | busy | any | as the sentinel: 1 to 10 ms (5 to 10, where the sockets are left to one worker), or until a timer is due that nobody looks after |
//! | busy, and there is a sentinel | any | until woken |
//! | asleep | some | as the keeper: until the first timer is due |
//! | asleep | none | until woken |
//!
//! With sockets, who was woken is on call for 1 ms, or 5 (`events.rs`).
//!
//! A keeper that goes to work leaves the timers to nobody: it will look at the clock between
//! polls. In case that its poll takes long, it wakes a seat to be the sentinel, if timers wait.

use std::time::{Duration, Instant};

use super::Worker;
use crate::executor::idle::Kept;
use crate::executor::{Shared, driver};
use crate::primitive::atomic::Ordering::SeqCst;
use crate::primitive::atomic::fence;
use crate::tuning::{GATHERED_NAP, LONGEST_NAP, NAP, POLLS_PER_CLOCK};

/// How long a seat sleeps.
pub(super) enum Nap {
    /// It has its bit back, and is awake.
    Over,
    For(Duration),
    UntilWoken,
}

/// Until when a seat that is woken now is on call: with sockets, whoever woke it relies on that. As
/// long as the longest time between two of their wakes, whichever it is by then.
pub(super) fn on_call(shared: &Shared) -> Option<Instant> {
    let longest = if shared.sharing.may_gather() { NAP.max(GATHERED_NAP) } else { NAP };
    shared.reactor.exists().then(|| Instant::now() + longest)
}

/// How long sleeps who looks after others that are at the sockets.
pub(super) fn shortest_nap(shared: &Shared) -> Duration {
    if shared.sharing.gathers() { GATHERED_NAP } else { NAP }
}

impl Worker<'_> {
    pub(super) fn resign_sentinel(&mut self) {
        self.step_down(self.seat.has_any());
    }

    /// As `resign_sentinel`; `waits` says whether a task of this seat waits behind another.
    #[cold]
    pub(super) fn step_down(&mut self, waits: bool) {
        self.sentinel = false;
        self.nap = shortest_nap(self.shared);
        self.shared.idle.resign_sentinel();
        // Whoever found the part taken relied on us for the timers, too.
        self.context.set_concerned(true);
        self.name_sentinel(waits);
    }

    /// Who filled a slot elsewhere may have relied on us to look after it. Now somebody else
    /// has to: whoever is woken looks round, and ends as the sentinel if there is nothing to do.
    /// The same holds for what we have brought here, if it waits: the task that we run first may
    /// take long.
    pub(super) fn name_sentinel(&self, waits: bool) {
        let idle = &self.shared.idle;
        if idle.lacks_sentinel() && (waits || idle.others_busy(self.index)) {
            self.shared.wake(idle.notify_soon());
        }
    }

    /// Sleeps until there may be work for this seat, or `called` says so (whoever makes it say
    /// so unparks this thread). The seat has no task.
    pub(in crate::executor) fn park(&mut self, called: impl Fn() -> bool) {
        let idle = &self.shared.idle;
        if std::mem::take(&mut self.searching) {
            // Whether the last or not, we look at every queue again below.
            let _ = idle.stop_searching();
        }
        self.clock.last = None;
        self.clock.most = POLLS_PER_CLOCK;
        // SAFETY: we sit here.
        unsafe { self.shared.registry.collect_all(self.index) };
        idle.park(self.index);
        // The seat may be a guest's from now on. A user's code that is called meanwhile, such as the
        // function that names threads, is called by who sits nowhere.
        self.context.set_seat(None);
        self.sleep(called);
        self.context.set_seat(Some(self.index));
        self.tell();
    }

    /// The part of `park` in which the seat is not ours.
    fn sleep(&mut self, called: impl Fn() -> bool) {
        let idle = &self.shared.idle;
        // Without the bit a "go" is on its way, or a guest has the seat until it sends one.
        if (called() || self.shared.has_work()) && self.take_back() {
            // Who pushed while we were searching has woken nobody. In case that we have to do
            // something else first, we count until we have handed that on (`begin`).
            self.searching = idle.start_searching();
            return;
        }
        if self.shared.reactor.exists() {
            self.looks.count(self.shared.reactor.looks());
        }
        let mut nap = match self.nap() {
            Nap::Over => return,
            Nap::For(time) => Some(time),
            Nap::UntilWoken => None,
        };
        let mut leave = self.leaves_poll();
        loop {
            if self.seat.take_go(self.is_guest) {
                self.searching = true;
                self.on_call = on_call(self.shared);
                self.sent = true;
                if self.shared.reactor.exists() {
                    self.looks.count(self.shared.reactor.looks());
                }
                return;
            }
            if (called() || !self.ready.is_empty()) && self.take_back() {
                return;
            }
            // While a guest sits on our seat, it waits for sockets in our stead.
            let (seat, is_guest) = (self.seat, self.is_guest);
            let seated = || is_guest || !seat.has_guest();
            // Who has set a timer elsewhere that is earlier than the one we wait for, or stopped the
            // clock, may have nudged us before we are seen in the poll.
            let (timers, kept) = (&self.shared.timers, self.keeps.as_ref().map(Kept::until));
            let earlier = |kept| timers.next(|_| Duration::ZERO) < kept;
            let late = || kept.is_some_and(|kept| earlier(kept) || timers.clock().is_paused());
            let stay = || !seat.has_go(is_guest) && !called() && seated() && !late();
            let reactor = &self.shared.reactor;
            // Who falls asleep last does wait there: it sees us asleep, and finds the poll free, or we
            // do not see it awake. Who has not left it goes back there, although somebody has woken
            // up meanwhile: how often that one looks is not known, and its first poll may be long.
            leave = leave && self.shared.idle.others_busy(self.index);
            let watch = reactor.exists() && !leave && self.ready.is_empty() && seated();
            // The guest that had the bit may have left without sending us: what was fetched is told soon.
            let limit = nap.or((!self.ready.is_empty()).then_some(NAP));
            let watched = driver::wait(reactor, limit, &mut self.ready, watch, stay);
            // Ordering: pairs with the fence in `Idle::park`. Who has fallen asleep meanwhile, and
            // found us in the poll, is seen asleep when we come to the poll again, or our guest.
            fence(SeqCst);
            self.watched |= watched;
            if watched && !is_guest {
                seat.leave_poll_to_guest();
            }
            if nap.take().is_none() && self.ready.is_empty() {
                continue;
            }
            if self.take_back() {
                return;
            }
            // Claimed: for work, then the "go" is near, and what was fetched waits for it; or by a
            // guest, then it may be far.
            let lent = !self.is_guest && self.seat.has_guest();
            if lent {
                self.ready.fire(usize::MAX);
            }
            if self.sentinel {
                self.resign_sentinel();
                // The guest has found the part taken, and is at work on our own seat.
                if lent && self.shared.idle.lacks_sentinel() {
                    self.shared.wake(self.shared.idle.notify_soon());
                }
            }
            if self.keeps.is_some() {
                self.entrust_timers();
            }
        }
    }

    /// Gets the seat's bit back; false if somebody else has it.
    fn take_back(&self) -> bool {
        self.if_ours(|| self.shared.idle.take(self.index))
    }

    /// Calls `take`, which takes the seat's bit; not if a guest sits on our seat, whose bit it is.
    pub(super) fn if_ours(&self, take: impl FnOnce() -> bool) -> bool {
        if self.is_guest { take() } else { self.seat.take_back(take) }
    }

    /// How long to sleep at most: see the module's table. Who is on call sleeps a nap at a time, so
    /// that it sees who is at work then.
    fn nap(&mut self) -> Nap {
        let nap = self.part();
        let left = self
            .on_call
            .map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()));
        if left.is_zero() {
            self.on_call = None;
            return nap;
        }
        let left = left.min(shortest_nap(self.shared));
        match nap {
            Nap::Over => Nap::Over,
            Nap::For(time) => Nap::For(time.min(left)),
            Nap::UntilWoken => Nap::For(left),
        }
    }

    /// Takes the part that is left to take, and says how long it sleeps in it.
    fn part(&mut self) -> Nap {
        let idle = &self.shared.idle;
        if let Some(kept) = self.keeps.take() {
            idle.stop_keeping(kept);
        }
        // Who has come to the sockets meanwhile will do so again: a sentinel stays one, and need
        // not be woken for that.
        let stays = self.sentinel && self.looks.any();
        if !stays && !idle.others_busy(self.index) {
            if self.sentinel {
                self.resign_sentinel();
            }
            // Somebody who was woken meanwhile may have seen us on duty.
            if !idle.others_busy(self.index) {
                return self.keep_time();
            }
        }
        if !self.sentinel && !idle.become_sentinel() {
            // The sentinel may have gone to sleep, for long, before our timers were set.
            return match self.until_own().filter(|&time| time < LONGEST_NAP) {
                Some(time) => {
                    self.be_punctual();
                    Nap::For(time)
                }
                None => Nap::UntilWoken,
            };
        }
        self.sentinel = true;
        if self.looks.any() {
            self.nap = shortest_nap(self.shared);
        }
        let nap = self.nap;
        if let Some(time) = self.until_due().filter(|&time| time < nap) {
            self.be_punctual();
            return Nap::For(time);
        }
        self.nap = (nap * 2).min(LONGEST_NAP);
        Nap::For(nap)
    }
}
