//! What a worker does for sockets: fetches what the system has to tell, and tells it.
//!
//! | when | it looks |
//! |---|---|
//! | it has no task | before it looks at other seats, unless it leaves that to those at work, or to its sleep in the poll; and while it spins, if nobody else is awake |
//! | between polls | when it looks at the clock, 50 µs have passed, and who waited then has run; before that, at seats that do not move |
//! | it sleeps | waits in the system's poll, if no other does, or looks there often (`looks.rs`) |
//!
//! Who leaves the system's poll to work leaves it to nobody, so that a message in and out wakes
//! nobody else. In case that its poll takes long, it wakes a seat to be the sentinel, if there
//! is none; at most once in nine tenths of a nap. Who was woken is on call for a whole nap (of the
//! longer kind, where both kinds are taken), whatever it does in between: it looks up at the end of
//! it, and so finds out about every long poll that has begun before the next wake. A sentinel stays one
//! while others come to the sockets, so that those need not wake it. A guest that comes to its seat sees
//! whether anybody is at the poll, and if not counts as who has left it.

use std::time::Instant;

use super::{Worker, park};
use crate::executor::queue::CAPACITY;
use crate::tuning::LOOK_EVERY;

impl Worker<'_> {
    /// Between tasks: as `look_at_sockets`, if it is time.
    #[inline]
    pub(super) fn glance_at_sockets(&mut self, now: Instant) {
        if !self.shared.reactor.exists() {
            return;
        }
        // What is told of would go to the end of the ring. So those who wait there come first: the
        // ring does not overflow, and who runs out of tasks sees whose are stuck.
        let is_due = self.looked.is_none_or(|(last, round)| {
            now - last >= LOOK_EVERY && (round.wrapping_sub(self.tick) as i32) <= 0
        });
        if is_due {
            // Who always has tasks would else never see those of one that is on no processor.
            if let Some(task) = self.rescue() {
                // SAFETY: we sit here.
                unsafe { self.shared.push_here(self.seat, task) };
            }
            self.fetch();
            self.looked = Some((now, self.tick.wrapping_add(self.seat.queue.len())));
        }
    }

    /// Wakes who waits for sockets that are ready; says whether any was.
    #[inline]
    pub(super) fn look_at_sockets(&mut self) -> bool {
        self.shared.reactor.exists() && !self.leaves_sockets() && self.fetch()
    }

    /// Who has found nothing to do looks after the others, who may be at it: a sentinel, and who was
    /// woken to become one. What it took from them would go on here, with cold caches.
    fn leaves_sockets(&self) -> bool {
        let is_on_call = || self.on_call.is_some_and(|until| Instant::now() < until);
        let watches = self.sentinel || self.sent || (self.shared.sharing.gathers() && is_on_call());
        watches && self.leaves_poll() && self.shared.idle.others_busy(self.index)
    }

    /// Whether the system's poll is for those who are awake.
    pub(super) fn leaves_poll(&self) -> bool {
        self.looks.often() || (self.shared.sharing.gathers() && self.looks.any())
    }

    #[cold]
    fn fetch(&mut self) -> bool {
        if self.shared.reactor.look(&mut self.ready) {
            self.looks.add();
        }
        // As if we had waited for it: we may have come for something else, and found nobody there.
        self.watched |= !self.ready.is_empty();
        self.tell()
    }

    /// Tells what was fetched; says whether there was any.
    pub(super) fn tell(&mut self) -> bool {
        if self.ready.is_empty() {
            return false;
        }
        // What the ring does not hold goes behind what waits in the injector. A full ring would
        // send its older half there, again and again the same tasks.
        let room = CAPACITY - self.seat.queue.len();
        if room > 0 {
            self.wake_here(|worker| worker.ready.fire(room as usize));
        }
        if !self.ready.is_empty() {
            self.context.set_seat(None);
            self.ready.fire(usize::MAX);
            self.context.set_seat(Some(self.index));
        }
        true
    }

    /// About to run something after a look at the system's poll.
    pub(super) fn entrust_sockets(&mut self) {
        if !std::mem::take(&mut self.watched) || !self.shared.idle.lacks_sentinel() {
            return;
        }
        let now = Instant::now();
        if self.entrusted.is_none_or(|until| now >= until) {
            // A little less than the sentinel sleeps at first.
            let every = park::shortest_nap(self.shared) / 10 * 9;
            // If somebody searches, it looks after us when it goes to sleep, but only this once.
            let woken = self.shared.idle.notify_soon();
            self.entrusted = woken.is_some().then(|| now + every);
            self.shared.wake(woken);
        }
    }
}
