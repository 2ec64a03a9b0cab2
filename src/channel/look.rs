//! Waiting until an operation need not wait, without doing it.

use std::task::{Context, Poll, ready};

use super::core::{Channel, RecvTicket, SendTicket};
use crate::ring::Refused;
use crate::wait::{WaitSide, Waiters};

impl<T, P: WaitSide, C: WaitSide> Channel<T, P, C> {
    /// Ready when a receive need not wait. Nothing is received.
    ///
    /// # Safety
    ///
    /// The contract of `core.rs`, for the receivers' side.
    pub(super) unsafe fn poll_not_empty(
        &self,
        ticket: &mut RecvTicket<C>,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        // SAFETY: our own contract.
        ready!(unsafe { self.poll_pop(ticket, cx, || self.ring.look_not_empty()) });
        if C::SHARED {
            // Who only looks may leave the message to others: his wake goes to the next.
            // SAFETY: the side is Multi.
            unsafe { self.waiting_receivers.notify_one(self.ring.consumers_bit()) };
        }
        Poll::Ready(())
    }

    /// Ready when a send need not wait. Nothing is sent.
    ///
    /// # Safety
    ///
    /// The contract of `core.rs`, for the senders' side.
    pub(super) unsafe fn poll_not_full(
        &self,
        ticket: &mut SendTicket<P>,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        let attempt = || match self.ring.look_not_full() {
            Err(Refused::Full(seen)) => Err(seen),
            Ok(()) | Err(Refused::Closed) => Ok(()),
        };
        let side = self.senders_side();
        // SAFETY: our own contract.
        ready!(unsafe { side.poll(ticket, cx, attempt, self.arm_not_full(), self.still_full()) });
        if P::SHARED {
            // As in `poll_not_empty`.
            // SAFETY: the side is Multi.
            unsafe { self.waiting_senders.notify_one(self.ring.producers_bit()) };
        }
        Poll::Ready(())
    }
}
