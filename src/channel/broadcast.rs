//! A channel whose every receiver sees every message.
//!
//! Senders never wait: when the channel is full, the oldest message goes, and a receiver that had
//! not seen it is told how many it has missed.
//!
//! A message stays until the last receiver has seen it, or a newer one needs its place (`log.rs`).
//! The last receiver to see it gets the message itself, the others a clone.
//!
//! No code of a user's runs under the channel's lock: a receiver takes a reference to the message
//! there and clones it afterwards, and what is overwritten drops after the lock, too. So messages
//! are shared between threads and have to be `Sync`, unlike those of a queue. The alternative, a
//! lock around each clone, would let one slow clone stop the senders.
//!
//! # Examples
//!
//! ```
//! use annulus::channel::broadcast;
//!
//! annulus::block_on(async {
//!     let (tx, mut left) = broadcast::channel(16);
//!     let mut right = tx.subscribe();
//!     assert_eq!(tx.send("to both"), Ok(2));
//!     assert_eq!(left.recv().await, Ok("to both"));
//!     assert_eq!(right.recv().await, Ok("to both"));
//! });
//! ```

mod error;
mod log;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

pub use self::error::{RecvError, SendError, TryRecvError};
use self::log::{Lagged, Log, Message};
use crate::primitive::{Arc, Mutex, MutexGuard};
use crate::util::may_block;
use crate::wait::queue::Ticket;
use crate::wait::{Event, thread};

/// Makes a channel that keeps `capacity` messages for receivers that have not seen them.
///
/// # Panics
///
/// If `capacity` is 0.
///
/// # Examples
///
/// A receiver that comes late goes on with the oldest message that is left.
///
/// ```
/// use annulus::channel::broadcast::{self, RecvError};
///
/// let (tx, mut rx) = broadcast::channel(2);
/// for n in 1..=5 {
///     tx.send(n)?;
/// }
/// assert_eq!(rx.recv_blocking(), Err(RecvError::Lagged(3)));
/// assert_eq!(rx.recv_blocking(), Ok(4));
/// # Ok::<_, broadcast::SendError<i32>>(())
/// ```
#[track_caller]
pub fn channel<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    assert!(capacity > 0, "a channel needs room for at least 1 message; capacity 0 was asked for");
    let state = Mutex::new(State { log: Log::new(capacity), senders: 1 });
    let shared = Arc::new(Shared { state, moved: Event::default() });
    (Sender { shared: Arc::clone(&shared) }, Receiver { shared, next: 0 })
}

/// The sending end, of which there may be any number.
///
/// When the last one is dropped, receivers get what is kept for them and then
/// [`Closed`](RecvError::Closed).
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
}

/// The receiving end; others come from [`resubscribe`](Self::resubscribe) and
/// [`Sender::subscribe`].
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
    /// The number of the next message that it has not seen; written with the state locked.
    next: u64,
}

/// Waits for a message; made by [`Receiver::recv`].
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct RecvFuture<'a, T> {
    receiver: &'a mut Receiver<T>,
    ticket: Ticket,
}

struct Shared<T> {
    state: Mutex<State<T>>,
    /// That a message came, or the last sender went.
    moved: Event,
}

struct State<T> {
    log: Log<T>,
    senders: usize,
}

impl<T> State<T> {
    fn pull(&mut self, next: &mut u64) -> Result<Message<T>, TryRecvError> {
        match self.log.pull(next) {
            Ok(None) if self.senders == 0 => Err(TryRecvError::Closed),
            Ok(None) => Err(TryRecvError::Empty),
            Ok(Some(message)) => Ok(message),
            Err(Lagged(missed)) => Err(TryRecvError::Lagged(missed)),
        }
    }
}

impl<T> Shared<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock()
    }

    fn capacity(&self) -> usize {
        self.state().log.capacity()
    }

    /// A new receiver, for what comes from now on.
    fn subscribe(this: &Arc<Self>) -> Receiver<T> {
        let mut state = this.state();
        Receiver { shared: Arc::clone(this), next: state.log.enter() }
    }
}

impl<T> Sender<T> {
    /// Sends a message to every receiver there is, and says how many; never waits.
    ///
    /// If the channel is full the oldest message is dropped, whoever has not seen it.
    ///
    /// # Errors
    ///
    /// Gives the message back if there is no receiver. There may be one later: see
    /// [`subscribe`](Self::subscribe).
    #[doc(alias = "broadcast")]
    pub fn send(&self, message: T) -> Result<usize, SendError<T>> {
        let mut state = self.shared.state();
        let receivers = state.log.receivers();
        if receivers == 0 {
            return Err(SendError(message));
        }
        // Dropped last, when everybody has been woken: it may panic.
        let _displaced = state.log.push(message);
        let awaited = self.shared.moved.is_awaited();
        drop(state);
        if awaited {
            self.shared.moved.notify_waiters();
        }
        Ok(receivers)
    }

