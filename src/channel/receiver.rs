//! The receiving handle, in the three states of its life.
//!
//! ```text
//!   Receiver<T, K, Open> --close--> Receiver<T, K, Closing> --into_closed--> Receiver<T, K, Closed>
//!      recv, try_recv                  try_recv, Iterator                       len() == 0
//! ```

use std::fmt;
use std::marker::PhantomData;
use std::time::{Duration, Instant};

use super::blocking;
use super::core::{Channel, OnDrop, RecvTicket};
use super::error::{RecvTimeoutError, TryRecvError};
use super::future::RecvFuture;
use super::{Closed, Closing, Kind, Mpmc, Open, State, Topology};
use crate::primitive::Arc;
use crate::ring::{Multi, Single};
use crate::wait::WaitSide;
use crate::wait::thread::after;

/// The receiving end of a channel.
///
/// Of an [`Spmc`](super::Spmc) or [`Mpmc`] channel it is `Clone` and receives through `&self`,
/// each message going to one receiver; of an [`Spsc`](super::Spsc) or [`Mpsc`](super::Mpsc)
/// channel there is one, and it receives through `&mut self`. When the last one is dropped the
/// channel closes, and the messages in it are dropped.
///
/// `S` is what this handle knows of the channel's life: [`Open`] handles can wait; [`close`]
/// makes one that can only drain, and which does not offer what makes no sense any more.
///
/// [`close`]: Receiver::close
pub struct Receiver<T, K: Kind = Mpmc, S = Open> {
    pub(super) handle: Handle<T, K>,
    state: PhantomData<fn() -> S>,
}

/// One receiver's share of the channel, and its place in the queue for `poll_recv`.
pub(super) struct Handle<T, K: Kind>(
    pub(super) Arc<Channel<T, K::Tx, K::Rx>>,
    pub(super) RecvTicket<K::Rx>,
);

impl<T, K: Kind> Drop for Handle<T, K> {
    fn drop(&mut self) {
        // SAFETY: no future of ours is left, since it would borrow this handle.
        // Also when the waker panics to which a wake is handed on.
        let _count = OnDrop(|| unsafe { self.0.drop_receiver() });
        // SAFETY: as above.
        unsafe { self.0.cancel_recv(&mut self.1) };
    }
}

impl<T, K: Kind, S> Receiver<T, K, S> {
    fn with(handle: Handle<T, K>) -> Self {
        Self { handle, state: PhantomData }
    }

    /// What the handles share.
    pub(super) fn shared(&self) -> &Arc<Channel<T, K::Tx, K::Rx>> {
        &self.handle.0
    }

    pub(super) fn channel(&self) -> &Channel<T, K::Tx, K::Rx> {
        &self.handle.0
    }

    /// The number of messages in the channel, within `0..=capacity()` at every instant.
    pub fn len(&self) -> usize {
        self.channel().ring.len()
    }

    /// The number of messages that the channel can hold.
    #[doc(alias = "max_capacity")]
    pub fn capacity(&self) -> usize {
        self.channel().ring.capacity()
    }

    /// Whether no message is in the channel.
    pub fn is_empty(&self) -> bool {
        self.channel().ring.is_empty()
    }

    /// Whether the channel holds as many messages as it can.
    pub fn is_full(&self) -> bool {
        self.channel().ring.is_full()
    }

    /// Whether nothing more will be sent: the senders are gone, or somebody closed the channel.
    ///
    /// Messages may remain; [`state`](Self::state) tells.
    #[doc(alias = "is_disconnected")]
    pub fn is_closed(&self) -> bool {
        self.channel().ring.is_closed()
    }

    /// The number of senders.
    pub fn sender_count(&self) -> usize {
        self.channel().sender_count()
    }

    /// The number of receivers.
    #[doc(alias = "strong_count")]
    pub fn receiver_count(&self) -> usize {
        self.channel().receiver_count()
    }

