//! A channel that holds one value, whose receivers wait for it to change.
//!
//! For what is read more often than it changes, and of which only the latest counts: a setting, a
//! position, whether the program is to end. A receiver that looks seldom misses what came between.
//!
//! The value has a lock, of many readers or one writer, and waiting is not under it: no waker is
//! called and no value dropped there. What runs under the lock is a user's closures, and what he
//! does while he holds a [`Ref`]: he must not send on the same channel meanwhile.
//!
//! # Examples
//!
//! ```
//! use annulus::channel::watch;
//!
//! annulus::block_on(async {
//!     let (tx, mut rx) = watch::channel("starting");
//!     annulus::spawn(async move { tx.send("ready") });
//!     assert!(rx.wait_for(|state| *state == "ready").await.is_ok());
//! });
//! ```

mod future;
mod shared;

use std::error::Error;
use std::fmt;
use std::mem;
use std::ops::Deref;

pub use self::future::{Changed, Closed, WaitFor};
use self::shared::Shared;
pub use super::broadcast::SendError;
use crate::primitive::{Arc, RwLockReadGuard};
use crate::util::may_block;
use crate::wait::thread;

/// Makes a channel that holds `value`, which its receiver counts as seen.
///
/// # Examples
///
/// ```
/// let (tx, mut rx) = annulus::channel::watch::channel(1);
/// let thread = std::thread::spawn(move || {
///     rx.changed_blocking()?;
///     Ok::<_, annulus::channel::watch::RecvError>(*rx.borrow())
/// });
/// tx.send(2)?;
/// assert_eq!(thread.join().unwrap(), Ok(2));
/// # Ok::<_, annulus::channel::watch::SendError<i32>>(())
/// ```
pub fn channel<T>(value: T) -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(Shared::new(value));
    (Sender { shared: Arc::clone(&shared) }, Receiver { shared, seen: 0 })
}

/// The end that changes the value, of which there may be any number.
///
/// When the last one is dropped, receivers learn of a change that they have not seen, and then
/// of the end.
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
}

/// The end that reads the value, and waits for it to change.
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
    /// The version that it has seen, without CLOSED.
    seen: u64,
}

/// The value, locked for reading; made by `borrow`.
///
/// Senders wait, as threads, while there is one: keep it for a short time, and do not send on the
/// same channel, nor borrow again, in the same thread meanwhile.
#[must_use = "a reference that is not used only keeps senders waiting"]
pub struct Ref<'a, T>(RwLockReadGuard<'a, T>);

/// The senders are gone: the value will not change any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecvError;

