//! Permits, for as many at a time as there are: a [`Pool`] with handles.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::pool::{Claim, Pool, Refusal};
use super::{OwnedSemaphorePermit, SemaphorePermit};
use crate::primitive::const_fn;
use crate::util::may_block;
use crate::wait::thread;

/// A number of permits, of which each task takes what it needs.
///
/// They are given out first come, first served. Who waits for many is not overtaken by those who
/// want few: what comes back is saved up for the first in the queue.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use annulus::sync::Semaphore;
///
/// // No more than two at a time.
/// let downloads = Arc::new(Semaphore::new(2));
/// annulus::block_on(async {
///     let tasks = [1, 2, 3].map(|n| {
///         let downloads = Arc::clone(&downloads);
///         annulus::spawn(async move {
///             let _permit = downloads.acquire().await?;
///             annulus::yield_now().await;
///             Ok::<_, annulus::sync::AcquireError>(n)
///         })
///     });
///     for task in tasks {
///         assert!(task.await.unwrap().is_ok());
///     }
/// });
/// assert_eq!(downloads.available_permits(), 2);
/// ```
pub struct Semaphore {
    pub(super) pool: Pool,
}

/// Waits for permits; made by [`Semaphore::acquire`].
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct Acquire<'a> {
    semaphore: &'a Semaphore,
    claim: Claim,
}

/// Waits for permits; made by [`Semaphore::acquire_owned`].
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct AcquireOwned {
    /// `None` once it has gone to the output.
    semaphore: Option<Arc<Semaphore>>,
    claim: Claim,
}

/// The semaphore is closed, and gives out nothing any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AcquireError;

/// Why [`Semaphore::try_acquire`] has given nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TryAcquireError {
    /// There are too few permits, or others wait for them.
    NoPermits,
    /// The semaphore is closed.
    Closed,
}

impl Semaphore {
    /// The most permits that a semaphore can have free.
    pub const MAX_PERMITS: usize = Pool::MAX;

    const_fn! {
        /// Makes a semaphore with so many permits; none are possible, too.
        ///
        /// # Panics
        ///
        /// If there are more than [`MAX_PERMITS`](Self::MAX_PERMITS).
        #[track_caller]
        #[doc(alias = "const_new")]
        pub fn new(permits: usize) -> Self {
            assert!(
                permits <= Self::MAX_PERMITS,
                "a semaphore cannot have so many permits; Semaphore::MAX_PERMITS is the limit"
            );
            Self { pool: Pool::new(permits) }
        }
    }

