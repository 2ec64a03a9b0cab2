//! Taking part in the budget of a poll, and not taking part.
//!
//! What the budget is for is in `util/budget.rs`. Channels, locks, timers and joins spend it by
//! themselves.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use crate::util::budget;

/// Lets others run if this poll has done much already; else is ready at once.
///
/// For loops that await nothing else which could make them wait. [`yield_now`](crate::yield_now)
/// waits every time.
///
/// # Examples
///
/// ```
/// # annulus::block_on(async {
/// let mut sum = 0_u64;
/// for n in 0..100_000 {
///     sum += n;
///     annulus::task::consume_budget().await;
/// }
/// # assert_eq!(sum, 4_999_950_000);
/// # });
/// ```
pub fn consume_budget() -> ConsumeBudget {
    ConsumeBudget { _private: () }
}

/// The future that [`consume_budget`] returns.
#[derive(Debug)]
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct ConsumeBudget {
    _private: (),
}

impl Future for ConsumeBudget {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        ready!(budget::poll_proceed(cx));
        budget::spend();
        Poll::Ready(())
    }
}

/// Runs a future without the limit on what one poll may do.
///
/// The tasks beside it wait for as long as what it awaits is ready.
///
/// # Examples
///
/// ```
/// # annulus::block_on(async {
/// let (mut tx, mut rx) = annulus::channel::spsc(1000);
/// for n in 0..1000 {
///     tx.try_send(n).unwrap();
/// }
/// // In one poll.
/// let all = async {
///     for n in 0..1000 {
///         assert_eq!(rx.recv().await, Some(n));
///     }
/// };
/// annulus::task::unconstrained(all).await;
/// # });
/// ```
pub fn unconstrained<F: Future>(future: F) -> Unconstrained<F> {
    Unconstrained { future }
}

pin_project! {
    /// The future that [`unconstrained`] returns.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless you `.await` or poll them"]
    pub struct Unconstrained<F> {
        #[pin]
        future: F,
    }
}

impl<F: Future> Future for Unconstrained<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        budget::unlimited(|| self.project().future.poll(cx))
    }
}
