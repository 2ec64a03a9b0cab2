//! Room for a message, got before the message is made.
//!
//! A permit is a promise of the ring (`ring/credit.rs`): `send` on it needs no waiting and cannot
//! fail. So what is sent is never in a future that may be dropped.

use std::fmt;
use std::future::Future;
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::core::{Channel, SendTicket};
use super::{Kind, SendError, Sender, Topology, TrySendError};
use crate::ring::{Multi, Refused, Single};
use crate::wait::WaitSide;

/// Room for one message; made by [`Sender::reserve`].
///
/// Dropped unused, it gives the room back and wakes a waiting sender. As long as it is out,
/// receivers of a closed channel do not see the end. Forgotten, it costs its room as long as there is
/// a sender. What is sent with it after the last receiver has gone drops with the last handle.
#[must_use = "a permit that is dropped gives its room back"]
pub struct Permit<'a, T, K: Kind> {
    channel: &'a Channel<T, K::Tx, K::Rx>,
}

impl<T, K: Kind> Permit<'_, T, K> {
    /// Sends a message, at once and also when the channel has been closed since.
    ///
    /// # Examples
    ///
    /// ```
    /// # annulus::block_on(async {
    /// let (tx, rx) = annulus::channel::mpmc(1);
    /// let permit = tx.reserve().await?;
    /// assert!(tx.try_send("no room").is_err());
    /// permit.send("reserved");
    /// assert_eq!(rx.recv().await, Some("reserved"));
    /// # Ok::<_, annulus::channel::SendError<()>>(()) }).unwrap();
    /// ```
    pub fn send(self, message: T) {
        let this = ManuallyDrop::new(self);
        // SAFETY: this permit is spent here. On a Single side it borrows the one sender.
        unsafe { this.channel.send_reserved(message) };
    }
}

impl<T, K: Kind> Drop for Permit<'_, T, K> {
    fn drop(&mut self) {
        // Cancel: the room goes back to all.
        // SAFETY: this permit is spent here. On a Single side it borrows the one sender.
        unsafe { self.channel.unreserve(1) };
    }
}

/// Room for one message, with the sender in it; made by [`Sender::reserve_owned`].
#[must_use = "a permit that is dropped gives its room back"]
pub struct OwnedPermit<T, K: Kind> {
    /// `None` once the permit is spent.
    sender: Option<Sender<T, K>>,
}

impl<T, K: Kind> OwnedPermit<T, K> {
    fn spend(&mut self) -> Sender<T, K> {
        self.sender.take().expect("it is there until the permit is spent")
    }

    /// Sends a message, at once and also when the channel has been closed since.
    pub fn send(mut self, message: T) -> Sender<T, K> {
        let sender = self.spend();
        // SAFETY: this permit is spent here, and we own the sender.
        unsafe { sender.channel.send_reserved(message) };
        sender
    }

    /// Gives the room back, and the sender.
    pub fn release(mut self) -> Sender<T, K> {
        let sender = self.spend();
        // SAFETY: this permit is spent here, and we own the sender.
        unsafe { sender.channel.unreserve(1) };
        sender
    }
}

impl<T, K: Kind> Drop for OwnedPermit<T, K> {
    fn drop(&mut self) {
        if let Some(sender) = &self.sender {
            // Cancel: the room goes back to all.
            // SAFETY: this permit is spent here, and we own the sender.
            unsafe { sender.channel.unreserve(1) };
        }
    }
}

/// Waits for room; made by [`Sender::reserve`].
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct ReserveFuture<'a, T, K: Kind> {
    /// `None` once it has gone to the output: a Single sender lends itself to one permit.
    channel: Option<&'a Channel<T, K::Tx, K::Rx>>,
    ticket: SendTicket<K::Tx>,
}

impl<'a, T, K: Kind> Future for ReserveFuture<'a, T, K> {
    type Output = Result<Permit<'a, T, K>, SendError<()>>;

    /// # Panics
    ///
    /// When polled again after it was ready.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let channel = this.channel.expect("this reservation has completed; poll it no more");
        // SAFETY: on a Single side we borrow the one sender for `'a`, and have given no permit out.
        let count = ready!(unsafe { channel.poll_reserve(&mut this.ticket, 1, cx) });
        this.channel = None;
        Poll::Ready(if count == 1 { Ok(Permit { channel }) } else { Err(SendError(())) })
    }
}

impl<T, K: Kind> Drop for ReserveFuture<'_, T, K> {
    fn drop(&mut self) {
        if let Some(channel) = self.channel {
            // Cancel: nothing was reserved; a wake goes to the next.
            // SAFETY: on a Single side we borrow the one sender for `'a`.
            unsafe { channel.cancel_send(&mut self.ticket) };
        }
    }
}

/// Waits for room; made by [`Sender::reserve_owned`].
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct ReserveOwnedFuture<T, K: Kind> {
    /// `None` once it has gone to the output.
    sender: Option<Sender<T, K>>,
    ticket: SendTicket<K::Tx>,
}

impl<T, K: Kind> Future for ReserveOwnedFuture<T, K> {
    type Output = Result<OwnedPermit<T, K>, SendError<Sender<T, K>>>;

    /// # Panics
    ///
    /// When polled again after it was ready.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { sender, ticket } = self.get_mut();
        let channel =
            &sender.as_ref().expect("this reservation has completed; poll it no more").channel;
        // SAFETY: we own the sender.
        let count = ready!(unsafe { channel.poll_reserve(ticket, 1, cx) });
        let sender = sender.take().expect("it was there above");
        Poll::Ready(match count {
            1 => Ok(OwnedPermit { sender: Some(sender) }),
            _ => Err(SendError(sender)),
        })
    }
}

