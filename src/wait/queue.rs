//! A queue of wakers, first come first served, each entry with an identity.
//!
//! # Invariants
//!
//! 1. Everything but `served` is behind one lock, which is taken only when somebody waits or is
//!    woken: the WAITS bit (`ring/word.rs`) tells publishers. Under the lock, an entry in the
//!    FIFO implies that the bit is set. It is cleared, under the lock, by a notifier who finds
//!    nobody: as long as waits and wakes alternate, the bit stays and costs nothing.
//! 2. Entries are numbered as they come and are notified in that order. A notified entry leaves
//!    the queue at once, and `served` tells its operation, without the lock, that it was.
//! 3. Who was woken and came too late goes back to the front, before all who came after it: the
//!    FIFO is in the order of the numbers. For such a loser `served` says nothing: its entry stays when it is notified, but loses its
//!    waker, and the operation looks at it under the lock. Where the notifier has something to
//!    say, every entry stays like this, and the operation finds it in the entry's note.
//! 4. A notified operation that ends without having spent its wake hands it to the next.
//! 5. No waker is cloned, called or dropped while the lock is held.
//!
//! One wake is owed for every step of the other side while the FIFO is not empty, so that an
//! operation which is forgotten (`mem::forget`) costs the one wake that went to it and no more.
//!
//! A note goes with each entry, for who notifies by what the waiters want: `notify_while` asks
//! about one after the other, under the lock, until it hears no. So something can be handed to the
//! first in the queue (`sync/pool.rs`). The channels' notes are `()`.
//!
//! The entries are in a FIFO (`list.rs`) from which they can be taken out of the middle.

use std::fmt;
use std::task::Waker;

use super::list::{Entry, List, Place};
use super::{Bit, Waiters};
use crate::primitive::atomic::AtomicU64;
use crate::primitive::atomic::Ordering::{Acquire, Relaxed};
use crate::primitive::const_fn;

use crate::util::{SpinGuard, SpinLock, WakeBatch};

/// Any number of waiters, each with a note.
pub struct WaitQueue<N = ()> {
    list: SpinLock<List<N>>,
    /// The number of the last entry that was notified; written under the lock.
    served: AtomicU64,
}

/// A waiting operation's place in a [`WaitQueue`].
#[derive(Debug, Default)]
pub struct Ticket {
    /// The entry, while there is one.
    place: Option<Place>,
    /// A wake that has been taken out of the queue and not yet been used: the number with which
    /// the operation waited for it.
    woken: Option<u64>,
    /// How often it was woken and had to wait again.
    losses: u32,
}

/// How an operation stood when it left.
#[derive(Debug)]
pub(crate) enum Left<N> {
    /// It did not wait.
    Outside,
    /// It waited, and nobody had notified it.
    Waiting,
    /// It was notified, and has not used it. There is a note if the entry has stayed.
    Notified { number: u64, note: Option<N> },
}

impl Ticket {
    /// Forgets a wake that everybody got: there is no one to hand it to, and no place to keep.
    pub(super) fn forget_wake(&mut self) {
        self.woken = None;
    }

    /// Whether there is an entry, notified or not.
    #[inline]
    pub(crate) fn is_entered(&self) -> bool {
        self.place.is_some()
    }
}

impl<N> WaitQueue<N> {
    const_fn! {
        pub(crate) fn new() -> Self {
            Self { list: SpinLock::new(List::new()), served: AtomicU64::new(0) }
        }
    }

    /// Whether an entry was notified. If so, it is gone afterwards.
    fn take_notice(&self, list: &mut List<N>, place: Place) -> bool {
        if !place.stays {
            // Ordering: Relaxed, because it is written under the lock, which we hold.
            return self.served.load(Relaxed) >= place.number;
        }
        let notified = list.entries[place.key].waker.is_none();
        if notified {
            list.entries.remove(place.key);
        }
        notified
    }

    /// Takes an entry out, if it is there: with its waker, if it was not notified.
    fn remove(&self, list: &mut List<N>, place: Place) -> Option<Entry<N>> {
        // Ordering: as in `take_notice`.
        if !place.stays && self.served.load(Relaxed) >= place.number {
            return None;
        }
        if list.entries[place.key].waker.is_some() {
            list.unlink(place.key);
        }
        Some(list.entries.remove(place.key))
    }

    /// Whether the operation waits already, and would wake the same task.
    #[inline]
    pub(crate) fn waits_with(&self, ticket: &Ticket, waker: &Waker) -> bool {
        ticket.place.is_some_and(|place| self.keeps(place, waker))
    }

