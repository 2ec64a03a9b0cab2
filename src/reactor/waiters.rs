//! Who waits for one direction of a source.
//!
//! What the system says is told to everybody who waits, so a wake that was not used is no one else's,
//! and who comes back too late has no place to keep: who waits is a waker with a number. Nearly always
//! it is one, which lies here and not in a list's memory (`wait/queue.rs`). Of several, each is looked
//! for from the first on.
//!
//! # Invariants
//!
//! 1. Numbers rise. Who has one above `told` is in here, until it leaves; who has another one was told,
//!    and is not.
//! 2. No waker is called, cloned or dropped under the lock.
//!
//! Perf: one of 1000 connections in one process, lines of memory that a round trip fetches from beyond
//! 128 KiB of cache (callgrind): 39.5 with the other kind of queue, 28.4 with this one (tokio 25);
//! 110 to 113 thousand round trips with two workers.

use std::num::NonZeroU64;
use std::task::Waker;

use crate::primitive::atomic::AtomicU64;
use crate::primitive::atomic::Ordering::{Acquire, Release};
use crate::task::catch_quietly;
use crate::util::SpinLock;

/// See the module's page.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Waiters {
    /// The last number that was told; written under the lock.
    told: AtomicU64,
    list: SpinLock<List>,
}

#[repr(C)]
struct List {
    /// The number given last.
    last: u64,
    first: Option<Waiting>,
    /// There are none without a first.
    others: Vec<Waiting>,
}

struct Waiting {
    number: u64,
    waker: Waker,
}

/// An operation's place among the [`Waiters`], while it waits: its number.
#[derive(Debug, Default)]
pub(crate) struct Ticket(Option<NonZeroU64>);

impl List {
    fn find(&mut self, number: u64) -> Option<&mut Waiting> {
        self.first.iter_mut().chain(&mut self.others).find(|waiting| waiting.number == number)
    }

    fn take(&mut self, number: u64) -> Option<Waiting> {
        if self.first.as_ref().is_some_and(|first| first.number == number) {
            return std::mem::replace(&mut self.first, self.others.pop());
        }
        let index = self.others.iter().position(|waiting| waiting.number == number)?;
        Some(self.others.swap_remove(index))
    }
}

impl Waiters {
    pub(super) fn new() -> Self {
        let list = List { last: 0, first: None, others: Vec::new() };
        Self { told: AtomicU64::new(0), list: SpinLock::new(list) }
    }

    #[inline]
    fn was_told(&self, number: NonZeroU64) -> bool {
        // Ordering: Acquire pairs with the Release of `tell`: who was told sees of what.
        self.told.load(Acquire) >= number.get()
    }

    /// Whether the operation waits already, and would wake the same task.
    #[inline]
    pub(super) fn waits_with(&self, ticket: &Ticket, waker: &Waker) -> bool {
        ticket.0.is_some_and(|number| {
            let waits = |waiting: &mut Waiting| waiting.waker.will_wake(waker);
            !self.was_told(number) && self.list.lock().find(number.get()).is_some_and(waits)
        })
    }

    /// Whether the operation waits already; then it wakes `waker` from now on. (A poll that nobody
    /// asked for. Often it brings the waker that is here.)
    #[inline]
    pub(super) fn keep(&self, ticket: &mut Ticket, waker: &Waker) -> bool {
        if self.waits_with(ticket, waker) {
            return true;
        }
        let keeps = ticket.0.is_some_and(|number| self.renew(number, waker));
        if !keeps {
            ticket.0 = None;
        }
        keeps
    }

    /// Changes the waker of who waits; false if it does so no more.
    fn renew(&self, number: NonZeroU64, waker: &Waker) -> bool {
        if self.was_told(number) {
            return false;
        }
        let mut waker = waker.clone();
        let mut list = self.list.lock();
        let waits = list.find(number.get());
        let found = waits.map(|waiting| std::mem::swap(&mut waiting.waker, &mut waker)).is_some();
        drop(list);
        // The waker that is not needed drops after the lock.
        drop(waker);
        found
    }

