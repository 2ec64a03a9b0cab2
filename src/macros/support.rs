//! What the macros call. Public because their text is expanded elsewhere; not for use by hand.

#![expect(missing_docs, reason = "nobody reads this page but who reads the macros")]

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::util::rng;

pub use std::future::poll_fn;
pub use std::pin::pin;

/// A random number below `arms`, to begin with that arm.
pub fn start(arms: u32) -> u32 {
    rng::below(arms)
}

pin_project_lite::pin_project! {
    /// A future, then its output, then nothing.
    #[project = Stage]
    #[project_replace = Taken]
    #[derive(Debug)]
    pub enum MaybeDone<F: Future> {
        Future { #[pin] future: F },
        Done { output: F::Output },
        Gone,
    }
}

impl<F: Future> MaybeDone<F> {
    /// A future that is not done.
    pub fn new(future: F) -> Self {
        Self::Future { future }
    }

    /// Polls the future if it is not done; whether it is now.
    pub fn poll_done(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> bool {
        let Stage::Future { future } = self.as_mut().project() else { return true };
        let Poll::Ready(output) = future.poll(cx) else { return false };
        self.project_replace(Self::Done { output });
        true
    }

    /// The output of a future that is done.
    pub fn take(self: Pin<&mut Self>) -> F::Output {
        match self.project_replace(Self::Gone) {
            Taken::Done { output } => output,
            _ => unreachable!("the future is done, and its output taken once"),
        }
    }
}

/// The value of a result that is no error.
pub fn ok<T, E>(result: Result<T, E>) -> T {
    match result {
        Ok(value) => value,
        Err(_) => unreachable!("an error has ended the wait before"),
    }
}

impl<T, E, F: Future<Output = Result<T, E>>> MaybeDone<F> {
    /// Whether the future is done and has failed.
    pub fn has_failed(self: Pin<&mut Self>) -> bool {
        matches!(self.project(), Stage::Done { output: Err(_) })
    }
}