    /// Makes a receiver that sees the messages sent from now on.
    #[doc(alias = "new_receiver")]
    pub fn subscribe(&self) -> Receiver<T> {
        Shared::subscribe(&self.shared)
    }

    /// How many receivers there are.
    pub fn receiver_count(&self) -> usize {
        self.shared.state().log.receivers()
    }

    /// The number of messages that some receiver has not seen, within `0..=capacity`.
    pub fn len(&self) -> usize {
        self.shared.state().log.len()
    }

    /// Whether every receiver has seen every message.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the two belong to one channel.
    pub fn same_channel(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

impl<T: Clone> Receiver<T> {
    /// Receives the next message, waiting for one.
    ///
    /// # Errors
    ///
    /// [`RecvError::Lagged`] if messages were overwritten before this receiver saw them: the
    /// next receive gives the oldest that is left. [`RecvError::Closed`] if no message is left
    /// and no sender.
    ///
    /// # Panics
    ///
    /// If `T::clone` does. The message counts as received; the channel goes on.
    ///
    /// # Cancel safety
    ///
    /// A receive that is dropped has taken nothing: the message is passed over only in the poll
    /// that returns it.
    ///
    /// # Examples
    ///
    /// ```
    /// # annulus::block_on(async {
    /// use annulus::channel::broadcast::{self, RecvError};
    ///
    /// let (tx, mut rx) = broadcast::channel(4);
    /// annulus::spawn(async move { tx.send("last") });
    /// assert_eq!(rx.recv().await, Ok("last"));
    /// assert_eq!(rx.recv().await, Err(RecvError::Closed));
    /// # });
    /// ```
    #[doc(alias = "recv_async")]
    pub fn recv(&mut self) -> RecvFuture<'_, T> {
        RecvFuture { receiver: self, ticket: Ticket::default() }
    }

    /// Receives the next message if there is one.
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv), and [`TryRecvError::Empty`] if a message may still come.
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        let message = self.shared.state().pull(&mut self.next);
        message.map(Message::into_inner)
    }

    /// Receives on a plain thread, which sleeps while there is no message.
    ///
    /// Not for use inside a task: it would stop the worker under it, and every task there.
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv).
    ///
    /// # Panics
    ///
    /// Inside a task or `block_on`, where it would block a worker.
    #[doc(alias = "blocking_recv")]
    #[track_caller]
    pub fn recv_blocking(&mut self) -> Result<T, RecvError> {
        may_block::check("recv_blocking", "`recv().await`");
        thread::block_on(self.recv())
    }
}

impl<T> Receiver<T> {
    /// Makes a receiver that sees the messages sent from now on.
    #[doc(alias = "new_receiver")]
    pub fn resubscribe(&self) -> Self {
        Shared::subscribe(&self.shared)
    }

    /// The number of messages that are kept for this receiver, without those it has missed.
    pub fn len(&self) -> usize {
        self.shared.state().log.len_from(self.next)
    }

    /// Whether this receiver has seen every message.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the senders are gone; messages may remain.
    #[doc(alias = "is_disconnected")]
    pub fn is_closed(&self) -> bool {
        self.sender_count() == 0
    }

    /// How many senders there are.
    pub fn sender_count(&self) -> usize {
        self.shared.state().senders
    }
}

impl<T: Clone> Future for RecvFuture<'_, T> {
    type Output = Result<T, RecvError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { receiver: Receiver { shared, next }, ticket } = self.get_mut();
        let pulled = shared.moved.poll_until(ticket, cx, || match shared.state().pull(next) {
            Ok(message) => Some(Ok(message)),
            Err(TryRecvError::Lagged(missed)) => Some(Err(RecvError::Lagged(missed))),
            Err(TryRecvError::Closed) => Some(Err(RecvError::Closed)),
            Err(TryRecvError::Empty) => None,
        });
        Poll::Ready(ready!(pulled).map(Message::into_inner))
    }
}

impl<T> Drop for RecvFuture<'_, T> {
    fn drop(&mut self) {
        // Cancel: no message was passed over.
        self.receiver.shared.moved.leave(&mut self.ticket);
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.shared.state().senders += 1;
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.senders -= 1;
        let closed = state.senders == 0;
        drop(state);
        if closed {
            self.shared.moved.notify();
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let gone = self.shared.state().log.leave(self.next);
        drop(gone);
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("len", &self.len())
            .field("capacity", &self.shared.capacity())
            .field("receivers", &self.receiver_count())
            .finish()
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("len", &self.len())
            .field("capacity", &self.shared.capacity())
            .field("closed", &self.is_closed())
            .finish()
    }
}

impl<T> fmt::Debug for RecvFuture<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecvFuture").field("receiver", self.receiver).finish()
    }
}
