//! Bounded channels: first in, first out, through a ring of slots.
//!
//! # Which one
//!
//! | made by          | senders | receivers | an uncontended message costs        |
//! |------------------|---------|-----------|-------------------------------------|
//! | [`spsc`]         | one     | one       | 2 locked instructions               |
//! | [`mpsc`]         | many    | one       | 3                                   |
//! | [`spmc`]         | one     | many      | 3                                   |
//! | [`mpmc`], [`bounded`] | many | many    | 4                                   |
//!
//! The topology is part of the handles' type: a sender of which there is one is not `Clone` and
//! sends through `&mut self`, and pays for no other.
//!
//! What is not a queue has a module of its own: [`oneshot`] carries one value, [`rendezvous`] holds
//! nothing and waits for the receiver, [`broadcast`] shows every message to every receiver,
//! [`watch`] holds one value and tells when it changes.
//!
//! # Three ways to send and to receive
//!
//! | waits as a task | does not wait | waits as a thread |
//! |---|---|---|
//! | [`send`](Sender::send), [`recv`](Receiver::recv) | [`try_send`](Sender::try_send), [`try_recv`](Receiver::try_recv) | [`send_blocking`](Sender::send_blocking), [`recv_blocking`](Receiver::recv_blocking) |
//!
//! They mix freely on both ends of one channel, inside this crate's runtime, inside another one,
//! or without any.
//!
//! # The end of a channel
//!
//! A channel closes when its last sender or its last receiver is dropped, or when somebody calls
//! `close`. A send on a closed channel gives the message back. Receivers get every message that
//! was sent before the end, then `None`.
//!
//! # Order and fairness
//!
//! The messages of one sender arrive in the order in which it sent them. Waiting senders and
//! receivers are woken first come, first served; one that does not wait may overtake them.
//!
//! # Examples
//!
//! ```
//! use annulus::channel;
//!
//! annulus::block_on(async {
//!     let (tx, mut rx) = channel::mpsc(4);
//!     for id in 0..3 {
//!         let tx = tx.clone();
//!         annulus::spawn(async move { tx.send(id * id).await });
//!     }
//!     drop(tx); // the tasks hold the last senders
//!     let mut sum = 0;
//!     while let Some(n) = rx.recv().await {
//!         sum += n;
//!     }
//!     assert_eq!(sum, 5);
//! });
//! ```

mod batch;
mod blocking;
pub mod broadcast;
mod core;
mod error;
mod future;
mod in_place;
mod kind;
pub mod oneshot;
mod permit;
mod poll;
mod receiver;
pub mod rendezvous;
mod sender;
mod turn;
pub mod watch;
mod weak;

pub use self::batch::{Iter, RecvManyFuture, SendManyFuture, TryIter};
pub use self::error::{RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TrySendError};
pub use self::future::{ClosedFuture, RecvFuture, SendFuture};
pub use self::in_place::{RecvRef, RecvRefFuture};
pub use self::kind::{Closed, Closing, Kind, Mpmc, Mpsc, Open, Spmc, Spsc, State, Topology};
pub use self::permit::{OwnedPermit, Permit, ReserveFuture, ReserveOwnedFuture};
pub use self::receiver::Receiver;
pub use self::sender::Sender;
pub use self::weak::{WeakReceiver, WeakSender};

use self::core::Channel;
use crate::primitive::Arc;

/// Makes a channel for any number of senders and receivers; the same as [`mpmc`].
///
/// # Panics
///
/// If `capacity` is 0, or so large that the ring would not fit in memory.
///
/// # Examples
///
/// ```
/// let (tx, rx) = annulus::channel::bounded(2);
/// tx.send_blocking("no runtime needed")?;
/// assert_eq!(rx.recv_blocking(), Some("no runtime needed"));
/// # Ok::<_, annulus::channel::SendError<&str>>(())
/// ```
#[track_caller]
pub fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    mpmc(capacity)
}

/// Makes a channel for any number of senders and receivers that holds `capacity` messages.
///
/// # Panics
///
/// If `capacity` is 0, or so large that the ring would not fit in memory.
#[track_caller]
pub fn mpmc<T>(capacity: usize) -> (Sender<T, Mpmc>, Receiver<T, Mpmc>) {
    pair(Channel::new(capacity))
}

/// Makes a channel for any number of senders and one receiver that holds `capacity` messages.
///
/// # Panics
///
/// If `capacity` is 0, or so large that the ring would not fit in memory.
#[track_caller]
pub fn mpsc<T>(capacity: usize) -> (Sender<T, Mpsc>, Receiver<T, Mpsc>) {
    pair(Channel::new(capacity))
}

/// Makes a channel for one sender and any number of receivers that holds `capacity` messages.
///
/// # Panics
///
/// If `capacity` is 0, or so large that the ring would not fit in memory.
#[track_caller]
pub fn spmc<T>(capacity: usize) -> (Sender<T, Spmc>, Receiver<T, Spmc>) {
    pair(Channel::new(capacity))
}

/// Makes a channel for one sender and one receiver that holds `capacity` messages.
///
/// # Panics
///
/// If `capacity` is 0, or so large that the ring would not fit in memory.
///
/// # Examples
///
/// ```
/// let (mut tx, mut rx) = annulus::channel::spsc(64);
/// std::thread::scope(|s| {
///     s.spawn(move || (0..1000).try_for_each(|i| tx.send_blocking(i)));
///     s.spawn(move || {
///         let sum: u32 = std::iter::from_fn(|| rx.recv_blocking()).sum();
///         assert_eq!(sum, 499_500);
///     });
/// });
/// ```
#[track_caller]
pub fn spsc<T>(capacity: usize) -> (Sender<T, Spsc>, Receiver<T, Spsc>) {
    pair(Channel::new(capacity))
}

fn pair<T, K: Kind>(channel: Channel<T, K::Tx, K::Rx>) -> (Sender<T, K>, Receiver<T, K>) {
    let channel = Arc::new(channel);
    (Sender::first(Arc::clone(&channel)), Receiver::first(channel))
}

#[cfg(all(test, annulus_loom))]
mod loom_tests;
