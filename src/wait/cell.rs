//! A place for one waker, kept from wait to wait.
//!
//! The WAITS bit that goes with the cell (`ring/word.rs`) is a token: the waiter sets it, and
//! whoever clears it - a publisher, or the waiter itself - may touch the waker. So a publisher
//! that finds the bit clear does not touch the cell at all, and of several publishers one wakes.
//!
//! # States
//!
//! | state  | the bit | whose is the waker                                                     |
//! |--------|---------|------------------------------------------------------------------------|
//! | IDLE   | clear   | the waiter's                                                           |
//! | ARMED  | set     | nobody's, until somebody clears the bit                                |
//! | ARMED  | clear   | the notifier's, to read                                                |
//! | REWAKE | clear   | the notifier's; the waiter wants another wake when it is done          |
//! | GONE   | clear   | the notifier's, which drops it when it is done                         |
//!
//! ```text
//!           wait                  notifier is done
//!   IDLE ---------> ARMED ------------------------------> IDLE
//!     ^   disarm      |  wait, and the bit is clear                  notifier takes the
//!     +---------------+--------------------------------> REWAKE ---> waker, IDLE, wakes again
//!                     |  release, and the bit is clear
//!                     +--------------------------------> GONE   ---> notifier takes the waker
//! ```
//!
//! The waker stays in the cell after a wake, so that a task that waits here again and again
//! clones it once: no reference count is touched in a wait or a wake.
//!
//! Why the notifier goes back to IDLE only after the wake: it wakes by reference, and the waiter
//! must not replace the waker meanwhile. Why REWAKE then, and not a spin: a foreign waker may
//! poll the task inside `wake`, and that poll would spin for its own caller.

use std::fmt;
use std::task::{RawWakerVTable, Waker};

use super::Waiters;
use crate::primitive::UnsafeCell;
use crate::primitive::atomic::AtomicUsize;
use crate::primitive::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use crate::ring::SideWord;

const IDLE: usize = 0;
const ARMED: usize = 1;
const REWAKE: usize = 2;
const GONE: usize = 3;

/// One waker, and who may touch it.
pub struct WaitCell {
    state: AtomicUsize,
    /// Written by the waiter in IDLE, and by the notifier in REWAKE and GONE.
    waker: UnsafeCell<Option<Waker>>,
    /// Which waker was stored last; the waiter's own note, which nobody else looks at.
    last: UnsafeCell<Option<Identity>>,
}

/// What `Waker::will_wake` compares.
type Identity = (*const (), *const RawWakerVTable);

fn identity(waker: &Waker) -> Identity {
    (waker.data(), waker.vtable())
}

// SAFETY: the waker is written by one thread at a time and only while no other reads it: the
// table above. `Waker` itself is Send and Sync.
unsafe impl Send for WaitCell {}
// SAFETY: as above.
unsafe impl Sync for WaitCell {}

impl Default for WaitCell {
    fn default() -> Self {
        Self {
            state: AtomicUsize::new(IDLE),
            waker: UnsafeCell::new(None),
            last: UnsafeCell::new(None),
        }
    }
}

/// Whether the operation has armed the cell.
#[derive(Debug, Default)]
pub struct Armed(bool);

impl WaitCell {
    /// Gets the cell back for the waiter; false while a notifier is at it.
    fn reclaim(&self, bit: &SideWord) -> bool {
        // Ordering: Acquire pairs with the notifier's Release: its reading of the waker is over.
        match self.state.load(Acquire) {
            IDLE => true,
            _ if bit.disarm() => {
                // Ordering: Relaxed; who clears the bit is the only one at the cell.
                self.state.store(IDLE, Relaxed);
                true
            }
            _ => false,
        }
    }

    /// A notifier is at the cell: has it wake once more. False if it has just finished.
    ///
    /// # Safety
    ///
    /// The caller is the waiter.
    unsafe fn ask_again(&self, waker: &Waker) -> bool {
        // SAFETY: only the waiter, which is us, touches the note.
        if self.last.with(|last| unsafe { *last }) != Some(identity(waker)) {
            // The notifier would wake a task that nobody polls here any more.
            waker.wake_by_ref();
            return true;
        }
        // Ordering: Release pairs with the Acquire in `Turn`; Acquire with the Release there. If
        // it is REWAKE already, an earlier poll has asked, and that wake is still to come.
        match self.state.compare_exchange(ARMED, REWAKE, Release, Acquire) {
            Ok(_) | Err(REWAKE) => true,
            Err(_) => false,
        }
    }

