//! A value that is made once, by the first who needs it.
//!
//! It is a [`Pool`] of one permit, the right to make the value, and CLOSED says that there is one.
//! So who waits for the value is woken by the close, and if its maker gives up, fails or panics,
//! the permit goes to the next who waits, and that one makes it.
//!
//! # Invariant
//!
//! The value is written by who has the permit, before the pool is closed. Nobody gives the permit
//! back after that, and no one but who has `&mut` changes the value again.

use std::cell::UnsafeCell;
use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::future::{Future, poll_fn};

use super::pool::{Claim, Pool, Refusal};
use crate::primitive::const_fn;

/// A value that is set once, and can be read without waiting from then on.
///
/// # Examples
///
/// ```
/// use annulus::sync::OnceCell;
///
/// static CONFIG: OnceCell<String> = OnceCell::new();
///
/// async fn config() -> &'static str {
///     CONFIG.get_or_init(async || "from a slow disk".to_owned()).await
/// }
///
/// annulus::block_on(async {
///     assert_eq!(CONFIG.get(), None);
///     // Both wait for the one that reads it.
///     let (one, other) = annulus::join!(config(), config());
///     assert!(std::ptr::eq(one, other));
/// });
/// ```
pub struct OnceCell<T> {
    pool: Pool,
    /// `Some` once the pool is closed.
    value: UnsafeCell<Option<T>>,
}

// SAFETY: many threads may read the value, so it has to be Sync; one that has only `&` may set it
// and another drop it, so Send.
unsafe impl<T: Send + Sync> Sync for OnceCell<T> {}

/// Why [`OnceCell::set`] has given the value back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetError<T> {
    /// There is one.
    AlreadyInitialized(T),
    /// Somebody is making one.
    Initializing(T),
}

/// The right to make the value; dropped, it goes to the next.
struct Making<'a, T>(&'a OnceCell<T>);

impl<T> OnceCell<T> {
    const_fn! {
        /// Makes an empty cell.
        #[doc(alias = "const_new")]
        pub fn new() -> Self {
            Self { pool: Pool::new(1), value: UnsafeCell::new(None) }
        }
    }

    /// The value, if there is one.
    #[inline]
    pub fn get(&self) -> Option<&T> {
        if !self.pool.is_closed() {
            return None;
        }
        // SAFETY: it was written before the close that we have seen, and is not written again.
        unsafe { (*self.value.get()).as_ref() }
    }

    /// The value, if there is one; nobody is making one.
    pub fn get_mut(&mut self) -> Option<&mut T> {
        self.value.get_mut().as_mut()
    }

    /// Whether there is a value.
    #[doc(alias = "initialized")]
    pub fn is_initialized(&self) -> bool {
        self.pool.is_closed()
    }

    /// Sets the value, if there is none and nobody is making one.
    ///
    /// # Errors
    ///
    /// Gives the value back, and says which it was.
    ///
    /// # Examples
    ///
    /// ```
    /// use annulus::sync::{OnceCell, SetError};
    ///
    /// let cell = OnceCell::new();
    /// assert_eq!(cell.set(1), Ok(()));
    /// assert_eq!(cell.set(2), Err(SetError::AlreadyInitialized(2)));
    /// assert_eq!(cell.get(), Some(&1));
    /// ```
    pub fn set(&self, value: T) -> Result<(), SetError<T>> {
        match self.pool.try_acquire(1) {
            Ok(()) => {
                Making(self).finish(value);
                Ok(())
            }
            Err(Refusal::Closed) => Err(SetError::AlreadyInitialized(value)),
            Err(Refusal::Empty) => Err(SetError::Initializing(value)),
        }
    }

    /// The value; if there is none, makes it, or waits for who is making it.
    ///
    /// # Panics
    ///
    /// If `make` does. Then the cell is empty, and the next makes the value.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready it has set nothing, and the next who waits makes the value.
    pub async fn get_or_init<F, Fut>(&self, make: F) -> &T
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = T>,
    {
        let made = self.get_or_try_init(async || Ok::<_, Infallible>(make().await)).await;
        made.unwrap_or_else(|never| match never {})
    }

