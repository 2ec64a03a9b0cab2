//! The futures that `send` and `recv` return.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::Kind;
use super::core::{Channel, RecvTicket, SendTicket};
use super::error::SendError;
use crate::wait::queue::Ticket;

/// Waits until the channel has room, and sends; made by `Sender::send`.
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct SendFuture<'a, T, K: Kind> {
    channel: &'a Channel<T, K::Tx, K::Rx>,
    /// Here until it is in the ring.
    message: Option<T>,
    ticket: SendTicket<K::Tx>,
}

/// Waits for a message; made by `Receiver::recv`.
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct RecvFuture<'a, T, K: Kind> {
    channel: &'a Channel<T, K::Tx, K::Rx>,
    ticket: RecvTicket<K::Rx>,
}

/// Waits until the channel is closed; made by `Sender::closed`.
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct ClosedFuture<'a, T, K: Kind> {
    channel: &'a Channel<T, K::Tx, K::Rx>,
    ticket: Ticket,
}

impl<'a, T, K: Kind> ClosedFuture<'a, T, K> {
    pub(super) fn new(channel: &'a Channel<T, K::Tx, K::Rx>) -> Self {
        Self { channel, ticket: Ticket::default() }
    }
}

impl<T, K: Kind> Future for ClosedFuture<'_, T, K> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { channel, ticket } = self.get_mut();
        channel.poll_closed(ticket, cx)
    }
}

impl<T, K: Kind> Drop for ClosedFuture<'_, T, K> {
    fn drop(&mut self) {
        // Cancel: nothing is lost; everybody is told of the end.
        self.channel.cancel_closed(&mut self.ticket);
    }
}

impl<T, K: Kind> fmt::Debug for ClosedFuture<'_, T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClosedFuture").field("ticket", &self.ticket).finish_non_exhaustive()
    }
}

// The message is moved, never pinned.
impl<T, K: Kind> Unpin for SendFuture<'_, T, K> {}

impl<'a, T, K: Kind> SendFuture<'a, T, K> {
    /// # Safety
    ///
    /// If the senders' side is Single, the borrow `'a` is of its one handle, exclusively.
    #[inline]
    pub(super) unsafe fn new(channel: &'a Channel<T, K::Tx, K::Rx>, message: T) -> Self {
        Self { channel, message: Some(message), ticket: Default::default() }
    }
}

impl<T, K: Kind> SendFuture<'_, T, K> {
    /// The message that was not sent.
    pub(crate) fn take_back(mut self) -> T {
        self.message.take().expect("this send has not completed")
    }
}

impl<'a, T, K: Kind> RecvFuture<'a, T, K> {
    /// # Safety
    ///
    /// If the receivers' side is Single, the borrow `'a` is of its one handle, exclusively.
    #[inline]
    pub(super) unsafe fn new(channel: &'a Channel<T, K::Tx, K::Rx>) -> Self {
        Self { channel, ticket: Default::default() }
    }
}

impl<T, K: Kind> Future for SendFuture<'_, T, K> {
    type Output = Result<(), SendError<T>>;

    /// # Panics
    ///
    /// When polled again after it was ready.
    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { channel, message, ticket } = self.get_mut();
        assert!(message.is_some(), "this send has completed; it cannot be polled again");
        // SAFETY: `new`'s contract: nobody else uses a Single side during `'a`.
        ready!(unsafe { channel.poll_send(ticket, message, cx) });
        Poll::Ready(match message.take() {
            None => Ok(()),
            Some(message) => Err(SendError(message)),
        })
    }
}

impl<T, K: Kind> Future for RecvFuture<'_, T, K> {
    type Output = Option<T>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let Self { channel, ticket } = self.get_mut();
        // SAFETY: `new`'s contract: nobody else uses a Single side during `'a`.
        unsafe { channel.poll_recv(ticket, cx) }
    }
}

impl<T, K: Kind> Drop for SendFuture<'_, T, K> {
    #[inline]
    fn drop(&mut self) {
        // Cancel: the message was not sent and drops with the future; a wake goes to the next.
        // SAFETY: `new`'s contract: nobody else uses a Single side during `'a`.
        unsafe { self.channel.cancel_send(&mut self.ticket) };
    }
}

impl<T, K: Kind> Drop for RecvFuture<'_, T, K> {
    #[inline]
    fn drop(&mut self) {
        // Cancel: no message was taken; a wake goes to the next.
        // SAFETY: `new`'s contract: nobody else uses a Single side during `'a`.
        unsafe { self.channel.cancel_recv(&mut self.ticket) };
    }
}

impl<T, K: Kind> fmt::Debug for SendFuture<'_, T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendFuture").field("sent", &self.message.is_none()).finish()
    }
}

impl<T, K: Kind> fmt::Debug for RecvFuture<'_, T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecvFuture").finish_non_exhaustive()
    }
}
