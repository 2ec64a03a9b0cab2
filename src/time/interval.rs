//! Ticks at equal distances.

use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use std::{fmt, future};

use super::sleep::Sleep;
use super::{clock, now};

/// Ticks now, and then once every `period`.
///
/// # Panics
///
/// If the period is zero.
///
/// # Examples
///
/// ```
/// use annulus::time::{self, Duration};
///
/// # annulus::block_on(async {
/// let mut interval = time::interval(Duration::from_millis(1));
/// let first = interval.tick().await; // at once
/// let second = interval.tick().await;
/// assert_eq!(second - first, interval.period());
/// # });
/// ```
#[track_caller]
pub fn interval(period: Duration) -> Interval {
    interval_at(now(), period)
}

/// Ticks at `start`, and then once every `period`.
///
/// # Panics
///
/// If the period is zero.
#[track_caller]
pub fn interval_at(start: Instant, period: Duration) -> Interval {
    assert!(
        !period.is_zero(),
        "an interval needs a period above zero; to let others run in a loop, use `yield_now`"
    );
    let delay = Sleep::new(start, Location::caller());
    Interval { delay, period, behavior: MissedTickBehavior::default() }
}

/// What to do about ticks that were missed.
///
/// A tick is missed when at the time it is taken the next one is due as well. A tick that is
/// merely late changes nothing: the next one comes when it would have.
///
/// ```text
///   time     0    1    2    3    4    5    6    7
///   Burst    x    x            xxx    x    x    x     what was due at 2, 3 and 4 comes at 4.5
///   Delay    x    x            x    x    x    x       the one of 2, and then from 4.5 on
///   Skip     x    x            x      x    x    x     the one of 2, and then as scheduled
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MissedTickBehavior {
    /// They are made up for, one after the other, without waiting.
    #[default]
    Burst,
    /// They are left out, and the following ticks count from the late one.
    Delay,
    /// They are left out, and the following ticks come when they would have.
    Skip,
}

impl MissedTickBehavior {
    /// When the tick after that of `scheduled` comes, taken at `now`.
    fn next(self, scheduled: Instant, now: Instant, period: Duration) -> Instant {
        let next = clock::after(scheduled, period);
        if next > now {
            return next;
        }
        match self {
            Self::Burst => next,
            Self::Delay => clock::after(now, period),
            Self::Skip => {
                let late = now.saturating_duration_since(scheduled).as_nanos();
                let left = period.as_nanos() - late % period.as_nanos();
                // It is no longer than the period, and so fits where that does.
                let (seconds, nanos) = (left / 1_000_000_000, left % 1_000_000_000);
                clock::after(now, Duration::new(seconds as u64, nanos as u32))
            }
        }
    }
}

/// Made by [`interval`] and [`interval_at`].
#[must_use = "an interval does nothing unless you await its ticks"]
pub struct Interval {
    /// Until the next tick.
    delay: Sleep,
    period: Duration,
    behavior: MissedTickBehavior,
}

impl Interval {
    /// Waits for the next tick, and gives the time for which it was scheduled.
    ///
    /// # Cancel safety
    ///
    /// A tick that was not returned comes the next time.
    ///
    /// # Panics
    ///
    /// As [`Sleep`].
    pub fn tick(&mut self) -> Tick<'_> {
        Tick { interval: self }
    }

    /// As [`tick`](Self::tick), for a hand-written poll.
    pub fn poll_tick(&mut self, cx: &mut Context<'_>) -> Poll<Instant> {
        ready!(future::Future::poll(Pin::new(&mut self.delay), cx));
        let scheduled = self.delay.deadline();
        let next = self.behavior.next(scheduled, now(), self.period);
        Pin::new(&mut self.delay).reset(next);
        Poll::Ready(scheduled)
    }

    /// Has the next tick come a period from now.
    pub fn reset(&mut self) {
        let next = clock::after(now(), self.period);
        Pin::new(&mut self.delay).reset(next);
    }

    /// The time from tick to tick.
    pub fn period(&self) -> Duration {
        self.period
    }

    /// What it does about ticks that were missed.
    pub fn missed_tick_behavior(&self) -> MissedTickBehavior {
        self.behavior
    }

    /// Sets what to do about ticks that were missed; at first it is `Burst`.
    pub fn set_missed_tick_behavior(&mut self, behavior: MissedTickBehavior) {
        self.behavior = behavior;
    }
}

impl fmt::Debug for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interval")
            .field("next", &self.delay.deadline())
            .field("period", &self.period)
            .field("missed_tick_behavior", &self.behavior)
            .finish()
    }
}

/// Waits for a tick; made by [`Interval::tick`].
#[derive(Debug)]
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct Tick<'a> {
    interval: &'a mut Interval,
}

impl future::Future for Tick<'_> {
    type Output = Instant;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Instant> {
        self.get_mut().interval.poll_tick(cx)
    }
}
