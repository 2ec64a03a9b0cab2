//! The two words that say where a task is in its life; nobody else sees their bits.
//!
//! # The wake counter
//!
//! ```text
//!                wake (0 -> 1): schedule                    run
//!   idle: 0  ------------------------------> queued: n > 0 -----> running: n > 0, all seen so far
//!      ^                                        ^   wake: n+1        | wake: n+1
//!      |        Pending, nobody woke: n -> 0    |                    |
//!      +----------------------------------------|--------------------+
//!                                               +--- Pending, woken meanwhile: run again
//! ```
//!
//! A wake is one `fetch_add`, a run is a load before the poll and one `fetch_sub` of what the
//! load saw after it. The idea is nexosim's. A flag in its place would need a compare-exchange
//! for each step; and with a counter a wake of a task that is queued already is still a Release
//! read-modify-write, so that the poll to come sees what the waker did.
//!
//! # The life word
//!
//! | bits          | set                          | cleared                                   |
//! |---------------|------------------------------|-------------------------------------------|
//! | COMPLETE      | the output is in place       | never                                     |
//! | CANCELLED     | `abort`                      | never                                     |
//! | JOIN_INTEREST | from the start               | when the `JoinHandle` drops               |
//! | JOIN_WAKER    | the handle left its waker    | the handle takes it back, to change it    |
//! | FAILED        | with COMPLETE, by a failure  | never                                     |
//! | the rest      | references, counted          |                                           |

use crate::primitive::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use crate::primitive::atomic::{AtomicU32, AtomicU64};

const COMPLETE: u32 = 1;
const CANCELLED: u32 = 1 << 1;
const JOIN_INTEREST: u32 = 1 << 2;
const JOIN_WAKER: u32 = 1 << 3;
const FAILED: u32 = 1 << 4;
const REFERENCE: u32 = 1 << 5;

/// More than this is too much, with room for what threads add before they notice.
const MOST: u32 = u32::MAX - (REFERENCE << 16);

/// See the module's page.
#[derive(Debug)]
pub(super) struct State {
    wakes: AtomicU64,
    life: AtomicU32,
    /// The executor's note, written before the first run, and MARK, which is the runner's. They
    /// are here because here is room.
    tag: AtomicU32,
}

/// The largest tag; the bit above is the mark.
pub(super) const MAX_TAG: u32 = u32::MAX >> 1;
const MARK: u32 = 1 << 31;

/// A run under way.
#[must_use]
pub(super) struct Run {
    /// The wakes that this run answers.
    seen: u64,
    pub(super) cancelled: bool,
}

/// What is to be done after a poll that was Pending.
#[must_use]
#[derive(PartialEq, Eq)]
pub(super) enum AfterRun {
    /// Nothing: the next wake schedules the task.
    Idle,
    /// It was woken during the poll and is still the runner's: run it again.
    Again,
}

/// Who waits for the output of a task that has just completed.
#[must_use]
pub(super) struct Completion {
    pub(super) join_interest: bool,
    pub(super) join_waker: bool,
}

/// Whether the handle could do what it wanted before the task was complete.
#[must_use]
#[derive(PartialEq, Eq)]
pub(super) enum Handle {
    Done,
    TooLate,
}

impl State {
    /// A task that is queued, with a reference for the runtime and one for the handle.
    #[inline]
    pub(super) fn new() -> Self {
        Self {
            wakes: AtomicU64::new(1),
            life: AtomicU32::new(JOIN_INTEREST | (2 * REFERENCE)),
            tag: AtomicU32::new(0),
        }
    }

    /// Leaves a note, which stays.
    #[inline]
    pub(super) fn set_tag(&self, tag: u32) {
        debug_assert!(tag <= MAX_TAG);
        // Ordering: Relaxed, here and below; what carries the task to its runner publishes it.
        self.tag.store(tag, Relaxed);
    }

    #[inline]
    pub(super) fn tag(&self) -> u32 {
        self.tag.load(Relaxed) & !MARK
    }

    /// Leaves a mark for the next runner. Only who has the right to run the task may.
    #[inline]
    pub(super) fn mark(&self) {
        self.tag.store(self.tag.load(Relaxed) | MARK, Relaxed);
    }

    /// Takes the mark off, and says whether there was one. Only who has the right to run the task
    /// may.
    #[inline]
    pub(super) fn take_mark(&self) -> bool {
        let tag = self.tag.load(Relaxed);
        let marked = tag & MARK != 0;
        if marked {
            self.tag.store(tag & !MARK, Relaxed);
        }
        marked
    }

    /// True: the task was idle, and the caller has to schedule it.
    #[must_use]
    #[inline]
    pub(super) fn wake(&self) -> bool {
        // Ordering: Release pairs with the Acquire in `start` and `finish`: the poll that
        // answers this wake sees what came before it. Acquire pairs with the Release in
        // `finish`: who schedules sees the last run's use of the header as over.
        self.wakes.fetch_add(1, AcqRel) == 0
    }

