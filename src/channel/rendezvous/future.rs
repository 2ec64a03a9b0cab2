//! The futures of a rendezvous.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::super::error::SendError;
use super::shared::{RecvTicket, Shared, Stage};

/// Waits until a receiver has taken the message; made by [`Sender::send`](super::Sender::send).
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct SendFuture<'a, T> {
    shared: &'a Shared<T>,
    stage: Stage<T>,
}

/// Waits for a message; made by [`Receiver::recv`](super::Receiver::recv).
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct RecvFuture<'a, T> {
    shared: &'a Shared<T>,
    ticket: RecvTicket,
}

impl<'a, T> SendFuture<'a, T> {
    pub(super) fn new(shared: &'a Shared<T>, message: T) -> Self {
        Self { shared, stage: Stage::Holds(message) }
    }

    /// Gives the send up: the message, or `None` if a receiver has it.
    ///
    /// A send that is merely dropped does the same, and does not tell.
    ///
    /// # Panics
    ///
    /// If the send has completed, since that has told what became of the message.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::future::poll_fn;
    /// use std::pin::Pin;
    /// use std::task::Poll;
    ///
    /// # annulus::block_on(async {
    /// let (tx, rx) = annulus::channel::rendezvous::channel();
    /// for receive in [true, false] {
    ///     let mut send = tx.send("hello");
    ///     poll_fn(|cx| Poll::Ready(Pin::new(&mut send).poll(cx))).await;
    ///     if receive {
    ///         assert_eq!(rx.try_recv(), Ok("hello"));
    ///     }
    ///     let message = send.cancel();
    ///     assert_eq!(message, if receive { None } else { Some("hello") });
    /// }
    /// # });
    /// ```
    #[track_caller]
    pub fn cancel(mut self) -> Option<T> {
        assert!(
            !matches!(self.stage, Stage::Done),
            "this send has completed; its result says what became of the message"
        );
        self.shared.give_up(&mut self.stage)
    }
}

impl<'a, T> RecvFuture<'a, T> {
    pub(super) fn new(shared: &'a Shared<T>) -> Self {
        Self { shared, ticket: RecvTicket::default() }
    }
}

// The message is moved, never pinned.
impl<T> Unpin for SendFuture<'_, T> {}

impl<T> Future for SendFuture<'_, T> {
    type Output = Result<(), SendError<T>>;

    /// # Panics
    ///
    /// When polled again after it was ready.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { shared, stage } = self.get_mut();
        shared.poll_send(stage, cx)
    }
}

impl<T> Future for RecvFuture<'_, T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let Self { shared, ticket } = self.get_mut();
        shared.poll_recv(ticket, cx)
    }
}

impl<T> Drop for SendFuture<'_, T> {
    fn drop(&mut self) {
        // Cancel: the message is not on offer any more and drops here, unless a receiver has it.
        drop(self.shared.give_up(&mut self.stage));
    }
}

impl<T> Drop for RecvFuture<'_, T> {
    fn drop(&mut self) {
        // Cancel: no message was taken; a wake goes to the next.
        self.shared.cancel_recv(&mut self.ticket);
    }
}

impl<T> fmt::Debug for SendFuture<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match self.stage {
            Stage::Holds(_) => "Holds",
            Stage::Offered(_) => "Offered",
            Stage::Done => "Done",
        };
        f.debug_struct("SendFuture").field("stage", &format_args!("{stage}")).finish()
    }
}

impl<T> fmt::Debug for RecvFuture<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecvFuture").field("ticket", &self.ticket).finish_non_exhaustive()
    }
}
