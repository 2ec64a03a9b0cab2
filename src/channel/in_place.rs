//! Receiving without a move: the message is looked at where it lies.
//!
//! Only the one receiver of a Single side can do so, since nobody else may take the message
//! meanwhile. Its slot is free for a sender when the look is over.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll, ready};

use super::core::{Channel, OnDrop, RecvTicket};
use super::{Receiver, Topology, TryRecvError};
use crate::ring::Single;
use crate::wait::WaitSide;

/// A received message that is still in its slot; made by [`Receiver::recv_ref`].
///
/// The message drops with this, and then the slot is free. (One that is forgotten by
/// `mem::forget` stays in the channel, and is received again.)
#[must_use = "the message is dropped with this"]
pub struct RecvRef<'a, T, P: WaitSide> {
    channel: &'a Channel<T, P, Single>,
    /// In the slot at the consumers' index, which only we move.
    message: NonNull<T>,
    owns: PhantomData<&'a mut T>,
}

// SAFETY: as `&mut T` together with the only receiver.
unsafe impl<T: Send, P: WaitSide> Send for RecvRef<'_, T, P> {}
// SAFETY: as `&T` together with the only receiver.
unsafe impl<T: Send + Sync, P: WaitSide> Sync for RecvRef<'_, T, P> {}

impl<T, P: WaitSide> RecvRef<'_, T, P> {
    /// Takes the message out.
    pub fn into_inner(self) -> T {
        let this = ManuallyDrop::new(self);
        // SAFETY: the slot holds the message until we move the index, which is done at once.
        let message = unsafe { this.message.read() };
        // SAFETY: we are the only receiver, and have read the message.
        unsafe { this.channel.skip() };
        message
    }
}

impl<T, P: WaitSide> Deref for RecvRef<'_, T, P> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the slot holds the message until we move the index.
        unsafe { self.message.as_ref() }
    }
}

impl<T, P: WaitSide> DerefMut for RecvRef<'_, T, P> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above, and no one else is at this slot.
        unsafe { self.message.as_mut() }
    }
}

impl<T, P: WaitSide> Drop for RecvRef<'_, T, P> {
    fn drop(&mut self) {
        // Also when the message's drop panics: it must not be dropped again.
        // SAFETY: we are the only receiver, and the message is gone by then.
        let _skip = OnDrop(|| unsafe { self.channel.skip() });
        // SAFETY: the slot holds the message, and the index is moved past it in any case.
        unsafe { self.message.drop_in_place() };
    }
}

/// Waits for a message; made by [`Receiver::recv_ref`].
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct RecvRefFuture<'a, T, P: WaitSide> {
    /// `None` once it has gone to the output: a second `RecvRef` would be of the same message.
    channel: Option<&'a Channel<T, P, Single>>,
    ticket: RecvTicket<Single>,
}

impl<'a, T, P: WaitSide> Future for RecvRefFuture<'a, T, P> {
    type Output = Option<RecvRef<'a, T, P>>;

    /// # Panics
    ///
    /// When polled again after it was ready.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let channel = this.channel.expect("this receive has completed; it cannot be polled again");
        // SAFETY: we borrow the one receiver for `'a`, and have given no `RecvRef` out.
        let message = ready!(unsafe { channel.poll_peek(&mut this.ticket, cx) });
        this.channel = None;
        Poll::Ready(message.map(|message| RecvRef { channel, message, owns: PhantomData }))
    }
}

impl<T, P: WaitSide> Drop for RecvRefFuture<'_, T, P> {
    fn drop(&mut self) {
        if let Some(channel) = self.channel {
            // Cancel: no message was taken.
            // SAFETY: we borrow the one receiver for `'a`.
            unsafe { channel.cancel_recv(&mut self.ticket) };
        }
    }
}

impl<T, P: WaitSide> Receiver<T, Topology<P, Single>> {
    /// Receives the oldest message where it lies, waiting for one; `None` when none will come.
    ///
    /// For large messages: they are not moved. Their slot is free when the [`RecvRef`] drops.
    ///
    /// # Cancel safety
    ///
    /// A receive that is dropped has taken nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// # annulus::block_on(async {
    /// let (tx, mut rx) = annulus::channel::mpsc(4);
    /// tx.send([7u8; 4096]).await?;
    /// let page = rx.recv_ref().await.unwrap();
    /// assert_eq!(page.iter().filter(|&&byte| byte == 7).count(), 4096);
    /// # Ok::<_, annulus::channel::SendError<[u8; 4096]>>(()) }).unwrap();
    /// ```
    pub fn recv_ref(&mut self) -> RecvRefFuture<'_, T, P> {
        RecvRefFuture { channel: Some(self.channel()), ticket: Default::default() }
    }

    /// Receives the oldest message where it lies, if there is one.
    ///
    /// # Errors
    ///
    /// Says whether a message may still come.
    pub fn try_recv_ref(&mut self) -> Result<RecvRef<'_, T, P>, TryRecvError> {
        let channel = self.channel();
        // SAFETY: this is the only receiver, it cannot be cloned, and we have `&mut self`.
        let message = unsafe { channel.try_peek() }?;
        Ok(RecvRef { channel, message, owns: PhantomData })
    }
}

impl<T: fmt::Debug, P: WaitSide> fmt::Debug for RecvRef<'_, T, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RecvRef").field(&**self).finish()
    }
}

impl<T, P: WaitSide> fmt::Debug for RecvRefFuture<'_, T, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecvRefFuture").field("ticket", &self.ticket).finish_non_exhaustive()
    }
}
