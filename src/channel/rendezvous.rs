//! A channel that holds nothing: a message passes when a sender and a receiver meet.
//!
//! A send is ready when a receiver has its message. So who has sent knows that the other side has
//! come this far; a channel with room tells only that the message is under way.
//!
//! Senders that wait keep their messages on offer, first come first served: a receiver takes the
//! oldest, whether its sender is running or not. What is on offer is as much as senders wait with,
//! so the channel is bounded by them.
//!
//! # Giving up
//!
//! | dropped before it was ready | what has happened |
//! |---|---|
//! | [`recv`](Receiver::recv) | nothing was taken; a wake that it had got goes to the next receiver |
//! | [`send`](Sender::send) | the message is not on offer any more and is dropped, **or** a receiver has taken it since the last poll |
//!
//! The two cannot be told apart by who just drops the future. Who has to know calls
//! [`SendFuture::cancel`], which gives the message back or says that it was received.
//! [`Sender::send_timeout_blocking`] does so: `Ok` is "received", an error has the message in it.
//!
//! # Futures that are forgotten
//!
//! A send that is neither polled nor dropped any more (`mem::forget`, or a cycle of `Rc`) leaves
//! its message on offer: a receiver may take it, and nobody is told. It stops nobody, and drops with
//! the channel if none does. A receive that is forgotten costs the one wake that goes to it: the
//! message of that wake waits for the next receive.
//!
//! # The end
//!
//! The channel closes when the last sender or the last receiver is dropped, or when somebody calls
//! `close`. At that instant every message on offer belongs to its sender again, whose send gives it
//! back. Only what [`try_send`](Sender::try_send) has sent may still be received.
//!
//! # Examples
//!
//! ```
//! use annulus::channel::rendezvous;
//!
//! annulus::block_on(async {
//!     let (tx, rx) = rendezvous::channel();
//!     let worker = annulus::spawn(async move {
//!         let mut done = Vec::new();
//!         while let Some(job) = rx.recv().await {
//!             done.push(job);
//!         }
//!         done
//!     });
//!     tx.send("first").await?; // now the worker has it, and no other
//!     tx.send("second").await?;
//!     drop(tx);
//!     assert_eq!(worker.await.unwrap(), ["first", "second"]);
//!     Ok::<_, annulus::channel::SendError<&str>>(())
//! }).unwrap();
//! ```

mod future;
mod offers;
mod select;
mod shared;

use std::fmt;
use std::pin::pin;
use std::time::{Duration, Instant};

pub use self::future::{RecvFuture, SendFuture};
use self::shared::Shared;
use super::core::add_handle;
use super::error::{RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TrySendError};
use crate::primitive::Arc;
use crate::primitive::atomic::Ordering::Relaxed;
use crate::util::may_block;
use crate::wait::thread;

/// Makes a channel that holds nothing, for any number of senders and receivers.
///
/// # Examples
///
/// ```
/// let (tx, rx) = annulus::channel::rendezvous::channel();
/// std::thread::scope(|s| {
///     s.spawn(|| tx.send_blocking("no runtime needed").unwrap());
///     assert_eq!(rx.recv_blocking(), Some("no runtime needed"));
/// });
/// ```
#[doc(alias = "bounded(0)")]
#[doc(alias = "zero")]
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(Shared::new());
    (Sender { shared: Arc::clone(&shared) }, Receiver { shared })
}

/// The end that offers messages, of which there may be any number.
///
/// When the last one is dropped the channel closes, and receivers get `None`.
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
}

