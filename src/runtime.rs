//! The runtime: how to start one, give it tasks, wait in it, and end it.

mod scope;
mod tasks;

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::thread;

pub use self::scope::{Scope, ScopedJoinHandle, scope};
use crate::executor::{self, MAX_SEATS, Shared};
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
/// of every task that is left, each once and by a worker, and joins the threads. (Dropped by one
/// of its own tasks it cannot join the thread that it runs on, and leaves the rest to the
/// workers.) A task that blocks its thread for ever keeps the drop waiting.
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
    threads: Vec<thread::JoinHandle<()>>,
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
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.shared.shut_down();
        // A worker cannot wait for itself.
        if !executor::is_inside(&self.shared) {
            for thread in self.threads.drain(..) {
                thread.join().expect("a worker does not panic");
            }
        }
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.shared, f)
    }
}

/// Settings for a [`Runtime`].
///
/// # Examples
///
/// ```
/// let runtime = annulus::Builder::new().worker_threads(2).thread_name("crunch").build()?;
/// let name = runtime.spawn(async { std::thread::current().name().map(str::to_owned) });
/// # std::thread::scope(|s| { s.spawn(|| {
/// // Not from `block_on`, whose thread may run the task itself.
/// let name = std::thread::current().name().map(str::to_owned);
/// # }); });
/// # drop(name);
/// # Ok::<_, std::io::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Builder {
    workers: Option<usize>,
    name: String,
    paused: bool,
}

impl Builder {
    /// The settings of [`Runtime::new`].
    pub fn new() -> Self {
        Self { workers: None, name: String::from("annulus"), paused: false }
    }

    /// Sets the number of workers, the thread in `block_on` included.
    ///
    /// # Panics
    ///
    /// Unless it is within `1..=64`.
    #[track_caller]
    pub fn worker_threads(mut self, workers: usize) -> Self {
        assert!(
            (1..=MAX_SEATS).contains(&workers),
            "a runtime has 1 to {MAX_SEATS} workers; {workers} were asked for"
        );
        self.workers = Some(workers);
        self
    }

    /// Sets the first part of the threads' names; the number of each follows it.
    pub fn thread_name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets whether the clock of the timers stands still at first; see
    /// [`time::pause`](crate::time::pause).
    pub fn start_paused(mut self, paused: bool) -> Self {
        self.paused = paused;
        self
    }

    /// Starts the runtime.
    ///
    /// # Errors
    ///
    /// If the system refuses to start a thread; those already started are ended again.
    pub fn build(&self) -> io::Result<Runtime> {
        let available = || thread::available_parallelism().map_or(1, usize::from).min(MAX_SEATS);
        let workers = self.workers.unwrap_or_else(available);
        let name = |index| format!("{}-{index}", self.name);
        let (shared, threads) = executor::start(workers, self.paused, name)?;
        Ok(Runtime { shared, threads })
    }
}

impl Default for Builder {
    fn default() -> Self {
        Self::new()
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
