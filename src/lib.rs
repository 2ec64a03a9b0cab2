//! A small async runtime for CPU-bound programs, whose channels are rings.
//!
//! Programs that compute and pass very many messages between their tasks - pipelines, actors,
//! simulations, market data, game servers - need a scheduler and channels that know each other.
//! This crate is both: tasks on a work-stealing executor, bounded channels on ring buffers beside
//! it, and a wake that happens inside the send or receive that caused it.
//!
//! # Tasks
//!
//! [`block_on`] runs a future on this thread, which is one of the workers meanwhile; [`spawn`]
//! runs one beside it. Nothing has to be set up: the first call starts a runtime with a worker
//! for each processor. A [`Runtime`] made by a [`Builder`] has settings, and an end.
//!
//! ```
//! let total = annulus::block_on(async {
//!     let parts = [1..500, 500..1000].map(|r| annulus::spawn(async move { r.sum::<u64>() }));
//!     let mut total = 0;
//!     for part in parts {
//!         total += part.await?;
//!     }
//!     Ok::<_, annulus::JoinError>(total)
//! });
//! assert_eq!(total.unwrap(), 499_500);
//! ```
//!
//! [`task`] has more: sets of tasks, tasks that stay on one thread, values of a task. In a
//! [`scope`], tasks borrow from the stack.
//!
//! # Channels
//!
//! [`channel`] has four topologies, one for each answer to "how many senders, how many
//! receivers"; each is bounded, and each works in a task, in a plain thread, or between the two.
//!
//! ```
//! let (mut tx, mut rx) = annulus::channel::spsc(64);
//! let thread = std::thread::spawn(move || (1..=100).try_for_each(|n| tx.send_blocking(n)));
//! let sum = annulus::block_on(async {
//!     let mut sum = 0;
//!     while let Some(n) = rx.recv().await {
//!         sum += n;
//!     }
//!     sum
//! });
//! assert_eq!(sum, 5050);
//! thread.join().unwrap().unwrap();
//! ```
//!
//! # The ring
//!
//! [`ring::RingBuffer`] is the queue under the channels, for threads that do not want to wait.
//!
//! # Locks and signals
//!
//! [`sync`] has what tasks share state with when a channel does not fit: locks that are held across
//! `.await`, counted permits, and signals.
//!
//! # Time
//!
//! [`time`] has sleeps, limits of time and ticks, and a clock that tests can move.
//!
//! # Sockets
//!
//! With the feature `net`, which is on by default, `annulus::net` has TCP, UDP and Unix sockets.
//! The feature `hyper` has the adapters with which hyper 1.x runs on them, and `signal` a future
//! for Ctrl-C.
//!
//! # Cancelling
//!
//! A future that is dropped before it is ready has done nothing: a receive has taken no message,
//! a send has not sent. Each method's page says what its drop gives back.

mod primitive;
mod tuning;
mod util;

pub mod ring;

mod wait;

pub mod channel;

pub mod task;

pub mod time;

#[cfg_attr(not(feature = "net"), path = "reactor_off.rs")]
mod reactor;

mod executor;

mod runtime;

pub use runtime::{
    Builder, EnterGuard, Handle, Runtime, Scope, ScopedJoinHandle, YieldNow, block_in_place,
    block_on, scope, spawn, spawn_blocking, yield_now,
};
pub use task::{JoinError, JoinHandle};

mod macros;

#[cfg(feature = "net")]
pub mod net;

#[cfg(feature = "hyper")]
pub mod hyper;

#[cfg(feature = "signal")]
pub mod signal;

pub mod sync;

#[doc(hidden)]
pub use macros::support as __private;

/// The programs of the README are tests, too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