    /// Whether the entry is still there and wakes the same task.
    fn keeps(&self, place: Place, waker: &Waker) -> bool {
        let list = self.list.lock();
        // Ordering: as in `take_notice`.
        if !place.stays && self.served.load(Relaxed) >= place.number {
            return false;
        }
        list.entries[place.key].waker.as_ref().is_some_and(|w| w.will_wake(waker))
    }

    /// The number of an operation that was notified and has not used it; its entry is gone then.
    #[inline]
    pub(crate) fn notice(&self, ticket: &mut Ticket) -> Option<u64> {
        if let Some(place) = ticket.place {
            let notified = if place.stays {
                self.take_notice(&mut self.list.lock(), place)
            } else {
                // Ordering: Acquire pairs with the Release in `List::notify`.
                self.served.load(Acquire) >= place.number
            };
            if notified {
                (ticket.place, ticket.woken) = (None, Some(place.number));
            }
        }
        ticket.woken
    }

    /// Stores `waker` and `note`, unless `must_wait`, asked under the lock, says no.
    ///
    /// True: the operation waits and will be woken. False: look again. `must_wait` is asked also
    /// when the operation is entered already, and only its waker is to change.
    pub(crate) fn enter(
        &self,
        ticket: &mut Ticket,
        note: N,
        stays: bool,
        waker: &Waker,
        must_wait: impl FnOnce() -> bool,
    ) -> bool {
        let mut new = match ticket.place {
            // A poll that nobody asked for. Often it brings the waker that is here already.
            Some(place) if self.keeps(place, waker) => None,
            _ => Some(waker.clone()),
        };
        let mut list = self.list.lock();
        // The bit is set under the lock that guards its clearing, so it stays until our entry
        // is out again (invariant 1).
        let waits = match ticket.place {
            // Notified just now: the wake is spent by the next try.
            Some(place) if self.take_notice(&mut list, place) => {
                (ticket.place, ticket.woken) = (None, Some(place.number));
                false
            }
            place => {
                must_wait() && {
                    match (place, new.take()) {
                        (Some(place), Some(waker)) => {
                            new = list.entries[place.key].waker.replace(waker);
                        }
                        (Some(_), None) => {}
                        (None, waker) => {
                            let waker = waker.expect("a new entry has a new waker");
                            // Who was woken, and came too late, does not lose his place.
                            let place = match ticket.woken {
                                Some(number) => {
                                    ticket.losses += 1;
                                    list.push_front(waker, note, number)
                                }
                                None => list.push_back(waker, note, stays),
                            };
                            (ticket.place, ticket.woken) = (Some(place), None);
                        }
                    }
                    true
                }
            }
        };
        drop(list);
        // Here the waker that is not needed drops, after the lock.
        drop(new);
        waits
    }

    /// Takes the operation out of the queue. What it was notified of is the caller's to pass on.
    pub(crate) fn leave(&self, ticket: &mut Ticket) -> Left<N> {
        match std::mem::take(ticket) {
            Ticket { place: Some(place), .. } => {
                let mut list = self.list.lock();
                let entry = self.remove(&mut list, place);
                drop(list);
                // Here the waker drops, after the lock.
                match entry {
                    Some(Entry { waker: Some(_), .. }) => Left::Waiting,
                    gone => {
                        Left::Notified { number: place.number, note: gone.map(|entry| entry.note) }
                    }
                }
            }
            Ticket { woken: Some(number), .. } => Left::Notified { number, note: None },
            _ => Left::Outside,
        }
    }

    /// Wakes the one who has waited longest; if there is none, calls `nobody`, under the lock,
    /// and returns false.
    #[inline]
    pub(crate) fn notify_one_or(&self, nobody: impl FnOnce()) -> bool {
        let mut list = self.list.lock();
        let waker = list.notify_first(&self.served);
        if waker.is_none() {
            nobody();
        }
        drop(list);
        let found = waker.is_some();
        if let Some(waker) = waker {
            waker.wake();
        }
        found
    }

    /// Notifies the first, the next and so on, as long as `admit` says yes to them.
    ///
    /// It is asked under the lock, about an operation's note and number; the third argument is
    /// the number given last. If a waker panics, the others are notified all the same.
    pub(crate) fn notify_while(
        &self,
        bit: &impl Bit,
        mut admit: impl FnMut(&mut N, u64, u64) -> bool,
    ) {
        let mut list = self.list.lock();
        // Upwards only: a loser who comes back meanwhile, with its old number, is not told again.
        let mut told = 0;
        let mut next = |list: &mut List<N>| {
            let key = list.first_after(told)?;
            let Entry { note, number, .. } = &mut list.entries[key];
            if !admit(note, *number, list.number) {
                return None;
            }
            told = *number;
            list.notify(key, &self.served)
        };
        let first = next(&mut list);
        let second = if first.is_some() { next(&mut list) } else { None };
        let Some(second) = second else {
            // Perf: mostly it is one, and for one there is no batch to be set up.
            if list.first.is_none() {
                bit.disarm();
            }
            drop(list);
            if let Some(waker) = first {
                waker.wake();
            }
            return;
        };
        let mut batch = WakeBatch::new();
        first.into_iter().chain([second]).for_each(|waker| batch.push(waker));
        Rest { queue: self, bit, next, ended: false }.notify(list, batch);
    }
}