    /// Takes a permit, waiting for it behind those who came before.
    ///
    /// # Errors
    ///
    /// If the semaphore is closed, or closes while this waits.
    ///
    /// # Cancel safety
    ///
    /// A wait that is dropped loses its place, and has taken nothing: permits that it was given
    /// already go to the next. (One that is leaked with `mem::forget` keeps them.)
    #[inline]
    pub fn acquire(&self) -> Acquire<'_> {
        self.acquire_many(1)
    }

    /// Takes several permits at once, waiting for them behind those who came before.
    ///
    /// Those who come later wait meanwhile, also if there would be enough for them.
    ///
    /// # Errors
    ///
    /// If the semaphore is closed, or closes while this waits.
    ///
    /// # Cancel safety
    ///
    /// As [`acquire`](Self::acquire); those behind it get what was saved up.
    ///
    /// # Examples
    ///
    /// ```
    /// # annulus::block_on(async {
    /// let megabytes = annulus::sync::Semaphore::new(100);
    /// let permit = megabytes.acquire_many(60).await?;
    /// assert_eq!(megabytes.available_permits(), 40);
    /// assert!(megabytes.try_acquire_many(60).is_err());
    /// # drop(permit);
    /// # Ok::<_, annulus::sync::AcquireError>(()) }).unwrap();
    /// ```
    #[inline]
    pub fn acquire_many(&self, count: u32) -> Acquire<'_> {
        Acquire { semaphore: self, claim: Claim::new(count as usize) }
    }

    /// Takes a permit that owns the semaphore and so may go anywhere.
    ///
    /// # Errors
    ///
    /// If the semaphore is closed, or closes while this waits.
    ///
    /// # Cancel safety
    ///
    /// As [`acquire`](Self::acquire).
    ///
    /// # Examples
    ///
    /// ```
    /// # annulus::block_on(async {
    /// let slots = std::sync::Arc::new(annulus::sync::Semaphore::new(1));
    /// let permit = slots.clone().acquire_owned().await?;
    /// let task = annulus::spawn(async move { drop(permit) }); // gives it back over there
    /// let again = slots.acquire().await?;
    /// # task.await.unwrap(); drop(again);
    /// # Ok::<_, annulus::sync::AcquireError>(()) }).unwrap();
    /// ```
    #[doc(alias = "acquire_arc")]
    pub fn acquire_owned(self: Arc<Self>) -> AcquireOwned {
        self.acquire_many_owned(1)
    }

    /// Takes several permits that own the semaphore.
    ///
    /// # Errors
    ///
    /// If the semaphore is closed, or closes while this waits.
    ///
    /// # Cancel safety
    ///
    /// As [`acquire_many`](Self::acquire_many).
    pub fn acquire_many_owned(self: Arc<Self>, count: u32) -> AcquireOwned {
        AcquireOwned { semaphore: Some(self), claim: Claim::new(count as usize) }
    }

    /// Takes a permit on a plain thread, which sleeps as long as it must.
    ///
    /// # Errors
    ///
    /// If the semaphore is closed, or closes while this waits.
    ///
    /// # Panics
    ///
    /// Inside a task or `block_on`, where it would block a worker.
    #[track_caller]
    pub fn acquire_blocking(&self) -> Result<SemaphorePermit<'_>, AcquireError> {
        may_block::check("acquire_blocking", "`acquire().await`");
        thread::block_on(self.acquire())
    }

    /// Takes several permits on a plain thread, which sleeps as long as it must.
    ///
    /// # Errors
    ///
    /// If the semaphore is closed, or closes while this waits.
    ///
    /// # Panics
    ///
    /// Inside a task or `block_on`, where it would block a worker.
    #[track_caller]
    pub fn acquire_many_blocking(&self, count: u32) -> Result<SemaphorePermit<'_>, AcquireError> {
        may_block::check("acquire_many_blocking", "`acquire_many(count).await`");
        thread::block_on(self.acquire_many(count))
    }

    /// Takes a permit if there is one and nobody waits.
    ///
    /// # Errors
    ///
    /// Says whether there may be one later.
    #[inline]
    pub fn try_acquire(&self) -> Result<SemaphorePermit<'_>, TryAcquireError> {
        self.try_acquire_many(1)
    }

    /// Takes several permits if there are as many and nobody waits.
    ///
    /// # Errors
    ///
    /// Says whether there may be as many later.
    #[inline]
    pub fn try_acquire_many(&self, count: u32) -> Result<SemaphorePermit<'_>, TryAcquireError> {
        let count = count as usize;
        self.pool.try_acquire(count)?;
        Ok(SemaphorePermit { semaphore: self, count })
    }

    /// Takes a permit that owns the semaphore, if there is one and nobody waits.
    ///
    /// # Errors
    ///
    /// Says whether there may be one later.
    pub fn try_acquire_owned(self: Arc<Self>) -> Result<OwnedSemaphorePermit, TryAcquireError> {
        self.try_acquire_many_owned(1)
    }

    /// Takes several permits that own the semaphore, if there are as many and nobody waits.
    ///
    /// # Errors
    ///
    /// Says whether there may be as many later.
    pub fn try_acquire_many_owned(
        self: Arc<Self>,
        count: u32,
    ) -> Result<OwnedSemaphorePermit, TryAcquireError> {
        let count = count as usize;
        self.pool.try_acquire(count)?;
        Ok(OwnedSemaphorePermit { semaphore: self, count })
    }

    /// How many permits could be taken now.
    ///
    /// None while somebody waits: what is there is saved up for the first in the queue.
    pub fn available_permits(&self) -> usize {
        self.pool.available()
    }

    /// Adds permits, for those who wait first.
    ///
    /// # Panics
    ///
    /// If more than [`MAX_PERMITS`](Self::MAX_PERMITS) would be free.
    #[track_caller]
    pub fn add_permits(&self, count: usize) {
        assert!(
            self.pool.add(count),
            "a semaphore cannot have so many permits; Semaphore::MAX_PERMITS is the limit"
        );
    }

    /// Takes away up to `count` permits that nobody holds, for good; says how many.
    ///
    /// Also those that are being saved up for somebody who waits.
    pub fn forget_permits(&self, count: usize) -> usize {
        self.pool.forget(count)
    }

    /// Closes the semaphore: whoever waits for permits, or will, is told so.
    ///
    /// What is held stays held.
    ///
    /// # Examples
    ///
    /// ```
    /// # annulus::block_on(async {
    /// let jobs = std::sync::Arc::new(annulus::sync::Semaphore::new(0));
    /// let waits = jobs.clone();
    /// let worker = annulus::spawn(async move { waits.acquire().await.is_err() });
    /// jobs.close();
    /// assert!(worker.await.unwrap());
    /// # });
    /// ```
    pub fn close(&self) {
        self.pool.close();
    }

    /// Whether it has been closed.
    pub fn is_closed(&self) -> bool {
        self.pool.is_closed()
    }
}

