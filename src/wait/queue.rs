//! A queue of wakers, first come first served, each entry with an identity.
//!
//! # Invariants
//!
//! 1. Everything is behind one mutex, which is taken only when somebody waits or is woken: the
//!    WAITS bit (`ring/word.rs`) tells publishers. Under the mutex, an entry in the FIFO implies
//!    that the bit is set; it is cleared, under the mutex, when the FIFO becomes empty.
//! 2. An entry is in the FIFO with a waker, or it has been notified and has none. A notified
//!    entry stays in the slab until its operation sees it: `take_wake` spends the wake, and an
//!    operation that ends without having spent one hands it to the next in the FIFO.
//! 3. No waker is cloned, called or dropped while the mutex is held.
//!
//! One wake is owed for every step of the other side while the FIFO is not empty, so that an
//! operation which is forgotten (`mem::forget`) costs the one wake that went to it and no more.
//!
//! The FIFO is a doubly linked list threaded through a `slab` by keys. So an entry is removed in
//! constant time, its slot is used again, and the futures need no pinning.

use std::fmt;
use std::task::Waker;

use slab::Slab;

use super::Waiters;
use crate::primitive::{Mutex, MutexGuard};
use crate::ring::SideWord;
use crate::util::WakeBatch;

/// Any number of waiters.
#[derive(Default)]
pub struct WaitQueue {
    list: Mutex<List>,
}

/// A waiting operation's place in a [`WaitQueue`].
#[derive(Debug, Default)]
pub struct Ticket {
    /// The key of the entry, while there is one.
    key: Option<usize>,
    /// A wake that has been taken out of the queue and not yet been used.
    woken: bool,
}

#[derive(Default)]
struct List {
    entries: Slab<Entry>,
    first: Option<usize>,
    last: Option<usize>,
}

struct Entry {
    /// `None` once notified; then the links are stale.
    waker: Option<Waker>,
    next: Option<usize>,
    previous: Option<usize>,
}

impl List {
    fn push_back(&mut self, waker: Waker) -> usize {
        let entry = Entry { waker: Some(waker), previous: self.last, next: None };
        let key = self.entries.insert(entry);
        match self.last {
            Some(last) => self.entries[last].next = Some(key),
            None => self.first = Some(key),
        }
        self.last = Some(key);
        key
    }

    fn push_front(&mut self, waker: Waker) -> usize {
        let entry = Entry { waker: Some(waker), previous: None, next: self.first };
        let key = self.entries.insert(entry);
        match self.first {
            Some(first) => self.entries[first].previous = Some(key),
            None => self.last = Some(key),
        }
        self.first = Some(key);
        key
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
    fn notify_first(&mut self) -> Option<Waker> {
        let key = self.first?;
        self.unlink(key);
        self.entries[key].waker.take()
    }

    /// Removes an entry; `None` if it was notified.
    fn remove(&mut self, key: usize) -> Option<Waker> {
        if self.entries[key].waker.is_some() {
            self.unlink(key);
        }
        self.entries.remove(key).waker
    }
}

impl WaitQueue {
    /// Ends a change of the list: clears the bit if nobody waits any more.
    fn unlock(list: MutexGuard<'_, List>, bit: &SideWord) {
        if list.first.is_none() {
            bit.disarm();
        }
        drop(list);
    }
}

impl Waiters for WaitQueue {
    type Ticket = Ticket;

    #[inline]
    unsafe fn take_wake(&self, ticket: &mut Ticket) {
        let Some(key) = ticket.key else { return };
        let mut list = self.list.lock();
        if list.entries[key].waker.is_none() {
            list.entries.remove(key);
            drop(list);
            *ticket = Ticket { key: None, woken: true };
        }
    }

    unsafe fn wait(
        &self,
        ticket: &mut Ticket,
        bit: &SideWord,
        waker: &Waker,
        arm: impl FnOnce() -> bool,
        holds: impl FnOnce() -> bool,
    ) -> bool {
        let mut new = match ticket.key {
            // A poll that nobody asked for. Often it brings the waker that is here already.
            Some(key) if self.list.lock().entries[key].holds(waker) => None,
            _ => Some(waker.clone()),
        };
        let mut list = self.list.lock();
        // The bit is set under the lock that guards its clearing, so it stays until our entry
        // is out again (invariant 1).
        let waits = match ticket.key {
            // Notified just now: the wake is spent by the next try.
            Some(key) if list.entries[key].waker.is_none() => {
                list.entries.remove(key);
                *ticket = Ticket { key: None, woken: true };
                false
            }
            key => {
                arm() && holds() && {
                    match key {
                        Some(key) if new.is_some() => {
                            std::mem::swap(&mut list.entries[key].waker, &mut new);
                        }
                        Some(_) => {}
                        None => {
                            let waker = new.take().expect("a new entry has a new waker");
                            // Who was woken, and came too late, does not lose his place.
                            let key = if ticket.woken {
                                list.push_front(waker)
                            } else {
                                list.push_back(waker)
                            };
                            *ticket = Ticket { key: Some(key), woken: false };
                        }
                    }
                    true
                }
            }
        };
        Self::unlock(list, bit);
        // Here the waker that is not needed drops, after the lock.
        drop(new);
        waits
    }

    #[inline]
    unsafe fn finish(&self, ticket: &mut Ticket, bit: &SideWord) {
        // The wake that was taken led to this success.
        ticket.woken = false;
        if ticket.key.is_some() {
            // SAFETY: the same contract.
            unsafe { self.cancel(ticket, bit) };
        }
    }

    unsafe fn cancel(&self, ticket: &mut Ticket, bit: &SideWord) {
        let Ticket { key, woken } = std::mem::take(ticket);
        if key.is_none() && !woken {
            return;
        }
        let mut list = self.list.lock();
        let ours = key.and_then(|key| list.remove(key));
        // Cancel: a wake that came to us, and that we have not used, goes to the next.
        let next =
            if woken || (key.is_some() && ours.is_none()) { list.notify_first() } else { None };
        Self::unlock(list, bit);
        drop(ours);
        if let Some(next) = next {
            next.wake();
        }
    }

    unsafe fn notify_one(&self, bit: &SideWord) {
        let mut list = self.list.lock();
        let waker = list.notify_first();
        Self::unlock(list, bit);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    unsafe fn notify_all(&self, bit: &SideWord) {
        let mut batch = WakeBatch::new();
        loop {
            let mut list = self.list.lock();
            while !batch.is_full() {
                let Some(waker) = list.notify_first() else { break };
                batch.push(waker);
            }
            let more = list.first.is_some();
            Self::unlock(list, bit);
            batch.wake_all();
            if !more {
                return;
            }
        }
    }

    unsafe fn release(&self, _: &SideWord) {}
}

impl Entry {
    fn holds(&self, waker: &Waker) -> bool {
        self.waker.as_ref().is_some_and(|w| w.will_wake(waker))
    }
}

impl fmt::Debug for WaitQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitQueue").field("entries", &self.list.lock().entries.len()).finish()
    }
}
