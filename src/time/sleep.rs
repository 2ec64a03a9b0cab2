//! A future that is ready at a certain time.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use super::clock::FAR;
use super::epoch::{self, Epoch};
use super::shard::{Registration, Stage};
use super::{clock, context, now};
use crate::util::budget;

/// Waits for so long, counted from this call.
///
/// Zero is ready at once. It is never early, and late by about a tenth of a millisecond on an
/// idle machine. A time beyond what the clock can tell is a hundred years.
///
/// # Cancel safety
///
/// A sleep that is dropped has taken its timer out, whatever thread it is dropped on.
///
/// # Examples
///
/// ```
/// use annulus::time::{self, Duration, Instant};
///
/// let start = Instant::now();
/// annulus::block_on(time::sleep(Duration::from_millis(2)));
/// assert!(start.elapsed() >= Duration::from_millis(2));
/// ```
#[doc(alias = "delay")]
// Perf: always, so that it is made where it stays; and what is rare is elsewhere, so that callers are
// inlined, too. Moved right after it was written in parts, it would stall the processor for 8 ns: create,
// poll and drop 57 to 50 ns where a method returns it (tokio 103).
#[inline(always)]
#[track_caller]
pub fn sleep(duration: Duration) -> Sleep {
    Sleep::after(duration, Location::caller())
}

/// Waits until then; the past is ready at once. See [`sleep`].
#[track_caller]
pub fn sleep_until(deadline: Instant) -> Sleep {
    Sleep::new(deadline, Location::caller())
}

/// The future of [`sleep`] and [`sleep_until`].
///
/// It sets a timer when it is first polled and has to wait, in the runtime that it is polled in;
/// the waker may be any. From then on it may be polled and dropped on any thread.
///
/// # Panics
///
/// If it has to set a timer while this thread is in no runtime of this crate, or in one that is
/// being shut down. If its runtime ends before the time, it is woken, and this is where it finds
/// itself: polled in another runtime it waits on there.
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct Sleep {
    deadline: Deadline,
    registration: Option<Registration>,
    is_due: Due,
    /// For the panic.
    made_at: &'static Location<'static>,
}

/// As it was given, or as a number of `epoch.rs`.
#[derive(Debug, Clone, Copy)]
enum Deadline {
    Instant(Instant),
    Number(u64),
}

impl Deadline {
    /// By whatever clock it is here, and however far.
    #[cold]
    #[inline(never)]
    fn after(duration: Duration) -> Self {
        Self::Instant(clock::after(now(), duration))
    }

    fn instant(self) -> Instant {
        match self {
            Self::Instant(instant) => instant,
            Self::Number(number) => Epoch::get().instant(number),
        }
    }

    #[inline(always)]
    fn number(self, epoch: &Epoch) -> u64 {
        match self {
            Self::Instant(instant) => epoch.number(instant),
            Self::Number(number) => number,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    No,
    Yes,
    /// Nobody has compared the deadline with the clock.
    Unknown,
}

impl Sleep {
    #[inline(always)]
    pub(super) fn new(deadline: Instant, made_at: &'static Location<'static>) -> Self {
        let deadline = Deadline::Instant(deadline);
        Self { deadline, registration: None, is_due: Due::Unknown, made_at }
    }

    #[inline(always)]
    pub(super) fn after(duration: Duration, made_at: &'static Location<'static>) -> Self {
        // We are looking at the clock; the first poll need not.
        let is_due = if duration.is_zero() { Due::Yes } else { Due::No };
        // The sum is a number: both are less than half of what it can be.
        let deadline = match super::number() {
            Some(now) if duration.as_secs() < FAR.as_secs() => {
                Deadline::Number(now + epoch::nanos(duration))
            }
            _ => Deadline::after(duration),
        };
        Self { deadline, registration: None, is_due, made_at }
    }

    /// When it is ready.
    pub fn deadline(&self) -> Instant {
        self.deadline.instant()
    }

    /// Whether it is ready, or would be if it were polled now.
    pub fn is_elapsed(&self) -> bool {
        self.is_due == Due::Yes || self.deadline() <= now()
    }

    /// Has it be ready then instead, also if it has been ready before.
    ///
    /// A task that waits for it need not poll it again for this to hold. (If the deadline is the
    /// earlier one, the task is woken to do so.)
    ///
    /// # Examples
    ///
    /// A watchdog that barks when nothing has come for 10 ms:
    ///
    /// ```
    /// use annulus::time::{self, Duration};
    ///
    /// # annulus::block_on(async {
    /// # let (mut tx, mut rx) = annulus::channel::spsc(1);
    /// # annulus::spawn(async move { tx.send(1).await });
    /// let quiet = Duration::from_millis(10);
    /// let mut dog = std::pin::pin!(time::sleep(quiet));
    /// loop {
    ///     annulus::select! {
    ///         () = dog.as_mut() => break,
    ///         Some(_message) = rx.recv() => dog.as_mut().reset(time::now() + quiet),
    ///     }
    /// }
    /// # });
    /// ```
    pub fn reset(self: Pin<&mut Self>, deadline: Instant) {
        let this = self.get_mut();
        let later = deadline >= this.deadline();
        this.deadline = Deadline::Instant(deadline);
        this.is_due = Due::Unknown;
        let postponed = |registration: &Registration| later && registration.postpone(deadline);
        if this.registration.as_ref().is_some_and(|registration| !postponed(registration)) {
            if let Some(registration) = this.registration.take() {
                registration.recall();
            }
        }
    }

    /// Whether the time has come; sets the timer if not.
    fn poll_due(&mut self, cx: &Context<'_>) -> bool {
        if let Some(registration) = &mut self.registration {
            match registration.poll(cx.waker()) {
                Stage::Waits => return false,
                Stage::Fired => return true,
                // Its runtime is gone. Maybe there is another.
                Stage::Orphaned => self.is_due = Due::Unknown,
            }
            self.registration = None;
        }
        match self.is_due {
            Due::Yes => return true,
            Due::Unknown if self.deadline() <= now() => return true,
            _ => {}
        }
        self.register(cx);
        false
    }

    #[inline]
    fn register(&mut self, cx: &Context<'_>) {
        // Foreign code, and so not inside the closure.
        let mut waker = Some(cx.waker().clone());
        let hurry = context::place(|place| {
            let place = place?;
            let time = self.deadline.number(place.timers().clock().epoch());
            let (registration, is_first) = Registration::new(place.shard(), time, &mut waker)?;
            self.registration = Some(registration);
            Some((is_first && !place.attends()).then_some(time))
        });
        match hurry {
            Some(None) => {}
            Some(Some(time)) => context::hurry(time),
            None => {
                drop(waker);
                self.refuse();
            }
        }
    }

    #[cold]
    fn refuse(&self) -> ! {
        panic!(
            "a timer (of {}) was polled on a thread that is in no annulus runtime, or in one that \
             is being shut down; await it inside `annulus::block_on` or in a spawned task, or \
             wait on this thread with a method that ends in `_blocking`",
            self.made_at
        );
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        ready!(budget::poll_proceed(cx));
        if !this.poll_due(cx) {
            return Poll::Pending;
        }
        this.registration = None;
        this.is_due = Due::Yes;
        budget::spend();
        Poll::Ready(())
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep")
            .field("deadline", &self.deadline())
            .field("elapsed", &self.is_elapsed())
            .finish()
    }
}
