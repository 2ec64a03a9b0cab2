//! Tasks that borrow from the stack of a thread, which waits for them.
//!
//! # Why it is sound
//!
//! 1. [`scope`] returns, or unwinds, only when `running` is 0. It is a function and no future, so
//!    nobody can drop it halfway or forget it.
//! 2. A task is counted from before it is made until the [`End`] in its future drops. That is the
//!    last field of [`Scoped`], so by then all that borrows is gone: the future and, unless a
//!    handle has it, the output. What is freed later, the box and the task's header, borrows
//!    nothing, and a task touches its future no more once it has dropped it (`task/mod.rs`).
//! 3. An output that a handle has is a value of the lifetime `'scope` for all to see. Nothing that
//!    outlives the scope can hold it; a handle that is forgotten never drops it.
//! 4. A task that is never dropped, for whatever reason, keeps the scope waiting.
//!
//! The output is not the raw task's, whose would drop after the future, and so after `End`: it goes
//! to a [`Packet`], and the raw task has none.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::mem;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::thread::{self, Thread};

use pin_project_lite::pin_project;

use super::{Runtime, here};
use crate::executor::Shared;
use crate::task::{Id, JoinError, JoinHandle, Origin};
use crate::util::may_block;
use crate::wait::thread as blocking;

/// Where tasks are spawned that borrow; given by [`scope`].
pub struct Scope<'scope, 'env: 'scope> {
    shared: Arc<Shared>,
    count: Arc<Count>,
    // Both invariant, as in the standard library: no task may be made to live longer.
    scope: PhantomData<&'scope mut &'scope ()>,
    env: PhantomData<&'env mut &'env ()>,
}

/// What the tasks and the thread that waits for them share.
struct Count {
    /// Tasks whose futures are not gone yet.
    running: AtomicUsize,
    /// Whether a task has panicked that nobody has joined.
    panicked: AtomicBool,
    /// Who waits.
    thread: Thread,
}

/// Counts a task until it drops.
struct End(Arc<Count>);

impl End {
    fn new(count: &Arc<Count>) -> Self {
        // Ordering: Relaxed; the caller is the scope's closure, or a task that is counted itself.
        count.running.fetch_add(1, Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for End {
    fn drop(&mut self) {
        // Ordering: Release pairs with the Acquire in `Count::wait`: what the task has done, the
        // drops included, is done before the scope returns.
        if self.0.running.fetch_sub(1, Release) == 1 {
            self.0.thread.unpark();
        }
    }
}

impl Count {
    fn wait(&self) {
        // Ordering: Acquire pairs with the Release in `End::drop`.
        while self.running.load(Acquire) != 0 {
            thread::park();
        }
    }
}

/// The way of an output to the handle.
struct Packet<T> {
    output: Mutex<Option<T>>,
    /// Whether the task has panicked and nobody knows of it.
    panicked: AtomicBool,
    count: Arc<Count>,
}

impl<T> Drop for Packet<T> {
    fn drop(&mut self) {
        if *self.panicked.get_mut() {
            // Ordering: Relaxed; who drops the packet is counted, or is the closure.
            self.count.panicked.store(true, Relaxed);
        }
    }
}

pin_project! {
    // The fields drop in this order, and it matters.
    struct Scoped<F: Future> {
        #[pin]
        future: F,
        polling: bool,
        packet: Arc<Packet<F::Output>>,
        end: End,
    }

    impl<F: Future> PinnedDrop for Scoped<F> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            // Ordering: Relaxed; the task's completion publishes it to who joins.
            this.packet.panicked.store(*this.polling, Relaxed);
        }
    }
}

impl<F: Future> Future for Scoped<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        *this.polling = true;
        let poll = this.future.poll(cx);
        *this.polling = false;
        poll.map(|output| {
            let old = this.packet.lock().replace(output);
            debug_assert!(old.is_none(), "a task has one output");
        })
    }
}

impl<T> Packet<T> {
    fn lock(&self) -> std::sync::MutexGuard<'_, Option<T>> {
        self.output.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs tasks that borrow from this thread's stack, and waits for all of them.
///
/// The tasks run on the workers of the runtime that this thread is in, else of the global one. When
/// the closure has returned or panicked, this thread sleeps until the future of each task is gone;
/// a task that never ends keeps it waiting for ever. An async function cannot do the same: its
/// future could be forgotten, and the tasks be left with references to nothing.
///
/// # Panics
///
/// Inside a task or `block_on`, where the wait would block a worker that the tasks may need; call
/// it in a thread that may block. And if a task has panicked whose handle was not awaited, after
/// all have ended. And if the closure panics, with its panic.
///
/// # Examples
///
/// ```
/// let mut numbers = vec![1_u64, 2, 3, 4, 5, 6];
/// let (left, right) = numbers.split_at_mut(3);
/// annulus::scope(|s| {
///     for part in [left, right] {
///         s.spawn(async move { part.iter_mut().for_each(|n| *n *= 10) });
///     }
/// });
/// assert_eq!(numbers, [10, 20, 30, 40, 50, 60]);
/// ```
///
/// What the tasks borrow has to outlive the scope:
///
/// ```compile_fail,E0597
/// annulus::scope(|s| {
///     let inside = 1;
///     s.spawn(async { assert_eq!(inside, 1) });
/// });
/// ```
#[track_caller]
pub fn scope<'env, F, T>(closure: F) -> T
where
    F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> T,
{
    run(&here(), closure)
}

#[track_caller]
fn run<'env, F, T>(shared: &Arc<Shared>, closure: F) -> T
where
    F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> T,
{
    may_block::check("scope", "`JoinSet`");
    let scope = Scope {
        shared: Arc::clone(shared),
        count: Arc::new(Count {
            running: AtomicUsize::new(0),
            panicked: AtomicBool::new(false),
            thread: thread::current(),
        }),
        scope: PhantomData,
        env: PhantomData,
    };
    /// Waits, also when the closure panics.
    struct Wait<'a>(&'a Count);
    impl Drop for Wait<'_> {
        fn drop(&mut self) {
            self.0.wait();
        }
    }
    let wait = Wait(&scope.count);
    let result = closure(&scope);
    drop(wait);
    assert!(
        !scope.count.panicked.load(Relaxed),
        "a task of the scope has panicked; await its handle to know why"
    );
    result
}