    /// Has an operation that does not wait do so, unless `must_wait`, asked under the lock, says no.
    pub(super) fn enter(
        &self,
        ticket: &mut Ticket,
        waker: &Waker,
        must_wait: impl FnOnce() -> bool,
    ) -> bool {
        let waker = waker.clone();
        let mut list = self.list.lock();
        if !must_wait() {
            drop(list);
            // The waker drops after the lock.
            drop(waker);
            return false;
        }
        list.last += 1;
        let number = list.last;
        let waiting = Waiting { number, waker };
        if list.first.is_none() {
            list.first = Some(waiting);
        } else {
            list.others.push(waiting);
        }
        ticket.0 = NonZeroU64::new(number);
        true
    }

    /// Ends a wait, told or not.
    #[inline]
    pub(super) fn leave(&self, ticket: &mut Ticket) {
        if let Some(number) = ticket.0.take() {
            if !self.was_told(number) {
                let left = self.list.lock().take(number.get());
                // Its waker drops after the lock.
                drop(left);
            }
        }
    }

    /// Wakes everybody. A foreign waker that panics is no reason for others to go on waiting, nor for
    /// a worker to end.
    pub(super) fn tell(&self) {
        let mut list = self.list.lock();
        // Ordering: Release pairs with the Acquire in `was_told`.
        self.told.store(list.last, Release);
        let first = list.first.take();
        // With none, the memory stays for the next.
        let others = match list.others.is_empty() {
            true => Vec::new(),
            false => std::mem::take(&mut list.others),
        };
        drop(list);
        for Waiting { waker, .. } in first.into_iter().chain(others) {
            catch_quietly(|| waker.wake());
        }
    }
}

#[cfg(all(test, not(annulus_loom)))]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use std::sync::atomic::Ordering::Relaxed;
    use std::task::Wake;

    use super::*;

    /// Counts its wakes; the second one panics.
    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            assert_eq!(self.0.fetch_add(1, Relaxed), 0, "woken twice");
        }
    }

    /// Three that wait, and the counts of their wakes.
    fn three(waiters: &Waiters) -> [(Ticket, Arc<Count>); 3] {
        [(); 3].map(|()| {
            let (mut ticket, count) = <(Ticket, Arc<Count>)>::default();
            assert!(waiters.enter(&mut ticket, &count.clone().into(), || true));
            (ticket, count)
        })
    }

    #[test]
    fn all_who_have_not_left_are_told() {
        for leaver in 0..3 {
            let waiters = Waiters::new();
            let mut all = three(&waiters);
            waiters.leave(&mut all[leaver].0);
            assert_eq!(Arc::strong_count(&all[leaver].1), 1, "its waker has gone");
            waiters.tell();
            for (i, (ticket, count)) in all.iter_mut().enumerate() {
                assert_eq!(count.0.load(Relaxed), usize::from(i != leaver));
                assert!(!waiters.keep(ticket, Waker::noop()), "it was told");
            }
        }
    }

    #[test]
    fn who_polls_again_is_woken_there() {
        let waiters = Waiters::new();
        let mut all = three(&waiters);
        let (ticket, old) = &mut all[2];
        let new = Arc::new(Count::default());
        assert!(waiters.keep(ticket, &new.clone().into()));
        assert_eq!(Arc::strong_count(old), 1);
        waiters.tell();
        assert_eq!((old.0.load(Relaxed), new.0.load(Relaxed)), (0, 1));
    }

    #[test]
    fn a_waker_that_panics_keeps_nothing_from_others() {
        let waiters = Waiters::new();
        let all = three(&waiters);
        all[0].1.0.store(1, Relaxed);
        waiters.tell();
        assert_eq!(all.map(|(_, count)| count.0.load(Relaxed)), [2, 1, 1]);
    }

    #[test]
    fn who_need_not_wait_is_not_there() {
        let waiters = Waiters::new();
        let (mut ticket, count) = <(Ticket, Arc<Count>)>::default();
        assert!(!waiters.enter(&mut ticket, &count.clone().into(), || false));
        assert!(ticket.0.is_none());
        waiters.tell();
        assert_eq!((count.0.load(Relaxed), Arc::strong_count(&count)), (0, 1));
    }
}
