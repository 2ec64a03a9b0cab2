//! A lock for one, that may be held across `.await`.
//!
//! It is a [`Pool`] of one permit beside the value: who has the permit has the value. The loom
//! models are of the pool; the value is in std's cell, so that it may be of any size.

use std::cell::UnsafeCell;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::TryLockError;
use super::pool::{Claim, Pool};
use crate::primitive::const_fn;
use crate::util::may_block;
use crate::wait::thread;

/// A value that one task or thread at a time may use.
///
/// The lock goes to those who wait in the order in which they came, and to nobody else meanwhile.
/// That is fair, and not free: where it is held for nanoseconds and never across an `.await`,
/// `std::sync::Mutex` is the better one.
///
/// There is no poisoning. A panic unlocks, and what the value is then is its users' to know.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use annulus::sync::Mutex;
///
/// annulus::block_on(async {
///     let total = Arc::new(Mutex::new(0));
///     let add = |n| {
///         let total = Arc::clone(&total);
///         annulus::spawn(async move {
///             let mut total = total.lock().await;
///             let before = *total;
///             annulus::yield_now().await; // the others cannot come in between
///             *total = before + n;
///         })
///     };
///     for task in [add(1), add(2), add(3)] {
///         task.await.unwrap();
///     }
///     assert_eq!(*total.lock().await, 6);
/// });
/// ```
///
/// In a static:
///
/// ```
/// static NAMES: annulus::sync::Mutex<Vec<&str>> = annulus::sync::Mutex::new(Vec::new());
/// NAMES.lock_blocking().push("first");
/// assert_eq!(NAMES.try_lock().unwrap().len(), 1);
/// ```
pub struct Mutex<T: ?Sized> {
    pool: Pool,
    /// Touched by who has the permit.
    value: UnsafeCell<T>,
}

// SAFETY: the value is touched by one thread at a time, and so only has to be Send.
unsafe impl<T: ?Sized + Send> Sync for Mutex<T> {}

/// The locked value; made by [`Mutex::lock`]. Unlocks when dropped.
#[must_use = "a guard that is dropped unlocks at once"]
pub struct MutexGuard<'a, T: ?Sized> {
    mutex: &'a Mutex<T>,
    /// It is shared and sent as the value is.
    value: PhantomData<&'a mut T>,
}

/// The locked value, with its mutex; made by [`Mutex::lock_owned`]. Unlocks when dropped.
#[must_use = "a guard that is dropped unlocks at once"]
pub struct OwnedMutexGuard<T: ?Sized> {
    mutex: Arc<Mutex<T>>,
    /// As in `MutexGuard`.
    value: PhantomData<Box<T>>,
}

/// Waits for a lock; made by [`Mutex::lock`].
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct Lock<'a, T: ?Sized> {
    mutex: &'a Mutex<T>,
    claim: Claim,
}

/// Waits for a lock; made by [`Mutex::lock_owned`].
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct LockOwned<T: ?Sized> {
    /// `None` once it has gone to the guard.
    mutex: Option<Arc<Mutex<T>>>,
    claim: Claim,
}

impl<T> Mutex<T> {
    const_fn! {
        /// Makes a mutex that nobody has locked.
        #[doc(alias = "const_new")]
        pub fn new(value: T) -> Self {
            Self { pool: Pool::new(1), value: UnsafeCell::new(value) }
        }
    }

    /// The value.
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Locks, after those who have asked before.
    ///
    /// A task that locks again what it has locked waits for ever.
    ///
    /// # Cancel safety
    ///
    /// A wait that is dropped loses its place; a lock that it was given goes to the next. (One
    /// that is leaked with `mem::forget` keeps the lock once it is given it.)
    #[inline]
    pub fn lock(&self) -> Lock<'_, T> {
        Lock { mutex: self, claim: Claim::new(1) }
    }

    /// Locks, with a guard that owns the mutex and so may go anywhere.
    ///
    /// # Cancel safety
    ///
    /// As [`lock`](Self::lock).
    ///
    /// # Examples
    ///
    /// ```
    /// # annulus::block_on(async {
    /// let log = std::sync::Arc::new(annulus::sync::Mutex::new(vec!["begin"]));
    /// let mut guard = log.clone().lock_owned().await;
    /// annulus::spawn(async move { guard.push("work") }).await.unwrap();
    /// assert_eq!(*log.lock().await, ["begin", "work"]);
    /// # });
    /// ```
    #[doc(alias = "lock_arc")]
    pub fn lock_owned(self: Arc<Self>) -> LockOwned<T> {
        LockOwned { mutex: Some(self), claim: Claim::new(1) }
    }

    /// Locks on a plain thread, which sleeps as long as it must.
    ///
    /// # Panics
    ///
    /// Inside a task or `block_on`, where it would block a worker.
    #[doc(alias = "blocking_lock")]
    #[track_caller]
    pub fn lock_blocking(&self) -> MutexGuard<'_, T> {
        may_block::check("lock_blocking", "`lock().await`");
        thread::block_on(self.lock())
    }

    /// Locks if nobody has the lock or waits for it.
    ///
    /// # Errors
    ///
    /// If somebody does.
    #[inline]
    pub fn try_lock(&self) -> Result<MutexGuard<'_, T>, TryLockError> {
        match self.pool.try_acquire(1) {
            Ok(()) => Ok(MutexGuard::new(self)),
            Err(_) => Err(TryLockError),
        }
    }

    /// As [`try_lock`](Self::try_lock), with a guard that owns the mutex.
    ///
    /// # Errors
    ///
    /// If somebody has the lock or waits for it. The mutex given drops.
    #[doc(alias = "try_lock_arc")]
    pub fn try_lock_owned(self: Arc<Self>) -> Result<OwnedMutexGuard<T>, TryLockError> {
        match self.pool.try_acquire(1) {
            Ok(()) => Ok(OwnedMutexGuard { mutex: self, value: PhantomData }),
            Err(_) => Err(TryLockError),
        }
    }

    /// The value; nobody can have locked it.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }
}

