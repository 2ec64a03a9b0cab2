//! A lock for one writer or many readers.
//!
//! It is a [`Pool`] of as many permits as a pool can have, beside the value: a reader takes one, a
//! writer takes all. Those who wait do so in one queue. So a writer that waits has the readers who
//! come later wait behind it, and writers do not starve; nor do readers, since a writer that comes
//! later is behind them.

use std::cell::UnsafeCell;
use std::fmt;
use std::future::Future;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::TryLockError;
use super::pool::{Claim, Pool};
use crate::primitive::const_fn;
use crate::util::may_block;
use crate::wait::thread;

/// What a writer takes.
const ALL: usize = Pool::MAX;

/// A value that many may read at a time, or one may change.
///
/// First come, first served: readers who wait side by side get in together, and a reader who comes
/// after a waiting writer waits behind it. So a task that reads must not read again before
/// it lets go: a writer that came in between would wait for the first read, and the second
/// for the writer.
///
/// There is no poisoning. A panic unlocks, and what the value is then is its users' to know.
///
/// # Examples
///
/// ```
/// use annulus::sync::RwLock;
///
/// # annulus::block_on(async {
/// let prices = RwLock::new(vec![3, 5]);
/// {
///     let (one, other) = (prices.read().await, prices.read().await);
///     assert_eq!(one[0] + other[1], 8);
///     assert!(prices.try_write().is_err());
/// }
/// let mut change = prices.write().await;
/// change.push(7);
/// // Nobody can change them between this change and what we read now.
/// let read = change.downgrade();
/// assert_eq!(*read, [3, 5, 7]);
/// # });
/// ```
pub struct RwLock<T: ?Sized> {
    pool: Pool,
    /// Changed by who has all permits, read by who has one.
    value: UnsafeCell<T>,
}

// SAFETY: it is changed by one thread at a time, so it has to be Send; read by several, so Sync.
unsafe impl<T: ?Sized + Send + Sync> Sync for RwLock<T> {}

/// The value, locked for reading; made by [`RwLock::read`]. Unlocks when dropped.
#[must_use = "a guard that is dropped unlocks at once"]
pub struct RwLockReadGuard<'a, T: ?Sized>(&'a RwLock<T>);

/// The value, locked for changing; made by [`RwLock::write`]. Unlocks when dropped.
#[must_use = "a guard that is dropped unlocks at once"]
pub struct RwLockWriteGuard<'a, T: ?Sized>(&'a RwLock<T>);

/// Waits to read; made by [`RwLock::read`].
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct Read<'a, T: ?Sized> {
    lock: &'a RwLock<T>,
    claim: Claim,
}

/// Waits to write; made by [`RwLock::write`].
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct Write<'a, T: ?Sized> {
    lock: &'a RwLock<T>,
    claim: Claim,
}

impl<T> RwLock<T> {
    const_fn! {
        /// Makes a lock that nobody has.
        #[doc(alias = "const_new")]
        pub fn new(value: T) -> Self {
            Self { pool: Pool::new(ALL), value: UnsafeCell::new(value) }
        }
    }

    /// The value.
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> RwLock<T> {
    /// Locks for reading, beside other readers, after those who have asked before.
    ///
    /// # Cancel safety
    ///
    /// A wait that is dropped loses its place; a lock that it was given is given back.
    #[inline]
    pub fn read(&self) -> Read<'_, T> {
        Read { lock: self, claim: Claim::new(1) }
    }

