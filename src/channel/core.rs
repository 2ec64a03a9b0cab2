//! One channel: a ring, who waits at its two sides, and how many handles there are.
//!
//! Every public operation is a thin wrapper of `try_send`, `try_recv`, `poll_send`, `poll_recv`
//! or `close` here; the four topologies are this code with other type parameters.
//!
//! # Invariants
//!
//! 1. A message is in the ring, in the sender's `Option`, or with the receiver. It leaves the
//!    `Option` only in the call that puts it in the ring, and the ring only in the call that
//!    returns it. So a future that is dropped has sent or received nothing. (If a sender's waker
//!    panics inside a receive, the message that was being received drops in the unwinding.)
//! 2. Who moves an index and is told that somebody waits wakes one waiter, inline, before it
//!    returns; who closes the ring wakes everybody.
//! 3. Closing freezes the producers' word, so that after it no send succeeds but with a permit that
//!    was given before, and "closed, empty, and no permit out" is final. There is no other
//!    state: [`State`] is read off the ring.

use std::ptr::NonNull;
use std::sync::OnceLock;
use std::task::{Context, Poll};

use super::State;
use super::error::{TryRecvError, TrySendError};
use super::turn::{Turn, Waiting};
use crate::primitive::atomic::Ordering::{AcqRel, Relaxed, SeqCst};
use crate::primitive::atomic::{AtomicUsize, fence};
use crate::ring::{
    FullAt, Kept, Multi, Nothing, Refused, RingBuffer, SideWord, Single, Stash, Waits,
};
use crate::wait::queue::Ticket;
use crate::wait::{Event, WaitSide, Waiters};

/// What the handles of one channel share.
#[derive(Debug)]
pub(super) struct Channel<T, P: WaitSide, C: WaitSide> {
    pub(super) ring: RingBuffer<T, P, C>,
    waiting_senders: P::Waiters,
    waiting_receivers: C::Waiters,
    /// Live handles of each side, changed by their `clone` and `drop` only.
    senders: AtomicUsize,
    receivers: AtomicUsize,
    /// Who waits for the end; made by the first who does.
    closing: OnceLock<Box<Event>>,
}

