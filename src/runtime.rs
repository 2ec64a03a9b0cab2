//! The runtime: how to start one, give it tasks, wait in it, and end it.

mod builder;
mod handle;
mod scope;
mod tasks;
#[cfg(any(feature = "fs", feature = "net"))]
pub(crate) mod unblock;

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

pub use self::builder::Builder;
pub use self::handle::{EnterGuard, Handle};
pub use self::scope::{Scope, ScopedJoinHandle, scope};
use crate::executor::{self, Shared};
use crate::task::{JoinHandle, Name, Origin};

/// Worker threads that run tasks.
///
/// Most programs need none of their own: [`block_on`] and [`spawn`] use one that starts with the
/// first call and lasts until the process ends. A `Runtime` is for choosing the number of
/// workers, and for an end in good order.
///
/// # Shutdown
///
/// Dropping the runtime stops the workers once their current polls are over, drops the future
/// of every task that is left, each once and by a worker, drops the closures of
/// [`spawn_blocking`] that have not begun, and joins the threads when those that have begun are
/// done. What blocks its thread for ever keeps the drop waiting; [`shutdown_timeout`] has a limit.
///
/// Dropped on one of its own threads, by a task or a closure, the runtime cannot wait for the
/// thread that it is on: the drop returns at once, and the threads end by themselves.
///
/// [`shutdown_timeout`]: Self::shutdown_timeout
///
/// # Examples
///
/// ```
/// let runtime = annulus::Builder::new().worker_threads(2).build()?;
/// let sum = runtime.block_on(async {
///     let parts = [1, 2, 3].map(|n| annulus::spawn(async move { n * n }));
///     let mut sum = 0;
///     for part in parts {
///         sum += part.await.unwrap();
///     }
///     sum
/// });
/// assert_eq!(sum, 14);
/// # Ok::<_, std::io::Error>(())
/// ```
pub struct Runtime {
    shared: Arc<Shared>,
    /// Whether the drop waits for the threads.
    waits: bool,
}

impl Runtime {
    /// Starts a runtime with one worker for each processor that this process may use.
    ///
    /// # Errors
    ///
    /// If the system refuses to start a thread.
    pub fn new() -> io::Result<Self> {
        Builder::new().build()
    }

    /// Runs a future to its end on this thread, which works as one of the workers meanwhile.
    ///
    /// The future need not be `Send` or `'static`. Its tasks and the runtime's go on in the
    /// background when it is done. Of several threads in `block_on` at once, one works; the
    /// others only wait.
    ///
    /// # Panics
    ///
    /// Inside a task or another `block_on`, where it would block a worker. And if the future
    /// panics, with its panic.
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        executor::block_on(&self.shared, future)
    }

    /// Runs a future as a task of this runtime.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.shared.spawn(future, Origin::caller())
    }

    /// Runs a closure that blocks, on a thread that is there for it.
    ///
    /// See [`spawn_blocking`].
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
        executor::spawn_blocking(&self.shared, f, Origin::caller())
    }

    /// A reference to this runtime, for other threads.
    pub fn handle(&self) -> Handle {
        Handle::new(&self.shared)
    }

    /// Has the free functions of this thread use this runtime until the guard drops.
    ///
    /// See [`Handle::enter`].
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = annulus::Runtime::new()?;
    /// let task = {
    ///     let _inside = runtime.enter();
    ///     annulus::spawn(async { 1 })
    /// };
    /// assert_eq!(runtime.block_on(task).unwrap(), 1);
    /// # Ok::<_, std::io::Error>(())
    /// ```
    pub fn enter(&self) -> EnterGuard<'_> {
        EnterGuard::new(&self.shared)
    }

    /// Ends the runtime as its drop does, but waits no longer than `time` for its threads.
    ///
    /// Threads that are still at work then end when they can; what they run is not interrupted.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let runtime = annulus::Runtime::new()?;
    /// let (tx, rx) = std::sync::mpsc::channel::<()>();
    /// drop(runtime.spawn_blocking(move || rx.recv()));
    /// runtime.shutdown_timeout(Duration::from_millis(10)); // does not wait for the closure
    /// drop(tx);
    /// # Ok::<_, std::io::Error>(())
    /// ```
    pub fn shutdown_timeout(mut self, time: Duration) {
        self.shared.shut_down();
        // A time beyond the end of time is no limit.
        self.shared.wait_for_end(Instant::now().checked_add(time));
        self.waits = false;
    }

    /// Ends the runtime as its drop does, and waits for nothing.
    pub fn shutdown_background(self) {
        self.shutdown_timeout(Duration::ZERO);
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.shared.shut_down();
        if self.waits {
            self.shared.wait_for_end(None);
        }
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.shared, f)
    }
}

/// The runtime of the free functions, started by the first of them that needs it.
fn global() -> &'static Runtime {
    static GLOBAL: OnceLock<Runtime> = OnceLock::new();
    GLOBAL.get_or_init(|| {
        Runtime::new().unwrap_or_else(|error| {
            panic!("the global runtime could not start its threads: {error}")
        })
    })
}