    /// Whether the stored waker wakes the same task.
    ///
    /// # Safety
    ///
    /// Nobody writes the waker meanwhile.
    unsafe fn holds(&self, waker: &Waker) -> bool {
        // SAFETY: the caller's contract.
        self.waker.with(|w| unsafe { (*w).as_ref() }.is_some_and(|w| w.will_wake(waker)))
    }

    /// Takes the waker out, for who owns it.
    ///
    /// # Safety
    ///
    /// By the table above the waker is the caller's to write.
    unsafe fn take(&self) -> Option<Waker> {
        // SAFETY: the caller's contract.
        self.waker.with_mut(|w| unsafe { (*w).take() })
    }
}

/// The end of a notifier's turn, also when the waker panics.
struct Turn<'a>(&'a WaitCell);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let Self(cell) = self;
        // Ordering: Release pairs with the Acquire in `reclaim` and `release`; Acquire on
        // failure pairs with the waiter's Release: its reading of the waker is over.
        let Err(asked) = cell.state.compare_exchange(ARMED, IDLE, Release, Acquire) else { return };
        // SAFETY: in REWAKE and GONE the waker is the notifier's.
        let waker = unsafe { cell.take() };
        // Ordering: Release pairs with the Acquire in `reclaim`: the waiter may write again.
        cell.state.store(IDLE, Release);
        if let (REWAKE, Some(waker)) = (asked, waker) {
            waker.wake();
        }
    }
}

impl Waiters for WaitCell {
    type Ticket = Armed;

    #[inline]
    unsafe fn take_wake(&self, _: &mut Armed) {}

    #[inline]
    unsafe fn wait(
        &self,
        ticket: &mut Armed,
        bit: &SideWord,
        waker: &Waker,
        arm: impl FnOnce() -> bool,
        holds: impl FnOnce() -> bool,
    ) -> bool {
        if !self.reclaim(bit) {
            // SAFETY: rule 1.
            ticket.0 = unsafe { self.ask_again(waker) };
            return ticket.0;
        }
        // SAFETY: the cell is IDLE, so the waker is ours (rule 1).
        if !unsafe { self.holds(waker) } {
            // Cloned first: if that panics, nothing has changed.
            let new = Some(waker.clone());
            // SAFETY: as above; the note is always ours.
            let old = self.waker.with_mut(|w| unsafe { std::mem::replace(&mut *w, new) });
            // SAFETY: as above.
            self.last.with_mut(|last| unsafe { *last = Some(identity(waker)) });
            drop(old);
        }
        // Ordering: Relaxed; `arm` publishes it together with the waker.
        self.state.store(ARMED, Relaxed);
        if !arm() {
            self.state.store(IDLE, Relaxed);
            ticket.0 = false;
        } else if holds() {
            ticket.0 = true;
        } else {
            // If the bit is gone already, a notifier is here and will go back to IDLE itself.
            self.reclaim(bit);
            ticket.0 = false;
        }
        ticket.0
    }

    #[inline]
    unsafe fn finish(&self, ticket: &mut Armed, bit: &SideWord) {
        // After a wake the bit is clear, and the notifier goes back to IDLE by itself.
        if std::mem::take(&mut ticket.0) && bit.is_armed() {
            self.reclaim(bit);
        }
    }

    unsafe fn cancel(&self, ticket: &mut Armed, bit: &SideWord) {
        // Cancel: nobody else waits here, so there is no one to hand a wake on to.
        // SAFETY: the same contract.
        unsafe { self.finish(ticket, bit) };
    }

    #[inline]
    unsafe fn notify_one(&self, _: &SideWord) {
        let _turn = Turn(self);
        // SAFETY: we have cleared the bit (rule 2), so the waiter does not write.
        if let Some(waker) = self.waker.with(|w| unsafe { (*w).as_ref() }) {
            waker.wake_by_ref();
        }
    }

    unsafe fn notify_all(&self, bit: &SideWord) {
        // SAFETY: the same contract.
        unsafe { self.notify_one(bit) };
    }

    unsafe fn release(&self, bit: &SideWord) {
        // Ordering: Acquire pairs with the notifier's Release.
        if !self.reclaim(bit) && self.state.swap(GONE, AcqRel) != IDLE {
            return;
        }
        // SAFETY: the cell is the waiter's, or the notifier has just finished.
        drop(unsafe { self.take() });
    }
}

impl fmt::Debug for WaitCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitCell").field("waits", &(self.state.load(Relaxed) != IDLE)).finish()
    }
}
