//! A future that may take so long and no longer.

use std::error::Error;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::io;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use pin_project_lite::pin_project;

use super::sleep::Sleep;

/// Gives a future so much time, counted from its first poll that has to wait.
///
/// A future that is ready in its first poll costs nothing more: no timer is set, and nobody looks
/// at the clock. The future is polled first, so that what is ready in time counts even if
/// the task was slow to look. It is dropped with the `Timeout`, not earlier.
///
/// # Errors
///
/// [`Elapsed`] if the time is over before the future is ready.
///
/// # Cancel safety
///
/// That of the future.
///
/// # Examples
///
/// ```
/// use annulus::time::{self, Duration};
///
/// # annulus::block_on(async {
/// let (tx, mut rx) = annulus::channel::mpsc::<u8>(1);
/// let late = time::timeout(Duration::from_millis(1), rx.recv()).await;
/// assert!(late.is_err());
/// tx.send(7).await?;
/// let in_time = time::timeout(Duration::from_millis(1), rx.recv()).await;
/// assert_eq!(in_time, Ok(Some(7)));
/// # Ok::<_, annulus::channel::SendError<u8>>(()) }).unwrap();
/// ```
#[track_caller]
pub fn timeout<F: IntoFuture>(duration: Duration, future: F) -> Timeout<F::IntoFuture> {
    Timeout { future: future.into_future(), delay: Delay::after(duration) }
}

/// Gives a future until then; the past polls it once. See [`timeout`].
///
/// # Errors
///
/// [`Elapsed`] if the time is over before the future is ready.
#[track_caller]
pub fn timeout_at<F: IntoFuture>(deadline: Instant, future: F) -> Timeout<F::IntoFuture> {
    Timeout { future: future.into_future(), delay: Delay::until(deadline) }
}

pin_project! {
    /// The future of [`timeout`] and [`timeout_at`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless you `.await` or poll them"]
    pub struct Timeout<F> {
        #[pin]
        future: F,
        delay: Delay,
    }
}

impl<F> Timeout<F> {
    /// The future.
    pub fn get_ref(&self) -> &F {
        &self.future
    }

    /// The future, to change it.
    pub fn get_mut(&mut self) -> &mut F {
        &mut self.future
    }

    /// Gives the future back, without its limit.
    pub fn into_inner(self) -> F {
        self.future
    }
}

impl<F: Future> Future for Timeout<F> {
    type Output = Result<F::Output, Elapsed>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(output) = this.future.poll(cx) {
            return Poll::Ready(Ok(output));
        }
        this.delay.poll(cx).map(|()| Err(Elapsed(())))
    }
}

/// A sleep that begins when it is first polled, or ends at a certain time.
#[derive(Debug)]
pub(super) enum Delay {
    After(Duration, &'static Location<'static>),
    Sleep(Sleep),
}

impl Delay {
    #[inline]
    #[track_caller]
    pub(super) fn after(duration: Duration) -> Self {
        Self::After(duration, Location::caller())
    }

    #[track_caller]
    pub(super) fn until(deadline: Instant) -> Self {
        Self::Sleep(Sleep::new(deadline, Location::caller()))
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            match self {
                Self::Sleep(sleep) => return Pin::new(sleep).poll(cx),
                Self::After(duration, made_at) => {
                    *self = Self::Sleep(Sleep::after(*duration, made_at));
                }
            }
        }
    }
}

/// The time was over before the future was ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Elapsed(());

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the future was not ready in time; allow more time, or try again")
    }
}

impl Error for Elapsed {}

impl From<Elapsed> for io::Error {
    fn from(elapsed: Elapsed) -> Self {
        Self::new(io::ErrorKind::TimedOut, elapsed)
    }
}
