//! One channel: a ring, who waits at its two sides, and how many handles there are.
//!
//! Every public operation is a thin wrapper of `try_send`, `try_recv`, `poll_send`, `poll_recv`
//! or `close` here; the four topologies are this code with other type parameters.
//!
//! # Invariants
//!
//! 1. A message is in the ring, in the sender's `Option`, or with the receiver. It leaves the
//!    `Option` only in the call that puts it in the ring, and the ring only in the call that
//!    returns it. So a future that is dropped has sent or received nothing.
//! 2. Who moves an index and is told that somebody waits wakes one waiter, inline, before it
//!    returns; who closes the ring wakes everybody.
//! 3. Closing freezes the producers' word, so that after it no send succeeds and "closed and
//!    empty" is final. There is no other state: [`State`] is read off the word.

use std::task::{Context, Poll, ready};

use super::State;
use super::error::{TryRecvError, TrySendError};
use crate::primitive::atomic::AtomicUsize;
use crate::primitive::atomic::Ordering::{AcqRel, Relaxed};
use crate::ring::{Nothing, Refused, RingBuffer, Waits};
use crate::util::budget;
use crate::wait::{WaitSide, Waiters};

/// What the handles of one channel share.
#[derive(Debug)]
pub(super) struct Channel<T, P: WaitSide, C: WaitSide> {
    pub(super) ring: RingBuffer<T, P, C>,
    waiting_senders: P::Waiters,
    waiting_receivers: C::Waiters,
    /// Live handles of each side, changed by their `clone` and `drop` only.
    senders: AtomicUsize,
    receivers: AtomicUsize,
}

/// What a waiting send remembers.
pub(super) type SendTicket<P> = <<P as WaitSide>::Waiters as Waiters>::Ticket;
/// What a waiting receive remembers.
pub(super) type RecvTicket<C> = <<C as WaitSide>::Waiters as Waiters>::Ticket;

// The unsafe functions here have one contract: on a Single side no two of that side's calls
// overlap. The handles fulfil it: a Single handle is not Clone, and its operations take it by
// `&mut self` or for good.
impl<T, P: WaitSide, C: WaitSide> Channel<T, P, C> {
    #[track_caller]
    pub(super) fn new(capacity: usize) -> Self {
        assert!(
            capacity > 0,
            "a channel needs room for at least 1 message; capacity 0 was asked for"
        );
        Self::on(RingBuffer::with_sides(capacity.saturating_add(1)))
    }

    /// A channel on a ring that tests may start anywhere.
    pub(super) fn on(ring: RingBuffer<T, P, C>) -> Self {
        Self {
            ring,
            waiting_senders: P::Waiters::default(),
            waiting_receivers: C::Waiters::default(),
            senders: AtomicUsize::new(1),
            receivers: AtomicUsize::new(1),
        }
    }

    pub(super) fn state(&self) -> State {
        // Closed first: once it is, the ring only empties.
        match (self.ring.is_closed(), self.ring.is_empty()) {
            (false, _) => State::Open,
            (true, false) => State::Closing,
            (true, true) => State::Closed,
        }
    }

    /// Moves the message out of `source` into the ring, or leaves it there.
    ///
    /// # Safety
    ///
    /// The contract above, for the senders' side.
    #[inline]
    unsafe fn push(&self, source: &mut Option<T>) -> Result<(), Refused> {
        // SAFETY: our own contract.
        let waits = unsafe { self.ring.push_from(source) }?;
        if waits.0 {
            // SAFETY: this push has cleared the bit, if the receivers' side is Single.
            unsafe { self.waiting_receivers.notify_one(self.ring.consumers_bit()) };
        }
        Ok(())
    }

    /// Moves the oldest message out of the ring.
    ///
    /// # Safety
    ///
    /// The contract above, for the receivers' side.
    #[inline]
    unsafe fn pop(&self) -> Result<T, Nothing> {
        // SAFETY: our own contract.
        let (message, waits) = unsafe { self.ring.pop_once() }?;
        // SAFETY: this pop has published them.
        unsafe { self.popped(waits) };
        Ok(message)
    }

    /// Wakes a sender if one waited for the step.
    ///
    /// # Safety
    ///
    /// The step was just published by this thread.
    #[inline]
    unsafe fn popped(&self, waits: Waits) {
        if waits.0 {
            // SAFETY: the step has cleared the bit, if the senders' side is Single.
            unsafe { self.waiting_senders.notify_one(self.ring.producers_bit()) };
        }
    }

