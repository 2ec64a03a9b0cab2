//! One operation of a `Select`: how it is tried, waited for, and kept until it is completed.
//!
//! # States of a case
//!
//! ```text
//!          poll, at_once, try_now: it succeeds       complete
//!     idle ------------------------------------> kept ---------> idle
//!      ^ |  poll: Pending                          |
//!      | +-----------> waits                       | give_up: the message drops,
//!      +---------------- leave                     | the room goes back
//!      ^-------------------------------------------+
//! ```
//!
//! Of a receive the message is kept, of a send a permit for one; of either, `None` if the channel has
//! ended. So completing cannot fail, and does not depend on what others do meanwhile.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use super::super::{Kind, Permit, SendError};

/// What a thread can select: a receive or a send of some kind of channel.
pub(in crate::channel) trait Operation {
    /// What it remembers while it waits.
    type Ticket: Default;
    /// What it gives.
    type Output;

    /// Whether it need not wait: a look, which disturbs nobody.
    fn looks_ready(&self) -> bool;

    /// Does it if it need not wait. What another thread has just changed may be missed, and who starves
    /// goes first.
    fn at_once(&self) -> Option<Self::Output>;

    /// Does it if it need not wait.
    fn try_now(&self) -> Option<Self::Output>;

    /// Ready when it is done.
    fn poll(&self, ticket: &mut Self::Ticket, cx: &mut Context<'_>) -> Poll<Self::Output>;

    /// Ready when it need not wait; nothing is done.
    fn poll_ready(&self, ticket: &mut Self::Ticket, cx: &mut Context<'_>) -> Poll<()>;

    /// Waits no more: a wake that came goes to the next.
    fn leave(&self, ticket: &mut Self::Ticket);
}

/// An operation, and what has come of it.
pub(super) struct Case<O: Operation> {
    operation: O,
    ticket: RefCell<O::Ticket>,
    kept: Cell<Option<O::Output>>,
}

/// A case of any operation.
pub(in crate::channel) trait AnyCase {
    /// As the operation's.
    fn looks_ready(&self) -> bool;

    /// Whether it has succeeded, and its output is kept; here and below.
    fn at_once(&self) -> bool;
    fn try_now(&self) -> bool;

    fn poll(&self, cx: &mut Context<'_>) -> Poll<()>;

    /// Ready when it need not wait; nothing is done.
    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()>;

    /// Waits no more.
    fn leave(&self);

    /// Lets go of what is kept.
    fn give_up(&self);

    /// The same case, of which no more is known.
    fn any<'a>(self: Rc<Self>) -> Rc<dyn AnyCase + 'a>
    where
        Self: 'a;
}

/// A case of a receive, whatever the channel.
pub(super) trait Receives<T>: AnyCase {
    /// The message that is kept; `None`: the channel has ended.
    fn complete(&self) -> Option<T>;
}

/// A case of a send, whatever the channel.
pub(super) trait Sends<T>: AnyCase {
    /// Sends with the room that is kept, if it is not the end that was.
    fn complete(&self, message: T) -> Result<(), SendError<T>>;
}

impl<O: Operation> Case<O> {
    pub(super) fn new(operation: O) -> Self {
        Self { operation, ticket: RefCell::default(), kept: Cell::new(None) }
    }

    fn keep(&self, output: Option<O::Output>) -> bool {
        let done = output.is_some();
        self.kept.set(output);
        done
    }

    fn take(&self) -> O::Output {
        self.kept.take().expect("only what was selected is completed")
    }
}

impl<O: Operation> AnyCase for Case<O> {
    fn looks_ready(&self) -> bool {
        self.operation.looks_ready()
    }

    fn at_once(&self) -> bool {
        self.keep(self.operation.at_once())
    }

    fn try_now(&self) -> bool {
        self.keep(self.operation.try_now())
    }

    fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        let output = ready!(self.operation.poll(&mut self.ticket.borrow_mut(), cx));
        self.kept.set(Some(output));
        Poll::Ready(())
    }

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.operation.poll_ready(&mut self.ticket.borrow_mut(), cx)
    }

    fn leave(&self) {
        self.operation.leave(&mut self.ticket.borrow_mut());
    }

    fn give_up(&self) {
        // Cancel: a message drops; of a permit the room goes back.
        drop(self.kept.take());
    }

    fn any<'a>(self: Rc<Self>) -> Rc<dyn AnyCase + 'a>
    where
        Self: 'a,
    {
        self
    }
}

impl<T, O: Operation<Output = Option<T>>> Receives<T> for Case<O> {
    fn complete(&self) -> Option<T> {
        self.take()
    }
}

impl<'a, T, K, O> Sends<T> for Case<O>
where
    T: 'a,
    K: Kind,
    O: Operation<Output = Option<Permit<'a, T, K>>>,
{
    fn complete(&self, message: T) -> Result<(), SendError<T>> {
        let Some(permit) = self.take() else { return Err(SendError(message)) };
        permit.send(message);
        Ok(())
    }
}