    #[inline]
    pub(super) fn start(&self) -> Run {
        // Ordering: Acquire pairs with the Release in `wake`.
        let seen = self.wakes.load(Acquire);
        // Ordering: Relaxed; the wake that comes with a cancel was seen by the load above.
        Run { seen, cancelled: self.life.load(Relaxed) & CANCELLED != 0 }
    }

    #[inline]
    pub(super) fn finish(&self, run: Run) -> AfterRun {
        // Ordering: Release hands the future to the next runner, by way of the next wake;
        // Acquire sees what came before the wakes that make us run again.
        if self.wakes.fetch_sub(run.seen, AcqRel) == run.seen {
            AfterRun::Idle
        } else {
            AfterRun::Again
        }
    }

    /// The output, or why there is none, is in place.
    #[inline]
    pub(super) fn complete(&self, failed: bool) -> Completion {
        // Ordering: Acquire pairs with the Release of those who gave their references up.
        let life = self.life.load(Acquire);
        if life & JOIN_INTEREST == 0 && life / REFERENCE == 1 {
            // Nobody but us can look.
            return Completion { join_interest: false, join_waker: false };
        }
        // Ordering: Release pairs with the Acquire in `is_complete`, `leave_join_waker`,
        // `take_join_waker_back` and `drop_handle`: they see the output. Acquire pairs with the
        // Release in `leave_join_waker`: we see the waker. An add, because the bit is set once,
        // and an add is one instruction.
        let life = self.life.fetch_add(if failed { COMPLETE | FAILED } else { COMPLETE }, AcqRel);
        debug_assert_eq!(life & COMPLETE, 0, "a task completes once");
        Completion { join_interest: life & JOIN_INTEREST != 0, join_waker: life & JOIN_WAKER != 0 }
    }

    #[inline]
    pub(super) fn is_complete(&self) -> bool {
        self.life.load(Acquire) & COMPLETE != 0
    }

    /// Whether a task that is complete has failed; for who has seen that it is complete.
    #[inline]
    pub(super) fn has_failed(&self) -> bool {
        self.life.load(Relaxed) & FAILED != 0
    }

    /// The next run is to drop the future. The caller wakes the task after this.
    #[inline]
    pub(super) fn cancel(&self) {
        // Ordering: Relaxed; the wake that follows publishes it.
        self.life.fetch_or(CANCELLED, Relaxed);
    }

    /// Whether the handle has left a waker; only the handle asks.
    #[inline]
    pub(super) fn has_join_waker(&self) -> bool {
        self.life.load(Relaxed) & JOIN_WAKER != 0
    }

    /// The handle has stored its waker and leaves it to who completes the task.
    #[inline]
    pub(super) fn leave_join_waker(&self) -> Handle {
        Self::handle(self.life.fetch_or(JOIN_WAKER, AcqRel))
    }

    /// The handle wants to store another waker.
    #[inline]
    pub(super) fn take_join_waker_back(&self) -> Handle {
        Self::handle(self.life.fetch_and(!JOIN_WAKER, AcqRel))
    }

    #[inline]
    fn handle(life: u32) -> Handle {
        if life & COMPLETE == 0 { Handle::Done } else { Handle::TooLate }
    }

    /// The handle goes, unless the task is complete: then it has to drop the output first.
    #[inline]
    pub(super) fn drop_handle(&self) -> Handle {
        // Ordering: Acquire pairs with the Release in `complete`: we see the output.
        let mut life = self.life.load(Acquire);
        loop {
            if life & COMPLETE != 0 {
                return Handle::TooLate;
            }
            // The runtime holds a reference until the task is complete, so this is not the last.
            let without = life - JOIN_INTEREST - REFERENCE;
            // Ordering: Release pairs with the Acquire in `complete`.
            match self.life.compare_exchange_weak(life, without, Release, Acquire) {
                Ok(_) => return Handle::Done,
                Err(now) => life = now,
            }
        }
    }

    #[inline]
    pub(super) fn add_reference(&self) {
        // Ordering: Relaxed; the new reference is made from a live one, as in `Arc`.
        if self.life.fetch_add(REFERENCE, Relaxed) > MOST {
            // Only a loop that forgets its wakers comes here, and a count that wraps is unsound.
            std::process::abort();
        }
    }

    /// True: this was the last reference, and the caller has to free the task.
    #[must_use]
    #[inline]
    pub(super) fn drop_reference(&self) -> bool {
        // Ordering: Release and the Acquire of the last one, as in `Arc`: all use of the task
        // comes before its end. If there is none but ours, nobody can make another.
        if self.life.load(Acquire) / REFERENCE == 1 {
            return true;
        }
        if self.life.fetch_sub(REFERENCE, Release) / REFERENCE != 1 {
            return false;
        }
        self.life.load(Acquire);
        true
    }
}
