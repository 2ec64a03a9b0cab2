//! Selecting the receive of a oneshot.

use std::cell::RefCell;
use std::task::{Context, Poll};

use super::super::select::{Operation, RecvCase, RecvEnd, Sealed};
use super::Receiver;

/// The receive; what a wait remembers is in the receiver.
struct RecvFrom<'a, T>(RefCell<&'a mut Receiver<T>>);

impl<T> Operation for RecvFrom<'_, T> {
    type Ticket = ();
    /// `None` also once the value has been taken.
    type Output = Option<T>;

    fn looks_ready(&self) -> bool {
        self.0.borrow().is_ready()
    }

    fn at_once(&self) -> Option<Option<T>> {
        self.try_now()
    }

    fn try_now(&self) -> Option<Option<T>> {
        self.0.borrow_mut().take().map(Result::ok)
    }

    fn poll(&self, (): &mut (), cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.0.borrow_mut().poll_until(cx, Receiver::take).map(Result::ok)
    }

    fn poll_ready(&self, (): &mut (), cx: &mut Context<'_>) -> Poll<()> {
        self.0.borrow_mut().poll_until(cx, |receiver| receiver.is_ready().then_some(()))
    }

    fn leave(&self, (): &mut ()) {
        self.0.borrow_mut().leave();
    }
}

impl<T> Sealed for &mut Receiver<T> {}

impl<'a, T> RecvEnd<'a> for &'a mut Receiver<T> {
    type Message = T;
    fn case(self, index: usize) -> RecvCase<'a, T> {
        RecvCase::new(index, RecvFrom(RefCell::new(self)))
    }
}
