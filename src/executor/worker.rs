//! The loop of who sits on a seat.

mod events;
mod looks;
mod park;
mod timers;

use std::time::{Duration, Instant};

use self::looks::Looks;
use super::context::Context;
use super::idle::{Kept, MAX_SEATS};
use super::queue::CAPACITY;
use super::seat::Seat;
use super::sharing::{Window, nanos};
use super::slack::Punctual;
use super::{GUEST_WAITS, SHUTDOWN, Shared, in_place};
use crate::primitive::atomic::Ordering::Relaxed;
use crate::primitive::{may_spin, spin_loop};
use crate::reactor::Ready;
use crate::task::{List, Runnable};
use crate::tuning::{
    BATCH_EVERY, CLOCK_EVERY, COMPUTES, GRACE, INJECTOR_EVERY, LONG_POLL, LONGEST_SPIN,
    MOST_POLLS_PER_CLOCK, MOST_SLOT_RUNS, NAP, POLLS_PER_CLOCK, RAMP_UP, SHORTEST_SPIN, SLOT_RUNS,
    SLOT_SHARE, SLOT_TIME, STUCK, WARY_FOR,
};
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
    /// Another seat where a task waited, its turn then, and when that was.
    suspect: Option<(usize, u32, Instant)>,
    /// Until when not to sleep for long.
    on_call: Option<Instant>,
    /// Whether we were the last at the system's poll, as far as we know, and when a seat was last woken for that.
    watched: bool,
    entrusted: Option<Instant>,
    spin: Duration,
    clock: Clock,
}

/// Why a thread has left its seat.
pub(super) enum Left {
    /// Somebody else may sit there now.
    LentSeat,
    /// The seat's own thread wants it back from this guest.
    Called,
    Shutdown,
}