/// What a waiting send remembers.
pub(super) type SendTicket<P> = Turn<<P as WaitSide>::Waiters>;
/// What a waiting receive remembers.
pub(super) type RecvTicket<C> = Turn<<C as WaitSide>::Waiters>;

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
            closing: OnceLock::new(),
        }
    }

    pub(super) fn state(&self) -> State {
        match self.ring.is_closed() {
            false => State::Open,
            true if self.ring.is_finished() => State::Closed,
            true => State::Closing,
        }
    }

    #[inline]
    fn senders_side(&self) -> Waiting<'_, P::Waiters, SideWord> {
        let (bit, starving) = (self.ring.producers_bit(), self.ring.producers_starving());
        Waiting { waiters: &self.waiting_senders, bit, starving }
    }

    #[inline]
    fn receivers_side(&self) -> Waiting<'_, C::Waiters, SideWord> {
        let (bit, starving) = (self.ring.consumers_bit(), self.ring.consumers_starving());
        Waiting { waiters: &self.waiting_receivers, bit, starving }
    }

    #[inline]
    fn arm_not_full(&self) -> impl Fn(FullAt) -> bool {
        |seen| self.ring.arm_not_full(seen)
    }

    #[inline]
    fn still_full(&self) -> impl Fn(FullAt) -> bool {
        |seen| self.ring.still_full(seen)
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
        let refused = loop {
            // SAFETY: our own contract.
            match unsafe { self.push(&mut source) } {
                Ok(()) => return Ok(()),
                Err(Refused::Full(seen)) if !self.ring.confirm_full(seen) => {}
                Err(refused) => break refused,
            }
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
        self.try_pop(|| unsafe { self.pop() })
    }

    /// What `pop` gives, once nothing that was sent before can have been missed.
    #[inline]
    fn try_pop<R>(&self, mut pop: impl FnMut() -> Result<R, Nothing>) -> Result<R, TryRecvError> {
        loop {
            match pop() {
                Ok(result) => return Ok(result),
                Err(Nothing::Empty(seen)) if !self.ring.confirm_empty(seen) => {}
                Err(Nothing::Empty(_)) => return Err(TryRecvError::Empty),
                Err(Nothing::Closed) => return Err(TryRecvError::Closed),
            }
        }
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
        let side = self.senders_side();
        let attempt = || {
            // SAFETY: our own contract.
            match unsafe { self.push(source) } {
                Err(Refused::Full(seen)) => Err(seen),
                Ok(()) | Err(Refused::Closed) => Ok(()),
            }
        };
        // SAFETY: our own contract.
        unsafe { side.poll(ticket, cx, attempt, self.arm_not_full(), self.still_full()) }
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
        // SAFETY: our own contract.
        unsafe { self.poll_pop(ticket, cx, || self.pop()) }
    }

    /// Ready with what `pop` gives, or with `None` when nothing will come.
    ///
    /// # Safety
    ///
    /// The contract above, for the receivers' side.
    #[inline]
    unsafe fn poll_pop<R>(
        &self,
        ticket: &mut RecvTicket<C>,
        cx: &mut Context<'_>,
        mut pop: impl FnMut() -> Result<R, Nothing>,
    ) -> Poll<Option<R>> {
        let side = self.receivers_side();
        let attempt = || match pop() {
            Err(Nothing::Empty(seen)) => Err(seen),
            Err(Nothing::Closed) => Ok(None),
            Ok(result) => Ok(Some(result)),
        };
        let arm = |seen| self.ring.arm_not_empty(seen);
        let holds = |seen| self.ring.still_empty(seen);
        // SAFETY: our own contract.
        unsafe { side.poll(ticket, cx, attempt, arm, holds) }
    }

    /// What a receive gives if it need not wait. `None` also if others should go first.
    ///
    /// # Safety
    ///
    /// The contract above, for the receivers' side.
    #[inline]
    pub(super) unsafe fn recv_at_once(&self) -> Option<Option<T>> {
        if C::SHARED && self.ring.consumers_starving().load(Relaxed) != 0 {
            return None;
        }
        // SAFETY: our own contract.
        match unsafe { self.pop() } {
            Ok(message) => Some(Some(message)),
            Err(Nothing::Closed) => Some(None),
            Err(Nothing::Empty(_)) => None,
        }
    }

    /// Sends if it need not wait: the message is out of `source`, or, with it still there, cannot be
    /// sent any more. False if neither, or if others should go first.
    ///
    /// # Safety
    ///
    /// The contract above, for the senders' side.
    #[inline]
    pub(super) unsafe fn send_at_once(&self, source: &mut Option<T>) -> bool {
        if P::SHARED && self.ring.producers_starving().load(Relaxed) != 0 {
            return false;
        }
        // SAFETY: our own contract.
        !matches!(unsafe { self.push(source) }, Err(Refused::Full(_)))
    }

    /// Gets permits for at least one message and at most `want`; says how many.
    ///
    /// # Safety
    ///
    /// The contract above, for the senders' side.
    pub(super) unsafe fn try_reserve(&self, want: usize) -> Result<usize, Refused> {
        // SAFETY: our own contract.
        unsafe { self.ring.promise(want) }
    }

    /// Ready with permits, at least one and at most `want`, or with 0 if the channel is closed.
    ///
    /// # Safety
    ///
    /// The contract above, for the senders' side.
    pub(super) unsafe fn poll_reserve(
        &self,
        ticket: &mut SendTicket<P>,
        want: usize,
        cx: &mut Context<'_>,
    ) -> Poll<usize> {
        let side = self.senders_side();
        let attempt = || {
            // SAFETY: our own contract.
            match unsafe { self.try_reserve(want) } {
                Err(Refused::Full(seen)) => Err(seen),
                Err(Refused::Closed) => Ok(0),
                Ok(count) => Ok(count),
            }
        };
        // SAFETY: our own contract.
        unsafe { side.poll(ticket, cx, attempt, self.arm_not_full(), self.still_full()) }
    }

    /// Sends with a permit, also when the channel has been closed since.
    ///
    /// # Safety
    ///
    /// The contract above, for the senders' side. The caller has a permit, and spends it.
    pub(super) unsafe fn send_reserved(&self, message: T) {
        // SAFETY: our own contract.
        let kept = unsafe { self.ring.push_promised(message) };
        // SAFETY: it was published just now.
        unsafe { self.kept(&kept, 1) };
    }

    /// Sends what is in `stash` with as many permits.
    ///
    /// # Safety
    ///
    /// As `send_reserved`, for each.
    pub(super) unsafe fn send_stash(&self, stash: &mut Stash<T>) {
        let count = stash.len();
        if count > 0 {
            // SAFETY: our own contract.
            let kept = unsafe { self.ring.push_promised_all(stash) };
            // SAFETY: it was published just now.
            unsafe { self.kept(&kept, count) };
        }
    }

    /// Gives permits back.
    ///
    /// # Safety
    ///
    /// As `send_reserved`, for each.
    pub(super) unsafe fn unreserve(&self, count: usize) {
        if count == 0 {
            return;
        }
        // SAFETY: our own contract.
        let finished = unsafe { self.ring.break_promises(count) };
        // Also when a receiver's waker panics.
        let _senders = OnDrop(|| {
            if P::SHARED {
                // Somebody may wait for the room. On a Single side that could only be us.
                // SAFETY: the side is Multi.
                unsafe { self.waiting_senders.notify_many(count, self.ring.producers_bit()) };
            }
        });
        if finished {
            self.wake_receivers();
        }
    }

    /// Wakes a receiver for each of `count` messages, or all at the end.
    ///
    /// # Safety
    ///
    /// This thread has just published it.
    unsafe fn kept(&self, kept: &Kept, count: usize) {
        // A waker may panic: the others learn of the end all the same.
        let _all = OnDrop(|| {
            if kept.finished {
                self.wake_receivers();
            }
        });
        if kept.waits.0 {
            // SAFETY: the publishing has cleared the bit, if the receivers' side is Single.
            unsafe { self.waiting_receivers.notify_many(count, self.ring.consumers_bit()) };
        }
    }

    /// Receives up to `max` messages, which is not 0, into `out`, which has room for one at least.
    ///
    /// # Safety
    ///
    /// The contract above, for the receivers' side.
    unsafe fn pop_many(&self, out: &mut Vec<T>, max: usize) -> Result<usize, Nothing> {
        // SAFETY: our own contract.
        let (count, waits) = unsafe { self.ring.pop_many(out, max) }?;
        if waits.0 {
            // SAFETY: this pop has cleared the bit, if the senders' side is Single.
            unsafe { self.waiting_senders.notify_many(count, self.ring.producers_bit()) };
        }
        Ok(count)
    }

    /// Makes room in `out` for what a call of `pop_many` may bring; `max` is not 0.
    fn make_room(&self, out: &mut Vec<T>, max: usize) {
        // More may have come by then, and will be taken by the next call.
        out.reserve(self.ring.len().clamp(1, max));
    }

    /// Receives what is there, up to `max` messages, into `out`.
    ///
    /// # Safety
    ///
    /// The contract above, for the receivers' side.
    pub(super) unsafe fn try_recv_many(
        &self,
        out: &mut Vec<T>,
        max: usize,
    ) -> Result<usize, TryRecvError> {
        if max == 0 {
            return Ok(0);
        }
        self.make_room(out, max);
        // SAFETY: our own contract.
        self.try_pop(|| unsafe { self.pop_many(out, max) })
    }

    /// Ready when at least one message is in `out`, or with 0 when none will come.
    ///
    /// # Safety
    ///
    /// The contract above, for the receivers' side.
    pub(super) unsafe fn poll_recv_many(
        &self,
        ticket: &mut RecvTicket<C>,
        out: &mut Vec<T>,
        max: usize,
        cx: &mut Context<'_>,
    ) -> Poll<usize> {
        if max == 0 {
            return Poll::Ready(0);
        }
        self.make_room(out, max);
        // SAFETY: our own contract.
        let received = unsafe { self.poll_pop(ticket, cx, || self.pop_many(out, max)) };
        received.map(Option::unwrap_or_default)
    }

    /// A send was dropped before it was ready.
    ///
    /// # Safety
    ///
    /// The contract above, for the senders' side.
    pub(super) unsafe fn cancel_send(&self, ticket: &mut SendTicket<P>) {
        // SAFETY: our own contract.
        unsafe { self.senders_side().cancel(ticket) };
    }

    /// A receive was dropped before it was ready.
    ///
    /// # Safety
    ///
    /// The contract above, for the receivers' side.
    pub(super) unsafe fn cancel_recv(&self, ticket: &mut RecvTicket<C>) {
        // SAFETY: our own contract.
        unsafe { self.receivers_side().cancel(ticket) };
    }

    /// Refuses messages from now on, and wakes everybody. False if that was so already.
    pub(super) fn close(&self) -> bool {
        let Some(waits) = self.ring.close() else { return false };
        // A waker may panic: the others are woken all the same.
        let _senders = OnDrop(|| self.wake_senders());
        let _others = OnDrop(|| self.tell_of_the_end());
        if C::SHARED || waits.0 {
            // SAFETY: the close has cleared the bit, if the receivers' side is Single.
            unsafe { self.waiting_receivers.notify_many(usize::MAX, self.ring.consumers_bit()) };
        }
        true
    }

    /// Ready when the channel is closed.
    pub(super) fn poll_closed(&self, ticket: &mut Ticket, cx: &mut Context<'_>) -> Poll<()> {
        let closing = self.closing.get_or_init(Box::default);
        // Ordering: pairs with the fence in `tell_of_the_end`: who closes sees us here, or we see
        // the channel closed.
        fence(SeqCst);
        closing.poll_until(ticket, cx, || self.ring.is_closed().then_some(()))
    }

    /// A wait for the end was dropped.
    pub(super) fn cancel_closed(&self, ticket: &mut Ticket) {
        if let Some(closing) = self.closing.get() {
            closing.leave(ticket);
        }
    }

    /// Wakes those who wait for the end, and nothing else.
    fn tell_of_the_end(&self) {
        // Ordering: pairs with the fence in `poll_closed`.
        fence(SeqCst);
        if let Some(closing) = self.closing.get() {
            closing.notify();
        }
    }

    /// Wakes all senders of a channel that is closed.
    fn wake_senders(&self) {
        let bit = self.ring.producers_bit();
        // A single sender's bit is the right to touch its waker. The clearing comes in any case,
        // so that a sender which arms later sees the ring closed (see `SideWord::disarm`).
        if P::SHARED || bit.disarm() {
            // SAFETY: the bit was cleared above, if the senders' side is Single.
            unsafe { self.waiting_senders.notify_many(usize::MAX, bit) };
        }
    }

    /// Wakes all receivers, so that they see that the end has come.
    #[cold]
    fn wake_receivers(&self) {
        let bit = self.ring.consumers_bit();
        if C::SHARED || bit.disarm() {
            // SAFETY: the bit was cleared above, if the receivers' side is Single.
            unsafe { self.waiting_receivers.notify_many(usize::MAX, bit) };
        }
    }

    pub(super) fn sender_count(&self) -> usize {
        self.senders.load(Relaxed)
    }

    pub(super) fn receiver_count(&self) -> usize {
        self.receivers.load(Relaxed)
    }

    /// Counts one more sender, unless the last is gone.
    pub(super) fn revive_sender(&self) -> bool {
        revive(&self.senders)
    }

    /// Counts one more receiver, unless the last is gone.
    pub(super) fn revive_receiver(&self) -> bool {
        revive(&self.receivers)
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
            // Also when a waker panics in the closing.
            let _release = OnDrop(|| {
                // SAFETY: no sender is left, so no send can be under way.
                unsafe { self.waiting_senders.release(self.ring.producers_bit()) };
            });
            let _close = OnDrop(|| _ = self.close());
            // A permit borrows a sender or owns one, so those still out were forgotten. Without
            // this the receivers would wait for them for ever.
            // SAFETY: nobody has the permits, and no send can be under way.
            unsafe { self.unreserve(self.ring.promised()) };
        }
    }

    /// # Safety
    ///
    /// The contract above, for the receivers' side; called once for each receiver, as it goes.
    pub(super) unsafe fn drop_receiver(&self) {
        // Ordering: as in `drop_sender`.
        if self.receivers.fetch_sub(1, AcqRel) == 1 {
            // Also when a waker panics in the closing; from the last to the first.
            let _clear = OnDrop(|| {
                // Nobody will receive what is left, and a sender may live long: drop it now.
                // SAFETY: no receiver is left. A sender that came to wait only now is woken: who
                // moves an index owes that, also after the end.
                unsafe { self.ring.clear(|waits| self.popped(waits)) };
            });
            let _release = OnDrop(|| {
                // SAFETY: no receiver is left, so no receive can be under way.
                unsafe { self.waiting_receivers.release(self.ring.consumers_bit()) };
            });
            self.close();
        }
    }
}

