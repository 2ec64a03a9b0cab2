//! The loop of who sits on a seat.

mod events;
mod looks;
mod pace;
mod park;
mod search;
mod timers;

use std::thread;
use std::time::{Duration, Instant};

use self::looks::Looks;
use self::pace::{Clock, Crowd};
use super::context::{self, Context};
use super::idle::Kept;
use super::queue::CAPACITY;
use super::seat::Seat;
use super::slack::Punctual;
use super::{GUEST_WAITS, SHUTDOWN, Shared, in_place};
use crate::primitive::atomic::Ordering::Relaxed;
use crate::reactor::Ready;
use crate::task::{List, Runnable};
use crate::tuning::{INJECTOR_EVERY, NAP, REST, SHORTEST_SPIN, SLOT_RUNS};
use crate::util::{Rng, budget};

/// Someone at work on a seat.
pub(super) struct Worker<'a> {
    shared: &'a Shared,
    context: &'a Context,
    seat: &'a Seat,
    index: usize,
    rng: Rng,
    tick: u32,
    slot_runs: u32,
    /// How many of them may come in a row while others wait.
    slot_cap: u32,
    /// Whether the last poll was one of those after which others have their turn first.
    computes: bool,
    /// When the next of those has a right to its turn, although others wait.
    late_after: Option<Instant>,
    /// Whether the poll to come, or under way, is that of one of those.
    runs_late: bool,
    /// Until when the slot may go on all the same.
    slot_until: Option<Instant>,
    /// When a batch was last taken from the injector, and whether the next may be.
    batch: Option<Instant>,
    batch_due: bool,
    /// Whether this is not the seat's own thread.
    is_guest: bool,
    /// Counted in `Idle::searching`.
    searching: bool,
    sentinel: bool,
    /// Woken to look for work, and has found none yet.
    sent: bool,
    /// The keeper's part, if it is ours.
    keeps: Option<Kept>,
    /// A guest's, once it has waited for a timer.
    punctual: Option<Punctual>,
    nap: Duration,
    /// What the reactor has fetched for us.
    ready: Ready,
    /// When we last looked at the sockets between tasks, and the turn in which those who waited
    /// then have run.
    looked: Option<(Instant, u32)>,
    looks: Looks,
    /// How often we have searched since a look, or the spin, was not in vain.
    vain: u32,
    /// Another seat where a task waited, its turn then, and when that was.
    suspect: Option<(usize, u32, Instant)>,
    /// Until when not to sleep for long.
    on_call: Option<Instant>,
    /// Whether we were the last at the system's poll, as far as we know, and until when the seat
    /// that was woken for that looks after us.
    watched: bool,
    entrusted: Option<Instant>,
    spin: Duration,
    clock: Clock,
    crowd: Crowd,
}

/// Why a thread has left its seat.
pub(super) enum Left {
    /// Somebody else may sit there now.
    LentSeat,
    /// The seat's own thread wants it back from this guest.
    Called,
    Shutdown,
}

impl<'a> Worker<'a> {
    /// Sits down on a seat that the caller has got by a "go" (then it is counted as searching),
    /// or, as a guest, by clearing the seat's bit.
    pub(super) fn sit(
        shared: &'a Shared,
        context: &'a Context,
        index: usize,
        is_guest: bool,
    ) -> Self {
        context.set_seat(Some(index));
        Self {
            shared,
            context,
            seat: &shared.seats[index],
            index,
            rng: Rng::new(context.id() as u64),
            tick: 0,
            slot_runs: 0,
            slot_cap: SLOT_RUNS,
            slot_until: None,
            batch: None,
            batch_due: false,
            is_guest,
            searching: !is_guest,
            on_call: if is_guest { None } else { park::on_call(shared) },
            sentinel: false,
            sent: false,
            keeps: None,
            punctual: None,
            nap: NAP,
            ready: Ready::default(),
            looked: None,
            looks: Looks::default(),
            vain: 0,
            suspect: None,
            computes: false,
            late_after: None,
            runs_late: false,
            // Whom a guest keeps from its seat, or from the poll, may have been the one there; and
            // the guest's first poll may be long.
            watched: is_guest && shared.reactor.lacks_watcher(),
            entrusted: None,
            spin: SHORTEST_SPIN,
            clock: Clock::default(),
            crowd: Crowd::default(),
        }
    }

