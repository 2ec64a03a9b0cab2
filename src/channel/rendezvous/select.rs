//! Selecting a receive of a rendezvous.
//!
//! Its sends cannot be selected: that would need room to promise, and a rendezvous has none.

use std::task::{Context, Poll};

use super::super::TryRecvError;
use super::super::select::{Operation, RecvCase, RecvEnd, Sealed};
use super::Receiver;
use super::shared::{RecvTicket, Shared};

/// A receive from those who wait with their messages.
struct RecvFrom<'a, T>(&'a Shared<T>);

impl<T> Operation for RecvFrom<'_, T> {
    type Ticket = RecvTicket;
    type Output = Option<T>;

    fn looks_ready(&self) -> bool {
        self.0.looks_ready()
    }

    fn at_once(&self) -> Option<Option<T>> {
        self.0.recv_at_once()
    }

    fn try_now(&self) -> Option<Option<T>> {
        match self.0.try_recv() {
            Ok(message) => Some(Some(message)),
            Err(TryRecvError::Closed) => Some(None),
            Err(TryRecvError::Empty) => None,
        }
    }

    fn poll(&self, ticket: &mut RecvTicket, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.0.poll_recv(ticket, cx)
    }

    fn poll_ready(&self, ticket: &mut RecvTicket, cx: &mut Context<'_>) -> Poll<()> {
        self.0.poll_ready(ticket, cx)
    }

    fn leave(&self, ticket: &mut RecvTicket) {
        // Cancel: no message was taken; a wake goes to the next.
        self.0.cancel_recv(ticket);
    }
}

impl<T> Sealed for &Receiver<T> {}

impl<'a, T> RecvEnd<'a> for &'a Receiver<T> {
    type Message = T;
    fn case(self, index: usize) -> RecvCase<'a, T> {
        RecvCase::new(index, RecvFrom(&self.shared))
    }
}
