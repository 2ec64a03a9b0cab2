//! A FIFO of wakers with notes, whose entries have identities.
//!
//! A doubly linked list threaded through a slab by keys. So an entry is removed in constant time,
//! its slot is used again, and the futures need no pinning. It is one half of a queue, the half
//! that the lock guards: see `queue.rs` for who waits, and for `served`.

use std::task::Waker;

use slab::Slab;

use crate::primitive::atomic::AtomicU64;
use crate::primitive::atomic::Ordering::Release;
use crate::primitive::const_fn;

/// Which entry.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// Where it is in the slab; if it is numbered, only until it is notified.
    pub(super) key: usize,
    pub(super) number: u64,
    /// The entry stays when it is notified.
    pub(super) stays: bool,
}

pub(super) struct List<N> {
    pub(super) entries: Slab<Entry<N>>,
    pub(super) first: Option<usize>,
    last: Option<usize>,
    /// The number given last.
    pub(super) number: u64,
}

pub(super) struct Entry<N> {
    /// `None` once notified; then the links are stale.
    pub(super) waker: Option<Waker>,
    pub(super) number: u64,
    pub(super) stays: bool,
    /// Written by who enters and by who notifies.
    pub(super) note: N,
    next: Option<usize>,
    previous: Option<usize>,
}

impl<N> List<N> {
    const_fn! {
        pub(super) fn new() -> Self {
            Self { entries: Slab::new(), first: None, last: None, number: 0 }
        }
    }

    /// Adds an entry for who has not waited yet.
    pub(super) fn push_back(&mut self, waker: Waker, note: N, stays: bool) -> Place {
        self.number += 1;
        self.insert(waker, note, self.number, stays, self.last)
    }

    /// Adds an entry for a loser, who had this number before.
    pub(super) fn push_front(&mut self, waker: Waker, note: N, number: u64) -> Place {
        let mut previous = None;
        let mut next = self.first;
        // Few lose at a time.
        while let Some(key) = next.filter(|&key| self.entries[key].number < number) {
            previous = next;
            next = self.entries[key].next;
        }
        self.insert(waker, note, number, true, previous)
    }

    fn insert(
        &mut self,
        waker: Waker,
        note: N,
        number: u64,
        stays: bool,
        previous: Option<usize>,
    ) -> Place {
        let next = previous.map_or(self.first, |previous| self.entries[previous].next);
        let waker = Some(waker);
        let key = self.entries.insert(Entry { waker, number, stays, note, next, previous });
        match previous {
            Some(previous) => self.entries[previous].next = Some(key),
            None => self.first = Some(key),
        }
        match next {
            Some(next) => self.entries[next].previous = Some(key),
            None => self.last = Some(key),
        }
        Place { key, number, stays }
    }

    /// Takes an entry out of the FIFO, but leaves it in the slab.
    pub(super) fn unlink(&mut self, key: usize) {
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

    /// The first in the FIFO whose number is above this one.
    pub(super) fn first_after(&self, number: u64) -> Option<usize> {
        let mut first = self.first;
        while let Some(key) = first.filter(|&key| self.entries[key].number <= number) {
            first = self.entries[key].next;
        }
        first
    }

    /// Marks the first in the FIFO as notified, and gives its waker.
    pub(super) fn notify_first(&mut self, served: &AtomicU64) -> Option<Waker> {
        self.first.and_then(|key| self.notify(key, served))
    }

    /// Marks an entry in the FIFO as notified, and gives its waker. Those before it stay.
    pub(super) fn notify(&mut self, key: usize, served: &AtomicU64) -> Option<Waker> {
        self.unlink(key);
        let Entry { number, stays, .. } = self.entries[key];
        if stays {
            return self.entries[key].waker.take();
        }
        // Ordering: Release pairs with the Acquire in `WaitQueue::notice`: who finds itself notified
        // sees the step that it was notified of.
        served.store(number, Release);
        self.entries.remove(key).waker
    }
}
