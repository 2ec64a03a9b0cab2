//! Waiting for a task's output, and asking it to stop.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::{Location, RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};

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
        self.taken = true;
        budget::spend();
        // SAFETY: the task is complete, JOIN_INTEREST is ours, and `taken` was false (rule 3).
        Poll::Ready(unsafe { self.task.take_output() })
    }
}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        // Cancel: the task goes on; its output, if there is one, drops with us. So does our
        // waker, which else would hold on to a task that waits here no more.
        let header = self.task.header();
        if header.state.has_join_waker() && header.state.take_join_waker_back() == Handle::Done {
            // SAFETY: JOIN_WAKER is clear and the task was not complete: ours (rule 4).
            let waker = header.join_waker.with_mut(|w| unsafe { (*w).take() });
            drop(waker);
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
        f.debug_struct("JoinHandle")
            .field("spawned", &format_args!("{}", self.task.header().location))
            .field("finished", &self.is_finished())
            .finish()
    }
}

/// Why a task has no output: it panicked, or it was cancelled.
pub struct JoinError {
    spawned: &'static Location<'static>,
    cause: Cause,
}

enum Cause {
    Cancelled,
    /// A payload need not be `Sync`; behind the mutex it is. In a box, since every task has room
    /// for an error.
    Panicked(Box<Mutex<Panic>>),
}

struct Panic {
    payload: Box<dyn Any + Send>,
    /// For if the error drops with its task.
    hook: Option<PanicHook>,
}

/// What is called with panics that nobody has waited for.
pub(crate) type PanicHook = Arc<dyn Fn(JoinError) + Send + Sync>;

impl JoinError {
    pub(super) fn cancelled(spawned: &'static Location<'static>) -> Self {
        Self { spawned, cause: Cause::Cancelled }
    }

    pub(super) fn panicked(
        spawned: &'static Location<'static>,
        payload: Box<dyn Any + Send>,
        hook: Option<PanicHook>,
    ) -> Self {
        let panic = Box::new(Mutex::new(Panic { payload, hook }));
        Self { spawned, cause: Cause::Panicked(panic) }
    }

    /// The task has no handle any more.
    pub(super) fn report(mut self) {
        let hook = match &mut self.cause {
            Cause::Cancelled => None,
            Cause::Panicked(panic) => {
                panic.get_mut().unwrap_or_else(PoisonError::into_inner).hook.take()
            }
        };
        if let Some(hook) = hook {
            hook(self);
        }
    }

    /// Whether the task was stopped before its end, by `abort` or by its runtime's shutdown.
    pub fn is_cancelled(&self) -> bool {
        matches!(self.cause, Cause::Cancelled)
    }

    /// Whether the task panicked.
    pub fn is_panic(&self) -> bool {
        matches!(self.cause, Cause::Panicked(_))
    }

    /// Where the task was spawned.
    pub fn spawned_at(&self) -> &'static Location<'static> {
        self.spawned
    }

    /// Gives the panic's payload, for `std::panic::resume_unwind`.
    ///
    /// # Errors
    ///
    /// Gives the error back if the task did not panic.
    ///
    /// # Examples
    ///
    /// ```
    /// # annulus::block_on(async {
    /// # std::panic::set_hook(Box::new(|_| ()));
    /// let error = annulus::spawn(async { panic!("boom") }).await.unwrap_err();
    /// let payload = error.try_into_panic().unwrap();
    /// assert_eq!(payload.downcast_ref(), Some(&"boom"));
    /// # });
    /// ```
    pub fn try_into_panic(self) -> Result<Box<dyn Any + Send>, Self> {
        match self.cause {
            Cause::Panicked(panic) => {
                Ok(panic.into_inner().unwrap_or_else(PoisonError::into_inner).payload)
            }
            Cause::Cancelled => Err(self),
        }
    }

    /// Gives the panic's payload, for `std::panic::resume_unwind`.
    ///
    /// # Panics
    ///
    /// If the task did not panic; [`try_into_panic`](Self::try_into_panic) does not.
    #[track_caller]
    pub fn into_panic(self) -> Box<dyn Any + Send> {
        self.try_into_panic()
            .unwrap_or_else(|error| panic!("{error}, so there is no panic; ask is_panic first"))
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { spawned, cause } = self;
        match cause {
            Cause::Cancelled => write!(f, "the task spawned at {spawned} was cancelled"),
            Cause::Panicked(panic) => {
                write!(f, "the task spawned at {spawned} panicked")?;
                let panic = panic.lock().unwrap_or_else(PoisonError::into_inner);
                let message = panic
                    .payload
                    .downcast_ref::<&str>()
                    .copied()
                    .or_else(|| panic.payload.downcast_ref::<String>().map(String::as_str));
                message.map_or(Ok(()), |message| write!(f, ": {message}"))
            }
        }
    }
}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinError({self})")
    }
}

impl Error for JoinError {}