impl<T, K: Kind> Drop for ReserveOwnedFuture<T, K> {
    fn drop(&mut self) {
        if let Some(sender) = &self.sender {
            // Cancel: nothing was reserved; a wake goes to the next.
            // SAFETY: we own the sender.
            unsafe { sender.channel.cancel_send(&mut self.ticket) };
        }
    }
}

/// # Safety
///
/// On a Single side no other call of the senders' side overlaps with this one.
unsafe fn try_reserve<P: WaitSide, C: WaitSide, T>(
    channel: &Channel<T, P, C>,
) -> Result<(), TrySendError<()>> {
    loop {
        // SAFETY: the contract.
        match unsafe { channel.try_reserve(1) } {
            Ok(_) => return Ok(()),
            Err(Refused::Full(seen)) if !channel.ring.confirm_full(seen) => {}
            Err(Refused::Full(_)) => return Err(TrySendError::Full(())),
            Err(Refused::Closed) => return Err(TrySendError::Closed(())),
        }
    }
}

impl<T, K: Kind> Sender<T, K> {
    /// Waits for room, and keeps it in a permit that owns this sender.
    ///
    /// # Errors
    ///
    /// Gives the sender back if the channel is closed, or closes while this waits.
    ///
    /// # Cancel safety
    ///
    /// A reservation that is dropped has reserved nothing; the sender drops with it.
    ///
    /// # Examples
    ///
    /// ```
    /// # annulus::block_on(async {
    /// let (tx, mut rx) = annulus::channel::spsc(1);
    /// let permit = tx.reserve_owned().await?;
    /// // The permit can go to another task, which sends and gives the sender back.
    /// let tx = annulus::spawn(async move { permit.send(1) }).await.unwrap();
    /// assert_eq!(rx.recv().await, Some(1));
    /// # drop(tx);
    /// # Ok::<_, annulus::channel::SendError<annulus::channel::Sender<i32, annulus::channel::Spsc>>>(())
    /// # }).unwrap();
    /// ```
    pub fn reserve_owned(self) -> ReserveOwnedFuture<T, K> {
        ReserveOwnedFuture { sender: Some(self), ticket: Default::default() }
    }

    /// Keeps room in a permit that owns this sender, if there is room at once.
    ///
    /// # Errors
    ///
    /// Gives the sender back if the channel is full or closed.
    pub fn try_reserve_owned(self) -> Result<OwnedPermit<T, K>, TrySendError<Self>> {
        // SAFETY: we own the sender.
        match unsafe { try_reserve(&self.channel) } {
            Ok(()) => Ok(OwnedPermit { sender: Some(self) }),
            Err(TrySendError::Full(())) => Err(TrySendError::Full(self)),
            Err(TrySendError::Closed(())) => Err(TrySendError::Closed(self)),
        }
    }
}

impl<T, C: WaitSide> Sender<T, Topology<Multi, C>> {
    /// Waits for room, and keeps it in a permit: what is sent with it needs to wait no more.
    ///
    /// # Errors
    ///
    /// If the channel is closed, or closes while this waits.
    ///
    /// # Cancel safety
    ///
    /// A reservation that is dropped has reserved nothing. A wake that it had got goes to the
    /// next waiting sender.
    pub fn reserve(&self) -> ReserveFuture<'_, T, Topology<Multi, C>> {
        ReserveFuture { channel: Some(&self.channel), ticket: Default::default() }
    }

    /// Keeps room in a permit if there is room at once.
    ///
    /// # Errors
    ///
    /// If the channel is full or closed.
    pub fn try_reserve(&self) -> Result<Permit<'_, T, Topology<Multi, C>>, TrySendError<()>> {
        // SAFETY: the side is Multi.
        unsafe { try_reserve(&self.channel) }.map(|()| Permit { channel: &self.channel })
    }
}

impl<T, C: WaitSide> Sender<T, Topology<Single, C>> {
    /// Waits for room, and keeps it in a permit: what is sent with it needs to wait no more.
    ///
    /// # Errors
    ///
    /// If the channel is closed, or closes while this waits.
    ///
    /// # Cancel safety
    ///
    /// A reservation that is dropped has reserved nothing.
    pub fn reserve(&mut self) -> ReserveFuture<'_, T, Topology<Single, C>> {
        // The future and the permit keep `&mut self`, so that nothing else is sent meanwhile.
        ReserveFuture { channel: Some(&self.channel), ticket: Default::default() }
    }

    /// Keeps room in a permit if there is room at once.
    ///
    /// # Errors
    ///
    /// If the channel is full or closed.
    pub fn try_reserve(&mut self) -> Result<Permit<'_, T, Topology<Single, C>>, TrySendError<()>> {
        // SAFETY: this is the only sender, it cannot be cloned, and we have `&mut self`.
        unsafe { try_reserve(&self.channel) }.map(|()| Permit { channel: &self.channel })
    }
}

impl<T, K: Kind> fmt::Debug for Permit<'_, T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").finish_non_exhaustive()
    }
}

impl<T, K: Kind> fmt::Debug for OwnedPermit<T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedPermit").field("sender", &self.sender).finish()
    }
}

impl<T, K: Kind> fmt::Debug for ReserveFuture<'_, T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReserveFuture").field("ticket", &self.ticket).finish_non_exhaustive()
    }
}

impl<T, K: Kind> fmt::Debug for ReserveOwnedFuture<T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReserveOwnedFuture").field("sender", &self.sender).finish_non_exhaustive()
    }
}
