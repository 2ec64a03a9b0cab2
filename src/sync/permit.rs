//! Permits that are held, until they are dropped.

use std::fmt;
use std::mem;
use std::sync::Arc;

use super::Semaphore;

/// Permits that are held; made by [`Semaphore::acquire`]. Dropped, it gives them back.
#[must_use = "a permit that is dropped is given back at once"]
pub struct SemaphorePermit<'a> {
    pub(super) semaphore: &'a Semaphore,
    pub(super) count: usize,
}

/// Permits that are held, with their semaphore; made by [`Semaphore::acquire_owned`].
///
/// Dropped, it gives them back.
#[must_use = "a permit that is dropped is given back at once"]
pub struct OwnedSemaphorePermit {
    pub(super) semaphore: Arc<Semaphore>,
    pub(super) count: usize,
}

impl<'a> SemaphorePermit<'a> {
    /// Keeps the permits for ever: the semaphore has so many less.
    pub fn forget(mut self) {
        self.count = 0;
    }

    /// Takes the other's permits over.
    ///
    /// # Panics
    ///
    /// If they belong to different semaphores.
    #[track_caller]
    pub fn merge(&mut self, mut other: Self) {
        assert!(
            std::ptr::eq(self.semaphore, other.semaphore),
            "these permits are of different semaphores; keep them apart"
        );
        self.count += mem::take(&mut other.count);
    }

    /// Splits off so many permits, if it has as many.
    ///
    /// # Examples
    ///
    /// ```
    /// let seats = annulus::sync::Semaphore::new(3);
    /// let mut all = seats.try_acquire_many(3)?;
    /// let two = all.split(2).unwrap();
    /// assert!(all.split(2).is_none());
    /// drop(all);
    /// assert_eq!((two.num_permits(), seats.available_permits()), (2, 1));
    /// # Ok::<_, annulus::sync::TryAcquireError>(())
    /// ```
    pub fn split(&mut self, count: usize) -> Option<Self> {
        self.count = self.count.checked_sub(count)?;
        Some(Self { semaphore: self.semaphore, count })
    }

    /// How many permits it has.
    pub fn num_permits(&self) -> usize {
        self.count
    }
}

impl OwnedSemaphorePermit {
    /// Keeps the permits for ever: the semaphore has so many less.
    pub fn forget(mut self) {
        self.count = 0;
    }

    /// Takes the other's permits over.
    ///
    /// # Panics
    ///
    /// If they belong to different semaphores.
    #[track_caller]
    pub fn merge(&mut self, mut other: Self) {
        assert!(
            Arc::ptr_eq(&self.semaphore, &other.semaphore),
            "these permits are of different semaphores; keep them apart"
        );
        self.count += mem::take(&mut other.count);
    }

    /// Splits off so many permits, if it has as many.
    pub fn split(&mut self, count: usize) -> Option<Self> {
        self.count = self.count.checked_sub(count)?;
        Some(Self { semaphore: Arc::clone(&self.semaphore), count })
    }

    /// How many permits it has.
    pub fn num_permits(&self) -> usize {
        self.count
    }

    /// The semaphore that they belong to.
    pub fn semaphore(&self) -> &Arc<Semaphore> {
        &self.semaphore
    }
}

impl Drop for SemaphorePermit<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.count > 0 {
            self.semaphore.pool.release(self.count);
        }
    }
}

impl Drop for OwnedSemaphorePermit {
    fn drop(&mut self) {
        if self.count > 0 {
            self.semaphore.pool.release(self.count);
        }
    }
}

impl fmt::Debug for SemaphorePermit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SemaphorePermit").field("permits", &self.count).finish_non_exhaustive()
    }
}

impl fmt::Debug for OwnedSemaphorePermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedSemaphorePermit").field("permits", &self.count).finish_non_exhaustive()
    }
}