impl<T> Sender<T> {
    /// Replaces the value, and wakes the receivers that wait for it to change.
    ///
    /// The old value is dropped.
    ///
    /// # Errors
    ///
    /// Gives the new value back if there is no receiver. [`send_replace`](Self::send_replace)
    /// sets it for those to come.
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        if self.is_closed() {
            return Err(SendError(value));
        }
        drop(self.send_replace(value));
        Ok(())
    }

    /// Replaces the value also when nobody receives, and gives the old one.
    pub fn send_replace(&self, mut value: T) -> T {
        self.send_modify(|there| mem::swap(there, &mut value));
        value
    }

    /// Changes the value in place, and wakes the receivers that wait for it to change.
    ///
    /// # Panics
    ///
    /// If `modify` does. What it did until then can be seen, but nobody is told of it.
    ///
    /// # Examples
    ///
    /// ```
    /// let (tx, rx) = annulus::channel::watch::channel(vec![1]);
    /// tx.send_modify(|list| list.push(2));
    /// assert_eq!(*rx.borrow(), [1, 2]);
    /// ```
    pub fn send_modify(&self, modify: impl FnOnce(&mut T)) {
        self.send_if_modified(|value| {
            modify(value);
            true
        });
    }

    /// Changes the value in place, and wakes receivers if `modify` says that it did.
    ///
    /// Returns what `modify` says.
    ///
    /// # Panics
    ///
    /// If `modify` does. What it did until then can be seen, but nobody is told of it.
    ///
    /// # Examples
    ///
    /// ```
    /// let (tx, rx) = annulus::channel::watch::channel(7);
    /// let raise = |to| tx.send_if_modified(|n| *n < to && { *n = to; true });
    /// assert!(!raise(5));
    /// assert_eq!(rx.has_changed(), Ok(false));
    /// assert!(raise(9));
    /// assert_eq!(rx.has_changed(), Ok(true));
    /// ```
    pub fn send_if_modified(&self, modify: impl FnOnce(&mut T) -> bool) -> bool {
        self.shared.modify(modify)
    }

    /// The value as it is now.
    pub fn borrow(&self) -> Ref<'_, T> {
        Ref(self.shared.read().0)
    }

    /// Makes a receiver that counts the value of now as seen.
    pub fn subscribe(&self) -> Receiver<T> {
        self.shared.add_receiver();
        Receiver { shared: Arc::clone(&self.shared), seen: self.shared.version().0 }
    }

    /// Whether there is no receiver. There may be one later: see [`subscribe`](Self::subscribe).
    #[doc(alias = "is_disconnected")]
    pub fn is_closed(&self) -> bool {
        self.shared.is_deserted()
    }

    /// Waits until there is no receiver, to stop work nobody waits for.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub fn closed(&self) -> Closed<'_, T> {
        Closed::new(&self.shared)
    }

    /// How many receivers there are.
    pub fn receiver_count(&self) -> usize {
        self.shared.receivers()
    }

    /// Whether the two belong to one channel.
    pub fn same_channel(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

impl<T> Receiver<T> {
    /// The value as it is now; seen or not, that stays as it was.
    pub fn borrow(&self) -> Ref<'_, T> {
        Ref(self.shared.read().0)
    }

    /// The value as it is now, which counts as seen from here on.
    pub fn borrow_and_update(&mut self) -> Ref<'_, T> {
        let (value, version) = self.shared.read();
        self.seen = version;
        Ref(value)
    }

    /// Whether the value is one that this receiver has not seen.
    ///
    /// # Errors
    ///
    /// If it has seen the last one: the senders are gone.
    pub fn has_changed(&self) -> Result<bool, RecvError> {
        self.shared.news(self.seen).map_or(Ok(false), |news| news.map(|_| true))
    }

    /// Waits for a value that this receiver has not seen, and counts it as seen.
    ///
    /// # Errors
    ///
    /// If it has seen the last one: the senders are gone.
    ///
    /// # Cancel safety
    ///
    /// A wait that is dropped has counted nothing as seen: only the poll that says so does.
    ///
    /// # Examples
    ///
    /// ```
    /// # annulus::block_on(async {
    /// let (tx, mut rx) = annulus::channel::watch::channel(0);
    /// annulus::spawn(async move { (1..=3).try_for_each(|n| tx.send(n)) });
    /// let mut last = 0;
    /// while rx.changed().await.is_ok() {
    ///     last = *rx.borrow_and_update();
    /// }
    /// assert_eq!(last, 3); // the values between may be missed, the last one not
    /// # });
    /// ```
    pub fn changed(&mut self) -> Changed<'_, T> {
        Changed::new(&self.shared, &mut self.seen)
    }

    /// Waits on a plain thread for a value that was not seen; not inside a task.
    ///
    /// # Errors
    ///
    /// As for [`changed`](Self::changed).
    ///
    /// # Panics
    ///
    /// Inside a task or `block_on`, where it would block a worker.
    #[track_caller]
    pub fn changed_blocking(&mut self) -> Result<(), RecvError> {
        may_block::check("changed_blocking", "`changed().await`");
        thread::block_on(self.changed())
    }

    /// Waits until the value, seen or not, is as `wanted` asks, and gives it, seen.
    ///
    /// `wanted` is asked once about each version that this sees, with the value locked.
    ///
    /// # Errors
    ///
    /// If the last value is not as wanted: the senders are gone.
    ///
    /// # Panics
    ///
    /// If `wanted` does.
    ///
    /// # Cancel safety
    ///
    /// A wait that is dropped loses nothing but what `wanted` has said no to, which is seen.
    pub fn wait_for<F: FnMut(&T) -> bool>(&mut self, wanted: F) -> WaitFor<'_, T, F> {
        WaitFor::new(&self.shared, &mut self.seen, wanted)
    }

    /// Waits on a plain thread until the value is as `wanted` asks; not inside a task.
    ///
    /// # Errors
    ///
    /// As for [`wait_for`](Self::wait_for).
    ///
    /// # Panics
    ///
    /// Inside a task or `block_on`, where it would block a worker.
    #[track_caller]
    pub fn wait_for_blocking<F>(&mut self, wanted: F) -> Result<Ref<'_, T>, RecvError>
    where
        F: FnMut(&T) -> bool,
    {
        may_block::check("wait_for_blocking", "`wait_for(wanted).await`");
        thread::block_on(self.wait_for(wanted))
    }

    /// Counts the value of now as not seen.
    pub fn mark_changed(&mut self) {
        self.seen = shared::before(self.shared.version().0);
    }

    /// Counts the value of now as seen.
    #[doc(alias = "mark_seen")]
    pub fn mark_unchanged(&mut self) {
        self.seen = self.shared.version().0;
    }

    /// Whether the two belong to one channel.
    pub fn same_channel(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.shared.add_sender();
        Self { shared: Arc::clone(&self.shared) }
    }
}

/// The clone has seen what this has seen.
impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        self.shared.add_receiver();
        Self { shared: Arc::clone(&self.shared), seen: self.seen }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.shared.drop_sender();
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.shared.drop_receiver();
    }
}

impl<T> Deref for Ref<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: fmt::Debug> fmt::Debug for Ref<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        T::fmt(self, f)
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = self.shared.changes();
        let receivers = self.receiver_count();
        f.debug_struct("Sender").field("version", &version).field("receivers", &receivers).finish()
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (version, closed) = self.shared.version();
        let changed = version != self.seen;
        f.debug_struct("Receiver").field("changed", &changed).field("closed", &closed).finish()
    }
}

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the senders are gone and no change will come; borrow has the last value")
    }
}

impl Error for RecvError {}
