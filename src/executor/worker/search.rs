//! Looking for work elsewhere: what is due, what the sockets tell of, what waits on other seats.
//!
//! # Invariants
//!
//! 1. Who gives up searching after success looks at every queue, and sees to the timers and the
//!    sockets, since nobody was woken for them meanwhile (`Idle`, invariant 2).
//! 2. What waits on a seat that moves is left to it, unless that has plenty. Only a seat whose turn
//!    has not changed for `GRACE`, or `STUCK`, is robbed of the rest; while the sockets are left to one
//!    worker, for `STUCK`.

use std::time::Instant;

use super::Worker;
use crate::executor::idle::MAX_SEATS;
use crate::executor::queue::CAPACITY;
use crate::executor::seat::Seat;
use crate::primitive::{may_spin, spin_loop};
use crate::task::Runnable;
use crate::tuning::{GRACE, LONGEST_SPIN, RAMP_UP, SHORTEST_SPIN, STUCK, VAIN};

/// Where the last looks before a sleep are left out, one in so many is made all the same.
const LOOK_AGAIN: u32 = 16;

impl<'a> Worker<'a> {
    /// Looks at the timers that are due, and for work in the other queues. `None` also when
    /// `called`, or when somebody was woken who is no task of this seat.
    pub(in crate::executor) fn search(&mut self, called: impl Fn() -> bool) -> Option<Runnable> {
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
        }
        let dry = has_sockets && self.is_dry();
        if has_sockets && !rich && !dry && self.look_at_sockets() {
            self.vain = 0;
            return self.next();
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
            self.vain = 0;
            return self.next();
        }
        // Others will be at work again within microseconds, and to be woken takes longer.
        if dry || !may_spin() || self.shared.idle.searching() > 1 {
            return None;
        }
        let start = Instant::now();
        while start.elapsed() < self.spin && !called() {
            (0..16).for_each(|_| spin_loop());
            // Beside others who are awake there may be no processor for this to spare.
            if has_sockets && !self.shared.idle.others_busy(self.index) && self.look_at_sockets() {
                self.spin = (self.spin * 2).min(LONGEST_SPIN);
                self.vain = 0;
                return self.next();
            }
            if self.shared.has_work() {
                if let Some(task) = self.steal() {
                    self.spin = (self.spin * 2).min(LONGEST_SPIN);
                    self.vain = 0;
                    return Some(task);
                }
            }
        }
        self.spin = (self.spin / 2).max(SHORTEST_SPIN);
        None
    }

    /// Whether to go to sleep in the system's poll at once, which looks, too: our last looks were in
    /// vain, and nobody else is awake to come with work. Now and then we look all the same; and always if
    /// somebody has paused the clock, since who sleeps then may move it on instead.
    ///
    /// Perf: one client outside: 3.4 calls of the poll a round trip, since 2.2 (the client's is one).
    fn is_dry(&mut self) -> bool {
        self.vain = self.vain.wrapping_add(1);
        let looks = self.vain <= VAIN || self.vain % LOOK_AGAIN == 0;
        !looks
            && !self.shared.timers.clock().is_moved()
            && self.shared.late.is_empty()
            && !self.shared.idle.others_busy(self.index)
    }

    /// The other seats that are awake, from a random one on.
    pub(super) fn others(&mut self) -> impl Iterator<Item = (usize, &'a Seat)> + Clone + use<'a> {
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
        let queued = rich.or_else(|| self.take_share(CAPACITY / 2)).or_else(|| self.pop_late());
        if queued.is_some() {
            return queued;
        }
        // What waits elsewhere runs there in a moment, and better so, unless that moment does not
        // come. On one processor it does not come while we look; and among too many threads, not soon.
        if !may_spin() || self.shared.sharing.gathers() {
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
    pub(super) fn rescue(&mut self) -> Option<Runnable> {
        if let Some((index, tick, since)) = self.suspect {
            let other = &*self.shared.seats[index];
            if other.has_any() && other.tick() == tick {
                if since.elapsed() < STUCK {
                    return None;
                }
                other.mark_stuck();
                return self.empty(other);
            }
        }
        let waits = self.others().find(|(_, other)| other.has_any());
        self.suspect = waits.map(|(index, other)| (index, other.tick(), Instant::now()));
        None
    }

    /// Takes all that waits on a seat whose thread may be away for milliseconds.
    fn empty(&self, other: &Seat) -> Option<Runnable> {
        // SAFETY: we sit on our seat, and the other is not it.
        let half = || unsafe { other.queue.steal_into(&self.seat.queue) };
        let slot = std::iter::once_with(|| other.take_slot()).flatten();
        let mut tasks = std::iter::from_fn(half).chain(slot);
        let first = tasks.next();
        for task in tasks {
            // SAFETY: we sit here.
            unsafe { self.shared.push_here(self.seat, task) };
        }
        first
    }

    /// Found something. The last to find wakes the next to look, while there is more.
    #[cold]
    pub(super) fn stop_searching(&mut self) {
        self.searching = false;
        if self.shared.idle.stop_searching() {
            // Nor has anybody been woken for a timer that was set elsewhere meanwhile, or for the
            // first socket.
            self.context.set_concerned(true);
            self.watched |= self.shared.reactor.lacks_watcher();
            if RAMP_UP && self.shared.has_work() {
                self.shared.wake(self.shared.idle.notify_soon());
            }
            self.name_sentinel(self.seat.has_any());
        }
    }
}
