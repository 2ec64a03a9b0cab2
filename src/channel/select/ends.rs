//! What a `Select` is given: the ends of channels, each with its operation.

use std::task::{Context, Poll, ready};

use super::super::core::{Channel, RecvTicket, SendTicket};
use super::super::permit::try_reserve;
use super::super::{Kind, Permit, Receiver, Sender, Topology, TryRecvError, TrySendError};
use super::case::Operation;
use super::{RecvCase, SendCase};
use crate::ring::{Multi, Nothing, Refused};
use crate::wait::WaitSide;

/// The receiving end of a channel, lent to a [`Select`](super::Select). Sealed.
///
/// That is `&Receiver` where there may be many receivers, and `&mut Receiver` anywhere; also
/// `&rendezvous::Receiver` and `&mut oneshot::Receiver`.
#[diagnostic::on_unimplemented(
    message = "a `Select` cannot receive from a `{Self}`",
    note = "a receiver that is the only one is lent with `&mut`"
)]
pub trait RecvEnd<'a>: sealed::Sealed {
    /// What is received.
    type Message: 'a;
    #[doc(hidden)]
    fn case(self, index: usize) -> RecvCase<'a, Self::Message>;
}

/// The sending end of a channel, lent to a [`Select`](super::Select). Sealed.
///
/// That is `&Sender` where there may be many senders, and `&mut Sender` anywhere.
#[diagnostic::on_unimplemented(
    message = "a `Select` cannot send to a `{Self}`",
    note = "a sender that is the only one is lent with `&mut`; a rendezvous has no room to select"
)]
pub trait SendEnd<'a>: sealed::Sealed {
    /// What is sent.
    type Message: 'a;
    #[doc(hidden)]
    fn case(self, index: usize) -> SendCase<'a, Self::Message>;
}

pub(in crate::channel) mod sealed {
    pub trait Sealed {}
}

/// A receive from a ring.
struct RecvFrom<'a, T, P: WaitSide, C: WaitSide> {
    /// For `'a` no other receiver of a Single side is in use: see `RecvEnd`.
    channel: &'a Channel<T, P, C>,
}

/// A send to a ring.
struct SendTo<'a, T, P: WaitSide, C: WaitSide> {
    /// For `'a` no other sender of a Single side is in use: see `SendEnd`.
    channel: &'a Channel<T, P, C>,
}

impl<T, P: WaitSide, C: WaitSide> Operation for RecvFrom<'_, T, P, C> {
    type Ticket = RecvTicket<C>;
    type Output = Option<T>;

    fn looks_ready(&self) -> bool {
        !matches!(self.channel.ring.look_not_empty(), Err(Nothing::Empty(_)))
    }

    fn at_once(&self) -> Option<Option<T>> {
        // A try takes a Multi side from others. On a Single side it takes nothing, and a look less:
        // it reads no line of the senders' while our copy of their index says enough.
        if C::SHARED && !self.looks_ready() {
            return None;
        }
        // SAFETY: the side is Multi, or we have its only receiver; here and below.
        unsafe { self.channel.recv_at_once() }
    }

    fn try_now(&self) -> Option<Option<T>> {
        // SAFETY: as above.
        match unsafe { self.channel.try_recv() } {
            Ok(message) => Some(Some(message)),
            Err(TryRecvError::Closed) => Some(None),
            Err(TryRecvError::Empty) => None,
        }
    }

    fn poll(&self, ticket: &mut Self::Ticket, cx: &mut Context<'_>) -> Poll<Option<T>> {
        // SAFETY: as above.
        unsafe { self.channel.poll_recv(ticket, cx) }
    }

    fn poll_ready(&self, ticket: &mut Self::Ticket, cx: &mut Context<'_>) -> Poll<()> {
        // SAFETY: as above.
        unsafe { self.channel.poll_not_empty(ticket, cx) }
    }

    fn leave(&self, ticket: &mut Self::Ticket) {
        // Cancel: nothing was received; a wake goes to the next.
        // SAFETY: as above.
        unsafe { self.channel.cancel_recv(ticket) };
    }
}

impl<'a, T, P: WaitSide, C: WaitSide> Operation for SendTo<'a, T, P, C> {
    type Ticket = SendTicket<P>;
    /// `None`: the channel is closed.
    type Output = Option<Permit<'a, T, Topology<P, C>>>;

    fn looks_ready(&self) -> bool {
        !matches!(self.channel.ring.look_not_full(), Err(Refused::Full(_)))
    }

    fn at_once(&self) -> Option<Self::Output> {
        if !self.looks_ready() {
            return None;
        }
        // SAFETY: the side is Multi, or we have its only sender; here and below.
        let room = unsafe { self.channel.reserve_at_once() }?;
        // SAFETY: as above; the promise was made just now, here and below.
        Some(room.then(|| unsafe { Permit::new(self.channel) }))
    }

    fn try_now(&self) -> Option<Self::Output> {
        // SAFETY: as above.
        match unsafe { try_reserve(self.channel) } {
            // SAFETY: as above.
            Ok(()) => Some(Some(unsafe { Permit::new(self.channel) })),
            Err(TrySendError::Closed(())) => Some(None),
            Err(TrySendError::Full(())) => None,
        }
    }

    fn poll(&self, ticket: &mut Self::Ticket, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: as above.
        let count = ready!(unsafe { self.channel.poll_reserve(ticket, 1, cx) });
        // SAFETY: as above.
        Poll::Ready((count == 1).then(|| unsafe { Permit::new(self.channel) }))
    }

    fn poll_ready(&self, ticket: &mut Self::Ticket, cx: &mut Context<'_>) -> Poll<()> {
        // SAFETY: as above.
        unsafe { self.channel.poll_not_full(ticket, cx) }
    }

    fn leave(&self, ticket: &mut Self::Ticket) {
        // Cancel: nothing was reserved; a wake goes to the next.
        // SAFETY: as above.
        unsafe { self.channel.cancel_send(ticket) };
    }
}

impl<T, K: Kind> sealed::Sealed for &Receiver<T, K> {}
impl<T, K: Kind> sealed::Sealed for &mut Receiver<T, K> {}
impl<T, K: Kind> sealed::Sealed for &Sender<T, K> {}
impl<T, K: Kind> sealed::Sealed for &mut Sender<T, K> {}

impl<'a, T, P: WaitSide> RecvEnd<'a> for &'a Receiver<T, Topology<P, Multi>> {
    type Message = T;
    fn case(self, index: usize) -> RecvCase<'a, T> {
        RecvCase::new(index, RecvFrom { channel: self.channel() })
    }
}

// Of a Single side this is the only receiver, and nobody else has it for `'a`.
impl<'a, T, K: Kind> RecvEnd<'a> for &'a mut Receiver<T, K> {
    type Message = T;
    fn case(self, index: usize) -> RecvCase<'a, T> {
        RecvCase::new(index, RecvFrom { channel: self.channel() })
    }
}

impl<'a, T, C: WaitSide> SendEnd<'a> for &'a Sender<T, Topology<Multi, C>> {
    type Message = T;
    fn case(self, index: usize) -> SendCase<'a, T> {
        SendCase::new(index, SendTo { channel: &self.channel })
    }
}

// Of a Single side this is the only sender, and nobody else has it for `'a`.
impl<'a, T, K: Kind> SendEnd<'a> for &'a mut Sender<T, K> {
    type Message = T;
    fn case(self, index: usize) -> SendCase<'a, T> {
        SendCase::new(index, SendTo { channel: &self.channel })
    }
}