/// Measures polls, at a cost that is lost in them.
#[derive(Default)]
struct Clock {
    last: Option<Instant>,
    polls: u32,
    /// How many there may be before the next look.
    most: u32,
    /// Operations on channels since then.
    operations: u32,
    /// Polls for which to look after each of them: some take long.
    wary: u32,
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
            suspect: None,
            computes: false,
            // Whom a guest keeps from its seat, or from the poll, may have been the one there; and
            // the guest's first poll may be long.
            watched: is_guest && shared.reactor.lacks_watcher(),
            entrusted: None,
            spin: SHORTEST_SPIN,
            clock: Clock::default(),
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
            if computes && self.shared.reactor.exists() {
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
                if let Some(task) = self.shared.late.pop() {
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
            if let Some(task) = self.shared.late.pop() {
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

    /// A task of those that compute, after a last look for others.
    fn next_late(&mut self) -> Option<Runnable> {
        if self.shared.late.is_empty() {
            return None;
        }
        if self.look_at_sockets() {
            // SAFETY: we sit here.
            return unsafe { self.seat.queue.pop() };
        }
        // What waits behind who is on no processor comes before these, too.
        let rich = self.others().find(|(_, other)| other.has_plenty());
        // SAFETY: we sit on our seat, and the other is not it.
        let stolen =
            rich.and_then(|(_, other)| unsafe { other.queue.steal_into(&self.seat.queue) });
        stolen.or_else(|| self.rescue()).or_else(|| self.shared.late.pop())
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

    /// Looks at the timers that are due, and for work in the other queues. `None` also when
    /// `called`, or when somebody was woken who is no task of this seat.
    pub(super) fn search(&mut self, called: impl Fn() -> bool) -> Option<Runnable> {
        if self.fire_due(Instant::now) {
            return self.next();
        }
        // Who has plenty may not be on a processor: its tasks come before what the system keeps.
        let has_sockets = self.shared.reactor.exists();
        let rich = has_sockets && self.others().any(|(_, other)| other.has_plenty());
        if has_sockets && !rich {
            if let Some(task) = self.rescue() {
                return Some(task);
            }
            if self.look_at_sockets() {
                return self.next();
            }
        }
        if !self.searching {
            self.searching = self.shared.idle.start_searching();
            if !self.searching {
                return None;
            }
        }
        if let Some(task) = self.steal() {
            return Some(task);
        }
        if rich && self.look_at_sockets() {
            return self.next();
        }
        // Others will be at work again within microseconds, and to be woken takes longer.
        if !may_spin() || self.shared.idle.searching() > 1 {
            return None;
        }
        let start = Instant::now();
        while start.elapsed() < self.spin && !called() {
            (0..16).for_each(|_| spin_loop());
            if self.shared.has_work() {
                if let Some(task) = self.steal() {
                    self.spin = (self.spin * 2).min(LONGEST_SPIN);
                    return Some(task);
                }
            }
        }
        self.spin = (self.spin / 2).max(SHORTEST_SPIN);
        None
    }

    /// The other seats that are awake, from a random one on.
    fn others(&mut self) -> impl Iterator<Item = (usize, &'a Seat)> + Clone + use<'a> {
        let (this, seats) = (self.index, &self.shared.seats);
        let first = self.rng.below(seats.len() as u32) as usize;
        let others = self.shared.idle.awake(first).filter(move |&seat| seat != this);
        others.map(|seat| (seat, &*seats[seat]))
    }

    /// Goes round the other seats: those first that have plenty, those last where tasks wait for a
    /// poll to end.
    fn steal(&mut self) -> Option<Runnable> {
        let others = self.others().map(|(_, other)| other);
        // SAFETY: we sit on our seat, and the other is not it.
        let rob = |other: &Seat| unsafe { other.queue.steal_into(&self.seat.queue) };
        let rich = others.clone().filter(|other| other.has_plenty()).find_map(rob);
        let queued = || self.take_share(CAPACITY / 2).or_else(|| self.shared.late.pop());
        if let Some(task) = rich.or_else(queued) {
            return Some(task);
        }
        // What waits elsewhere runs there in a moment, and better so, unless that moment does not
        // come. On one processor it does not come while we look.
        if !may_spin() {
            return self.rescue();
        }
        let mut ticks = [None; MAX_SEATS];
        for (tick, other) in ticks.iter_mut().zip(others.clone()) {
            *tick = other.has_any().then(|| other.tick());
        }
        if ticks.iter().all(Option::is_none) {
            return None;
        }
        let start = Instant::now();
        while start.elapsed() < GRACE {
            spin_loop();
        }
        let stuck = others.zip(ticks).filter(|(other, tick)| *tick == Some(other.tick()));
        stuck.map(|(other, _)| other).find_map(|other| {
            other.mark_stuck();
            rob(other).or_else(|| other.take_slot())
        })
    }

    /// A task that has waited elsewhere since we last came by, on a seat that has not moved: one
    /// whose thread computes, or is on no processor.
    fn rescue(&mut self) -> Option<Runnable> {
        let now = Instant::now();
        if let Some((index, tick, since)) = self.suspect {
            let other = &*self.shared.seats[index];
            if other.has_any() && other.tick() == tick {
                if now - since < STUCK {
                    return None;
                }
                self.suspect = None;
                other.mark_stuck();
                // SAFETY: we sit on our seat, and the other is not it.
                let task = unsafe { other.queue.steal_into(&self.seat.queue) };
                return task.or_else(|| other.take_slot());
            }
        }
        let waits = self.others().find(|(_, other)| other.has_any());
        self.suspect = waits.map(|(index, other)| (index, other.tick(), now));
        None
    }

    /// Found something. The last to find wakes the next to look, while there is more.
    #[cold]
    fn stop_searching(&mut self) {
        self.searching = false;
        if self.shared.idle.stop_searching() {
            if RAMP_UP && self.shared.has_work() {
                self.shared.wake(self.shared.idle.notify_soon());
            }
            self.name_sentinel(self.seat.has_any());
        }
    }

    /// Notes whether polls are long of late.
    #[inline]
    fn measure(&mut self) {
        self.clock.polls += 1;
        self.clock.wary = self.clock.wary.saturating_sub(1);
        let short = self.clock.wary == 0 && !self.seat.long_polls.load(Relaxed);
        if !short || self.clock.polls >= self.clock.most {
            self.look_at_clock();
        }
    }

    #[cold]
    fn look_at_clock(&mut self) {
        let now = Instant::now();
        self.fire_due(|| now);
        self.glance_at_sockets(now);
        if self.batch.is_none_or(|last| now - last >= BATCH_EVERY) {
            (self.batch, self.batch_due) = (Some(now), true);
        }
        let polls = std::mem::take(&mut self.clock.polls);
        let operations = std::mem::take(&mut self.clock.operations);
        self.seat.count_operations(operations);
        let Some(last) = self.clock.last.replace(now) else { return };
        let time = now - last;
        let poll = time / polls;
        let polls_in = |time, least: u32, most: u32| {
            (nanos(time) / nanos(poll).max(1)).clamp(least.into(), most.into()) as u32
        };
        self.clock.most = polls_in(CLOCK_EVERY, POLLS_PER_CLOCK, MOST_POLLS_PER_CLOCK);
        self.slot_cap = polls_in(SLOT_TIME, SLOT_RUNS, MOST_SLOT_RUNS);
        // Not after those from the slot: they would give each other time without an end.
        if poll > LONG_POLL && self.slot_runs == 0 {
            self.slot_until = Some(now + time / SLOT_SHARE);
        }
        if time > LONG_POLL * POLLS_PER_CLOCK {
            self.clock.wary = WARY_FOR;
        }
        let window = Window { end: now, time, polls, operations };
        let share_from = self.shared.sharing.share_from(window, &self.shared.seats);
        self.seat.share_from.store(share_from, Relaxed);
        self.seat.long_polls.store(poll > LONG_POLL, Relaxed);
        self.computes = polls == 1 && time > COMPUTES;
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
