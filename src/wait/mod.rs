//! Waiting for the other side of a ring to move.
//!
//! A waiter stores its waker, then arms the WAITS bit in the word of the side that it waits for
//! (`ring/word.rs`); who moves that side sees the bit and wakes. How the wakers are kept depends
//! on how many can wait, which is a type: one, in a [`WaitCell`]; any number, first come first
//! served, in a [`WaitQueue`]. A thread waits with the same machinery: its waker unparks it
//! ([`thread`]). What is not a ring has its bit elsewhere ([`Bit`]); an [`Event`] is a queue with
//! a bit of its own.

pub(crate) mod cell;
pub(crate) mod event;
mod list;
pub(crate) mod queue;
pub(crate) mod thread;

use std::fmt::Debug;
use std::task::Waker;

pub(crate) use self::cell::WaitCell;
pub(crate) use self::event::{Event, Flag};
pub(crate) use self::queue::WaitQueue;
use crate::ring::{Multi, Side, SideWord, Single};

/// The bit that says that somebody waits.
pub trait Bit {
    /// Clears it; true if it was set. Always a read-modify-write, so that it comes before or
    /// after a waiter's setting of the bit, and the later of the two sees what the other knew.
    fn disarm(&self) -> bool;

    /// A hint, without synchronisation: whether it is set.
    fn is_armed(&self) -> bool;
}

impl Bit for SideWord {
    #[inline]
    fn disarm(&self) -> bool {
        self.disarm()
    }

    #[inline]
    fn is_armed(&self) -> bool {
        self.is_armed()
    }
}

/// A [`Side`] whose threads can wait.
pub trait WaitSide: Side {
    /// Where they leave their wakers.
    #[doc(hidden)]
    type Waiters: Waiters;
}

impl WaitSide for Single {
    type Waiters = WaitCell;
}

impl WaitSide for Multi {
    type Waiters = WaitQueue;
}

/// The wakers of one side, waiting for `bit`'s side to move.
///
/// A poll of an operation goes `take_wake`, then tries, and if it must wait, `wait`; the
/// operation ends with `finish` or, dropped before that, with `cancel`.
///
/// # Safety of the methods
///
/// 1. `take_wake`, `wait`, `finish` and `cancel` of a Single side are called by one thread at a time, and
///    all calls name the same `bit`.
/// 2. `notify_one` and `notify_many` of a Single side are called by who has just cleared `bit`, once.
///    (Those of a Multi side may be called by anybody at any time.)
/// 3. `release` of a Single side is the waiter's last call.
pub trait Waiters: Debug + Default + Send + Sync {
    /// Whether several can wait here, and compete.
    const MANY: bool;

    /// How often the operation was woken and had to wait again.
    fn losses(_: &Self::Ticket) -> u32 {
        0
    }

    /// What a waiting operation remembers of its place.
    type Ticket: Debug + Default + Unpin + Send + Sync;

    /// Notes that the operation is being polled: a wake that it got is now spent by it.
    ///
    /// # Safety
    ///
    /// Rule 1.
    unsafe fn take_wake(&self, ticket: &mut Self::Ticket);

    /// Stores `waker`, has `arm` set the bit, and then asks whether the reason to wait still
    /// `holds`. True: the operation waits and will be woken. False: something has moved; try again.
    ///
    /// # Safety
    ///
    /// Rule 1.
    unsafe fn wait(
        &self,
        ticket: &mut Self::Ticket,
        bit: &impl Bit,
        waker: &Waker,
        arm: impl FnOnce() -> bool,
        holds: impl FnOnce() -> bool,
    ) -> bool;

    /// The operation has succeeded.
    ///
    /// # Safety
    ///
    /// Rule 1.
    unsafe fn finish(&self, ticket: &mut Self::Ticket, bit: &impl Bit);

    /// The operation is given up: a wake that it got and has not used goes to the next.
    ///
    /// # Safety
    ///
    /// Rule 1.
    unsafe fn cancel(&self, ticket: &mut Self::Ticket, bit: &impl Bit);

    /// Wakes the one who has waited longest.
    ///
    /// # Safety
    ///
    /// Rule 2.
    unsafe fn notify_one(&self, bit: &impl Bit);

    /// Wakes the `count` who have waited longest, or all if there are fewer.
    ///
    /// # Safety
    ///
    /// Rule 2.
    unsafe fn notify_many(&self, count: usize, bit: &impl Bit);

    /// The last waiter of this side is gone: lets go of wakers kept for reuse.
    ///
    /// # Safety
    ///
    /// Rule 3.
    unsafe fn release(&self, bit: &impl Bit);
}