/// The end that takes messages, of which there may be any number.
///
/// When the last one is dropped the channel closes, and sends that wait get their message back.
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Sender<T> {
    /// Offers a message, and waits until a receiver has taken it.
    ///
    /// # Errors
    ///
    /// Gives the message back if the channel is closed, or closes while this waits.
    ///
    /// # Cancel safety
    ///
    /// A send that is dropped takes its message off the channel and drops it, unless a receiver
    /// has taken it just before. [`SendFuture::cancel`] tells which, and gives the message back.
    pub fn send(&self, message: T) -> SendFuture<'_, T> {
        SendFuture::new(&self.shared, message)
    }

    /// Sends a message if a receiver waits for one now.
    ///
    /// It is woken to take it. Should it be dropped before it does, the message goes to the next
    /// receiver, or stays for one to come.
    ///
    /// # Errors
    ///
    /// Gives the message back if no receiver waits (`Full`), or the channel is closed.
    ///
    /// # Examples
    ///
    /// ```
    /// let (tx, rx) = annulus::channel::rendezvous::channel();
    /// assert!(tx.try_send(1).unwrap_err().is_full());
    /// std::thread::scope(|s| {
    ///     s.spawn(|| assert_eq!(rx.recv_blocking(), Some(2)));
    ///     while tx.try_send(2).is_err() {} // until the thread waits
    /// });
    /// ```
    pub fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        self.shared.try_send(message)
    }

    /// Offers a message from a plain thread, which sleeps until a receiver has taken it.
    ///
    /// # Errors
    ///
    /// Gives the message back if the channel is closed, or closes while this waits.
    ///
    /// # Panics
    ///
    /// Inside a task or `block_on`, where it would block a worker.
    #[doc(alias = "blocking_send")]
    #[track_caller]
    pub fn send_blocking(&self, message: T) -> Result<(), SendError<T>> {
        may_block::check("send_blocking", "`send(message).await`");
        thread::block_on(self.send(message))
    }

    /// As [`send_blocking`](Self::send_blocking), for so long at most.
    ///
    /// # Errors
    ///
    /// Gives the message back if no receiver took it in time, or the channel is closed.
    ///
    /// # Panics
    ///
    /// Inside a task or `block_on`, where it would block a worker.
    #[track_caller]
    pub fn send_timeout_blocking(
        &self,
        message: T,
        timeout: Duration,
    ) -> Result<(), SendTimeoutError<T>> {
        self.send_until(message, thread::after(timeout))
    }

    /// As [`send_blocking`](Self::send_blocking), until then at most.
    ///
    /// # Errors
    ///
    /// Gives the message back if no receiver took it in time, or the channel is closed.
    ///
    /// # Panics
    ///
    /// Inside a task or `block_on`, where it would block a worker.
    #[track_caller]
    pub fn send_deadline_blocking(
        &self,
        message: T,
        deadline: Instant,
    ) -> Result<(), SendTimeoutError<T>> {
        self.send_until(message, Some(deadline))
    }

    /// `None` is no end of time.
    #[track_caller]
    fn send_until(&self, message: T, deadline: Option<Instant>) -> Result<(), SendTimeoutError<T>> {
        may_block::check("a blocking send", "`send(message).await`");
        let mut send = self.send(message);
        match thread::block_on_until(pin!(&mut send), deadline) {
            Some(Ok(())) => Ok(()),
            Some(Err(SendError(message))) => Err(SendTimeoutError::Closed(message)),
            // A receiver that took it at the last moment has it.
            None => send.cancel().map_or(Ok(()), |message| Err(SendTimeoutError::Timeout(message))),
        }
    }

    /// Closes the channel for all; false if it was closed already.
    ///
    /// Waiting sends get their message back, waiting receives get `None`.
    pub fn close(&self) -> bool {
        self.shared.close()
    }

    /// Whether the channel is closed: one side is gone, or somebody closed it.
    #[doc(alias = "is_disconnected")]
    pub fn is_closed(&self) -> bool {
        self.shared.is_closed()
    }

    /// The number of senders.
    pub fn sender_count(&self) -> usize {
        self.shared.senders.load(Relaxed)
    }

    /// The number of receivers.
    pub fn receiver_count(&self) -> usize {
        self.shared.receivers.load(Relaxed)
    }

    /// Whether both are of the same channel.
    pub fn same_channel(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

impl<T> Receiver<T> {
    /// Takes the oldest message on offer, waiting for one; `None` when none will ever come.
    ///
    /// # Cancel safety
    ///
    /// A receive that is dropped has taken nothing: the message leaves its sender only in the
    /// poll that returns it. A wake that it had got goes to the next waiting receiver.
    pub fn recv(&self) -> RecvFuture<'_, T> {
        RecvFuture::new(&self.shared)
    }

    /// Takes the oldest message on offer, from a sender that waits.
    ///
    /// # Errors
    ///
    /// Says whether a message may still come.
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        self.shared.try_recv()
    }

    /// Receives on a plain thread, which sleeps while nothing is on offer.
    ///
    /// `None` when no message will ever come.
    ///
    /// # Panics
    ///
    /// Inside a task or `block_on`, where it would block a worker.
    #[doc(alias = "blocking_recv")]
    #[track_caller]
    pub fn recv_blocking(&self) -> Option<T> {
        may_block::check("recv_blocking", "`recv().await`");
        thread::block_on(self.recv())
    }

    /// As [`recv_blocking`](Self::recv_blocking), for so long at most; 0 tries once.
    ///
    /// # Errors
    ///
    /// If the time is over, or no message will ever come.
    ///
    /// # Panics
    ///
    /// Inside a task or `block_on`, where it would block a worker.
    #[track_caller]
    pub fn recv_timeout_blocking(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        self.recv_until(thread::after(timeout))
    }

    /// As [`recv_blocking`](Self::recv_blocking), until then at most; the past tries once.
    ///
    /// # Errors
    ///
    /// If the time is over, or no message will ever come.
    ///
    /// # Panics
    ///
    /// Inside a task or `block_on`, where it would block a worker.
    #[track_caller]
    pub fn recv_deadline_blocking(&self, deadline: Instant) -> Result<T, RecvTimeoutError> {
        self.recv_until(Some(deadline))
    }

    /// `None` is no end of time.
    #[track_caller]
    fn recv_until(&self, deadline: Option<Instant>) -> Result<T, RecvTimeoutError> {
        may_block::check("a blocking receive", "`recv().await`");
        let received = thread::block_on_until(pin!(self.recv()), deadline);
        received.ok_or(RecvTimeoutError::Timeout)?.ok_or(RecvTimeoutError::Closed)
    }

    /// Closes the channel for all; false if it was closed already.
    ///
    /// Waiting sends get their message back, waiting receives get `None`.
    pub fn close(&self) -> bool {
        self.shared.close()
    }

    /// Whether the channel is closed: one side is gone, or somebody closed it.
    #[doc(alias = "is_disconnected")]
    pub fn is_closed(&self) -> bool {
        self.shared.is_closed()
    }

    /// The number of senders.
    pub fn sender_count(&self) -> usize {
        self.shared.senders.load(Relaxed)
    }

    /// The number of receivers.
    pub fn receiver_count(&self) -> usize {
        self.shared.receivers.load(Relaxed)
    }

    /// Whether both are of the same channel.
    pub fn same_channel(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        add_handle(&self.shared.senders);
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.shared.drop_sender();
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.describe(&mut f.debug_struct("Sender"))
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        add_handle(&self.shared.receivers);
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.shared.drop_receiver();
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.describe(&mut f.debug_struct("Receiver"))
    }
}
