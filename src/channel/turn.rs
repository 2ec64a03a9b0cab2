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
use crate::ring::SideWord;
use crate::util::budget;
use crate::wait::Waiters;

/// How often a waiter may be woken in vain before others stand back.
const PATIENCE: u32 = 3;

/// An operation's place among those of its side.
#[derive(Debug)]
pub(super) struct Turn<W: Waiters> {
    ticket: W::Ticket,
    /// Counted in `Waiting::starving`.
    starves: bool,
    /// It has let others go first.
    stood_back: bool,
}

impl<W: Waiters> Default for Turn<W> {
    fn default() -> Self {
        Self { ticket: W::Ticket::default(), starves: false, stood_back: false }
    }
}

/// Where one side waits.
pub(super) struct Waiting<'a, W: Waiters> {
    pub(super) waiters: &'a W,
    pub(super) bit: &'a SideWord,
    /// How many starve. A hint: whoever misses a change stands back once too often, or too seldom.
    pub(super) starving: &'a AtomicUsize,
}

impl<W: Waiters> Waiting<'_, W> {
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
        if W::MANY && self.stands_back(turn) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        // SAFETY: the contract.
        unsafe { self.waiters.take_wake(&mut turn.ticket) };
        loop {
            let seen = match attempt() {
                Ok(result) => {
                    // SAFETY: the contract.
                    unsafe { self.waiters.finish(&mut turn.ticket, self.bit) };
                    self.end(turn);
                    budget::spend();
                    return Poll::Ready(result);
                }
                Err(seen) => seen,
            };
            let ticket = &mut turn.ticket;
            let (arm, holds) = (|| arm(seen), || holds(seen));
            // SAFETY: the contract.
            if unsafe { self.waiters.wait(ticket, self.bit, cx.waker(), arm, holds) } {
                if W::MANY && !turn.starves && W::losses(ticket) >= PATIENCE {
                    turn.starves = true;
                    self.starving.fetch_add(1, Relaxed);
                }
                return Poll::Pending;
            }
        }
    }

    /// Whether an operation that begins lets another go first.
    #[inline]
    fn stands_back(&self, turn: &mut Turn<W>) -> bool {
        if self.starving.load(Relaxed) == 0 || turn.stood_back || W::has_waited(&turn.ticket) {
            return false;
        }
        turn.stood_back = true;
        true
    }

    /// The operation is dropped before it was ready.
    ///
    /// # Safety
    ///
    /// Rule 1 of [`Waiters`].
    #[inline]
    pub(super) unsafe fn cancel(&self, turn: &mut Turn<W>) {
        self.end(turn);
        // SAFETY: the contract.
        unsafe { self.waiters.cancel(&mut turn.ticket, self.bit) };
    }

    #[inline]
    fn end(&self, turn: &mut Turn<W>) {
        turn.stood_back = false;
        if W::MANY && std::mem::take(&mut turn.starves) {
            self.starving.fetch_sub(1, Relaxed);
        }
    }
}
