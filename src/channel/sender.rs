//! The sending handle.

use std::fmt;
use std::time::{Duration, Instant};

use super::blocking;
use super::core::{Channel, OnDrop, SendTicket};
use super::error::{SendError, SendTimeoutError, TrySendError};
use super::future::{ClosedFuture, SendFuture};
use super::{Kind, Mpmc, State, Topology};
use crate::primitive::Arc;
use crate::ring::{Multi, Single};
use crate::wait::WaitSide;
use crate::wait::thread::after;

/// The sending end of a channel.
///
/// Of an [`Mpsc`](super::Mpsc) or [`Mpmc`] channel it is `Clone` and sends through `&self`; of an
/// [`Spsc`](super::Spsc) or [`Spmc`](super::Spmc) channel there is one, and it sends through
/// `&mut self`. When the last one is dropped the channel closes: receivers get what is in it,
/// and then `None`.
pub struct Sender<T, K: Kind = Mpmc> {
    pub(super) channel: Arc<Channel<T, K::Tx, K::Rx>>,
    /// For `poll_reserve`: its place in the queue, and whether it has got room.
    pub(super) ticket: SendTicket<K::Tx>,
    pub(super) reserved: bool,
}

impl<T, K: Kind> Sender<T, K> {
    /// A sender that has been counted already, as the first one is.
    pub(super) fn first(channel: Arc<Channel<T, K::Tx, K::Rx>>) -> Self {
        Self { channel, ticket: Default::default(), reserved: false }
    }

    /// Closes the channel for all: no more is sent, receivers drain what is there.
    ///
    /// Returns false if it was closed already. Waiting sends get their message back.
    pub fn close(&self) -> bool {
        self.channel.close()
    }

    /// The number of messages in the channel, within `0..=capacity()` at every instant.
    pub fn len(&self) -> usize {
        self.channel.ring.len()
    }

    /// The number of messages that the channel can hold.
    #[doc(alias = "max_capacity")]
    pub fn capacity(&self) -> usize {
        self.channel.ring.capacity()
    }

    /// Whether no message is in the channel.
    pub fn is_empty(&self) -> bool {
        self.channel.ring.is_empty()
    }

    /// Whether the channel holds as many messages as it can.
    pub fn is_full(&self) -> bool {
        self.channel.ring.is_full()
    }

    /// Whether sending is no use: the receivers are gone, or somebody closed the channel.
    #[doc(alias = "is_disconnected")]
    pub fn is_closed(&self) -> bool {
        self.channel.ring.is_closed()
    }

    /// The number of senders.
    #[doc(alias = "strong_count")]
    pub fn sender_count(&self) -> usize {
        self.channel.sender_count()
    }

    /// The number of receivers.
    pub fn receiver_count(&self) -> usize {
        self.channel.receiver_count()
    }

    /// Whether both send to the same channel.
    pub fn same_channel(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.channel, &other.channel)
    }

    /// Waits until the channel is closed: the receivers are gone, or somebody closed it.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    ///
    /// # Examples
    ///
    /// ```
    /// # annulus::block_on(async {
    /// let (tx, rx) = annulus::channel::mpsc::<u8>(1);
    /// annulus::spawn(async move { drop(rx) });
    /// tx.closed().await;
    /// assert!(tx.is_closed());
    /// # });
    /// ```
    pub fn closed(&self) -> ClosedFuture<'_, T, K> {
        ClosedFuture::new(&self.channel)
    }

    /// Where the channel is in its life.
    pub fn state(&self) -> State {
        self.channel.state()
    }
}

impl<T, C: WaitSide> Sender<T, Topology<Multi, C>> {
    /// Sends a message, waiting while the channel is full.
    ///
    /// # Errors
    ///
    /// Gives the message back if the channel is closed, or closes while this waits.
    ///
    /// # Cancel safety
    ///
    /// A send that is dropped has not sent: the message is dropped with the future. A wake that
    /// it had got goes to the next waiting sender.
    ///
    /// # Examples
    ///
    /// ```
    /// # annulus::block_on(async {
    /// let (tx, rx) = annulus::channel::mpmc(1);
    /// tx.send(1).await?;
    /// drop(rx);
    /// assert_eq!(tx.send(2).await.unwrap_err().into_inner(), 2);
    /// # Ok::<_, annulus::channel::SendError<i32>>(()) }).unwrap();
    /// ```
    #[doc(alias = "send_async")]
    #[inline]
    pub fn send(&self, message: T) -> SendFuture<'_, T, Topology<Multi, C>> {
        // SAFETY: the side is Multi.
        unsafe { SendFuture::new(&self.channel, message) }
    }

    /// Sends a message if there is room at once.
    ///
    /// # Errors
    ///
    /// Gives the message back if the channel is full or closed.
    #[inline]
    pub fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        // SAFETY: the side is Multi.
        unsafe { self.channel.try_send(message) }
    }

    /// Sends a message from a plain thread, which sleeps while the channel is full.
    ///
    /// Not for use inside a task: it would stop the worker under it, and every task there.
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
        // SAFETY: the side is Multi.
        unsafe { blocking::send::<T, Topology<Multi, C>>(&self.channel, message) }
    }

    /// As [`send_blocking`](Self::send_blocking), for so long at most; 0 tries once.
    ///
    /// # Errors
    ///
    /// Gives the message back if the time is over, or the channel is closed.
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
        // SAFETY: the side is Multi.
        unsafe {
            blocking::send_until::<T, Topology<Multi, C>>(&self.channel, message, after(timeout))
        }
    }

    /// As [`send_blocking`](Self::send_blocking), until then at most; the past tries once.
    ///
    /// # Errors
    ///
    /// Gives the message back if the time is over, or the channel is closed.
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
        // SAFETY: the side is Multi.
        unsafe {
            blocking::send_until::<T, Topology<Multi, C>>(&self.channel, message, Some(deadline))
        }
    }
}

