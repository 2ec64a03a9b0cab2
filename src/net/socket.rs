//! A socket that the reactor knows: what all kinds of sockets here are made of.
//!
//! # Invariants
//!
//! 1. `io` is registered with `driver` as `entry`, from the beginning until the drop, which
//!    deregisters it and then closes it.
//! 2. A future has its place among the waiters in a ticket of its own. The polls of the
//!    `futures_io` traits have none, so the socket keeps one for each direction. Several tasks that
//!    poll in one direction through these share it, and the last one to wait is woken.
//! 3. A future that is dropped has moved no bytes: an operation moves them in the poll that is
//!    ready.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use mio::event::Source;

use crate::executor;
use crate::reactor::{Direction, Driver, Entry, Remains, Ticket};
use crate::util::SpinLock;

/// See the module's page.
pub(crate) struct Socket<S: Source> {
    /// `None` once the socket is given away.
    io: Option<S>,
    entry: Arc<Entry>,
    driver: Arc<Driver>,
    /// Invariant 2: for reads and for writes.
    tickets: [SpinLock<Ticket>; 2],
}

fn index(direction: Direction) -> usize {
    usize::from(direction == Direction::Write)
}

impl<S: Source> Socket<S> {
    /// Registers `io`, which does not block, with the runtime that this thread is in, or with the
    /// global one.
    pub(crate) fn new(io: S) -> io::Result<Self> {
        Self::register(io, crate::runtime::driver()?)
    }

    /// Registers another source where this one is.
    #[cfg(unix)]
    pub(crate) fn beside(&self, io: S) -> io::Result<Self> {
        Self::register(io, Arc::clone(&self.driver))
    }

    fn register(mut io: S, driver: Arc<Driver>) -> io::Result<Self> {
        let entry = driver.register(&mut io)?;
        Ok(Self {
            io: Some(io),
            entry,
            driver,
            tickets: [(); 2].map(|()| SpinLock::new(Ticket::default())),
        })
    }

    pub(crate) fn io(&self) -> &S {
        self.io.as_ref().expect("a socket has its source until it drops")
    }

    /// The source, which the reactor forgets.
    pub(crate) fn into_io(mut self) -> S {
        self.withdraw().expect("a socket has its source until it drops")
    }

    /// Takes the source out, and away from the reactor.
    fn withdraw(&mut self) -> Option<S> {
        let mut io = self.io.take()?;
        for direction in [Direction::Read, Direction::Write] {
            let mut ticket = std::mem::take(&mut *self.tickets[index(direction)].lock());
            self.entry.leave(direction, &mut ticket);
        }
        self.driver.deregister(&mut io, &self.entry);
        Some(io)
    }

    /// Calls `operation` until it does not block; the future is ready with what it gives.
    pub(crate) fn run<'a, R, F>(&'a self, direction: Direction, operation: F) -> Run<'a, S, R, F>
    where
        F: FnMut(&S) -> io::Result<R>,
    {
        self.run_leaving(direction, operation, |_| Remains::Something)
    }

    /// As `run`; `left` as in [`Entry::poll_io`].
    pub(crate) fn run_leaving<'a, R, F>(
        &'a self,
        direction: Direction,
        operation: F,
        left: fn(&R) -> Remains,
    ) -> Run<'a, S, R, F>
    where
        F: FnMut(&S) -> io::Result<R>,
    {
        Run { socket: self, direction, operation, left, ticket: Ticket::default() }
    }

    /// Waits until the socket may be tried.
    pub(crate) fn ready(&self, direction: Direction) -> ReadyFuture<'_, S> {
        ReadyFuture { socket: self, direction, ticket: Ticket::default() }
    }

    pub(crate) fn try_io<R>(
        &self,
        direction: Direction,
        mut operation: impl FnMut(&S) -> io::Result<R>,
    ) -> io::Result<R> {
        self.entry.try_io(direction, || operation(self.io()))
    }

    /// One try, as [`Entry::try_now`].
    #[cfg(unix)]
    pub(crate) fn try_now<R>(
        &self,
        mut operation: impl FnMut(&S) -> io::Result<R>,
    ) -> io::Result<R> {
        self.entry.try_now(|| operation(self.io()))
    }

    /// Whether to wait in doubt; only where a worker will look at the sockets.
    #[inline]
    fn may_wait_in_doubt(&self, direction: Direction) -> bool {
        self.entry.is_doubtful(direction) && executor::works_with(&self.driver)
    }

    /// One poll of an operation without a future; `left` as in [`Entry::poll_io`].
    pub(crate) fn poll_io<R>(
        &self,
        direction: Direction,
        cx: &mut Context<'_>,
        mut operation: impl FnMut(&S) -> io::Result<R>,
        left: impl Fn(&R) -> Remains,
    ) -> Poll<io::Result<R>> {
        let (entry, place) = (&self.entry, &self.tickets[index(direction)]);
        if self.may_wait_in_doubt(direction)
            && entry.wait_in_doubt_shared(place, cx, self.driver.doubts())
        {
            return Poll::Pending;
        }
        entry.poll_shared(direction, place, cx, || operation(self.io()), left)
    }
}

impl<S: Source> Drop for Socket<S> {
    fn drop(&mut self) {
        drop(self.withdraw());
    }
}

impl<S: Source + fmt::Debug> fmt::Debug for Socket<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.io.fmt(f)
    }
}

/// An operation under way.
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub(crate) struct Run<'a, S: Source, R, F> {
    socket: &'a Socket<S>,
    direction: Direction,
    operation: F,
    left: fn(&R) -> Remains,
    ticket: Ticket,
}

// Nothing in it is pinned.
impl<S: Source, R, F> Unpin for Run<'_, S, R, F> {}

impl<S: Source, R, F: FnMut(&S) -> io::Result<R>> Future for Run<'_, S, R, F> {
    type Output = io::Result<R>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { socket, direction, operation, left, ticket } = self.get_mut();
        let Socket { entry, driver, .. } = socket;
        if socket.may_wait_in_doubt(*direction) && entry.wait_in_doubt(ticket, cx, driver.doubts())
        {
            return Poll::Pending;
        }
        entry.poll_io(*direction, ticket, cx, || operation(socket.io()), *left)
    }
}

impl<S: Source, R, F> Drop for Run<'_, S, R, F> {
    fn drop(&mut self) {
        // Cancel: every edge goes to all who wait, so there is no wake to pass on.
        self.socket.entry.leave(self.direction, &mut self.ticket);
    }
}

/// A wait for a direction.
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub(crate) struct ReadyFuture<'a, S: Source> {
    socket: &'a Socket<S>,
    direction: Direction,
    ticket: Ticket,
}

impl<S: Source> Future for ReadyFuture<'_, S> {
    type Output = io::Result<()>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        this.socket.entry.poll_ready(this.direction, &mut this.ticket, cx)
    }
}

impl<S: Source> Drop for ReadyFuture<'_, S> {
    fn drop(&mut self) {
        // Cancel: as in `Run`.
        self.socket.entry.leave(self.direction, &mut self.ticket);
    }
}
