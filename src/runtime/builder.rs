//! What can be chosen about a runtime.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::Runtime;
use crate::executor::{self, Hook, MAX_SEATS, Settings, ThreadSettings};
use crate::task::{JoinError, PanicHook};

/// Settings for a [`Runtime`].
///
/// # Examples
///
/// ```
/// let runtime = annulus::Builder::new().worker_threads(2).thread_name("crunch").build()?;
/// let name = runtime.spawn_blocking(|| std::thread::current().name().map(str::to_owned));
/// assert!(runtime.block_on(name).unwrap().unwrap().starts_with("crunch-"));
/// # Ok::<_, std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct Builder {
    workers: Option<usize>,
    threads: ThreadSettings,
    blocking_threads: usize,
    keep_alive: Duration,
    paused: bool,
    on_panic: Option<PanicHook>,
}

impl Builder {
    /// The settings of [`Runtime::new`].
    pub fn new() -> Self {
        let threads = ThreadSettings {
            name: Arc::new(|number| format!("annulus-{number}")),
            stack_size: None,
            on_start: None,
            on_stop: None,
        };
        let keep_alive = Duration::from_secs(10);
        Self {
            workers: None,
            threads,
            blocking_threads: 512,
            keep_alive,
            paused: false,
            on_panic: None,
        }
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
    ///
    /// The default is `annulus`. The workers come first, from 0 on.
    pub fn thread_name(self, name: impl Into<String>) -> Self {
        let name = name.into();
        self.thread_name_fn(move |number| format!("{name}-{number}"))
    }

    /// Sets how the threads are named, from the number of each.
    ///
    /// A thread has no name if the function panics, or if what it gives has a 0 byte.
    ///
    /// # Examples
    ///
    /// ```
    /// let name = |n| if n < 2 { format!("worker {n}") } else { format!("blocking {}", n - 2) };
    /// let runtime = annulus::Builder::new().worker_threads(2).thread_name_fn(name).build()?;
    /// let name = runtime.spawn_blocking(|| std::thread::current().name().map(str::to_owned));
    /// assert_eq!(runtime.block_on(name).unwrap().unwrap(), "blocking 0");
    /// # Ok::<_, std::io::Error>(())
    /// ```
    pub fn thread_name_fn(
        mut self,
        name: impl Fn(usize) -> String + Send + Sync + 'static,
    ) -> Self {
        self.threads.name = Arc::new(name);
        self
    }

    /// Sets the size of the threads' stacks, in bytes. The default is std's.
    pub fn thread_stack_size(mut self, size: usize) -> Self {
        self.threads.stack_size = Some(size);
        self
    }

    /// Has each thread of the runtime call `hook`, in the runtime, when it starts.
    ///
    /// A panic of the hook is reported as any panic, and the thread goes on.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::atomic::{AtomicUsize, Ordering};
    ///
    /// static THREADS: AtomicUsize = AtomicUsize::new(0);
    /// let runtime = annulus::Builder::new()
    ///     .worker_threads(2)
    ///     .on_thread_start(|| _ = THREADS.fetch_add(1, Ordering::Relaxed))
    ///     .on_thread_stop(|| _ = THREADS.fetch_sub(1, Ordering::Relaxed))
    ///     .build()?;
    /// drop(runtime); // waits for its threads
    /// assert_eq!(THREADS.load(Ordering::Relaxed), 0);
    /// # Ok::<_, std::io::Error>(())
    /// ```
    pub fn on_thread_start(mut self, hook: impl Fn() + Send + Sync + 'static) -> Self {
        self.threads.on_start = Some(Arc::new(hook) as Hook);
        self
    }

    /// Has each thread of the runtime call `hook`, in the runtime, before it ends.
    ///
    /// A panic of the hook is reported as any panic, and the thread ends all the same.
    pub fn on_thread_stop(mut self, hook: impl Fn() + Send + Sync + 'static) -> Self {
        self.threads.on_stop = Some(Arc::new(hook) as Hook);
        self
    }

    /// Sets how many threads at most run closures of `spawn_blocking` at once.
    ///
    /// The default is 512. Threads are started when they are needed; further closures wait.
    ///
    /// # Panics
    ///
    /// If it is 0.
    #[track_caller]
    pub fn max_blocking_threads(mut self, threads: usize) -> Self {
        assert!(threads > 0, "closures that block need at least one thread; 0 were asked for");
        self.blocking_threads = threads;
        self
    }

    /// Sets how long a thread for blocking closures waits for the next before it ends.
    ///
    /// The default is 10 seconds.
    #[doc(alias = "thread_keep_alive_timeout")]
    pub fn thread_keep_alive(mut self, time: Duration) -> Self {
        self.keep_alive = time;
        self
    }

    /// Has `hook` called with each panic that nobody will learn of from a `JoinHandle`.
    ///
    /// That is of a task, or of a closure of `spawn_blocking`, whose handle is dropped, before the
    /// panic or later, without having given the error. Without a hook such a panic ends its task,
    /// and is only reported by std's panic hook, as any panic.
    ///
    /// It is called by the thread that ran the task, or by the one that drops the handle. Its own
    /// panic changes nothing.
    ///
    /// # Examples
    ///
    /// A program that goes on with no part missing, or not at all:
    ///
    /// ```
    /// let runtime = annulus::Builder::new()
    ///     .on_unhandled_panic(|error| {
    ///         eprintln!("{error}"); // says where the task was spawned, too
    ///         std::process::abort();
    ///     })
    ///     .build()?;
    /// # Ok::<_, std::io::Error>(())
    /// ```
    #[doc(alias = "unhandled_panic")]
    pub fn on_unhandled_panic(mut self, hook: impl Fn(JoinError) + Send + Sync + 'static) -> Self {
        self.on_panic = Some(Arc::new(hook));
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
        let shared = executor::start(Settings {
            seats: self.workers.unwrap_or_else(available),
            threads: self.threads.clone(),
            blocking_threads: self.blocking_threads,
            keep_alive: self.keep_alive,
            paused: self.paused,
            on_panic: self.on_panic.clone(),
        })?;
        Ok(Runtime { shared, waits: true })
    }
}

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("workers", &self.workers)
            .field("threads", &self.threads)
            .field("max_blocking_threads", &self.blocking_threads)
            .field("thread_keep_alive", &self.keep_alive)
            .field("start_paused", &self.paused)
            .field("on_unhandled_panic", &self.on_panic.is_some())
            .finish()
    }
}
