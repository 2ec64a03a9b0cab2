//! One operation of a `Select`: how it is tried, waited for, and kept until it is completed.
//!
//! # States of a case
//!
//! ```text
//!              poll, try_now: it has succeeded        complete
//!     idle ------------------------------------> kept ---------> idle
//!      ^ |  poll: Pending                          |
//!      | +-----------> waits                       | give_up: the message drops,
//!      +---------------- leave                     | the room goes back
//!      ^-------------------------------------------+
//! ```
//!
//! Of a receive the message is kept, of a send the room for one: so completing cannot fail, and
//! does not depend on what others do meanwhile.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::task::{Context, Poll, ready};

use super::super::core::{Channel, RecvTicket, SendTicket};
use super::super::permit::try_reserve;
use super::super::{Kind, Receiver, SendError, Sender, Topology, TryRecvError, TrySendError};
use crate::ring::{Multi, Nothing, Refused};
use crate::wait::WaitSide;

/// An operation, whatever its message.
pub(in crate::channel) trait Case {
    /// Whether it might succeed at once: a look, for less than a try.
    fn looks_ready(&self) -> bool;

    /// Ready when it has succeeded, and its result is kept.
    fn poll(&self, cx: &mut Context<'_>) -> Poll<()>;

    /// Ready when it need not wait; nothing is done.
    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()>;

    /// Whether it has succeeded at once, and its result is kept.
    fn try_now(&self) -> bool;

    /// Waits no more: a wake that came goes to the next.
    fn leave(&self);

    /// Lets go of what is kept.
    fn give_up(&self);
}

/// A receive: what is kept is a message.
pub(super) trait Receives<T>: Case {
    /// The result that is kept; `None`: the channel has ended.
    fn complete(&self) -> Option<T>;
}

/// A send: what is kept is room.
pub(super) trait Sends<T>: Case {
    /// Sends with the room that is kept, if it is not the end that was.
    fn complete(&self, message: T) -> Result<(), SendError<T>>;
}

const NOT_SELECTED: &str = "only what was selected is completed";

/// A receive from one channel.
pub struct Receiving<'a, T, K: Kind> {
    /// For `'a` no other receiver of a Single side is in use: see `RecvEnd`.
    channel: &'a Channel<T, K::Tx, K::Rx>,
    ticket: RefCell<RecvTicket<K::Rx>>,
    kept: Cell<Option<Option<T>>>,
}

/// A send to one channel.
pub struct Sending<'a, T, K: Kind> {
    /// For `'a` no other sender of a Single side is in use: see `SendEnd`.
    channel: &'a Channel<T, K::Tx, K::Rx>,
    ticket: RefCell<SendTicket<K::Tx>>,
    /// Whether there is room: a permit is ours; or none, because the channel is closed.
    kept: Cell<Option<bool>>,
}

impl<T, K: Kind> Case for Receiving<'_, T, K> {
    fn looks_ready(&self) -> bool {
        !matches!(self.channel.ring.look_not_empty(), Err(Nothing::Empty(_)))
    }

    fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut ticket = self.ticket.borrow_mut();
        // SAFETY: the side is Multi, or we have its only receiver; here and below.
        let received = ready!(unsafe { self.channel.poll_recv(&mut ticket, cx) });
        self.kept.set(Some(received));
        Poll::Ready(())
    }

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        // SAFETY: as above.
        unsafe { self.channel.poll_not_empty(&mut self.ticket.borrow_mut(), cx) }
    }

    fn try_now(&self) -> bool {
        // SAFETY: as above.
        let received = match unsafe { self.channel.try_recv() } {
            Ok(message) => Some(message),
            Err(TryRecvError::Closed) => None,
            Err(TryRecvError::Empty) => return false,
        };
        self.kept.set(Some(received));
        true
    }

    fn leave(&self) {
        // Cancel: nothing was received; a wake goes to the next.
        // SAFETY: as above.
        unsafe { self.channel.cancel_recv(&mut self.ticket.borrow_mut()) };
    }

    fn give_up(&self) {
        drop(self.kept.take());
    }
}

impl<T, K: Kind> Receives<T> for Receiving<'_, T, K> {
    fn complete(&self) -> Option<T> {
        self.kept.take().expect(NOT_SELECTED)
    }
}

