//! Sending and receiving with a limit of time, for tasks.
//!
//! Here and not with the channels, which know of no runtime; for threads they have the same with
//! `_blocking` in their names.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::timeout::Delay;
use crate::channel::{
    Kind, Receiver, RecvFuture, RecvTimeoutError, SendError, SendFuture, SendTimeoutError, Sender,
    Topology,
};
use crate::ring::{Multi, Single};
use crate::wait::WaitSide;

/// Sends if there is room in time; made by `Sender::send_timeout` and `send_deadline`.
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct SendTimeoutFuture<'a, T, K: Kind> {
    /// None once it is over.
    send: Option<SendFuture<'a, T, K>>,
    delay: Delay,
}

/// Receives what comes in time; made by `Receiver::recv_timeout` and `recv_deadline`.
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct RecvTimeoutFuture<'a, T, K: Kind> {
    /// None once it is over.
    recv: Option<RecvFuture<'a, T, K>>,
    delay: Delay,
}

impl<'a, T, K: Kind> SendTimeoutFuture<'a, T, K> {
    fn new(send: SendFuture<'a, T, K>, delay: Delay) -> Self {
        Self { send: Some(send), delay }
    }
}

impl<'a, T, K: Kind> RecvTimeoutFuture<'a, T, K> {
    fn new(recv: RecvFuture<'a, T, K>, delay: Delay) -> Self {
        Self { recv: Some(recv), delay }
    }
}

impl<T, K: Kind> Future for SendTimeoutFuture<'_, T, K> {
    type Output = Result<(), SendTimeoutError<T>>;

    /// # Panics
    ///
    /// When polled again after it was ready; and as [`Sleep`](super::Sleep).
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { send, delay } = self.get_mut();
        let waiting = send.as_mut().expect("this send has completed; it cannot be polled again");
        let result = match Pin::new(waiting).poll(cx) {
            Poll::Ready(Ok(())) => Ok(()),
            Poll::Ready(Err(SendError(message))) => Err(SendTimeoutError::Closed(message)),
            Poll::Pending if delay.poll(cx).is_pending() => return Poll::Pending,
            Poll::Pending => {
                let send = send.take().expect("it was here above");
                return Poll::Ready(Err(SendTimeoutError::Timeout(send.take_back())));
            }
        };
        *send = None;
        Poll::Ready(result)
    }
}

impl<T, K: Kind> Future for RecvTimeoutFuture<'_, T, K> {
    type Output = Result<T, RecvTimeoutError>;

    /// # Panics
    ///
    /// When polled again after it was ready; and as [`Sleep`](super::Sleep).
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { recv, delay } = self.get_mut();
        let waiting = recv.as_mut().expect("this receive has completed; it cannot be polled again");
        let result = match Pin::new(waiting).poll(cx) {
            Poll::Ready(message) => message.ok_or(RecvTimeoutError::Closed),
            Poll::Pending if delay.poll(cx).is_pending() => return Poll::Pending,
            Poll::Pending => Err(RecvTimeoutError::Timeout),
        };
        // A wake that it got, and has not used, goes to the next at once.
        *recv = None;
        Poll::Ready(result)
    }
}

impl<T, C: WaitSide> Sender<T, Topology<Multi, C>> {
    /// Sends a message, waiting for so long at most; 0 tries once.
    ///
    /// The time counts from the first poll that has to wait.
    ///
    /// # Errors
    ///
    /// Gives the message back if the time is over, or the channel is closed.
    ///
    /// # Cancel safety
    ///
    /// As `send`.
    #[track_caller]
    pub fn send_timeout(
        &self,
        message: T,
        timeout: Duration,
    ) -> SendTimeoutFuture<'_, T, Topology<Multi, C>> {
        SendTimeoutFuture::new(self.send(message), Delay::after(timeout))
    }

    /// Sends a message, waiting until then at most; the past tries once.
    ///
    /// # Errors
    ///
    /// Gives the message back if the time is over, or the channel is closed.
    ///
    /// # Cancel safety
    ///
    /// As `send`.
    #[track_caller]
    pub fn send_deadline(
        &self,
        message: T,
        deadline: Instant,
    ) -> SendTimeoutFuture<'_, T, Topology<Multi, C>> {
        SendTimeoutFuture::new(self.send(message), Delay::until(deadline))
    }
}