/// Those still to be notified; also when a waker panics.
struct Rest<'a, N, B: Bit, F: FnMut(&mut List<N>) -> Option<Waker>> {
    queue: &'a WaitQueue<N>,
    bit: &'a B,
    /// Notifies the next, if there is one.
    next: F,
    ended: bool,
}

impl<'a, N, B: Bit, F: FnMut(&mut List<N>) -> Option<Waker>> Rest<'a, N, B, F> {
    fn notify(&mut self, mut list: SpinGuard<'a, List<N>>, mut batch: WakeBatch) {
        loop {
            while !self.ended && !batch.is_full() {
                match (self.next)(&mut list) {
                    Some(waker) => batch.push(waker),
                    None => self.ended = true,
                }
            }
            if list.first.is_none() {
                self.bit.disarm();
            }
            drop(list);
            batch.wake_all();
            if self.ended {
                return;
            }
            list = self.queue.list.lock();
        }
    }
}

impl<N, B: Bit, F: FnMut(&mut List<N>) -> Option<Waker>> Drop for Rest<'_, N, B, F> {
    fn drop(&mut self) {
        if !self.ended {
            self.notify(self.queue.list.lock(), WakeBatch::new());
        }
    }
}

impl Waiters for WaitQueue {
    const MANY: bool = true;

    fn losses(ticket: &Ticket) -> u32 {
        ticket.losses
    }

    type Ticket = Ticket;

    #[inline]
    unsafe fn take_wake(&self, ticket: &mut Ticket) {
        if ticket.place.is_some() {
            self.notice(ticket);
        }
    }

    unsafe fn wait(
        &self,
        ticket: &mut Ticket,
        _: &impl Bit,
        waker: &Waker,
        arm: impl FnOnce() -> bool,
        holds: impl FnOnce() -> bool,
    ) -> bool {
        self.enter(ticket, (), false, waker, || arm() && holds())
    }

    #[inline]
    unsafe fn finish(&self, ticket: &mut Ticket, bit: &impl Bit) {
        // The wake that was taken led to this success.
        (ticket.woken, ticket.losses) = (None, 0);
        if ticket.place.is_some() {
            // SAFETY: the same contract.
            unsafe { self.cancel(ticket, bit) };
        }
    }

    #[inline]
    unsafe fn cancel(&self, ticket: &mut Ticket, _: &impl Bit) {
        if ticket.place.is_some() || ticket.woken.is_some() {
            self.give_up(std::mem::take(ticket));
        }
    }

    unsafe fn notify_one(&self, bit: &impl Bit) {
        self.notify_one_or(|| {
            bit.disarm();
        });
    }

    unsafe fn notify_many(&self, mut count: usize, bit: &impl Bit) {
        // Who comes back while we wake the others waits for the next step, with a new number or as
        // a loser: else wakers that poll at once could keep us here for ever.
        let mut newest = None;
        self.notify_while(bit, |_, number, last| {
            let admitted = count > 0 && number <= *newest.get_or_insert(last);
            count -= usize::from(admitted);
            admitted
        });
    }

    unsafe fn release(&self, _: &impl Bit) {}
}

impl WaitQueue {
    /// Leaves the queue, and hands on a wake that came.
    #[cold]
    fn give_up(&self, Ticket { place, woken, .. }: Ticket) {
        let mut list = self.list.lock();
        let entry = place.and_then(|place| self.remove(&mut list, place));
        let waited = entry.as_ref().is_some_and(|entry| entry.waker.is_some());
        // Cancel: a wake that came to us, and that we have not used, goes to the next.
        let next = if woken.is_some() || !waited { list.notify_first(&self.served) } else { None };
        drop(list);
        drop(entry);
        if let Some(next) = next {
            next.wake();
        }
    }
}

impl<N> Default for WaitQueue<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<N> fmt::Debug for WaitQueue<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Counted first: writing is code of a user's, and not for under the lock.
        let entries = self.list.lock().entries.len();
        f.debug_struct("WaitQueue").field("entries", &entries).finish()
    }
}