impl<'a, T: ?Sized> MutexGuard<'a, T> {
    /// The caller has the permit, which is the guard's from here on.
    fn new(mutex: &'a Mutex<T>) -> Self {
        Self { mutex, value: PhantomData }
    }

    /// The mutex that it locks.
    pub fn mutex(this: &Self) -> &'a Mutex<T> {
        this.mutex
    }
}

impl<T: ?Sized> OwnedMutexGuard<T> {
    /// The mutex that it locks.
    pub fn mutex(this: &Self) -> &Arc<Mutex<T>> {
        &this.mutex
    }
}

impl<'a, T: ?Sized> Future for Lock<'a, T> {
    type Output = MutexGuard<'a, T>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { mutex, claim } = self.get_mut();
        ready!(claim.poll(&mutex.pool, cx)).expect("a mutex's pool is never closed");
        Poll::Ready(MutexGuard::new(mutex))
    }
}

impl<T: ?Sized> Future for LockOwned<T> {
    type Output = OwnedMutexGuard<T>;

    /// # Panics
    ///
    /// When polled again after it was ready.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { mutex, claim } = self.get_mut();
        let pool = &mutex.as_ref().expect("this lock has completed; poll it no more").pool;
        ready!(claim.poll(pool, cx)).expect("a mutex's pool is never closed");
        let mutex = mutex.take().expect("it was there above");
        Poll::Ready(OwnedMutexGuard { mutex, value: PhantomData })
    }
}

impl<T: ?Sized> Drop for Lock<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // Cancel: a lock that was handed to it goes to the next.
        self.claim.cancel(&self.mutex.pool);
    }
}

impl<T: ?Sized> Drop for LockOwned<T> {
    fn drop(&mut self) {
        if let Some(mutex) = &self.mutex {
            // Cancel: a lock that was handed to it goes to the next.
            self.claim.cancel(&mutex.pool);
        }
    }
}

impl<T: ?Sized> Drop for MutexGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.mutex.pool.release(1);
    }
}

impl<T: ?Sized> Drop for OwnedMutexGuard<T> {
    #[inline]
    fn drop(&mut self) {
        self.mutex.pool.release(1);
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the guard has the permit, and it is borrowed.
        unsafe { &*self.mutex.value.get() }
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard has the permit, and it is borrowed exclusively.
        unsafe { &mut *self.mutex.value.get() }
    }
}

impl<T: ?Sized> Deref for OwnedMutexGuard<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the guard has the permit, and it is borrowed.
        unsafe { &*self.mutex.value.get() }
    }
}

impl<T: ?Sized> DerefMut for OwnedMutexGuard<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard has the permit, and it is borrowed exclusively.
        unsafe { &mut *self.mutex.value.get() }
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> From<T> for Mutex<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let guard = self.try_lock();
        let mut f = f.debug_struct("Mutex");
        match &guard {
            Ok(value) => f.field("value", &&**value).finish(),
            Err(_) => f.field("value", &format_args!("<locked>")).finish(),
        }
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        T::fmt(self, f)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for OwnedMutexGuard<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        T::fmt(self, f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        T::fmt(self, f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for OwnedMutexGuard<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        T::fmt(self, f)
    }
}

impl<T: ?Sized> fmt::Debug for Lock<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lock").field("waits", &self.claim.waits()).finish()
    }
}

impl<T: ?Sized> fmt::Debug for LockOwned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockOwned").field("waits", &self.claim.waits()).finish()
    }
}
