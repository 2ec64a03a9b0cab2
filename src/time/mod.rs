//! Sleeping, limits of time, ticks; and a clock that tests can move.
//!
//! | to | use |
//! |---|---|
//! | wait for a while | [`sleep`], [`sleep_until`] |
//! | wait no longer than that | [`timeout`], [`timeout_at`] |
//! | do something again and again | [`interval`], [`interval_at`] |
//! | receive or send in time | [`Receiver::recv_timeout`](crate::channel::Receiver::recv_timeout), [`Sender::send_timeout`](crate::channel::Sender::send_timeout) |
//! | test all that without waiting | [`Builder::start_paused`](crate::Builder::start_paused), [`pause`], [`advance`] |
//!
//! [`Instant`] and [`Duration`] are the standard library's. [`now`] is the time of the runtime's
//! clock, which is `Instant::now()` unless somebody has paused it.
//!
//! # How exact it is
//!
//! A timer is never early. On an idle machine it is late by what the system takes to wake a thread:
//! 40 to 80 µs on a virtual machine with Linux. Workers that run short polls look at the clock every 16 of
//! them; a worker stuck in a long poll has its timers fired by another one, a millisecond late at the least.
//!
//! # Where it works
//!
//! In `block_on` and in tasks of this crate. The first poll that has to wait sets the timer; one
//! that is ready, as a [`timeout`] around a message that is there, touches nothing.
//!
//! # Examples
//!
//! ```
//! use annulus::time::{self, Duration};
//!
//! annulus::block_on(async {
//!     let work = async {
//!         time::sleep(Duration::from_millis(1)).await;
//!         "done"
//!     };
//!     assert_eq!(time::timeout(Duration::from_secs(5), work).await, Ok("done"));
//! });
//! ```

mod channel;
mod clock;
pub(crate) mod context;
mod epoch;
mod interval;
mod shard;
mod sleep;
mod test_clock;
mod timeout;
mod wheel;

pub use std::time::{Duration, Instant};

pub use self::channel::{RecvTimeoutFuture, SendTimeoutFuture};
pub use self::interval::{Interval, MissedTickBehavior, Tick, interval, interval_at};
pub(crate) use self::shard::Timers;
pub use self::sleep::{Sleep, sleep, sleep_until};
pub use self::test_clock::{Advance, advance, pause, resume};
pub use self::timeout::{Elapsed, Timeout, timeout, timeout_at};

/// The time that never comes, as the wheels count it.
pub(crate) const NEVER: u64 = wheel::NEVER;

/// The time by the clock of the runtime that this thread is in; outside of one, the system's.
#[inline]
pub fn now() -> Instant {
    context::place(|place| place.map_or_else(Instant::now, |place| place.timers().clock().now()))
}

/// The number of now (`epoch.rs`), if this thread is in a runtime whose clock is the system's.
#[inline(always)]
fn number() -> Option<u64> {
    context::place(|place| place?.timers().clock().number())
}
