//! Many messages at a time: one claim of a side for all, and iterators.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::vec;

use super::blocking;
use super::core::{Channel, OnDrop, RecvTicket, SendTicket};
use super::{Kind, Receiver, SendError, Sender, Topology, TryRecvError, TrySendError};
use crate::ring::{Multi, Refused, Single, Stash};
use crate::wait::WaitSide;

/// Sends all items of an iterator; made by [`Sender::send_many`].
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct SendManyFuture<'a, T, K: Kind, I> {
    channel: &'a Channel<T, K::Tx, K::Rx>,
    /// `None` once it has gone to the output.
    items: Option<I>,
    sent: usize,
    ticket: SendTicket<K::Tx>,
}

// The iterator and its items are moved, never pinned.
impl<T, K: Kind, I> Unpin for SendManyFuture<'_, T, K, I> {}

/// How many permits to ask for; 0 if the iterator says that it is at its end.
fn wanted(items: &impl Iterator) -> usize {
    items.size_hint().1.unwrap_or(Stash::SIZE).min(Stash::SIZE)
}

/// Permits, and the items that were made for them so far: sent also when the iterator panics.
struct Load<'a, T, P: WaitSide, C: WaitSide> {
    channel: &'a Channel<T, P, C>,
    stash: Stash<T>,
    permits: usize,
}

impl<'a, T, P: WaitSide, C: WaitSide> Load<'a, T, P, C> {
    /// # Safety
    ///
    /// The caller has the permits, and gives them up. On a Single side, no other call of the
    /// senders' side overlaps with this.
    unsafe fn send(
        channel: &'a Channel<T, P, C>,
        permits: usize,
        items: &mut impl Iterator<Item = T>,
    ) -> usize {
        let mut load = Self { channel, stash: Stash::new(), permits };
        while load.stash.len() < permits {
            let Some(item) = items.next() else { break };
            load.stash.push(item);
        }
        load.stash.len()
    }
}

impl<T, P: WaitSide, C: WaitSide> Drop for Load<'_, T, P, C> {
    fn drop(&mut self) {
        let unused = self.permits - self.stash.len();
        // Also when a receiver's waker panics: promises that are lost cannot be given back.
        // SAFETY: the contract of `send`, here and below.
        let _room = OnDrop(|| unsafe { self.channel.unreserve(unused) });
        // SAFETY: as above.
        unsafe { self.channel.send_stash(&mut self.stash) };
    }
}

impl<T, K: Kind, I: Iterator<Item = T>> Future for SendManyFuture<'_, T, K, I> {
    type Output = Result<usize, SendError<I>>;

    /// # Panics
    ///
    /// When polled again after it was ready, and when the iterator does.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { channel, items, sent, ticket } = self.get_mut();
        let rest = items.as_mut().expect("this send has completed; it cannot be polled again");
        loop {
            let want = wanted(rest);
            if want == 0 {
                break;
            }
            // SAFETY: on a Single side we borrow the one sender for `'a`, here and below.
            let permits = ready!(unsafe { channel.poll_reserve(ticket, want, cx) });
            if permits == 0 {
                return Poll::Ready(Err(SendError(items.take().expect("it was there above"))));
            }
            // SAFETY: these are our permits.
            let count = unsafe { Load::send(channel, permits, rest) };
            *sent += count;
            if count < permits {
                break;
            }
        }
        *items = None;
        Poll::Ready(Ok(*sent))
    }
}

impl<T, K: Kind, I> Drop for SendManyFuture<'_, T, K, I> {
    fn drop(&mut self) {
        // Cancel: what was sent is sent; the iterator has the rest. A wake goes to the next.
        // SAFETY: on a Single side we borrow the one sender for `'a`.
        unsafe { self.channel.cancel_send(&mut self.ticket) };
    }
}

