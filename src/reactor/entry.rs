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
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::doubts::{Doubts, Habit};
use super::readiness::{Awaited, Direction, Edge, Readiness, Seen};
use super::waiters::{Ticket, Waiters};
use crate::tuning::DOUBT;
use crate::util::{SpinLock, budget};

/// What an operation that succeeded has left: bytes, or room for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Remains {
    /// The next operation would block.
    Nothing,
    /// Nobody knows.
    Perhaps,
    /// The next operation is to be tried, at least.
    Something,
}

/// See the module's page.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Entry {
    // In this order: an edge for a reader touches the counts of the `Arc` and what follows them.
    readiness: Readiness,
    /// Of reads that may be in vain.
    habit: Habit,
    readers: Waiters,
    writers: Waiters,
    /// Where the reactor keeps it.
    key: usize,
}

impl Entry {
    pub(super) fn new(key: usize) -> Self {
        let (readiness, habit) = (Readiness::new(), Habit::default());
        Self { key, readiness, habit, readers: Waiters::new(), writers: Waiters::new() }
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
        self.wake(self.readiness.tell(edge));
    }

    /// Has who waits in doubt since then try; says whether anybody still does.
    pub(super) fn settle(&self, since: Seen) -> bool {
        let settled = self.readiness.settle(since);
        if let Some(awaited) = settled {
            self.habit.waited_in_vain();
            self.wake(awaited);
        }
        settled.is_some()
    }

    fn wake(&self, awaited: Awaited) {
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

    /// Whether who would read next had better wait, in doubt.
    #[inline]
    pub(crate) fn is_doubtful(&self, direction: Direction) -> bool {
        // Windows has to see a read fail before it tells of the next bytes.
        cfg!(unix)
            && !DOUBT.is_zero()
            && direction == Direction::Read
            && self.readiness.look().is_doubtful()
            && self.habit.is_to_try_in_vain()
    }

    /// Waits for something to read, in doubt, and is kept in `doubts`; false if the system has told of it
    /// meanwhile, or somebody has tried.
    pub(crate) fn wait_in_doubt(
        self: &Arc<Self>,
        ticket: &mut Ticket,
        cx: &mut Context<'_>,
        doubts: &Doubts,
    ) -> bool {
        self.readers.leave(ticket);
        let mut since = None;
        let waits = || {
            since = self.readiness.wait_in_doubt();
            since.is_some()
        };
        self.readers.enter(ticket, cx.waker(), waits);
        if let Some(since) = since {
            doubts.add(Arc::clone(self), since);
        }
        since.is_some()
    }

    /// As `wait_in_doubt`, with a place as in `poll_shared`.
    pub(crate) fn wait_in_doubt_shared(
        self: &Arc<Self>,
        place: &SpinLock<Ticket>,
        cx: &mut Context<'_>,
        doubts: &Doubts,
    ) -> bool {
        let mut ticket = Ticket::default();
        let waits = self.wait_in_doubt(&mut ticket, cx, doubts);
        if waits {
            self.take_place(Direction::Read, place, ticket);
        }
        waits
    }

    /// Ready with what `operation` gives; waits while it would block. `left` says of a result whether the
    /// next operation need not try, or might do so in vain.
    pub(crate) fn poll_io<R>(
        &self,
        direction: Direction,
        ticket: &mut Ticket,
        cx: &mut Context<'_>,
        mut operation: impl FnMut() -> io::Result<R>,
        left: impl Fn(&R) -> Remains,
    ) -> Poll<io::Result<R>> {
        let attempt = || self.attempt(direction, &mut operation, &left);
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
        left: impl Fn(&R) -> Remains,
    ) -> Poll<io::Result<R>> {
        ready!(budget::poll_proceed(cx));
        let waiters = self.waiters(direction);
        loop {
            // Who need not wait, even just in time, leaves the place to who does.
            if let Some(result) = self.attempt(direction, &mut operation, &left) {
                budget::spend();
                return Poll::Ready(result);
            }
            if waiters.waits_with(&place.lock(), cx.waker()) {
                return Poll::Pending;
            }
            let mut ticket = Ticket::default();
            if waiters.enter(&mut ticket, cx.waker(), || self.readiness.wait(direction)) {
                self.take_place(direction, place, ticket);
                return Poll::Pending;
            }
        }
    }

    /// Who waits now by `ticket` has the place, and nobody else.
    fn take_place(&self, direction: Direction, place: &SpinLock<Ticket>, ticket: Ticket) {
        let mut other = std::mem::replace(&mut *place.lock(), ticket);
        // Not under the lock, since it drops a waker.
        self.waiters(direction).leave(&mut other);
    }

    /// Tries while something is known to be there; None when the source would block.
    pub(crate) fn attempt<R>(
        &self,
        direction: Direction,
        operation: &mut impl FnMut() -> io::Result<R>,
        left: &impl Fn(&R) -> Remains,
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
                    self.note_try(seen, direction, false);
                    self.readiness.clear(seen, direction);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(result) => {
                    self.note_try(seen, direction, true);
                    match left(&result) {
                        Remains::Nothing if cfg!(unix) => {
                            self.readiness.clear_open(seen, direction)
                        }
                        Remains::Perhaps if direction == Direction::Read => {
                            self.readiness.doubt(seen)
                        }
                        _ => {}
                    }
                    return Some(Ok(result));
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }

    fn note_try(&self, seen: Seen, direction: Direction, succeeded: bool) {
        if direction == Direction::Read && seen.has_doubt() {
            self.habit.tried(succeeded);
        }
    }

    /// One try, which does not wait.
    pub(crate) fn try_io<R>(
        &self,
        direction: Direction,
        mut operation: impl FnMut() -> io::Result<R>,
    ) -> io::Result<R> {
        let would_block = || Err(io::ErrorKind::WouldBlock.into());
        self.attempt(direction, &mut operation, &|_| Remains::Something).unwrap_or_else(would_block)
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
