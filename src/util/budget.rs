//! How much one poll of a task may do before others get their turn.
//!
//! A channel that is always ready would let its task run for ever. So the executor gives every
//! poll a budget, and each operation that succeeds spends one of it; with nothing left an
//! operation wakes its own task and says Pending. Threads that are not in an executor of ours
//! have no limit.

use std::cell::Cell;
use std::task::{Context, Poll};

use crate::tuning::BUDGET;

const UNLIMITED: u32 = u32::MAX;

thread_local! {
    static LEFT: Cell<u32> = const { Cell::new(UNLIMITED) };
}

/// Says Pending, and wakes the task, when this poll has spent its budget.
#[inline]
pub(crate) fn poll_proceed(cx: &mut Context<'_>) -> Poll<()> {
    if LEFT.get() == 0 {
        refuse(cx);
        return Poll::Pending;
    }
    Poll::Ready(())
}

#[cold]
fn refuse(cx: &Context<'_>) {
    // A foreign `block_on` inside the poll would come back for ever. So the next may pass.
    LEFT.set(1);
    cx.waker().wake_by_ref();
}

/// Spends one operation. Call this only when the operation has completed.
#[inline]
pub(crate) fn spend() {
    let left = LEFT.get();
    if left != UNLIMITED {
        LEFT.set(left.saturating_sub(1));
    }
}

/// Starts a new poll with a full budget.
#[inline]
pub(crate) fn refill() {
    LEFT.set(BUDGET);
}

/// How many operations have been spent since the last `refill`.
#[inline]
pub(crate) fn spent() -> u32 {
    BUDGET.saturating_sub(LEFT.get())
}

/// Runs `f` without a limit: for a thread that blocks, where Pending would only spin.
pub(crate) fn unlimited<R>(f: impl FnOnce() -> R) -> R {
    let _restore = restore(UNLIMITED);
    f()
}

/// Sets the budget; the guard's drop sets what it was before.
fn restore(now: u32) -> impl Drop {
    struct Restore(u32);
    impl Drop for Restore {
        fn drop(&mut self) {
            LEFT.set(self.0);
        }
    }
    Restore(LEFT.replace(now))
}

/// For a thread that runs polls for a while: has its limit, or none, back when the guard drops.
pub(crate) fn scope() -> impl Drop {
    restore(BUDGET)
}