/// # Safety
///
/// On a Single side no other call of the senders' side overlaps with this one.
unsafe fn try_send_many<T, P: WaitSide, C: WaitSide>(
    channel: &Channel<T, P, C>,
    items: &mut impl Iterator<Item = T>,
) -> Result<usize, TrySendError<()>> {
    let mut sent = 0;
    loop {
        let want = wanted(items);
        if want == 0 {
            return Ok(sent);
        }
        // SAFETY: the contract.
        let permits = match unsafe { channel.try_reserve(want) } {
            Ok(permits) => permits,
            Err(Refused::Full(seen)) if !channel.ring.confirm_full(seen) => continue,
            Err(_) if sent > 0 => return Ok(sent),
            Err(Refused::Full(_)) => return Err(TrySendError::Full(())),
            Err(Refused::Closed) => return Err(TrySendError::Closed(())),
        };
        // SAFETY: the contract, and these are our permits.
        let count = unsafe { Load::send(channel, permits, items) };
        sent += count;
        if count < permits {
            return Ok(sent);
        }
    }
}

/// Receives many messages at once; made by [`Receiver::recv_many`].
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct RecvManyFuture<'a, T, K: Kind> {
    channel: &'a Channel<T, K::Tx, K::Rx>,
    out: &'a mut Vec<T>,
    max: usize,
    ticket: RecvTicket<K::Rx>,
}

impl<T, K: Kind> Future for RecvManyFuture<'_, T, K> {
    type Output = usize;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<usize> {
        let Self { channel, out, max, ticket } = self.get_mut();
        // SAFETY: on a Single side we borrow the one receiver for `'a`.
        unsafe { channel.poll_recv_many(ticket, out, *max, cx) }
    }
}

impl<T, K: Kind> Drop for RecvManyFuture<'_, T, K> {
    fn drop(&mut self) {
        // Cancel: no message was taken; a wake goes to the next.
        // SAFETY: on a Single side we borrow the one receiver for `'a`.
        unsafe { self.channel.cancel_recv(&mut self.ticket) };
    }
}

/// The messages that are there; made by [`Receiver::try_iter`].
#[must_use = "iterators do nothing unless they are consumed"]
pub struct TryIter<'a, T, K: Kind> {
    channel: &'a Channel<T, K::Tx, K::Rx>,
}

impl<T, K: Kind> Iterator for TryIter<'_, T, K> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        // SAFETY: on a Single side we borrow the one receiver for `'a`.
        unsafe { self.channel.try_recv() }.ok()
    }
}

/// All messages until the channel is closed; made by [`Receiver::iter`].
#[must_use = "iterators do nothing unless they are consumed"]
pub struct Iter<'a, T, K: Kind> {
    channel: &'a Channel<T, K::Tx, K::Rx>,
}

impl<T, K: Kind> Iterator for Iter<'_, T, K> {
    type Item = T;

    #[track_caller]
    fn next(&mut self) -> Option<T> {
        // SAFETY: on a Single side we borrow the one receiver for `'a`.
        unsafe { blocking::recv::<T, K>(self.channel) }
    }
}

impl<T, C: WaitSide> Sender<T, Topology<Multi, C>> {
    /// Sends all items of an iterator, waiting for room; says how many there were.
    ///
    /// Room is reserved first and the items are made for it, up to 32 at a time, so that each
    /// costs a fraction of a [`send`](Self::send). They pass over the stack together: box messages
    /// of many kilobytes. An iterator whose `size_hint` has no upper bound is asked for its next item,
    /// and so for its end, when there is room.
    ///
    /// # Errors
    ///
    /// If the channel is closed, gives the rest of the iterator back: no item was taken from it
    /// that was not sent.
    ///
    /// # Cancel safety
    ///
    /// What was sent is sent. Pass `&mut iterator` to keep the rest when this is dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// # annulus::block_on(async {
    /// let (tx, mut rx) = annulus::channel::mpsc(64);
    /// annulus::spawn(async move { tx.send_many(1..=1000).await });
    /// let (mut sum, mut batch) = (0, Vec::new());
    /// while rx.recv_many(&mut batch, 64).await > 0 {
    ///     sum += batch.drain(..).sum::<u32>();
    /// }
    /// assert_eq!(sum, 500_500);
    /// # });
    /// ```
    pub fn send_many<I: IntoIterator<Item = T>>(
        &self,
        items: I,
    ) -> SendManyFuture<'_, T, Topology<Multi, C>, I::IntoIter> {
        let (items, ticket) = (Some(items.into_iter()), Default::default());
        SendManyFuture { channel: &self.channel, items, sent: 0, ticket }
    }

    /// Sends items of an iterator as long as there is room; says how many.
    ///
    /// No item is taken from the iterator that is not sent.
    ///
    /// # Errors
    ///
    /// If nothing was sent because the channel is full or closed.
    pub fn try_send_many(
        &self,
        items: &mut impl Iterator<Item = T>,
    ) -> Result<usize, TrySendError<()>> {
        // SAFETY: the side is Multi.
        unsafe { try_send_many(&self.channel, items) }
    }
}

