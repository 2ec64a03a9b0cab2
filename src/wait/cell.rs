//! A place for one waker, kept from wait to wait.
//!
//! The WAITS bit that goes with the cell (`ring/word.rs`) is a token: the waiter sets it, and
//! whoever clears it - a publisher, or the waiter itself - may touch the waker. So a publisher
//! that finds the bit clear does not touch the cell at all, and of several publishers one wakes.
//!
//! # States
//!
//! | armed | the bit | whose is the waker                     |
//! |-------|---------|----------------------------------------|
//! | no    | clear   | the waiter's                           |
//! | yes   | set     | nobody's, until somebody clears the bit |
//! | yes   | clear   | the notifier's, who will clear `armed` |
//!
//! ```text
//!                    wait: set the bit
//!     not armed --------------------------> armed
//!        ^  ^      the waiter clears it       |  |
//!        |  +---------------------------------+  |  a notifier clears the bit,
//!        +---------------------------------------+  and is done with the waker
//! ```
//!
//! A waker of our own tasks is woken by reference and stays in the cell, so that a task which
//! waits here again and again clones it once: a wait and a wake touch no reference count. A
//! foreign waker is taken out first, since it may do anything, even poll the task inside `wake`,
//! and that poll finds the cell free. Either way a notifier is at the cell for some nanoseconds
//! in which no foreign code runs, and the waiter, which seldom comes back so soon, spins.

use std::fmt;
use std::task::Waker;

use super::{Bit, Waiters};
use crate::primitive::UnsafeCell;
use crate::primitive::atomic::AtomicBool;
use crate::primitive::atomic::Ordering::{Acquire, Relaxed, Release};
use crate::util::{Backoff, prompt_waker};

/// One waker, and who may touch it.
pub struct WaitCell {
    /// Set by the waiter; cleared by who has cleared the bit.
    armed: AtomicBool,
    /// See the table.
    waker: UnsafeCell<Option<Kept>>,
}

struct Kept {
    waker: Waker,
    /// Whether it may be woken while we are at the cell.
    prompt: bool,
}

// SAFETY: the waker is touched by one thread at a time: the table above. `Waker` itself is Send
// and Sync.
unsafe impl Send for WaitCell {}
// SAFETY: as above.
unsafe impl Sync for WaitCell {}

impl Default for WaitCell {
    fn default() -> Self {
        Self { armed: AtomicBool::new(false), waker: UnsafeCell::new(None) }
    }
}

/// Whether the operation has armed the cell.
#[derive(Debug, Default)]
pub struct Armed(bool);

impl WaitCell {
    /// Gets the cell back for the waiter.
    #[inline]
    fn reclaim(&self, bit: &impl Bit) {
        // Ordering: Acquire pairs with the notifier's Release: it is done with the waker.
        if self.armed.load(Acquire) {
            self.disarm(bit);
        }
    }

    #[cold]
    fn disarm(&self, bit: &impl Bit) {
        if bit.disarm() {
            // Ordering: Relaxed; who clears the bit is the only one at the cell.
            self.armed.store(false, Relaxed);
            return;
        }
        let mut backoff = Backoff::new();
        // Ordering: as in `reclaim`.
        while self.armed.load(Acquire) {
            backoff.wait();
        }
    }

    /// Stores the waker if another one is here, or none.
    ///
    /// # Safety
    ///
    /// The waker is the caller's to write.
    #[inline]
    unsafe fn store(&self, waker: &Waker) {
        let same = |kept: *const Option<Kept>| {
            // SAFETY: the contract.
            let kept = unsafe { (*kept).as_ref() };
            kept.is_some_and(|kept| kept.waker.will_wake(waker))
        };
        if !self.waker.with(same) {
            // Cloned first: if that panics, nothing has changed.
            let new = Kept { waker: waker.clone(), prompt: prompt_waker::is_prompt(waker) };
            // SAFETY: the contract. The old one drops after it has been replaced.
            let old = self.waker.with_mut(|kept| unsafe { (*kept).replace(new) });
            drop(old);
        }
    }
}

impl Waiters for WaitCell {
    const MANY: bool = false;

    type Ticket = Armed;

    #[inline]
    unsafe fn take_wake(&self, _: &mut Armed) {}

    #[inline]
    unsafe fn wait(
        &self,
        ticket: &mut Armed,
        bit: &impl Bit,
        waker: &Waker,
        arm: impl FnOnce() -> bool,
        holds: impl FnOnce() -> bool,
    ) -> bool {
        self.reclaim(bit);
        // SAFETY: the cell is not armed, so the waker is ours (rule 1).
        unsafe { self.store(waker) };
        // Ordering: Relaxed; `arm` publishes it together with the waker.
        self.armed.store(true, Relaxed);
        ticket.0 = if !arm() {
            self.armed.store(false, Relaxed);
            false
        } else if holds() {
            true
        } else {
            self.reclaim(bit);
            false
        };
        ticket.0
    }

    #[inline]
    unsafe fn finish(&self, ticket: &mut Armed, bit: &impl Bit) {
        // After a wake the bit is clear, and the notifier has disarmed the cell.
        if std::mem::take(&mut ticket.0) && bit.is_armed() {
            self.reclaim(bit);
        }
    }

    unsafe fn cancel(&self, ticket: &mut Armed, bit: &impl Bit) {
        // Cancel: nobody else waits here, so there is no one to hand a wake on to.
        // SAFETY: the same contract.
        unsafe { self.finish(ticket, bit) };
    }

    #[inline]
    unsafe fn notify_one(&self, _: &impl Bit) {
        // SAFETY: we have cleared the bit (rule 2), so the waker is ours until `armed` is clear.
        let kept = self.waker.with(|kept| unsafe { (*kept).as_ref() });
        if let Some(Kept { waker, prompt: true }) = kept {
            waker.wake_by_ref();
            // Ordering: Release pairs with the Acquire in `reclaim`: we are done.
            self.armed.store(false, Release);
            return;
        }
        // SAFETY: as above.
        let kept = self.waker.with_mut(|kept| unsafe { (*kept).take() });
        // Ordering: as above.
        self.armed.store(false, Release);
        if let Some(kept) = kept {
            kept.waker.wake();
        }
    }

    unsafe fn notify_many(&self, _: usize, bit: &impl Bit) {
        // SAFETY: the same contract.
        unsafe { self.notify_one(bit) };
    }

    unsafe fn release(&self, bit: &impl Bit) {
        self.reclaim(bit);
        // SAFETY: the cell is not armed, so the waker is the waiter's, whose last call this is.
        drop(self.waker.with_mut(|kept| unsafe { (*kept).take() }));
    }
}

impl fmt::Debug for WaitCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitCell").field("waits", &self.armed.load(Relaxed)).finish()
    }
}