    /// As `sit`, for a guest that was sent by a "go".
    pub(super) fn stand_in(shared: &'a Shared, context: &'a Context, index: usize) -> Self {
        let mut worker = Self::sit(shared, context, index, false);
        worker.is_guest = true;
        worker
    }

    pub(super) fn index(&self) -> usize {
        self.index
    }

    /// Works until it is told to leave, or `recalled`.
    pub(super) fn work(&mut self, recalled: impl Fn() -> bool) -> Left {
        let shared = self.shared;
        let called = || shared.signals() != 0 || recalled();
        loop {
            let signals = self.shared.signals();
            if signals & SHUTDOWN != 0 {
                return Left::Shutdown;
            }
            if recalled() {
                return Left::Called;
            }
            if signals & GUEST_WAITS != 0 {
                // Whoever still counted us as searching would wake nobody; and the guest may be
                // asleep before we have gone, with nobody left who looks for work or at the time.
                self.begin();
                if self.shared.guest.grant(self.shared, self.index) {
                    return Left::LentSeat;
                }
            }
            if let Some(task) = self.next().or_else(|| self.search(called)) {
                if !self.run(task) {
                    return Left::LentSeat;
                }
            } else {
                self.park(called);
            }
        }
    }

    /// Looks no more after others: about to run something, for who knows how long.
    #[inline]
    pub(super) fn begin(&mut self) {
        self.sent = false;
        if self.searching {
            self.stop_searching();
        }
        if self.sentinel {
            self.resign_sentinel();
        }
        if self.watched {
            self.entrust_sockets();
        }
        if self.context.is_concerned() {
            self.entrust_timers();
        }
    }

    /// Runs one task. False: it has cost us the seat, by `block_in_place`.
    #[inline]
    #[must_use]
    pub(super) fn run(&mut self, task: Runnable) -> bool {
        self.begin();
        budget::refill();
        let computed = task.take_mark();
        let again = task.run();
        if self.context.seat().is_none() && !self.sit_again() {
            self.shared.inject(again.map_or_else(List::new, List::from));
            self.context.end_blocked();
            return false;
        }
        self.clock.operations += budget::spent();
        self.measure();
        let computes = std::mem::take(&mut self.computes);
        if let Some(task) = again {
            if computes {
                task.mark();
            }
            // Once may have been an accident: the system took the processor away.
            if computes && computed && self.shared.reactor.exists() {
                self.shared.put_off(task);
            } else {
                // SAFETY: we sit here.
                unsafe { self.shared.push_here(self.seat, task) };
            }
        }
        true
    }

    /// The task has blocked in place, and on our seat there is somebody else, unless there is not.
    #[cold]
    fn sit_again(&self) -> bool {
        // A guest has no right to this seat, and looks for another.
        !self.is_guest && in_place::sit_again(self.context, self.index, true)
    }

    /// The next task of this seat, or a share of the injector's.
    #[inline]
    pub(super) fn next(&mut self) -> Option<Runnable> {
        self.tick = self.tick.wrapping_add(1);
        self.seat.set_tick(self.tick);
        if self.tick % INJECTOR_EVERY == 0 {
            // SAFETY: we sit here.
            unsafe { self.shared.registry.collect(self.index) };
            // By turns with the injector, if that has any.
            if self.tick % 2 == 0 {
                if let Some(task) = self.next_late_by_right() {
                    return Some(task);
                }
            }
            // Now and then as many as there is room for: one at a time, what overflowed would wait for
            // as long as the ring is filled anew.
            let room = CAPACITY - self.seat.queue.len();
            let most = if std::mem::take(&mut self.batch_due) { room.min(CAPACITY / 2) } else { 1 };
            if let Some(task) = self.take_share(most) {
                return Some(task);
            }
            if let Some(task) = self.next_late_by_right() {
                return Some(task);
            }
        }
        // Messages go back and forth through the slot. That may go on for as long as nobody else
        // waits; then it takes turns with the ring.
        if self.slot_runs < self.slot_cap || self.slot_may_go_on() {
            if let Some(task) = self.seat.take_slot() {
                self.slot_runs += 1;
                return Some(task);
            }
        }
        self.slot_runs = 0;
        // SAFETY: we sit here.
        unsafe { self.seat.queue.pop() }
            .or_else(|| self.take_share(CAPACITY / 2))
            .or_else(|| self.seat.take_slot())
            .or_else(|| self.next_late())
    }

