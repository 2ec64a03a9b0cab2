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

use crate::reactor::{Direction, Driver, Entry, Ticket};
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
        self.run_short(direction, operation, |_| false)
    }

    /// As `run`; `took_all` as in [`Entry::poll_io`].
    pub(crate) fn run_short<'a, R, F>(
        &'a self,
        direction: Direction,
        operation: F,
        took_all: fn(&R) -> bool,
    ) -> Run<'a, S, R, F>
    where
        F: FnMut(&S) -> io::Result<R>,
    {
        Run { socket: self, direction, operation, took_all, ticket: Ticket::default() }
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

    /// One poll of an operation without a future; `took_all` as in [`Entry::poll_io`].
    pub(crate) fn poll_io<R>(
        &self,
        direction: Direction,
        cx: &mut Context<'_>,
        mut operation: impl FnMut(&S) -> io::Result<R>,
        took_all: impl Fn(&R) -> bool,
    ) -> Poll<io::Result<R>> {
        let place = &self.tickets[index(direction)];
        self.entry.poll_shared(direction, place, cx, || operation(self.io()), took_all)
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
    took_all: fn(&R) -> bool,
    ticket: Ticket,
}

// Nothing in it is pinned.
impl<S: Source, R, F> Unpin for Run<'_, S, R, F> {}

impl<S: Source, R, F: FnMut(&S) -> io::Result<R>> Future for Run<'_, S, R, F> {
    type Output = io::Result<R>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { socket, direction, operation, took_all, ticket } = self.get_mut();
        let operation = || operation(socket.io());
        socket.entry.poll_io(*direction, ticket, cx, operation, *took_all)
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
