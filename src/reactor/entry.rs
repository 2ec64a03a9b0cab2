//! A source as the reactor knows it: what is known of it, and who waits.
//!
//! # Invariants
//!
//! 1. Who waits has entered the queue of its direction, and under the queue's lock set the bit in the
//!    word (`Readiness::wait`), which fails when something is known. So whoever tells of the direction
//!    clears that bit, and then takes the lock and finds the waiter; or the waiter sees what was told.
//! 2. The step is told to everybody who waits, so a wake that was not used is no one else's, and who
//!    comes back too late has no place to keep.

use std::io;
use std::task::{Context, Poll, ready};

use super::readiness::{Direction, Edge, Readiness};
use crate::task::catch_quietly;
use crate::util::{SpinLock, budget};
use crate::wait::queue::Ticket;
use crate::wait::{Bit, WaitQueue, Waiters};

/// See the module's page.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Where the reactor keeps it.
    key: usize,
    readiness: Readiness,
    readers: WaitQueue,
    writers: WaitQueue,
}

/// The queues' bits are in the word that says what is known, and fall with the step itself.
struct InWord;

impl Bit for InWord {
    fn disarm(&self) -> bool {
        false
    }

    fn is_armed(&self) -> bool {
        true
    }
}

impl Entry {
    pub(super) fn new(key: usize) -> Self {
        let readiness = Readiness::new();
        Self { key, readiness, readers: WaitQueue::new(), writers: WaitQueue::new() }
    }

    pub(super) fn key(&self) -> usize {
        self.key
    }

    fn queue(&self, direction: Direction) -> &WaitQueue {
        match direction {
            Direction::Read => &self.readers,
            Direction::Write => &self.writers,
        }
    }

    /// Notes what the system says, and wakes whom it concerns. A foreign waker that panics is no
    /// reason for others to go on waiting, nor for a worker to end.
    pub(super) fn tell(&self, edge: Edge) {
        let awaited = self.readiness.tell(edge);
        for direction in [Direction::Read, Direction::Write] {
            if awaited.is(direction) {
                // SAFETY: the queue is not a single waiter's.
                catch_quietly(|| unsafe {
                    self.queue(direction).notify_many(usize::MAX, &InWord);
                });
            }
        }
    }

    /// Ready when the source may be tried in this direction.
    pub(crate) fn poll_ready(
        &self,
        direction: Direction,
        ticket: &mut Ticket,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let attempt = || {
            let seen = self.readiness.look();
            let gone = || if seen.is_gone() { Err(super::gone()) } else { Ok(()) };
            seen.is_ready(direction).then(gone)
        };
        self.poll_until(direction, ticket, cx, attempt)
    }

    /// Ready with what `operation` gives; waits while it would block. `took_all` says of a result
    /// that there was no more, so that the next operation need not try in vain.
    pub(crate) fn poll_io<R>(
        &self,
        direction: Direction,
        ticket: &mut Ticket,
        cx: &mut Context<'_>,
        mut operation: impl FnMut() -> io::Result<R>,
        took_all: impl Fn(&R) -> bool,
    ) -> Poll<io::Result<R>> {
        let attempt = || self.attempt(direction, &mut operation, &took_all);
        self.poll_until(direction, ticket, cx, attempt)
    }

    /// Ready with what `attempt` gives; until that is something, waits for the next step.
    #[inline]
    fn poll_until<R>(
        &self,
        direction: Direction,
        ticket: &mut Ticket,
        cx: &mut Context<'_>,
        mut attempt: impl FnMut() -> Option<R>,
    ) -> Poll<R> {
        ready!(budget::poll_proceed(cx));
        if ticket.is_entered() {
            self.queue(direction).notice(ticket);
            ticket.forget_wake();
        }
        loop {
            if let Some(result) = attempt() {
                self.leave(direction, ticket);
                budget::spend();
                return Poll::Ready(result);
            }
            if self.wait(direction, ticket, cx) {
                return Poll::Pending;
            }
        }
    }

    /// Waits for the next step; false if one has come just now.
    fn wait(&self, direction: Direction, ticket: &mut Ticket, cx: &Context<'_>) -> bool {
        let queue = self.queue(direction);
        // Who was in the queue before the look, and still is, hears of the next step.
        if queue.waits_with(ticket, cx.waker()) {
            return true;
        }
        let waits = queue.enter(ticket, (), false, cx.waker(), || self.readiness.wait(direction));
        ticket.forget_wake();
        waits
    }

    /// As `poll_io`, for those who have no ticket of their own, and share one in `place`: the last to
    /// wait is woken.
    pub(crate) fn poll_shared<R>(
        &self,
        direction: Direction,
        place: &SpinLock<Ticket>,
        cx: &mut Context<'_>,
        mut operation: impl FnMut() -> io::Result<R>,
        took_all: impl Fn(&R) -> bool,
    ) -> Poll<io::Result<R>> {
        ready!(budget::poll_proceed(cx));
        // Who need not wait leaves the place to who does.
        if let Some(result) = self.attempt(direction, &mut operation, &took_all) {
            budget::spend();
            return Poll::Ready(result);
        }
        // Nor does who comes just in time give up a place that is another's.
        let mut ticket = Ticket::default();
        let result = self.poll_io(direction, &mut ticket, cx, operation, took_all);
        if ticket.is_entered() {
            let mut other = std::mem::replace(&mut *place.lock(), ticket);
            // Not under the lock, since it drops a waker.
            self.leave(direction, &mut other);
        }
        result
    }

    /// Tries while something is known to be there; None when the source would block.
    pub(crate) fn attempt<R>(
        &self,
        direction: Direction,
        operation: &mut impl FnMut() -> io::Result<R>,
        took_all: &impl Fn(&R) -> bool,
    ) -> Option<io::Result<R>> {
        loop {
            let seen = self.readiness.look();
            if seen.is_gone() {
                return Some(Err(super::gone()));
            }
            if !seen.is_ready(direction) {
                return None;
            }
            match operation() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.readiness.clear(seen, direction);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(result) => {
                    if cfg!(unix) && took_all(&result) {
                        self.readiness.clear_open(seen, direction);
                    }
                    return Some(Ok(result));
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// One try, which does not wait.
    pub(crate) fn try_io<R>(
        &self,
        direction: Direction,
        mut operation: impl FnMut() -> io::Result<R>,
    ) -> io::Result<R> {
        let would_block = || Err(io::ErrorKind::WouldBlock.into());
        self.attempt(direction, &mut operation, &|_| false).unwrap_or_else(would_block)
    }

    /// One try, whatever is known of the source, which changes nothing of that: for what may be
    /// refused for reasons of which the system does not tell.
    #[cfg(unix)]
    pub(crate) fn try_now<R>(&self, mut operation: impl FnMut() -> io::Result<R>) -> io::Result<R> {
        loop {
            if self.readiness.look().is_gone() {
                return Err(super::gone());
            }
            match operation() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    /// Ends a wait, also of an operation that is dropped.
    #[inline]
    pub(crate) fn leave(&self, direction: Direction, ticket: &mut Ticket) {
        // What it was notified of is nobody else's: invariant 2.
        let _ = self.queue(direction).leave(ticket);
    }
}
