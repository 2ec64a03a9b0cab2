//! The futures that wait for a value to change, to be as wanted, or to be nobody's concern.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::{RecvError, Ref, Shared};
use crate::wait::queue::Ticket;

/// Waits for a value that was not seen; made by [`Receiver::changed`](super::Receiver::changed).
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct Changed<'a, T> {
    shared: &'a Shared<T>,
    /// The receiver's.
    seen: &'a mut u64,
    ticket: Ticket,
}

/// Waits for a value as wanted; made by [`Receiver::wait_for`](super::Receiver::wait_for).
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct WaitFor<'a, T, F> {
    question: Question<'a, T, F>,
    ticket: Ticket,
}

struct Question<'a, T, F> {
    shared: &'a Shared<T>,
    /// The receiver's.
    seen: &'a mut u64,
    wanted: F,
    /// The last version that `wanted` was asked about, and what it said.
    asked: Option<(u64, bool)>,
}

/// Waits for the end of the receivers; made by [`Sender::closed`](super::Sender::closed).
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct Closed<'a, T> {
    shared: &'a Shared<T>,
    ticket: Ticket,
}

impl<'a, T> Changed<'a, T> {
    pub(super) fn new(shared: &'a Shared<T>, seen: &'a mut u64) -> Self {
        Self { shared, seen, ticket: Ticket::default() }
    }
}

impl<'a, T, F> WaitFor<'a, T, F> {
    pub(super) fn new(shared: &'a Shared<T>, seen: &'a mut u64, wanted: F) -> Self {
        let question = Question { shared, seen, wanted, asked: None };
        Self { question, ticket: Ticket::default() }
    }
}

impl<'a, T> Closed<'a, T> {
    pub(super) fn new(shared: &'a Shared<T>) -> Self {
        Self { shared, ticket: Ticket::default() }
    }
}

impl<T> Future for Changed<'_, T> {
    type Output = Result<(), RecvError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { shared, seen, ticket } = self.get_mut();
        let news = ready!(shared.changed.poll_until(ticket, cx, || shared.news(**seen)));
        Poll::Ready(news.map(|version| **seen = version))
    }
}

impl<'a, T, F: FnMut(&T) -> bool> Question<'a, T, F> {
    /// The value if it is as wanted, else whether another may come.
    fn look(&mut self) -> Result<Ref<'a, T>, bool> {
        // The end is read before the value: what is there then is the last.
        let (_, closed) = self.shared.version();
        let (value, version) = self.shared.read();
        let yes = match self.asked {
            Some((asked, said)) if asked == version => said,
            _ => (self.wanted)(&value),
        };
        self.asked = Some((version, yes));
        *self.seen = version;
        if yes { Ok(Ref(value)) } else { Err(!closed) }
    }
}

impl<'a, T, F: FnMut(&T) -> bool> Future for WaitFor<'a, T, F> {
    type Output = Result<Ref<'a, T>, RecvError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { question, ticket } = self.get_mut();
        let shared = question.shared;
        loop {
            // The value is not kept locked in here, where wakers come and go.
            let answer = shared.changed.poll_until(ticket, cx, || match question.look() {
                Ok(_) => Some(Ok(())),
                Err(true) => None,
                Err(false) => Some(Err(RecvError)),
            });
            ready!(answer)?;
            // Mostly it is still the same one. If not, and not as wanted, we wait on.
            if let Ok(value) = question.look() {
                return Poll::Ready(Ok(value));
            }
        }
    }
}

impl<T> Future for Closed<'_, T> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { shared, ticket } = self.get_mut();
        shared.deserted.poll_until(ticket, cx, || shared.is_deserted().then_some(()))
    }
}

impl<T> Drop for Changed<'_, T> {
    fn drop(&mut self) {
        // Cancel: nothing was counted as seen.
        self.shared.changed.leave(&mut self.ticket);
    }
}

impl<T, F> Drop for WaitFor<'_, T, F> {
    fn drop(&mut self) {
        // Cancel: there is nothing to give back.
        self.question.shared.changed.leave(&mut self.ticket);
    }
}

impl<T> Drop for Closed<'_, T> {
    fn drop(&mut self) {
        // Cancel: there is nothing to give back.
        self.shared.deserted.leave(&mut self.ticket);
    }
}

// The closure is called, never pinned.
impl<T, F> Unpin for WaitFor<'_, T, F> {}

impl<T> fmt::Debug for Changed<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let changed = self.shared.version().0 != *self.seen;
        f.debug_struct("Changed").field("changed", &changed).finish_non_exhaustive()
    }
}

impl<T, F> fmt::Debug for WaitFor<'_, T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let changed = self.question.shared.version().0 != *self.question.seen;
        f.debug_struct("WaitFor").field("changed", &changed).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Closed<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Closed").field("closed", &self.shared.is_deserted()).finish()
    }
}