impl<T, C: WaitSide> Sender<T, Topology<Single, C>> {
    /// Sends all items of an iterator, waiting for room; says how many there were.
    ///
    /// Room is reserved first and the items are made for it, up to 32 at a time, so that each
    /// costs a fraction of a [`send`](Self::send). They pass over the stack together: box messages
    /// of many kilobytes. An iterator whose `size_hint` has no upper bound is asked for its next item,
    /// and so for its end, when there is room.
    ///
    /// # Errors
    ///
    /// If the channel is closed, gives the rest of the iterator back: no item was taken from it
    /// that was not sent.
    ///
    /// # Cancel safety
    ///
    /// What was sent is sent. Pass `&mut iterator` to keep the rest when this is dropped.
    pub fn send_many<I: IntoIterator<Item = T>>(
        &mut self,
        items: I,
    ) -> SendManyFuture<'_, T, Topology<Single, C>, I::IntoIter> {
        // The future keeps `&mut self`, so that nothing else is sent meanwhile.
        let (items, ticket) = (Some(items.into_iter()), Default::default());
        SendManyFuture { channel: &self.channel, items, sent: 0, ticket }
    }

    /// Sends items of an iterator as long as there is room; says how many.
    ///
    /// No item is taken from the iterator that is not sent.
    ///
    /// # Errors
    ///
    /// If nothing was sent because the channel is full or closed.
    pub fn try_send_many(
        &mut self,
        items: &mut impl Iterator<Item = T>,
    ) -> Result<usize, TrySendError<()>> {
        // SAFETY: this is the only sender, it cannot be cloned, and we have `&mut self`.
        unsafe { try_send_many(&self.channel, items) }
    }
}

impl<T, P: WaitSide> Receiver<T, Topology<P, Multi>> {
    /// Receives up to `max` messages to the end of `out`, waiting for at least one; says how many.
    ///
    /// 0 means that no message will ever come, or that `max` is 0. `out` grows as needed; with
    /// room left in it nothing is allocated.
    ///
    /// # Cancel safety
    ///
    /// A receive that is dropped has taken nothing. A wake that it had got goes to the next
    /// waiting receiver.
    pub fn recv_many<'a>(
        &'a self,
        out: &'a mut Vec<T>,
        max: usize,
    ) -> RecvManyFuture<'a, T, Topology<P, Multi>> {
        RecvManyFuture { channel: self.channel(), out, max, ticket: Default::default() }
    }

    /// Receives the messages that are there, up to `max`, to the end of `out`; says how many.
    ///
    /// # Errors
    ///
    /// If there is none, says whether one may still come.
    #[doc(alias = "drain_into")]
    pub fn try_recv_many(&self, out: &mut Vec<T>, max: usize) -> Result<usize, TryRecvError> {
        // SAFETY: the side is Multi.
        unsafe { self.channel().try_recv_many(out, max) }
    }

    /// Takes all messages that are there now.
    ///
    /// # Examples
    ///
    /// ```
    /// let (tx, rx) = annulus::channel::mpmc(4);
    /// tx.try_send_many(&mut (0..9)).unwrap();
    /// assert_eq!(rx.drain().collect::<Vec<_>>(), [0, 1, 2, 3]);
    /// ```
    pub fn drain(&self) -> vec::IntoIter<T> {
        // SAFETY: the side is Multi.
        unsafe { drain(self.channel()) }
    }

    /// Takes messages one by one as long as there is one; never waits.
    pub fn try_iter(&self) -> TryIter<'_, T, Topology<P, Multi>> {
        TryIter { channel: self.channel() }
    }

    /// Takes messages one by one on a plain thread, which sleeps while there is none.
    ///
    /// Ends when no message will ever come.
    pub fn iter(&self) -> Iter<'_, T, Topology<P, Multi>> {
        Iter { channel: self.channel() }
    }
}