    /// The value; if there is none, tries to make it, or waits for who is making it.
    ///
    /// # Errors
    ///
    /// If `make` fails. Then the cell is empty, and the next makes the value.
    ///
    /// # Panics
    ///
    /// If `make` does; then, too.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready it has set nothing, and the next who waits makes the value.
    ///
    /// # Examples
    ///
    /// ```
    /// # annulus::block_on(async {
    /// let cell = annulus::sync::OnceCell::new();
    /// assert_eq!(cell.get_or_try_init(async || "x".parse::<u8>().map_err(drop)).await, Err(()));
    /// assert_eq!(cell.get_or_try_init(async || "8".parse::<u8>().map_err(drop)).await, Ok(&8));
    /// # });
    /// ```
    pub async fn get_or_try_init<F, Fut, E>(&self, make: F) -> Result<&T, E>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        if let Some(value) = self.get() {
            return Ok(value);
        }
        if let Ok(making) = self.make_alone().await {
            making.finish(make().await?);
        }
        Ok(self.get().expect("it is there when the pool is closed"))
    }

    /// Waits for the right to make the value, or for the value.
    async fn make_alone(&self) -> Result<Making<'_, T>, Refusal> {
        struct OnDrop<'a>(&'a Pool, Claim);
        impl Drop for OnDrop<'_> {
            fn drop(&mut self) {
                // Cancel: if it was our turn, it is the next one's.
                self.1.cancel(self.0);
            }
        }
        let mut claim = OnDrop(&self.pool, Claim::new(1));
        poll_fn(|cx| claim.1.poll(&self.pool, cx)).await.map(|()| Making(self))
    }

    /// The value, if there is one.
    pub fn into_inner(self) -> Option<T> {
        self.value.into_inner()
    }

    /// Takes the value out, if there is one; the cell is empty then.
    pub fn take(&mut self) -> Option<T> {
        std::mem::take(self).into_inner()
    }
}

impl<T> Making<'_, T> {
    /// Sets the value, and lets everybody know.
    fn finish(self, value: T) {
        let cell = std::mem::ManuallyDrop::new(self).0;
        // SAFETY: we have the permit, and the pool is not closed: so nobody reads, and nobody else
        // writes. There is nothing in it that would drop.
        unsafe { *cell.value.get() = Some(value) };
        cell.pool.close();
    }
}

impl<T> Drop for Making<'_, T> {
    fn drop(&mut self) {
        // Cancel: the next who waits makes the value.
        self.0.pool.release(1);
    }
}

impl<T> Default for OnceCell<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> From<T> for OnceCell<T> {
    fn from(value: T) -> Self {
        let cell = Self { pool: Pool::new(0), value: UnsafeCell::new(Some(value)) };
        cell.pool.close();
        cell
    }
}

impl<T: Clone> Clone for OnceCell<T> {
    /// A cell with a clone of the value, or an empty one.
    fn clone(&self) -> Self {
        self.get().map_or_else(Self::new, |value| value.clone().into())
    }
}

impl<T: PartialEq> PartialEq for OnceCell<T> {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl<T: Eq> Eq for OnceCell<T> {}

impl<T: fmt::Debug> fmt::Debug for OnceCell<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OnceCell").field(&self.get()).finish()
    }
}

impl<T> SetError<T> {
    /// The value.
    pub fn into_inner(self) -> T {
        match self {
            Self::AlreadyInitialized(value) | Self::Initializing(value) => value,
        }
    }
}

impl<T> fmt::Display for SetError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AlreadyInitialized(_) => "the cell has a value; get reads it",
            Self::Initializing(_) => "another is making the value; get_or_init waits for it",
        })
    }
}

impl<T: fmt::Debug> Error for SetError<T> {}
