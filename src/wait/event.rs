//! Something that anybody may wait for and that is told to all: a queue with a bit of its own.
//!
//! # Invariants
//!
//! 1. A waiter enters the queue, which sets the flag, and only then looks for the last time. A
//!    notifier changes what they look at, and only then looks at the flag. So one of the two sees
//!    the other: both touch the flag by read-modify-write, or both look under one lock.
//! 2. A step is told to everybody who waits, so a wake that was not used is no one else's, and
//!    who comes back too late has no place to keep. (A ring's step is told to one: there it is
//!    otherwise, see `queue.rs`.)

use std::task::{Context, Poll, Waker, ready};

use super::queue::{Ticket, WaitQueue};
use super::{Bit, Waiters};
use crate::primitive::atomic::AtomicBool;
use crate::primitive::atomic::Ordering::{AcqRel, Relaxed};
use crate::util::budget;

/// A [`Bit`] that is alone in its word, for what has no ring.
#[derive(Debug, Default)]
pub(crate) struct Flag(AtomicBool);

impl Flag {
    /// Sets the bit for a waiter.
    pub(crate) fn arm(&self) {
        // Ordering: Acquire pairs with the Release of `sync` and `disarm`: if this comes later,
        // the waiter sees the step. Release pairs with their Acquire.
        self.0.swap(true, AcqRel);
    }

    /// Whether the bit is set, for who has just made a step.
    pub(crate) fn sync(&self) -> bool {
        // Ordering: AcqRel pairs with `arm`. It changes nothing, but a mere load might be done
        // before the step is seen by others.
        self.0.fetch_or(false, AcqRel)
    }
}

impl Bit for Flag {
    fn disarm(&self) -> bool {
        // Ordering: as in `sync`.
        self.0.swap(false, AcqRel)
    }

    fn is_armed(&self) -> bool {
        self.0.load(Relaxed)
    }
}

/// Any number of waiters for the steps of something.
#[derive(Debug, Default)]
pub(crate) struct Event {
    queue: WaitQueue,
    waits: Flag,
}

// The contract of `Waiters` asks that one queue is always used with one bit, which holds here;
// the rest of it is about single waiters.
impl Event {
    /// Ready with what `attempt` gives; until that is something, waits for the next step.
    #[inline]
    pub(crate) fn poll_until<R>(
        &self,
        ticket: &mut Ticket,
        cx: &mut Context<'_>,
        mut attempt: impl FnMut() -> Option<R>,
    ) -> Poll<R> {
        ready!(budget::poll_proceed(cx));
        // SAFETY: the queue is not a single waiter's, and `waits` is its bit.
        unsafe { self.queue.take_wake(ticket) };
        ticket.forget_wake();
        let mut waits = false;
        loop {
            if let Some(result) = attempt() {
                self.leave(ticket);
                budget::spend();
                return Poll::Ready(result);
            }
            // Who was in the queue before the look, and still is, hears of the next step.
            if waits || self.queue.waits_with(ticket, cx.waker()) {
                return Poll::Pending;
            }
            waits = self.enter(ticket, cx.waker());
        }
    }

    /// Waits for the next step; false if one has come just now.
    fn enter(&self, ticket: &mut Ticket, waker: &Waker) -> bool {
        let arm = || {
            self.waits.arm();
            true
        };
        // SAFETY: as in `poll_until`.
        let waits = unsafe { self.queue.wait(ticket, &self.waits, waker, arm, || true) };
        ticket.forget_wake();
        waits
    }

    /// Ends the wait, also of an operation that is dropped.
    #[inline]
    pub(crate) fn leave(&self, ticket: &mut Ticket) {
        if ticket.is_entered() {
            // What it was notified of is nobody else's: invariant 2.
            let _ = self.queue.leave(ticket);
        }
    }

    /// Whether somebody waits: for who holds the lock under which `attempt` looks.
    pub(crate) fn is_awaited(&self) -> bool {
        self.waits.is_armed()
    }

    /// Tells of the step that was just made.
    pub(crate) fn notify(&self) {
        if self.waits.sync() {
            self.notify_waiters();
        }
    }

    /// The second half of `notify`, for who has seen `is_awaited`.
    #[cold]
    pub(crate) fn notify_waiters(&self) {
        // SAFETY: as in `poll_until`.
        unsafe { self.queue.notify_many(usize::MAX, &self.waits) };
    }
}
