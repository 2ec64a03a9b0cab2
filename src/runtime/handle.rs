//! A reference to a runtime, for whoever has to reach it from elsewhere.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;

use crate::executor::{self, Entered, Shared};
use crate::task::{JoinHandle, Origin};

/// Reaches a [`Runtime`](crate::Runtime) from any thread.
///
/// A handle does not keep the runtime running. Once that has ended, what is spawned through the
/// handle is cancelled at once, and [`block_on`](Self::block_on) runs its future alone.
///
/// # Examples
///
/// ```
/// let runtime = annulus::Runtime::new()?;
/// let handle = runtime.handle();
/// let thread = std::thread::spawn(move || {
///     let task = handle.spawn(async { 6 * 7 });
///     handle.block_on(task).unwrap()
/// });
/// assert_eq!(thread.join().unwrap(), 42);
/// # Ok::<_, std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct Handle(pub(super) Arc<Shared>);

impl Handle {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        Self(Arc::clone(shared))
    }

    /// The runtime that this thread is in: its tasks, `block_on`, `spawn_blocking` or `enter`.
    ///
    /// # Panics
    ///
    /// If the thread is in none.
    ///
    /// # Examples
    ///
    /// ```
    /// let task = annulus::block_on(async { annulus::Handle::current().spawn(async { 1 }).await });
    /// assert_eq!(task.unwrap(), 1);
    /// ```
    #[track_caller]
    pub fn current() -> Self {
        Self::try_current().expect(
            "Handle::current was called outside of any runtime; call it inside block_on or a \
             task, or use try_current",
        )
    }

    /// As [`current`](Self::current), or `None` outside of any runtime.
    pub fn try_current() -> Option<Self> {
        executor::current().map(Self)
    }

    /// Has the free functions of this thread use this runtime until the guard drops.
    ///
    /// Guards of several runtimes may drop in any order; what was entered last counts. Do not hold
    /// a guard over an `.await`: what else runs on the thread would be in this runtime, too.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = annulus::Runtime::new()?;
    /// let handle = runtime.handle();
    /// let _inside = handle.enter();
    /// let task = annulus::spawn(async { 1 }); // on `runtime`, not on the global one
    /// assert_eq!(runtime.block_on(task).unwrap(), 1);
    /// # Ok::<_, std::io::Error>(())
    /// ```
    pub fn enter(&self) -> EnterGuard<'_> {
        EnterGuard::new(&self.0)
    }

    /// Runs a future as a task of the runtime.
    ///
    /// # Examples
    ///
    /// A runtime that has ended runs nothing, and says so:
    ///
    /// ```
    /// let runtime = annulus::Runtime::new()?;
    /// let handle = runtime.handle();
    /// drop(runtime);
    /// let task = handle.spawn(async { 1 });
    /// assert!(annulus::block_on(task).unwrap_err().is_cancelled());
    /// # Ok::<_, std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.0.spawn(future, Origin::caller())
    }

    /// Runs a closure that blocks, on a thread that is there for it.
    ///
    /// See [`spawn_blocking`](crate::spawn_blocking).
    ///
    /// # Panics
    ///
    /// If a thread is needed, there is none, and the system refuses to start one.
    #[track_caller]
    pub fn spawn_blocking<F, R>(&self, f: F) -> JoinHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        executor::spawn_blocking(&self.0, f, Origin::caller())
    }

    /// Runs a future to its end on this thread, as [`Runtime::block_on`](crate::Runtime::block_on).
    ///
    /// If the runtime ends meanwhile, the future goes on alone: its tasks are cancelled.
    ///
    /// # Panics
    ///
    /// Inside a task or another `block_on`, where it would block a worker. And if the future
    /// panics, with its panic.
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        executor::block_on(&self.0, future)
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Handle").field(&self.0).finish()
    }
}

/// Keeps a runtime entered; made by [`Handle::enter`] and [`Runtime::enter`].
///
/// [`Runtime::enter`]: crate::Runtime::enter
#[must_use = "the runtime is left when the guard drops"]
pub struct EnterGuard<'a> {
    entered: Entered,
    /// What was entered is there meanwhile.
    outlives: PhantomData<&'a Shared>,
}

impl EnterGuard<'_> {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        Self { entered: Entered::new(Arc::clone(shared)), outlives: PhantomData }
    }
}

impl fmt::Debug for EnterGuard<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("EnterGuard").field(self.entered.shared()).finish()
    }
}