impl<T, C: WaitSide> Sender<T, Topology<Single, C>> {
    /// Sends a message, waiting while the channel is full.
    ///
    /// # Errors
    ///
    /// Gives the message back if the channel is closed, or closes while this waits.
    ///
    /// # Cancel safety
    ///
    /// A send that is dropped has not sent: the message is dropped with the future.
    ///
    /// # Examples
    ///
    /// ```
    /// # annulus::block_on(async {
    /// let (mut tx, mut rx) = annulus::channel::spsc(1);
    /// annulus::spawn(async move { tx.send("from the task").await });
    /// assert_eq!(rx.recv().await, Some("from the task"));
    /// # });
    /// ```
    #[doc(alias = "send_async")]
    #[inline]
    pub fn send(&mut self, message: T) -> SendFuture<'_, T, Topology<Single, C>> {
        // SAFETY: this is the only sender, it cannot be cloned, and the future keeps `&mut self`.
        unsafe { SendFuture::new(&self.channel, message) }
    }

    /// Sends a message if there is room at once.
    ///
    /// # Errors
    ///
    /// Gives the message back if the channel is full or closed.
    #[inline]
    pub fn try_send(&mut self, message: T) -> Result<(), TrySendError<T>> {
        // SAFETY: this is the only sender, it cannot be cloned, and we have `&mut self`.
        unsafe { self.channel.try_send(message) }
    }

    /// Sends a message from a plain thread, which sleeps while the channel is full.
    ///
    /// Not for use inside a task: it would stop the worker under it, and every task there.
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
    pub fn send_blocking(&mut self, message: T) -> Result<(), SendError<T>> {
        // SAFETY: this is the only sender, it cannot be cloned, and we have `&mut self`.
        unsafe { blocking::send::<T, Topology<Single, C>>(&self.channel, message) }
    }

    /// As [`send_blocking`](Self::send_blocking), for so long at most; 0 tries once.
    ///
    /// # Errors
    ///
    /// Gives the message back if the time is over, or the channel is closed.
    ///
    /// # Panics
    ///
    /// Inside a task or `block_on`, where it would block a worker.
    #[track_caller]
    pub fn send_timeout_blocking(
        &mut self,
        message: T,
        timeout: Duration,
    ) -> Result<(), SendTimeoutError<T>> {
        // SAFETY: this is the only sender, it cannot be cloned, and we have `&mut self`.
        unsafe {
            blocking::send_until::<T, Topology<Single, C>>(&self.channel, message, after(timeout))
        }
    }

    /// As [`send_blocking`](Self::send_blocking), until then at most; the past tries once.
    ///
    /// # Errors
    ///
    /// Gives the message back if the time is over, or the channel is closed.
    ///
    /// # Panics
    ///
    /// Inside a task or `block_on`, where it would block a worker.
    #[track_caller]
    pub fn send_deadline_blocking(
        &mut self,
        message: T,
        deadline: Instant,
    ) -> Result<(), SendTimeoutError<T>> {
        // SAFETY: this is the only sender, it cannot be cloned, and we have `&mut self`.
        unsafe {
            blocking::send_until::<T, Topology<Single, C>>(&self.channel, message, Some(deadline))
        }
    }
}

impl<T, P: WaitSide> Sender<T, Topology<P, Multi>> {
    /// Sends at once, in place of the oldest message if the channel is full; gives that back.
    ///
    /// Only where there may be many receivers, so that taking a message from the other end is
    /// nothing unheard of. `&mut self`, because there may be but one sender; of many, clone one.
    ///
    /// # Errors
    ///
    /// Gives the message back if the channel is closed, or if all its room is held by permits.
    ///
    /// # Examples
    ///
    /// ```
    /// let (mut tx, rx) = annulus::channel::spmc(2);
    /// assert_eq!(tx.force_send(1), Ok(None));
    /// assert_eq!(tx.force_send(2), Ok(None));
    /// assert_eq!(tx.force_send(3), Ok(Some(1)));
    /// assert_eq!(rx.drain().collect::<Vec<_>>(), [2, 3]);
    /// ```
    #[doc(alias = "force_push")]
    pub fn force_send(&mut self, message: T) -> Result<Option<T>, TrySendError<T>> {
        // SAFETY: on a Single side this is the only sender, and we have `&mut self`.
        unsafe { self.channel.force_send(message) }
    }
}

impl<T, C: WaitSide> Clone for Sender<T, Topology<Multi, C>> {
    fn clone(&self) -> Self {
        self.channel.add_sender();
        Self::first(Arc::clone(&self.channel))
    }
}

impl<T, K: Kind> Drop for Sender<T, K> {
    fn drop(&mut self) {
        // SAFETY: no future of ours is left, since it would borrow this handle; here and below.
        // Each of the three may call a waker, which may panic: the others are done all the same.
        let _count = OnDrop(|| unsafe { self.channel.drop_sender() });
        // SAFETY: as above, and the permit is ours.
        let _room = OnDrop(|| unsafe { self.channel.unreserve(usize::from(self.reserved)) });
        // SAFETY: as above.
        unsafe { self.channel.cancel_send(&mut self.ticket) };
    }
}

impl<T, K: Kind> fmt::Debug for Sender<T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .field("state", &self.state())
            .finish()
    }
}
