//! Waiting for a task's output, and asking it to stop.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use super::abort::AbortHandle;
use super::error::JoinError;
use super::id::Id;
use super::raw::Task;
use super::state::Handle;
use crate::util::budget;

/// Waits for a spawned task's output; made by [`spawn`](crate::spawn).
///
/// Dropping the handle detaches the task, which goes on by itself.
///
/// # Cancel safety
///
/// Waiting can be given up and taken up again: `(&mut handle).await` in a `select!` loses nothing.
///
/// # Examples
///
/// ```
/// let answer = annulus::block_on(async { annulus::spawn(async { 6 * 7 }).await });
/// assert_eq!(answer.unwrap(), 42);
/// ```
pub struct JoinHandle<T> {
    task: Task,
    /// Whether the output is gone, so that the handle's drop leaves it alone.
    taken: bool,
    output: PhantomData<fn() -> T>,
}

// SAFETY: the handle gives out a `T` by value and touches it nowhere else; the header is made
// for sharing.
unsafe impl<T: Send> Send for JoinHandle<T> {}
// SAFETY: through `&JoinHandle` no `T` can be reached.
unsafe impl<T: Send> Sync for JoinHandle<T> {}
impl<T> Unpin for JoinHandle<T> {}
impl<T> UnwindSafe for JoinHandle<T> {}
impl<T> RefUnwindSafe for JoinHandle<T> {}

impl<T> JoinHandle<T> {
    /// Takes over the handle's reference.
    pub(super) fn new(task: Task) -> Self {
        Self { task, taken: false, output: PhantomData }
    }

    /// Asks the task to stop: its future is dropped at its next turn, by a worker.
    ///
    /// The handle then gives an error that [`is_cancelled`](JoinError::is_cancelled), unless the
    /// task was complete before.
    ///
    /// # Examples
    ///
    /// ```
    /// # annulus::block_on(async {
    /// let task = annulus::spawn(std::future::pending::<()>());
    /// task.abort();
    /// assert!(task.await.unwrap_err().is_cancelled());
    /// # });
    /// ```
    #[doc(alias = "cancel")]
    pub fn abort(&self) {
        self.task.abort();
    }

    /// Whether the task is complete: it has returned, panicked or been aborted.
    pub fn is_finished(&self) -> bool {
        self.task.header().state.is_complete()
    }

    /// A handle that can stop the task and nothing else.
    pub fn abort_handle(&self) -> AbortHandle {
        AbortHandle::new(self.task)
    }

    /// The task's id.
    pub fn id(&self) -> Id {
        self.task.header().id
    }

    /// The output, if the task is complete.
    pub(super) fn try_join(&mut self) -> Option<Result<T, JoinError>> {
        if self.taken || !self.is_finished() {
            return None;
        }
        self.taken = true;
        // SAFETY: the task is complete, JOIN_INTEREST is ours, and `taken` was false (rule 3).
        Some(unsafe { self.task.take_output() })
    }

    /// Leaves `waker` for who completes the task; `TooLate` if that has happened.
    fn leave_waker(&self, waker: &Waker) -> Handle {
        let header = self.task.header();
        // Even to compare it we need it back: who completes the task takes it out.
        if header.state.has_join_waker() && header.state.take_join_waker_back() == Handle::TooLate {
            return Handle::TooLate;
        }
        // SAFETY: JOIN_WAKER is clear and the task was not complete: ours (rule 4).
        let same = header
            .join_waker
            .with(|w| unsafe { (*w).as_ref() }.is_some_and(|w| w.will_wake(waker)));
        if !same {
            let new = Some(waker.clone());
            // SAFETY: as above.
            drop(header.join_waker.with_mut(|w| std::mem::replace(unsafe { &mut *w }, new)));
        }
        header.state.leave_join_waker()
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    /// # Panics
    ///
    /// When polled again after it was ready.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        assert!(!self.taken, "this task was joined already; its handle cannot be polled again");
        ready!(budget::poll_proceed(cx));
        if !self.is_finished() && self.leave_waker(cx.waker()) == Handle::Done {
            return Poll::Pending;
        }
        let result = self.try_join().expect("it was not taken, and the task is complete");
        budget::spend();
        Poll::Ready(result)
    }
}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        // Cancel: the task goes on; its output, if there is one, drops with us. So does our
        // waker, which else would hold on to a task that waits here no more: at the very end,
        // since it may panic.
        let header = self.task.header();
        let mut _waker = None;
        if header.state.has_join_waker() && header.state.take_join_waker_back() == Handle::Done {
            // SAFETY: JOIN_WAKER is clear and the task was not complete: ours (rule 4).
            _waker = header.join_waker.with_mut(|w| unsafe { (*w).take() });
        }
        if self.task.header().state.drop_handle() == Handle::TooLate {
            // SAFETY: the task is complete and the output ours; the reference is ours too.
            unsafe {
                if !self.taken {
                    self.task.drop_output();
                }
                self.task.drop_reference();
            }
        }
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.task.debug("JoinHandle", f)
    }
}
