//! One poll of an operation that may have to wait, for all of them; and whose turn it is.
//!
//! Who tries first gets what is there, whether others have waited or not: that is what makes
//! messages cheap. Waiters are woken first come, first served, and who is woken and finds nothing
//! keeps its place. One that has lost so [`PATIENCE`] times is starving, and as long as one is,
//! every operation that begins stands back for one turn of its task. So a starving waiter that is
//! woken is ahead of all who begin after it, and does not lose to them again; only `try_*`, and
//! operations that were under way, still come before it.
//!
//! They stand back for a turn, and do not queue, because a starving waiter may be forgotten
//! (`mem::forget`): then everybody would queue behind it for ever.

use std::task::{Context, Poll, ready};

use crate::primitive::atomic::AtomicUsize;
use crate::primitive::atomic::Ordering::Relaxed;
use crate::util::budget;
use crate::wait::{Bit, Waiters};

/// How often a waiter may be woken in vain before others stand back.
const PATIENCE: u32 = 3;

/// An operation's place among those of its side: nothing, until it has to wait or lets another go
/// first, as most never do.
#[derive(Debug)]
pub(super) struct Turn<W: Waiters>(Option<Place<W::Ticket>>);

#[derive(Debug, Default)]
struct Place<T> {
    ticket: T,
    /// Counted in `Waiting::starving`.
    starves: bool,
}

impl<W: Waiters> Default for Turn<W> {
    #[inline]
    fn default() -> Self {
        Self(None)
    }
}

/// Where one side waits.
pub(super) struct Waiting<'a, W: Waiters, B: Bit> {
    pub(super) waiters: &'a W,
    pub(super) bit: &'a B,
    /// How many starve. A hint: whoever misses a change stands back once too often, or too seldom.
    pub(super) starving: &'a AtomicUsize,
}

impl<W: Waiters, B: Bit> Waiting<'_, W, B> {
    /// Ready with what `attempt` gives. If it fails with what it saw, waits until that changes:
    /// `arm` asks to hear of it, and `holds` looks whether it is still so.
    ///
    /// # Safety
    ///
    /// Rule 1 of [`Waiters`].
    #[inline]
    pub(super) unsafe fn poll<R, S: Copy>(
        &self,
        turn: &mut Turn<W>,
        cx: &mut Context<'_>,
        mut attempt: impl FnMut() -> Result<R, S>,
        arm: impl Fn(S) -> bool,
        holds: impl Fn(S) -> bool,
    ) -> Poll<R> {
        ready!(budget::poll_proceed(cx));
        match &mut turn.0 {
            // SAFETY: the contract.
            Some(place) => unsafe { self.waiters.take_wake(&mut place.ticket) },
            None if W::MANY && self.starving.load(Relaxed) != 0 => {
                turn.0 = Some(Place::default());
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            None => {}
        }
        loop {
            let seen = match attempt() {
                Ok(result) => {
                    if let Some(place) = turn.0.take() {
                        // SAFETY: the contract.
                        unsafe { self.finish(place) };
                    }
                    budget::spend();
                    return Poll::Ready(result);
                }
                Err(seen) => seen,
            };
            let place = turn.0.get_or_insert_default();
            let (arm, holds) = (|| arm(seen), || holds(seen));
            // SAFETY: the contract.
            let waits =
                unsafe { self.waiters.wait(&mut place.ticket, self.bit, cx.waker(), arm, holds) };
            if waits {
                if W::MANY && !place.starves && W::losses(&place.ticket) >= PATIENCE {
                    place.starves = true;
                    self.starving.fetch_add(1, Relaxed);
                }
                return Poll::Pending;
            }
        }
    }

    /// The operation has succeeded.
    ///
    /// # Safety
    ///
    /// Rule 1 of [`Waiters`].
    unsafe fn finish(&self, mut place: Place<W::Ticket>) {
        self.count_out(&place);
        // SAFETY: the contract.
        unsafe { self.waiters.finish(&mut place.ticket, self.bit) };
    }

    /// The operation is dropped before it was ready.
    ///
    /// # Safety
    ///
    /// Rule 1 of [`Waiters`].
    #[inline]
    pub(super) unsafe fn cancel(&self, turn: &mut Turn<W>) {
        if let Some(mut place) = turn.0.take() {
            self.count_out(&place);
            // SAFETY: the contract.
            unsafe { self.waiters.cancel(&mut place.ticket, self.bit) };
        }
    }

    fn count_out(&self, place: &Place<W::Ticket>) {
        if W::MANY && place.starves {
            self.starving.fetch_sub(1, Relaxed);
        }
    }
}
