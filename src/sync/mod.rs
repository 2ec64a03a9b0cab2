//! Locks that may be held across `.await`, counted permits, and signals.
//!
//! | to | there is |
//! |---|---|
//! | share a value, one at a time | [`Mutex`] |
//! | share a value that is read more often than changed | [`RwLock`] |
//! | limit how many do something at a time | [`Semaphore`] |
//! | make a value once, when it is first needed | [`OnceCell`] |
//! | say that something has changed | [`Notify`] |
//! | wait for each other | [`Barrier`] |
//! | say that work is no longer wanted | [`CancellationToken`] |
//!
//! To hand over values, and to have them change owners rather than hands, there are
//! [channels](crate::channel); for the latest of a value there is
//! [`watch`](crate::channel::watch), and for a single one [`oneshot`](crate::channel::oneshot).
//!
//! # Fairness
//!
//! A lock and a permit go to those who wait in the order in which they came, and are handed to the
//! first in the queue, so that nobody overtakes it. This holds for tasks and threads alike, and
//! for `try_` variants, which fail while somebody waits.
//!
//! # Cancelling
//!
//! Every future here can be dropped at any time. It has then taken nothing: a lock, a permit or a
//! notification that had come to it goes to the next who waits.
//!
//! # Panics
//!
//! Locks are not poisoned: a panic of who holds one unlocks it.
//!
//! # Threads
//!
//! All of it works on any executor, and the `_blocking` variants on plain threads. Inside a task
//! those would stop the worker, and every task there: there they panic, outside of
//! [`block_in_place`](crate::block_in_place).

mod barrier;
mod cancellation;
mod mutex;
mod notify;
mod once_cell;
mod permit;
mod pool;
mod rwlock;
mod semaphore;

#[cfg(all(test, annulus_loom))]
mod loom_tests;

use std::error::Error;
use std::fmt;

pub use self::barrier::{Barrier, BarrierWait, BarrierWaitResult};
pub use self::cancellation::{CancellationToken, Cancelled, CancelledOwned, DropGuard};
pub use self::mutex::{Lock, LockOwned, Mutex, MutexGuard, OwnedMutexGuard};
pub use self::notify::{Notified, Notify};
pub use self::once_cell::{OnceCell, SetError};
pub use self::permit::{OwnedSemaphorePermit, SemaphorePermit};
pub use self::rwlock::{Read, RwLock, RwLockReadGuard, RwLockWriteGuard, Write};
pub use self::semaphore::{Acquire, AcquireError, AcquireOwned, Semaphore, TryAcquireError};

/// Somebody has the lock, or waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TryLockError;

impl fmt::Display for TryLockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the lock is taken or waited for; the waiting variant queues for it")
    }
}

impl Error for TryLockError {}
