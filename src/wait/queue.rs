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
//! 3. Who was woken and came too late goes back to the front, before all who came after it. For
//!    such a loser `served` says nothing: its entry stays when it is notified, but loses its
//!    waker, and the operation looks at it under the lock.
//! 4. A notified operation that ends without having spent its wake hands it to the next.
//! 5. No waker is cloned, called or dropped while the lock is held.
//!
//! One wake is owed for every step of the other side while the FIFO is not empty, so that an
//! operation which is forgotten (`mem::forget`) costs the one wake that went to it and no more.
//!
//! The FIFO is a doubly linked list threaded through a `slab` by keys. So an entry is removed in
//! constant time, its slot is used again, and the futures need no pinning.

use std::fmt;
use std::task::Waker;

use slab::Slab;

use super::{Bit, Waiters};
use crate::primitive::atomic::AtomicU64;
use crate::primitive::atomic::Ordering::{Acquire, Relaxed, Release};
use crate::util::{SpinLock, WakeBatch};

/// Any number of waiters.
#[derive(Default)]
pub struct WaitQueue {
    list: SpinLock<List>,
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

/// Which entry.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// Where it is in the slab; if it is numbered, only until it is notified.
    key: usize,
    number: u64,
    loser: bool,
}

#[derive(Default)]
struct List {
    entries: Slab<Entry>,
    first: Option<usize>,
    last: Option<usize>,
    /// The number given last.
    number: u64,
}

struct Entry {
    /// `None` once notified; then the links are stale.
    waker: Option<Waker>,
    number: u64,
    loser: bool,
    next: Option<usize>,
    previous: Option<usize>,
}

impl Ticket {
    /// Forgets a wake that everybody got: there is no one to hand it to, and no place to keep.
    pub(super) fn forget_wake(&mut self) {
        self.woken = None;
    }
}

impl List {
    /// Adds an entry for who has not waited yet.
    fn push_back(&mut self, waker: Waker) -> Place {
        self.number += 1;
        self.insert(waker, self.number, false, self.last)
    }

    /// Adds an entry for a loser, who had this number before.
    fn push_front(&mut self, waker: Waker, number: u64) -> Place {
        let mut previous = None;
        let mut next = self.first;
        // Few lose at a time.
        while let Some(key) = next.filter(|&key| self.entries[key].number < number) {
            previous = next;
            next = self.entries[key].next;
        }
        self.insert(waker, number, true, previous)
    }

    fn insert(&mut self, waker: Waker, number: u64, loser: bool, previous: Option<usize>) -> Place {
        let next = previous.map_or(self.first, |previous| self.entries[previous].next);
        let key = self.entries.insert(Entry { waker: Some(waker), number, loser, next, previous });
        match previous {
            Some(previous) => self.entries[previous].next = Some(key),
            None => self.first = Some(key),
        }
        match next {
            Some(next) => self.entries[next].previous = Some(key),
            None => self.last = Some(key),
        }
        Place { key, number, loser }
    }

    /// Takes an entry out of the FIFO, but leaves it in the slab.
    fn unlink(&mut self, key: usize) {
        let Entry { previous, next, .. } = self.entries[key];
        match previous {
            Some(previous) => self.entries[previous].next = next,
            None => self.first = next,
        }
        match next {
            Some(next) => self.entries[next].previous = previous,
            None => self.last = previous,
        }
    }

    /// Marks the first in the FIFO as notified, and gives its waker.
    fn notify_first(&mut self, served: &AtomicU64) -> Option<Waker> {
        let key = self.first?;
        self.unlink(key);
        let Entry { number, loser, .. } = self.entries[key];
        if loser {
            return self.entries[key].waker.take();
        }
        // Ordering: Release pairs with the Acquire in `take_wake`: who finds itself notified
        // sees the step that it was notified of.
        served.store(number, Release);
        self.entries.remove(key).waker
    }
}