impl<T, P: WaitSide> Channel<T, P, Single> {
    /// Where the oldest message lies, if there is one.
    ///
    /// # Safety
    ///
    /// The contract above, for the receivers' side. The message stays the channel's until `skip`.
    pub(super) unsafe fn try_peek(&self) -> Result<NonNull<T>, TryRecvError> {
        // SAFETY: our own contract.
        self.try_pop(|| unsafe { self.ring.peek() })
    }

    /// Ready with where the oldest message lies, or with `None` when none will come.
    ///
    /// # Safety
    ///
    /// As `try_peek`.
    pub(super) unsafe fn poll_peek(
        &self,
        ticket: &mut RecvTicket<Single>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<NonNull<T>>> {
        // SAFETY: our own contract.
        unsafe { self.poll_pop(ticket, cx, || self.ring.peek()) }
    }

    /// Moves on past the oldest message, without dropping it.
    ///
    /// # Safety
    ///
    /// The contract above, for the receivers' side. There is a message, and the caller has moved
    /// it out or dropped it.
    pub(super) unsafe fn skip(&self) {
        // SAFETY: our own contract.
        let waits = unsafe { self.ring.skip() };
        // SAFETY: the step was published just now.
        unsafe { self.popped(waits) };
    }
}

impl<T, P: WaitSide> Channel<T, P, Multi> {
    /// Sends, in place of the oldest message if there is no room.
    ///
    /// # Safety
    ///
    /// The contract above, for the senders' side.
    pub(super) unsafe fn force_send(&self, message: T) -> Result<Option<T>, TrySendError<T>> {
        // SAFETY: our own contract.
        let (pushed_out, waits) =
            unsafe { self.ring.push_over(message) }.map_err(|(message, closed)| match closed {
                true => TrySendError::Closed(message),
                false => TrySendError::Full(message),
            })?;
        if waits.0 {
            // SAFETY: the receivers' side is Multi.
            unsafe { self.waiting_receivers.notify_one(self.ring.consumers_bit()) };
        }
        Ok(pushed_out)
    }
}

/// Never from 0: what the last one did when it went is final.
fn revive(count: &AtomicUsize) -> bool {
    let more = |count| if count == 0 { None } else { Some(count + 1) };
    // Ordering: Relaxed; the handle that keeps the count from 0 is alive.
    count.fetch_update(Relaxed, Relaxed, more).is_ok()
}

/// Calls the function when dropped.
pub(super) struct OnDrop<F: FnMut()>(pub(super) F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

pub(super) fn add_handle(count: &AtomicUsize) {
    // Ordering: Relaxed; the new handle is made from a live one, so the count is not zero.
    let old = count.fetch_add(1, Relaxed);
    if old > isize::MAX as usize {
        // As `Arc`: only `mem::forget` in a loop comes here, and going on would be unsound.
        std::process::abort();
    }
}