    /// A task of those that compute, if they have not had their share of the time.
    fn next_late_by_right(&mut self) -> Option<Runnable> {
        let waits = |&until: &Instant| Instant::now() < until;
        if self.shared.late.is_empty() || self.late_after.as_ref().is_some_and(waits) {
            None
        } else {
            self.pop_late()
        }
    }

    /// A task of those that compute. Its poll is measured alone: if it looked short among others, it
    /// would go back among them, and several could keep the sockets waiting.
    pub(super) fn pop_late(&mut self) -> Option<Runnable> {
        let task = self.shared.late.pop()?;
        self.clock.start_anew();
        self.runs_late = true;
        Some(task)
    }

    /// A task of those that compute, after a last look for others, and after a rest where there are more
    /// threads than processors.
    fn next_late(&mut self) -> Option<Runnable> {
        if self.shared.late.is_empty() {
            return None;
        }
        if self.shared.sharing.gathers() {
            thread::sleep(REST);
            // That was no poll, and what has come meanwhile is first.
            self.clock.start_anew();
            let fired = self.fire_due(Instant::now);
            // SAFETY: we sit here.
            let task = unsafe { self.seat.queue.pop() };
            let task = task.or_else(|| self.take_share(CAPACITY / 2));
            // Whom it concerned may be no task, but the future of `block_on`.
            if fired || task.is_some() {
                return task;
            }
        }
        if self.look_at_sockets() {
            // SAFETY: we sit here.
            return unsafe { self.seat.queue.pop() };
        }
        // What waits behind who is on no processor comes before these, too.
        let rich = self.others().find(|(_, other)| other.has_plenty());
        let stolen =
            // SAFETY: we sit on our seat, and the other is not it.
            rich.and_then(|(_, other)| unsafe { other.queue.steal_into(&self.seat.queue) });
        stolen.or_else(|| self.rescue()).or_else(|| self.pop_late())
    }

    /// Whether there is time left for the slot out of turn.
    fn slot_may_go_on(&mut self) -> bool {
        let Some(until) = self.slot_until else { return false };
        let may = Instant::now() < until;
        if !may {
            self.slot_until = None;
        }
        may
    }

    /// Takes a fair share of the injector: one task to run, the others for our ring, which has so
    /// much room.
    fn take_share(&self, room: u32) -> Option<Runnable> {
        let most = room.max(1) as usize;
        let mut share = self.shared.injector.pop_share(self.shared.seats.len(), most);
        let first = share.pop_front();
        while let Some(task) = share.pop_front() {
            // SAFETY: we sit here.
            unsafe {
                self.seat.queue.push(task, |overflow: List| self.shared.injector.push(overflow));
            }
        }
        first
    }

    /// Wakes by `wake` who is to run here in a moment, in that order: nobody else need be woken to
    /// watch over them.
    ///
    /// Perf: one connection, two workers: else 3 wakes of the other a millisecond, p99 39 to 24 µs.
    /// For one timer: half again as much of the processors' time as the sleep itself, and 10 µs late.
    fn wake_here<R>(&mut self, wake: impl FnOnce(&mut Self) -> R) -> R {
        let (idle, seat) = (&self.shared.idle, self.seat);
        let sentinel = !self.sentinel && idle.lacks_sentinel() && idle.become_sentinel();
        let long_polls = seat.long_polls.load(Relaxed);
        seat.long_polls.store(false, Relaxed);
        let stay = context::stay();
        let woken = wake(self);
        drop(stay);
        seat.long_polls.store(long_polls, Relaxed);
        if let Some(last) = seat.take_slot() {
            // SAFETY: we sit here.
            unsafe { self.shared.push_here(seat, last) };
        }
        // The first runs at once; what may take long looks for a sentinel itself (`begin`), who looks
        // after the others, too, if we come from the sockets.
        let waits = seat.queue.len() > 1 && (long_polls || !self.watched);
        if sentinel {
            self.step_down(waits);
        }
        if waits && (long_polls || idle.lacks_sentinel()) {
            self.shared.wake(idle.notify_soon());
        }
        woken
    }
}

impl Drop for Worker<'_> {
    fn drop(&mut self) {
        if self.sentinel {
            self.resign_sentinel();
        }
        if self.searching {
            self.stop_searching();
        }
        if let Some(kept) = self.keeps.take() {
            self.shared.idle.stop_keeping(kept);
        }
        self.context.set_seat(None);
    }
}