impl WaitQueue {
    /// Whether an entry was notified. If so, it is gone afterwards.
    fn take_notice(&self, list: &mut List, place: Place) -> bool {
        if !place.loser {
            // Ordering: Relaxed, because it is written under the lock, which we hold.
            return self.served.load(Relaxed) >= place.number;
        }
        let notified = list.entries[place.key].waker.is_none();
        if notified {
            list.entries.remove(place.key);
        }
        notified
    }

    /// Whether the entry is still there and wakes the same task.
    fn keeps(&self, place: Place, waker: &Waker) -> bool {
        let list = self.list.lock();
        // Ordering: as in `take_notice`.
        if !place.loser && self.served.load(Relaxed) >= place.number {
            return false;
        }
        list.entries[place.key].waker.as_ref().is_some_and(|w| w.will_wake(waker))
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
        let Some(place) = ticket.place else { return };
        let notified = if place.loser {
            self.take_notice(&mut self.list.lock(), place)
        } else {
            // Ordering: Acquire pairs with the Release in `notify_first`.
            self.served.load(Acquire) >= place.number
        };
        if notified {
            (ticket.place, ticket.woken) = (None, Some(place.number));
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
                arm() && holds() && {
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
                                    list.push_front(waker, number)
                                }
                                None => list.push_back(waker),
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
        self.notify_next(bit);
    }

    unsafe fn notify_many(&self, count: usize, bit: &impl Bit) {
        /// Those still to be notified; also when a waker panics.
        struct Rest<'a, B: Bit> {
            queue: &'a WaitQueue,
            bit: &'a B,
            count: usize,
            /// Who comes back while we wake the others waits for the next step: else wakers that
            /// poll at once could keep us here for ever.
            newest: Option<u64>,
        }
        impl<B: Bit> Rest<'_, B> {
            fn notify(&mut self) {
                let mut batch = WakeBatch::new();
                while self.count > 0 {
                    let mut list = self.queue.list.lock();
                    let newest = *self.newest.get_or_insert(list.number);
                    while self.count > 0 && !batch.is_full() {
                        let first = list.first.filter(|&key| list.entries[key].number <= newest);
                        if first.is_none() {
                            self.count = 0;
                            break;
                        }
                        batch
                            .push(list.notify_first(&self.queue.served).expect("there is a first"));
                        self.count -= 1;
                    }
                    if list.first.is_none() {
                        self.bit.disarm();
                    }
                    drop(list);
                    batch.wake_all();
                }
            }
        }
        impl<B: Bit> Drop for Rest<'_, B> {
            fn drop(&mut self) {
                self.notify();
            }
        }
        Rest { queue: self, bit, count, newest: None }.notify();
    }

    unsafe fn release(&self, _: &impl Bit) {}
}

impl WaitQueue {
    /// Wakes the one who has waited longest; false if nobody waits. `bit` is that of the queue.
    #[inline]
    pub(crate) fn notify_next(&self, bit: &impl Bit) -> bool {
        let mut list = self.list.lock();
        let waker = list.notify_first(&self.served);
        let found = waker.is_some();
        if !found {
            bit.disarm();
        }
        drop(list);
        if let Some(waker) = waker {
            waker.wake();
        }
        found
    }

    /// Leaves the queue, and hands on a wake that came.
    #[cold]
    fn give_up(&self, Ticket { place, woken, .. }: Ticket) {
        let mut list = self.list.lock();
        let (mut ours, mut notified) = (None, woken.is_some());
        if let Some(place) = place {
            if self.take_notice(&mut list, place) {
                notified = true;
            } else {
                list.unlink(place.key);
                ours = list.entries.remove(place.key).waker;
            }
        }
        // Cancel: a wake that came to us, and that we have not used, goes to the next.
        let next = if notified { list.notify_first(&self.served) } else { None };
        drop(list);
        drop(ours);
        if let Some(next) = next {
            next.wake();
        }
    }
}

impl fmt::Debug for WaitQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Counted first: writing is code of a user's, and not for under the lock.
        let entries = self.list.lock().entries.len();
        f.debug_struct("WaitQueue").field("entries", &entries).finish()
    }
}