/// The reactor of the runtime that this thread is in, else of the global one.
#[cfg(feature = "net")]
pub(crate) fn driver() -> io::Result<Arc<crate::reactor::Driver>> {
    executor::driver_here().unwrap_or_else(|| global().shared.driver())
}

/// Runs a future to its end on this thread, on the global runtime.
///
/// The global runtime starts with the first call of this or of [`spawn`], with one worker for
/// each processor. See [`Runtime::block_on`].
///
/// # Panics
///
/// As [`Runtime::block_on`]; and if the system refuses to start the threads.
///
/// # Examples
///
/// ```
/// let words = vec!["borrowed", "from", "outside"];
/// let lengths = annulus::block_on(async { words.iter().map(|w| w.len()).sum::<usize>() });
/// assert_eq!(lengths, 19);
/// ```
#[track_caller]
pub fn block_on<F: Future>(future: F) -> F::Output {
    global().block_on(future)
}

/// Runs a future as a task: of the runtime that this thread is in, else of the global one.
///
/// # Panics
///
/// If the global runtime is needed and the system refuses to start its threads.
///
/// # Examples
///
/// ```
/// let task = annulus::spawn(async { "done" }); // works outside of `block_on`, too
/// assert_eq!(annulus::block_on(task).unwrap(), "done");
/// ```
#[track_caller]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    spawn_from(future, Origin::caller())
}

/// As `spawn`, for a task whose origin is known.
pub(crate) fn spawn_from<F, N: Name>(future: F, origin: Origin<N>) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    executor::spawn_here(future, origin)
        .unwrap_or_else(|(future, origin)| global().shared.spawn(future, origin))
}

/// Runs a closure that blocks, on a thread that is there for it.
///
/// Use it for what would keep a worker from its tasks: system calls that wait, locks held for
/// long, long computations. The thread is started when it is needed, up to
/// [`max_blocking_threads`](Builder::max_blocking_threads); it belongs to the runtime that this
/// thread is in, else to the global one.
///
/// Inside the closure everything works that blocks: [`block_on`], `recv_blocking`.
///
/// # Cancelling
///
/// A closure that has begun goes on to its end, whatever becomes of the handle. One that has not
/// is dropped by [`abort`](JoinHandle::abort), when its turn comes, and by the end of the runtime.
///
/// # Panics
///
/// If a thread is needed, there is none, and the system refuses to start one.
///
/// # Examples
///
/// ```
/// let (tx, rx) = annulus::channel::mpsc(1);
/// let sum = annulus::spawn_blocking(move || {
///     let mut rx = rx;
///     std::iter::from_fn(|| rx.recv_blocking()).sum::<u32>()
/// });
/// annulus::block_on(async {
///     for n in 1..=10 {
///         tx.send(n).await.unwrap();
///     }
///     drop(tx);
///     assert_eq!(sum.await.unwrap(), 55);
/// });
/// ```
#[track_caller]
pub fn spawn_blocking<F, R>(f: F) -> JoinHandle<R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    executor::spawn_blocking(&here(), f, Origin::caller())
}

/// The runtime that this thread is in, else the global one.
fn here() -> Arc<Shared> {
    executor::current().unwrap_or_else(|| Arc::clone(&global().shared))
}

/// Runs a closure that blocks on this thread, whose tasks others take over meanwhile.
///
/// Unlike [`spawn_blocking`] it borrows what is around it. The worker's place goes to another
/// thread, if there is work for it, and the task goes on here when the closure is done. The task
/// itself waits: what it has joined or selected stands still with it.
///
/// Outside of tasks and `block_on` it only calls `f`.
///
/// # Panics
///
/// If `f` panics, with its panic.
///
/// # Examples
///
/// ```
/// let (mut tx, mut rx) = annulus::channel::spsc(1);
/// annulus::block_on(async {
///     let task = annulus::spawn(async move { tx.send(6).await });
///     // Would stop a worker, if there were no `block_in_place` around it.
///     assert_eq!(annulus::block_in_place(|| rx.recv_blocking()), Some(6));
///     task.await.unwrap().unwrap();
/// });
/// ```
pub fn block_in_place<R>(f: impl FnOnce() -> R) -> R {
    executor::block_in_place(f)
}

/// Lets other tasks run before this one goes on.
///
/// # Examples
///
/// ```
/// # annulus::block_on(async {
/// for chunk in [1, 2, 3] {
///     // ... a long computation on the chunk ...
///     # let _ = chunk;
///     annulus::yield_now().await;
/// }
/// # });
/// ```
pub fn yield_now() -> YieldNow {
    YieldNow { yielded: false }
}

/// The future that [`yield_now`] returns.
#[derive(Debug)]
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct YieldNow {
    yielded: bool,
}

impl Future for YieldNow {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
