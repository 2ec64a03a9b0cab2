//! A number for each task, and which task runs on this thread.
//!
//! Numbers are handed out in blocks, one to a thread at a time, so that spawning writes to no
//! memory that threads share. So they are unique, and say nothing about who came first.

use std::cell::Cell;
use std::fmt;
use std::num::NonZeroU64;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use crate::tuning::ID_BLOCK;

/// Tells a task from all others of this process, those that have ended included.
///
/// # Examples
///
/// ```
/// # annulus::block_on(async {
/// let task = annulus::spawn(async { annulus::task::id() });
/// let id = task.id();
/// assert_eq!(task.await.unwrap(), id);
/// # });
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(NonZeroU64);

/// The first number of the next block. No number is 0.
static NEXT_BLOCK: AtomicU64 = AtomicU64::new(ID_BLOCK);

thread_local! {
    /// The next number of this thread's block; a multiple of ID_BLOCK if the block is used up.
    static NEXT: Cell<u64> = const { Cell::new(0) };
    /// The task that is being polled or dropped on this thread.
    static CURRENT: Cell<Option<Id>> = const { Cell::new(None) };
}

impl Id {
    #[inline]
    pub(super) fn next() -> Self {
        let mut next = NEXT.get();
        if next % ID_BLOCK == 0 {
            // Ordering: Relaxed; the sum alone makes blocks distinct.
            next = NEXT_BLOCK.fetch_add(ID_BLOCK, Relaxed);
        }
        NEXT.set(next + 1);
        Self(NonZeroU64::new(next).expect("2^64 tasks are more than a process can spawn"))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Id({self})")
    }
}

/// Says which task this thread runs from now on, and gives which it was.
#[inline]
pub(super) fn replace_current(id: Option<Id>) -> Option<Id> {
    CURRENT.replace(id)
}

/// The id of the task that calls this.
///
/// # Panics
///
/// Outside of a task; the future in [`block_on`](crate::block_on) is none. [`try_id`] does not
/// panic.
#[track_caller]
pub fn id() -> Id {
    try_id().expect("task::id was called outside of a task; call try_id if that may be")
}

/// The id of the task that calls this; `None` outside of a task.
///
/// # Examples
///
/// ```
/// assert_eq!(annulus::task::try_id(), None);
/// ```
pub fn try_id() -> Option<Id> {
    CURRENT.get()
}