impl<T, K: Kind> Case for Sending<'_, T, K> {
    fn looks_ready(&self) -> bool {
        !matches!(self.channel.ring.look_not_full(), Err(Refused::Full(_)))
    }

    fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut ticket = self.ticket.borrow_mut();
        // SAFETY: the side is Multi, or we have its only sender; here and below.
        let count = ready!(unsafe { self.channel.poll_reserve(&mut ticket, 1, cx) });
        self.kept.set(Some(count == 1));
        Poll::Ready(())
    }

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        // SAFETY: as above.
        unsafe { self.channel.poll_not_full(&mut self.ticket.borrow_mut(), cx) }
    }

    fn try_now(&self) -> bool {
        // SAFETY: as above.
        let room = match unsafe { try_reserve(self.channel) } {
            Ok(()) => true,
            Err(TrySendError::Closed(())) => false,
            Err(TrySendError::Full(())) => return false,
        };
        self.kept.set(Some(room));
        true
    }

    fn leave(&self) {
        // Cancel: nothing was reserved; a wake goes to the next.
        // SAFETY: as above.
        unsafe { self.channel.cancel_send(&mut self.ticket.borrow_mut()) };
    }

    fn give_up(&self) {
        if self.kept.take() == Some(true) {
            // Cancel: the room goes back to all.
            // SAFETY: as above; the permit is spent here.
            unsafe { self.channel.unreserve(1) };
        }
    }
}

impl<T, K: Kind> Sends<T> for Sending<'_, T, K> {
    fn complete(&self, message: T) -> Result<(), SendError<T>> {
        if !self.kept.take().expect(NOT_SELECTED) {
            return Err(SendError(message));
        }
        // SAFETY: as above; the permit is spent here.
        unsafe { self.channel.send_reserved(message) };
        Ok(())
    }
}

impl<T, K: Kind> fmt::Debug for Receiving<'_, T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiving").field("ticket", &self.ticket).finish_non_exhaustive()
    }
}

impl<T, K: Kind> fmt::Debug for Sending<'_, T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sending").field("ticket", &self.ticket).finish_non_exhaustive()
    }
}

/// The receiving end of a channel, lent to a [`Select`](super::Select). Sealed.
///
/// That is `&Receiver` where there may be many receivers, and `&mut Receiver` anywhere.
pub trait RecvEnd<'a>: sealed::Sealed {
    /// What is received.
    type Message: 'a;
    #[doc(hidden)]
    type Kind: Kind;
    #[doc(hidden)]
    fn case(self) -> Receiving<'a, Self::Message, Self::Kind>;
}

/// The sending end of a channel, lent to a [`Select`](super::Select). Sealed.
///
/// That is `&Sender` where there may be many senders, and `&mut Sender` anywhere.
pub trait SendEnd<'a>: sealed::Sealed {
    /// What is sent.
    type Message: 'a;
    #[doc(hidden)]
    type Kind: Kind;
    #[doc(hidden)]
    fn case(self) -> Sending<'a, Self::Message, Self::Kind>;
}

mod sealed {
    use super::{Receiver, Sender};

    pub trait Sealed {}
    impl<T, K: super::Kind> Sealed for &Receiver<T, K> {}
    impl<T, K: super::Kind> Sealed for &mut Receiver<T, K> {}
    impl<T, K: super::Kind> Sealed for &Sender<T, K> {}
    impl<T, K: super::Kind> Sealed for &mut Sender<T, K> {}
}

fn receiving<T, K: Kind>(receiver: &Receiver<T, K>) -> Receiving<'_, T, K> {
    let channel = receiver.channel();
    Receiving { channel, ticket: RefCell::default(), kept: Cell::new(None) }
}

fn sending<T, K: Kind>(sender: &Sender<T, K>) -> Sending<'_, T, K> {
    Sending { channel: &sender.channel, ticket: RefCell::default(), kept: Cell::new(None) }
}

impl<'a, T, P: WaitSide> RecvEnd<'a> for &'a Receiver<T, Topology<P, Multi>> {
    type Message = T;
    type Kind = Topology<P, Multi>;
    fn case(self) -> Receiving<'a, T, Self::Kind> {
        receiving(self)
    }
}

// Of a Single side this is the only receiver, and nobody else has it for `'a`.
impl<'a, T, K: Kind> RecvEnd<'a> for &'a mut Receiver<T, K> {
    type Message = T;
    type Kind = K;
    fn case(self) -> Receiving<'a, T, K> {
        receiving(self)
    }
}

impl<'a, T, C: WaitSide> SendEnd<'a> for &'a Sender<T, Topology<Multi, C>> {
    type Message = T;
    type Kind = Topology<Multi, C>;
    fn case(self) -> Sending<'a, T, Self::Kind> {
        sending(self)
    }
}

// Of a Single side this is the only sender, and nobody else has it for `'a`.
impl<'a, T, K: Kind> SendEnd<'a> for &'a mut Sender<T, K> {
    type Message = T;
    type Kind = K;
    fn case(self) -> Sending<'a, T, K> {
        sending(self)
    }
}