    /// Whether both receive from the same channel.
    pub fn same_channel(&self, other: &Self) -> bool {
        Arc::ptr_eq(self.shared(), other.shared())
    }

    /// Where the channel is in its life.
    pub fn state(&self) -> State {
        self.channel().state()
    }
}

impl<T, K: Kind> Receiver<T, K, Open> {
    /// A receiver that has been counted already, as the first one is.
    pub(super) fn first(channel: Arc<Channel<T, K::Tx, K::Rx>>) -> Self {
        Self::with(Handle(channel, Default::default()))
    }

    /// Closes the channel for all, and keeps this end to drain what is in it.
    ///
    /// Sends fail from now on, waiting sends get their message back, and no send that fails has
    /// left a message behind: what this handle drains is every message that was sent.
    ///
    /// # Examples
    ///
    /// ```
    /// let (tx, rx) = annulus::channel::mpmc(4);
    /// tx.try_send(1)?;
    /// tx.try_send(2)?;
    /// let rx = rx.close();
    /// assert!(tx.try_send(3).is_err());
    /// assert_eq!(rx.collect::<Vec<_>>(), [1, 2]);
    /// # Ok::<_, annulus::channel::TrySendError<i32>>(())
    /// ```
    pub fn close(self) -> Receiver<T, K, Closing> {
        self.channel().close();
        Receiver::with(self.handle)
    }
}

impl<T, P: WaitSide> Receiver<T, Topology<P, Multi>, Open> {
    /// Receives the oldest message, waiting for one; `None` when none will ever come.
    ///
    /// # Cancel safety
    ///
    /// A receive that is dropped has taken nothing: the message leaves the channel only in the
    /// poll that returns it. A wake that it had got goes to the next waiting receiver.
    ///
    /// # Examples
    ///
    /// ```
    /// # annulus::block_on(async {
    /// let (tx, rx) = annulus::channel::mpmc(4);
    /// tx.send("last").await?;
    /// drop(tx);
    /// assert_eq!(rx.recv().await, Some("last"));
    /// assert_eq!(rx.recv().await, None);
    /// # Ok::<_, annulus::channel::SendError<&str>>(()) }).unwrap();
    /// ```
    #[doc(alias = "recv_async")]
    #[inline]
    pub fn recv(&self) -> RecvFuture<'_, T, Topology<P, Multi>> {
        // SAFETY: the side is Multi.
        unsafe { RecvFuture::new(self.channel()) }
    }

    /// Receives the oldest message if there is one.
    ///
    /// # Errors
    ///
    /// Says whether a message may still come.
    #[inline]
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        // SAFETY: the side is Multi.
        unsafe { self.channel().try_recv() }
    }

    /// Receives on a plain thread, which sleeps while the channel is empty.
    ///
    /// `None` when no message will ever come. Not for use inside a task: it would stop the
    /// worker under it, and every task there.
    ///
    /// # Panics
    ///
    /// Inside a task or `block_on`, where it would block a worker.
    #[doc(alias = "blocking_recv")]
    #[track_caller]
    pub fn recv_blocking(&self) -> Option<T> {
        // SAFETY: the side is Multi.
        unsafe { blocking::recv::<T, Topology<P, Multi>>(self.channel()) }
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
        // SAFETY: the side is Multi.
        unsafe { blocking::recv_until::<T, Topology<P, Multi>>(self.channel(), after(timeout)) }
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
        // SAFETY: the side is Multi.
        unsafe { blocking::recv_until::<T, Topology<P, Multi>>(self.channel(), Some(deadline)) }
    }
}