    /// # Safety
    ///
    /// The contract above, for the senders' side.
    #[inline]
    pub(super) unsafe fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        let mut source = Some(message);
        // SAFETY: our own contract.
        let refused = match unsafe { self.push(&mut source) } {
            Ok(()) => return Ok(()),
            Err(refused) => refused,
        };
        let message = source.expect("a refused message stays where it was");
        Err(match refused {
            Refused::Full(_) => TrySendError::Full(message),
            Refused::Closed => TrySendError::Closed(message),
        })
    }

    /// # Safety
    ///
    /// The contract above, for the receivers' side.
    #[inline]
    pub(super) unsafe fn try_recv(&self) -> Result<T, TryRecvError> {
        // SAFETY: our own contract.
        unsafe { self.pop() }.map_err(|nothing| match nothing {
            Nothing::Empty(_) => TryRecvError::Empty,
            Nothing::Closed => TryRecvError::Closed,
        })
    }

    /// Ready when the message is out of `source`, or, with it still there, when it cannot be
    /// sent any more.
    ///
    /// # Safety
    ///
    /// The contract above, for the senders' side.
    #[inline]
    pub(super) unsafe fn poll_send(
        &self,
        ticket: &mut SendTicket<P>,
        source: &mut Option<T>,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        ready!(budget::poll_proceed(cx));
        let (waiters, bit) = (&self.waiting_senders, self.ring.producers_bit());
        // SAFETY: our own contract.
        unsafe { waiters.take_wake(ticket) };
        loop {
            // SAFETY: our own contract.
            match unsafe { self.push(source) } {
                Err(Refused::Full(seen)) => {
                    // SAFETY: our own contract.
                    let waits = unsafe {
                        waiters.wait(
                            ticket,
                            bit,
                            cx.waker(),
                            || self.ring.arm_not_full(seen),
                            || self.ring.still_full(seen),
                        )
                    };
                    if waits {
                        return Poll::Pending;
                    }
                }
                Ok(()) | Err(Refused::Closed) => {
                    // SAFETY: our own contract.
                    unsafe { waiters.finish(ticket, bit) };
                    budget::spend();
                    return Poll::Ready(());
                }
            }
        }
    }

    /// Ready with the oldest message, or with `None` when none will come.
    ///
    /// # Safety
    ///
    /// The contract above, for the receivers' side.
    #[inline]
    pub(super) unsafe fn poll_recv(
        &self,
        ticket: &mut RecvTicket<C>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<T>> {
        ready!(budget::poll_proceed(cx));
        let (waiters, bit) = (&self.waiting_receivers, self.ring.consumers_bit());
        // SAFETY: our own contract.
        unsafe { waiters.take_wake(ticket) };
        loop {
            // SAFETY: our own contract.
            let result = match unsafe { self.pop() } {
                Err(Nothing::Empty(seen)) => {
                    // SAFETY: our own contract.
                    let waits = unsafe {
                        waiters.wait(
                            ticket,
                            bit,
                            cx.waker(),
                            || self.ring.arm_not_empty(seen),
                            || self.ring.still_empty(seen),
                        )
                    };
                    if waits {
                        return Poll::Pending;
                    }
                    continue;
                }
                Ok(message) => Some(message),
                Err(Nothing::Closed) => None,
            };
            // SAFETY: our own contract.
            unsafe { waiters.finish(ticket, bit) };
            budget::spend();
            return Poll::Ready(result);
        }
    }

    /// A send was dropped before it was ready.
    ///
    /// # Safety
    ///
    /// The contract above, for the senders' side.
    pub(super) unsafe fn cancel_send(&self, ticket: &mut SendTicket<P>) {
        // SAFETY: our own contract.
        unsafe { self.waiting_senders.cancel(ticket, self.ring.producers_bit()) };
    }

    /// A receive was dropped before it was ready.
    ///
    /// # Safety
    ///
    /// The contract above, for the receivers' side.
    pub(super) unsafe fn cancel_recv(&self, ticket: &mut RecvTicket<C>) {
        // SAFETY: our own contract.
        unsafe { self.waiting_receivers.cancel(ticket, self.ring.consumers_bit()) };
    }

    /// Refuses messages from now on, and wakes everybody. False if that was so already.
    pub(super) fn close(&self) -> bool {
        let Some(waits) = self.ring.close() else { return false };
        // A waker may panic: the senders are woken all the same.
        let _senders = WakeSenders(self);
        if C::SHARED || waits.0 {
            // SAFETY: the close has cleared the bit, if the receivers' side is Single.
            unsafe { self.waiting_receivers.notify_all(self.ring.consumers_bit()) };
        }
        true
    }

    pub(super) fn add_sender(&self) {
        add_handle(&self.senders);
    }

    pub(super) fn add_receiver(&self) {
        add_handle(&self.receivers);
    }

    /// # Safety
    ///
    /// The contract above, for the senders' side; called once for each sender, as it goes.
    pub(super) unsafe fn drop_sender(&self) {
        // Ordering: Release, so that the last to go has seen the sends of all; Acquire for it.
        if self.senders.fetch_sub(1, AcqRel) == 1 {
            self.close();
            // SAFETY: no sender is left, so no send can be under way.
            unsafe { self.waiting_senders.release(self.ring.producers_bit()) };
        }
    }

    /// # Safety
    ///
    /// The contract above, for the receivers' side; called once for each receiver, as it goes.
    pub(super) unsafe fn drop_receiver(&self) {
        // Ordering: as in `drop_sender`.
        if self.receivers.fetch_sub(1, AcqRel) == 1 {
            self.close();
            // SAFETY: no receiver is left, so no receive can be under way.
            unsafe { self.waiting_receivers.release(self.ring.consumers_bit()) };
            // Nobody will receive what is left, and a sender may live long: drop it now.
            // SAFETY: no receiver is left. A sender that came to wait only now is woken: who
            // moves an index owes that, also after the end.
            unsafe { self.ring.clear(|waits| self.popped(waits)) };
        }
    }
}

/// Wakes all senders when dropped.
struct WakeSenders<'a, T, P: WaitSide, C: WaitSide>(&'a Channel<T, P, C>);

impl<T, P: WaitSide, C: WaitSide> Drop for WakeSenders<'_, T, P, C> {
    fn drop(&mut self) {
        let bit = self.0.ring.producers_bit();
        // A single sender's bit is the right to touch its waker. The clearing comes in any case,
        // so that a sender which arms later sees the ring closed (see `SideWord::disarm`).
        if P::SHARED || bit.disarm() {
            // SAFETY: the bit was cleared above, if the senders' side is Single.
            unsafe { self.0.waiting_senders.notify_all(bit) };
        }
    }
}

fn add_handle(count: &AtomicUsize) {
    // Ordering: Relaxed; the new handle is made from a live one, so the count is not zero.
    let old = count.fetch_add(1, Relaxed);
    if old > isize::MAX as usize {
        // As `Arc`: only `mem::forget` in a loop comes here, and going on would be unsound.
        std::process::abort();
    }
}