impl<'a> Future for Acquire<'a> {
    type Output = Result<SemaphorePermit<'a>, AcquireError>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { semaphore, claim } = self.get_mut();
        ready!(claim.poll(&semaphore.pool, cx))?;
        Poll::Ready(Ok(SemaphorePermit { semaphore, count: claim.count() }))
    }
}

impl Future for AcquireOwned {
    type Output = Result<OwnedSemaphorePermit, AcquireError>;

    /// # Panics
    ///
    /// When polled again after it was ready.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { semaphore, claim } = self.get_mut();
        let pool = &semaphore.as_ref().expect("this acquire has completed; poll it no more").pool;
        let result = ready!(claim.poll(pool, cx));
        let semaphore = semaphore.take().expect("it was there above");
        result?;
        Poll::Ready(Ok(OwnedSemaphorePermit { semaphore, count: claim.count() }))
    }
}

impl Drop for Acquire<'_> {
    #[inline]
    fn drop(&mut self) {
        // Cancel: permits that were handed to it go back.
        self.claim.cancel(&self.semaphore.pool);
    }
}

impl Drop for AcquireOwned {
    fn drop(&mut self) {
        if let Some(semaphore) = &self.semaphore {
            // Cancel: permits that were handed to it go back.
            self.claim.cancel(&semaphore.pool);
        }
    }
}

impl From<Refusal> for AcquireError {
    fn from(_: Refusal) -> Self {
        // Who waits is refused for no other reason.
        Self
    }
}

impl From<Refusal> for TryAcquireError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Empty => Self::NoPermits,
            Refusal::Closed => Self::Closed,
        }
    }
}

impl fmt::Display for AcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the semaphore is closed; it gives out no permit any more")
    }
}

impl Error for AcquireError {}

impl fmt::Display for TryAcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoPermits => "there are not enough permits now; acquire waits for them",
            Self::Closed => "the semaphore is closed; it gives out no permit any more",
        })
    }
}

impl Error for TryAcquireError {}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (permits, closed) = (self.available_permits(), self.is_closed());
        f.debug_struct("Semaphore").field("permits", &permits).field("closed", &closed).finish()
    }
}

impl fmt::Debug for Acquire<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acquire").field("waits", &self.claim.waits()).finish_non_exhaustive()
    }
}

impl fmt::Debug for AcquireOwned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AcquireOwned").field("waits", &self.claim.waits()).finish_non_exhaustive()
    }
}