impl<T, C: WaitSide> Sender<T, Topology<Single, C>> {
    /// Sends a message, waiting for so long at most; 0 tries once.
    ///
    /// The time counts from the first poll that has to wait.
    ///
    /// # Errors
    ///
    /// Gives the message back if the time is over, or the channel is closed.
    ///
    /// # Cancel safety
    ///
    /// As `send`.
    #[track_caller]
    pub fn send_timeout(
        &mut self,
        message: T,
        timeout: Duration,
    ) -> SendTimeoutFuture<'_, T, Topology<Single, C>> {
        SendTimeoutFuture::new(self.send(message), Delay::after(timeout))
    }

    /// Sends a message, waiting until then at most; the past tries once.
    ///
    /// # Errors
    ///
    /// Gives the message back if the time is over, or the channel is closed.
    ///
    /// # Cancel safety
    ///
    /// As `send`.
    #[track_caller]
    pub fn send_deadline(
        &mut self,
        message: T,
        deadline: Instant,
    ) -> SendTimeoutFuture<'_, T, Topology<Single, C>> {
        SendTimeoutFuture::new(self.send(message), Delay::until(deadline))
    }
}

impl<T, P: WaitSide> Receiver<T, Topology<P, Multi>> {
    /// Receives the oldest message, waiting for so long at most; 0 tries once.
    ///
    /// The time counts from the first poll that has to wait.
    ///
    /// # Errors
    ///
    /// If the time is over, or no message will ever come.
    ///
    /// # Cancel safety
    ///
    /// As `recv`: who is dropped, or comes too late, has taken nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use annulus::channel::{self, RecvTimeoutError};
    /// use annulus::time::Duration;
    ///
    /// # annulus::block_on(async {
    /// let (tx, rx) = channel::mpmc(1);
    /// let none = rx.recv_timeout(Duration::from_millis(1)).await;
    /// assert_eq!(none, Err(RecvTimeoutError::Timeout));
    /// tx.send(1).await?;
    /// assert_eq!(rx.recv_timeout(Duration::ZERO).await, Ok(1));
    /// # Ok::<_, channel::SendError<i32>>(()) }).unwrap();
    /// ```
    #[track_caller]
    pub fn recv_timeout(&self, timeout: Duration) -> RecvTimeoutFuture<'_, T, Topology<P, Multi>> {
        RecvTimeoutFuture::new(self.recv(), Delay::after(timeout))
    }

    /// Receives the oldest message, waiting until then at most; the past tries once.
    ///
    /// # Errors
    ///
    /// If the time is over, or no message will ever come.
    ///
    /// # Cancel safety
    ///
    /// As `recv`: who is dropped, or comes too late, has taken nothing.
    #[track_caller]
    pub fn recv_deadline(&self, deadline: Instant) -> RecvTimeoutFuture<'_, T, Topology<P, Multi>> {
        RecvTimeoutFuture::new(self.recv(), Delay::until(deadline))
    }
}

impl<T, P: WaitSide> Receiver<T, Topology<P, Single>> {
    /// Receives the oldest message, waiting for so long at most; 0 tries once.
    ///
    /// The time counts from the first poll that has to wait.
    ///
    /// # Errors
    ///
    /// If the time is over, or no message will ever come.
    ///
    /// # Cancel safety
    ///
    /// As `recv`: who is dropped, or comes too late, has taken nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use annulus::channel::{self, RecvTimeoutError};
    /// use annulus::time::Duration;
    ///
    /// # annulus::block_on(async {
    /// let (tx, mut rx) = channel::mpsc(1);
    /// let none = rx.recv_timeout(Duration::from_millis(1)).await;
    /// assert_eq!(none, Err(RecvTimeoutError::Timeout));
    /// tx.send(1).await?;
    /// assert_eq!(rx.recv_timeout(Duration::ZERO).await, Ok(1));
    /// # Ok::<_, channel::SendError<i32>>(()) }).unwrap();
    /// ```
    #[track_caller]
    pub fn recv_timeout(
        &mut self,
        timeout: Duration,
    ) -> RecvTimeoutFuture<'_, T, Topology<P, Single>> {
        RecvTimeoutFuture::new(self.recv(), Delay::after(timeout))
    }

    /// Receives the oldest message, waiting until then at most; the past tries once.
    ///
    /// # Errors
    ///
    /// If the time is over, or no message will ever come.
    ///
    /// # Cancel safety
    ///
    /// As `recv`: who is dropped, or comes too late, has taken nothing.
    #[track_caller]
    pub fn recv_deadline(
        &mut self,
        deadline: Instant,
    ) -> RecvTimeoutFuture<'_, T, Topology<P, Single>> {
        RecvTimeoutFuture::new(self.recv(), Delay::until(deadline))
    }
}

impl<T, K: Kind> fmt::Debug for SendTimeoutFuture<'_, T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendTimeoutFuture").field("send", &self.send).finish_non_exhaustive()
    }
}

impl<T, K: Kind> fmt::Debug for RecvTimeoutFuture<'_, T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecvTimeoutFuture").field("recv", &self.recv).finish_non_exhaustive()
    }
}