impl Runtime {
    /// Runs tasks of this runtime that borrow from this thread's stack, and waits for all of them.
    ///
    /// See [`scope`].
    ///
    /// # Panics
    ///
    /// As [`scope`].
    #[track_caller]
    pub fn scope<'env, F, T>(&self, closure: F) -> T
    where
        F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> T,
    {
        run(&self.shared, closure)
    }
}

impl<'scope> Scope<'scope, '_> {
    /// Runs a future as a task, which may borrow what outlives the scope.
    #[track_caller]
    pub fn spawn<F>(&'scope self, future: F) -> ScopedJoinHandle<'scope, F::Output>
    where
        F: Future + Send + 'scope,
        F::Output: Send + 'scope,
    {
        let packet = Arc::new(Packet {
            output: Mutex::new(None),
            panicked: AtomicBool::new(false),
            count: Arc::clone(&self.count),
        });
        let theirs = Arc::clone(&packet);
        let end = End::new(&self.count);
        let scoped = Scoped { future, polling: false, packet: theirs, end };
        let scoped: Pin<Box<dyn Future<Output = ()> + Send + 'scope>> = Box::pin(scoped);
        let scoped: Pin<Box<dyn Future<Output = ()> + Send + 'static>> =
            // SAFETY: only the lifetime changes. `End` keeps the scope from ending, and with it
            // `'scope`, until the future is gone, and nobody uses it after that (see the module's
            // page). If the spawn panics the future is dropped here.
            unsafe { mem::transmute(scoped) };
        let task = self.shared.spawn(scoped, Origin::caller());
        ScopedJoinHandle { task, packet, scope: PhantomData }
    }
}

impl fmt::Debug for Scope<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let running = self.count.running.load(Relaxed);
        f.debug_struct("Scope").field("running", &running).finish_non_exhaustive()
    }
}

/// Waits for the output of a task in a [`scope`].
///
/// Await it in another task of the scope, or [`join`](Self::join) it in the closure. Dropping it
/// detaches the task; the scope waits for it all the same.
///
/// # Examples
///
/// ```
/// let text = String::from("to be or not to be");
/// let longest = annulus::scope(|s| {
///     let longest = s.spawn(async { text.split(' ').max_by_key(|word| word.len()) });
///     longest.join().unwrap()
/// });
/// assert_eq!(longest, Some("not"));
/// ```
pub struct ScopedJoinHandle<'scope, T> {
    task: JoinHandle<()>,
    packet: Arc<Packet<T>>,
    scope: PhantomData<&'scope ()>,
}

impl<T> Unpin for ScopedJoinHandle<'_, T> {}
impl<T> UnwindSafe for ScopedJoinHandle<'_, T> {}
impl<T> RefUnwindSafe for ScopedJoinHandle<'_, T> {}

impl<T> ScopedJoinHandle<'_, T> {
    /// Waits for the task on this thread.
    ///
    /// # Errors
    ///
    /// If the task has panicked or was aborted.
    ///
    /// # Panics
    ///
    /// Inside a task, where it would block a worker; there await the handle.
    #[track_caller]
    pub fn join(self) -> Result<T, JoinError> {
        may_block::check("join", "`.await`");
        blocking::block_on(self)
    }

    /// Asks the task to stop, as [`JoinHandle::abort`] does.
    pub fn abort(&self) {
        self.task.abort();
    }

    /// Whether the task is complete: it has returned, panicked or been aborted.
    pub fn is_finished(&self) -> bool {
        self.task.is_finished()
    }

    /// The task's id.
    pub fn id(&self) -> Id {
        self.task.id()
    }
}

impl<T> Future for ScopedJoinHandle<'_, T> {
    type Output = Result<T, JoinError>;

    /// # Panics
    ///
    /// When polled again after it was ready.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let result = ready!(Pin::new(&mut self.task).poll(cx));
        // Ordering: Relaxed; the task is complete, and what it did is seen.
        self.packet.panicked.store(false, Relaxed);
        Poll::Ready(result.map(|()| {
            self.packet.lock().take().expect("a task that has not failed has left its output")
        }))
    }
}

impl<T> fmt::Debug for ScopedJoinHandle<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ScopedJoinHandle").field(&self.task).finish()
    }
}
