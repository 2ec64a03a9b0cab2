//! Whose turn it is among those who use a file at once, by `&self`.
//!
//! # Invariants
//!
//! 1. The state is locked within a poll and never from one to the next, since whoever is to be polled
//!    may not be, while others wait. So nobody waits for the lock: who does not get it waits for the
//!    next step, which comes when a turn is over, or when the operation under way is.
//! 2. The handle of an operation tells one task of the end. So it is given a waker that tells all who
//!    wait here. (Those with `&mut` are alone, and give it their own.)

use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use super::state::State;
use crate::sync::{Mutex, MutexGuard};
use crate::wait::Event;
use crate::wait::queue::Ticket;

/// See the module's page.
#[derive(Debug, Default)]
pub(super) struct Turns {
    state: Mutex<State>,
    steps: Arc<Steps>,
}

#[derive(Debug, Default)]
struct Steps(Event);

impl Wake for Steps {
    fn wake(self: Arc<Self>) {
        self.0.notify();
    }
}

impl Turns {
    /// The state, for who is alone with the file.
    pub(super) fn get_mut(&mut self) -> &mut State {
        self.state.get_mut()
    }

    /// Waits until no operation is under way; none begins before the guard drops.
    pub(super) fn turn(&self) -> TurnFuture<'_> {
        TurnFuture { turns: self, ticket: Ticket::default() }
    }
}

#[must_use = "futures do nothing unless you `.await` or poll them"]
#[derive(Debug)]
pub(super) struct TurnFuture<'a> {
    turns: &'a Turns,
    ticket: Ticket,
}

impl<'a> Future for TurnFuture<'a> {
    type Output = Turn<'a>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Turn<'a>> {
        let Self { turns: Turns { state, steps }, ticket } = self.get_mut();
        let waker = Waker::from(Arc::clone(steps));
        steps.0.poll_until(ticket, cx, || {
            let mut state = state.try_lock().ok()?;
            match state.poll_settle(&mut Context::from_waker(&waker)) {
                Poll::Ready(_) => Some(Turn { state, _end: TurnEnd(&steps.0) }),
                // Who did not get the lock meanwhile is told of the end, too.
                Poll::Pending => None,
            }
        })
    }
}

impl Drop for TurnFuture<'_> {
    fn drop(&mut self) {
        // Cancel: all are told, so there is no wake to pass on.
        self.turns.steps.0.leave(&mut self.ticket);
    }
}

/// The right to begin an operation. It is not kept from one poll to the next.
#[must_use = "others wait while it is kept"]
#[derive(Debug)]
pub(super) struct Turn<'a> {
    /// The first to drop.
    state: MutexGuard<'a, State>,
    _end: TurnEnd<'a>,
}

#[derive(Debug)]
struct TurnEnd<'a>(&'a Event);

impl Drop for TurnEnd<'_> {
    fn drop(&mut self) {
        self.0.notify();
    }
}

impl Deref for Turn<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

impl DerefMut for Turn<'_> {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.state
    }
}
