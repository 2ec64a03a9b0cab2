//! Receiving and reserving by hand-written polls, and the `Stream` and `Sink` made of them.
//!
//! The place in the queue is kept in the handle between polls, so the handle is `Unpin`.

use std::task::{Context, Poll, ready};

use super::receiver::Handle;
use super::{Kind, Receiver, SendError, Sender};

impl<T, K: Kind> Receiver<T, K> {
    /// Ready with the oldest message, or with `None` when none will ever come.
    ///
    /// While it is Pending this handle waits in its side's queue, and the waker of the last poll
    /// will be woken. It keeps its place until it is polled again or dropped; a wake that nobody
    /// polls after is one that another receiver does not get. Of a receiver of which there is one,
    /// another wait on it, like a `recv` that is polled and dropped, ends this one: poll again.
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let Handle(channel, ticket) = &mut self.handle;
        // SAFETY: on a Single side this is the only receiver, and we have `&mut self`.
        unsafe { channel.poll_recv(ticket, cx) }
    }
}

impl<T, K: Kind> Sender<T, K> {
    /// Ready when this handle holds room for one message, for [`send_reserved`] to use.
    ///
    /// The room is kept, also over further polls, until it is used or the handle drops. Of a sender of
    /// which there is one, another wait on it, like a `send` that is polled and dropped, ends this
    /// one: poll again.
    ///
    /// # Errors
    ///
    /// If the channel is closed.
    ///
    /// [`send_reserved`]: Self::send_reserved
    #[doc(alias = "poll_ready")]
    pub fn poll_reserve(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SendError<()>>> {
        if !self.reserved {
            // SAFETY: on a Single side this is the only sender, and we have `&mut self`.
            let count = ready!(unsafe { self.channel.poll_reserve(&mut self.ticket, 1, cx) });
            if count == 0 {
                return Poll::Ready(Err(SendError(())));
            }
            self.reserved = true;
        }
        Poll::Ready(Ok(()))
    }

    /// Sends with the room that [`poll_reserve`](Self::poll_reserve) got.
    ///
    /// # Panics
    ///
    /// If there is none.
    #[track_caller]
    pub fn send_reserved(&mut self, message: T) {
        assert!(self.reserved, "no room is reserved; call poll_reserve until it is ready first");
        self.reserved = false;
        // SAFETY: on a Single side this is the only sender, and we have `&mut self`. The permit
        // that `poll_reserve` got is spent here.
        unsafe { self.channel.send_reserved(message) };
    }
}

#[cfg(feature = "futures-core")]
impl<T, K: Kind> futures_core::Stream for Receiver<T, K> {
    type Item = T;

    fn poll_next(self: std::pin::Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.get_mut().poll_recv(cx)
    }
}

#[cfg(feature = "futures-core")]
impl<T, K: Kind> futures_core::stream::FusedStream for Receiver<T, K> {
    fn is_terminated(&self) -> bool {
        self.state() == super::State::Closed
    }
}

/// Flushing does nothing, since a message that is sent is in the channel; closing closes the
/// channel for all senders, and gives up the room that `poll_ready` has got.
#[cfg(feature = "futures-sink")]
impl<T, K: Kind> futures_sink::Sink<T> for Sender<T, K> {
    type Error = SendError<()>;

    fn poll_ready(
        self: std::pin::Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Self::Error>> {
        self.get_mut().poll_reserve(cx)
    }

    fn start_send(self: std::pin::Pin<&mut Self>, message: T) -> Result<(), Self::Error> {
        self.get_mut().send_reserved(message);
        Ok(())
    }

    fn poll_flush(
        self: std::pin::Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(
        self: std::pin::Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Result<(), Self::Error>> {
        let this = self.get_mut();
        let reserved = std::mem::take(&mut this.reserved);
        // Room that is kept would hide the end from receivers.
        // SAFETY: on a Single side this is the only sender, and we have `&mut self`. The permit is
        // ours.
        unsafe { this.channel.unreserve(usize::from(reserved)) };
        this.close();
        Poll::Ready(Ok(()))
    }
}
