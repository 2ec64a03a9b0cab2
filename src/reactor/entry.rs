//! A source as the reactor knows it: what is known of it, and who waits.
//!
//! # Invariants
//!
//! 1. Who waits has set the bit of its direction in the word (`Readiness::wait`) under the lock of
//!    those who wait for it; that fails when something is known. So whoever tells of the direction
//!    clears the bit, and then takes the lock and finds who waits; or that one sees what was told.
//! 2. With the bit clear, somebody may still be in the list: who has cleared it is on the way there. With
//!    the bit set, nobody may be there any more: they have left.

use std::io;
use std::task::{Context, Poll, ready};

use super::readiness::{Direction, Edge, Readiness};
use super::waiters::{Ticket, Waiters};
use crate::util::{SpinLock, budget};

/// See the module's page.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Entry {
    // In this order: an edge for a reader touches the counts of the `Arc` and what follows them.
    readiness: Readiness,
    readers: Waiters,
    writers: Waiters,
    /// Where the reactor keeps it.
    key: usize,
}

impl Entry {
    pub(super) fn new(key: usize) -> Self {
        let readiness = Readiness::new();
        Self { key, readiness, readers: Waiters::new(), writers: Waiters::new() }
    }

    pub(super) fn key(&self) -> usize {
        self.key
    }

    fn waiters(&self, direction: Direction) -> &Waiters {
        match direction {
            Direction::Read => &self.readers,
            Direction::Write => &self.writers,
        }
    }

    /// Notes what the system says, and wakes whom it concerns.
    pub(super) fn tell(&self, edge: Edge) {
        let awaited = self.readiness.tell(edge);
        for direction in [Direction::Read, Direction::Write] {
            if awaited.is(direction) {
                self.waiters(direction).tell();
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
        let waiters = self.waiters(direction);
        loop {
            if let Some(result) = attempt() {
                waiters.leave(ticket);
                budget::spend();
                return Poll::Ready(result);
            }
            // Who waited before the look, and still does, hears of the next step.
            if waiters.keep(ticket, cx.waker())
                || waiters.enter(ticket, cx.waker(), || self.readiness.wait(direction))
            {
                return Poll::Pending;
            }
        }
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
        let waiters = self.waiters(direction);
        loop {
            // Who need not wait, even just in time, leaves the place to who does.
            if let Some(result) = self.attempt(direction, &mut operation, &took_all) {
                budget::spend();
                return Poll::Ready(result);
            }
            if waiters.waits_with(&place.lock(), cx.waker()) {
                return Poll::Pending;
            }
            let mut ticket = Ticket::default();
            if waiters.enter(&mut ticket, cx.waker(), || self.readiness.wait(direction)) {
                let mut other = std::mem::replace(&mut *place.lock(), ticket);
                // Not under the lock, since it drops a waker.
                waiters.leave(&mut other);
                return Poll::Pending;
            }
        }
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
        self.waiters(direction).leave(ticket);
    }
}