impl<T, P: WaitSide> Receiver<T, Topology<P, Single>, Open> {
    /// Receives the oldest message, waiting for one; `None` when none will ever come.
    ///
    /// # Cancel safety
    ///
    /// A receive that is dropped has taken nothing: the message leaves the channel only in the
    /// poll that returns it.
    ///
    /// # Examples
    ///
    /// ```
    /// # annulus::block_on(async {
    /// let (tx, mut rx) = annulus::channel::mpsc(4);
    /// tx.send("last").await?;
    /// drop(tx);
    /// assert_eq!(rx.recv().await, Some("last"));
    /// assert_eq!(rx.recv().await, None);
    /// # Ok::<_, annulus::channel::SendError<&str>>(()) }).unwrap();
    /// ```
    #[doc(alias = "recv_async")]
    #[inline]
    pub fn recv(&mut self) -> RecvFuture<'_, T, Topology<P, Single>> {
        // SAFETY: the only receiver, it cannot be cloned, and the future keeps `&mut self`.
        unsafe { RecvFuture::new(self.channel()) }
    }

    /// Receives the oldest message if there is one.
    ///
    /// # Errors
    ///
    /// Says whether a message may still come.
    #[inline]
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        // SAFETY: this is the only receiver, it cannot be cloned, and we have `&mut self`.
        unsafe { self.channel().try_recv() }
    }

    /// Receives on a plain thread, which sleeps while the channel is empty.
    ///
    /// `None` when no message will ever come. Not for use inside a task: it would stop the
    /// worker under it, and every task there.
    ///
    /// # Panics
    ///
    /// Inside a task or `block_on`, where it would block a worker.
    #[doc(alias = "blocking_recv")]
    #[track_caller]
    pub fn recv_blocking(&mut self) -> Option<T> {
        // SAFETY: this is the only receiver, it cannot be cloned, and we have `&mut self`.
        unsafe { blocking::recv::<T, Topology<P, Single>>(self.channel()) }
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
    pub fn recv_timeout_blocking(&mut self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        // SAFETY: this is the only receiver, it cannot be cloned, and we have `&mut self`.
        unsafe { blocking::recv_until::<T, Topology<P, Single>>(self.channel(), after(timeout)) }
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
    pub fn recv_deadline_blocking(&mut self, deadline: Instant) -> Result<T, RecvTimeoutError> {
        // SAFETY: this is the only receiver, it cannot be cloned, and we have `&mut self`.
        unsafe { blocking::recv_until::<T, Topology<P, Single>>(self.channel(), Some(deadline)) }
    }
}

impl<T, K: Kind> Receiver<T, K, Closing> {
    /// Takes the oldest message that is left.
    ///
    /// `None` is final, unless a [`Permit`](super::Permit) is out with which one more may be sent.
    #[inline]
    pub fn try_recv(&mut self) -> Option<T> {
        // SAFETY: on a Single side this is the only receiver, and we have `&mut self`.
        unsafe { self.channel().try_recv() }.ok()
    }

    /// Proves by its type that nothing is left.
    ///
    /// # Errors
    ///
    /// Gives the receiver back if messages are left to drain, or a permit is out.
    ///
    /// # Examples
    ///
    /// ```
    /// let (tx, rx) = annulus::channel::mpsc(4);
    /// tx.try_send(1)?;
    /// let mut rx = rx.close().into_closed().expect_err("one message is left");
    /// assert_eq!(rx.next(), Some(1));
    /// assert!(rx.into_closed().is_ok());
    /// # Ok::<_, annulus::channel::TrySendError<i32>>(())
    /// ```
    pub fn into_closed(self) -> Result<Receiver<T, K, Closed>, Self> {
        if self.state() == State::Closed { Ok(Receiver::with(self.handle)) } else { Err(self) }
    }
}

/// Drains what is left; never waits. Not fused, because of permits that may still be out.
impl<T, K: Kind> Iterator for Receiver<T, K, Closing> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.try_recv()
    }
}

impl<T, P: WaitSide, S> Clone for Receiver<T, Topology<P, Multi>, S> {
    fn clone(&self) -> Self {
        self.channel().add_receiver();
        Self::with(Handle(Arc::clone(self.shared()), Default::default()))
    }
}

impl<T, K: Kind, S> fmt::Debug for Receiver<T, K, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .field("state", &self.state())
            .finish()
    }
}