    /// Locks for changing the value, after those who have asked before.
    ///
    /// # Cancel safety
    ///
    /// A wait that is dropped loses its place, and readers behind it need not wait for it any
    /// more; a lock that it was given is given back.
    #[inline]
    pub fn write(&self) -> Write<'_, T> {
        Write { lock: self, claim: Claim::new(ALL) }
    }

    /// Locks for reading on a plain thread, which sleeps as long as it must.
    ///
    /// # Panics
    ///
    /// Inside a task or `block_on`, where it would block a worker.
    #[doc(alias = "blocking_read")]
    #[track_caller]
    pub fn read_blocking(&self) -> RwLockReadGuard<'_, T> {
        may_block::check("read_blocking", "`read().await`");
        thread::block_on(self.read())
    }

    /// Locks for changing on a plain thread, which sleeps as long as it must.
    ///
    /// # Panics
    ///
    /// Inside a task or `block_on`, where it would block a worker.
    #[doc(alias = "blocking_write")]
    #[track_caller]
    pub fn write_blocking(&self) -> RwLockWriteGuard<'_, T> {
        may_block::check("write_blocking", "`write().await`");
        thread::block_on(self.write())
    }

    /// Locks for reading if no one writes, and no one waits.
    ///
    /// # Errors
    ///
    /// If somebody does.
    #[inline]
    pub fn try_read(&self) -> Result<RwLockReadGuard<'_, T>, TryLockError> {
        match self.pool.try_acquire(1) {
            Ok(()) => Ok(RwLockReadGuard(self)),
            Err(_) => Err(TryLockError),
        }
    }

    /// Locks for changing if no one reads or writes.
    ///
    /// # Errors
    ///
    /// If somebody does.
    #[inline]
    pub fn try_write(&self) -> Result<RwLockWriteGuard<'_, T>, TryLockError> {
        match self.pool.try_acquire(ALL) {
            Ok(()) => Ok(RwLockWriteGuard(self)),
            Err(_) => Err(TryLockError),
        }
    }

    /// The value; nobody can have locked it.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }
}

impl<'a, T: ?Sized> RwLockWriteGuard<'a, T> {
    /// Turns the lock into one for reading, without letting a writer in between.
    pub fn downgrade(self) -> RwLockReadGuard<'a, T> {
        let lock = ManuallyDrop::new(self).0;
        // Made first: it has the one permit that is kept, also if a waker panics.
        let guard = RwLockReadGuard(lock);
        lock.pool.release(ALL - 1);
        guard
    }
}

impl<'a, T: ?Sized> Future for Read<'a, T> {
    type Output = RwLockReadGuard<'a, T>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { lock, claim } = self.get_mut();
        ready!(claim.poll(&lock.pool, cx)).expect("a lock's pool is never closed");
        Poll::Ready(RwLockReadGuard(lock))
    }
}

impl<'a, T: ?Sized> Future for Write<'a, T> {
    type Output = RwLockWriteGuard<'a, T>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { lock, claim } = self.get_mut();
        ready!(claim.poll(&lock.pool, cx)).expect("a lock's pool is never closed");
        Poll::Ready(RwLockWriteGuard(lock))
    }
}

impl<T: ?Sized> Drop for Read<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // Cancel: what was handed to it goes back.
        self.claim.cancel(&self.lock.pool);
    }
}

impl<T: ?Sized> Drop for Write<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // Cancel: what was handed to it goes back, and readers behind it are let in.
        self.claim.cancel(&self.lock.pool);
    }
}

impl<T: ?Sized> Drop for RwLockReadGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.0.pool.release(1);
    }
}

impl<T: ?Sized> Drop for RwLockWriteGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.0.pool.release(ALL);
    }
}

impl<T: ?Sized> Deref for RwLockReadGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the guard has a permit, so nobody has all.
        unsafe { &*self.0.value.get() }
    }
}

impl<T: ?Sized> Deref for RwLockWriteGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the guard has all permits, and it is borrowed.
        unsafe { &*self.0.value.get() }
    }
}

impl<T: ?Sized> DerefMut for RwLockWriteGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard has all permits, and it is borrowed exclusively.
        unsafe { &mut *self.0.value.get() }
    }
}

impl<T: Default> Default for RwLock<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> From<T> for RwLock<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let guard = self.try_read();
        let mut f = f.debug_struct("RwLock");
        match &guard {
            Ok(value) => f.field("value", &&**value).finish(),
            Err(_) => f.field("value", &format_args!("<locked>")).finish(),
        }
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLockReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        T::fmt(self, f)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLockWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        T::fmt(self, f)
    }
}

impl<T: ?Sized> fmt::Debug for Read<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Read").field("waits", &self.claim.waits()).finish()
    }
}

impl<T: ?Sized> fmt::Debug for Write<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Write").field("waits", &self.claim.waits()).finish()
    }
}