impl<T, P: WaitSide> Receiver<T, Topology<P, Single>> {
    /// Receives up to `max` messages to the end of `out`, waiting for at least one; says how many.
    ///
    /// 0 means that no message will ever come, or that `max` is 0. `out` grows as needed; with
    /// room left in it nothing is allocated.
    ///
    /// # Cancel safety
    ///
    /// A receive that is dropped has taken nothing.
    pub fn recv_many<'a>(
        &'a mut self,
        out: &'a mut Vec<T>,
        max: usize,
    ) -> RecvManyFuture<'a, T, Topology<P, Single>> {
        RecvManyFuture { channel: self.channel(), out, max, ticket: Default::default() }
    }

    /// Receives the messages that are there, up to `max`, to the end of `out`; says how many.
    ///
    /// # Errors
    ///
    /// If there is none, says whether one may still come.
    #[doc(alias = "drain_into")]
    pub fn try_recv_many(&mut self, out: &mut Vec<T>, max: usize) -> Result<usize, TryRecvError> {
        // SAFETY: this is the only receiver, it cannot be cloned, and we have `&mut self`.
        unsafe { self.channel().try_recv_many(out, max) }
    }

    /// Takes all messages that are there now.
    pub fn drain(&mut self) -> vec::IntoIter<T> {
        // SAFETY: this is the only receiver, it cannot be cloned, and we have `&mut self`.
        unsafe { drain(self.channel()) }
    }

    /// Takes messages one by one as long as there is one; never waits.
    pub fn try_iter(&mut self) -> TryIter<'_, T, Topology<P, Single>> {
        TryIter { channel: self.channel() }
    }

    /// Takes messages one by one on a plain thread, which sleeps while there is none.
    ///
    /// Ends when no message will ever come.
    pub fn iter(&mut self) -> Iter<'_, T, Topology<P, Single>> {
        Iter { channel: self.channel() }
    }
}

/// # Safety
///
/// On a Single side no other call of the receivers' side overlaps with this one.
unsafe fn drain<T, P: WaitSide, C: WaitSide>(channel: &Channel<T, P, C>) -> vec::IntoIter<T> {
    let mut all = Vec::with_capacity(channel.ring.len());
    // Of one look, so that a sender which keeps up does not keep us for ever.
    // SAFETY: the contract. An error leaves `all` empty, which is what there was.
    let _ = unsafe { channel.try_recv_many(&mut all, channel.ring.capacity()) };
    all.into_iter()
}

impl<T, K: Kind, I> fmt::Debug for SendManyFuture<'_, T, K, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendManyFuture").field("sent", &self.sent).finish_non_exhaustive()
    }
}

impl<T, K: Kind> fmt::Debug for RecvManyFuture<'_, T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecvManyFuture").field("max", &self.max).finish_non_exhaustive()
    }
}

impl<T, K: Kind> fmt::Debug for TryIter<'_, T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TryIter").field("len", &self.channel.ring.len()).finish()
    }
}

impl<T, K: Kind> fmt::Debug for Iter<'_, T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Iter").field("len", &self.channel.ring.len()).finish()
    }
}
