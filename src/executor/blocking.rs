//! Threads for closures that block, started when there are any.
//!
//! # States of a closure
//!
//! ```text
//!   spawn_blocking --> queued --------> runs on a thread of its own --> complete
//!                        |  ^ aborted: dropped when its turn comes
//!                        +--> dropped: the runtime is ending, and it need not be run
//! ```
//!
//! A closure is a task whose only poll runs it. It is not in the executor's list of tasks, since
//! this queue and its threads have it from its start to its end.
//!
//! # Invariant
//!
//! While the queue is longer than the number of threads that wait, and there are fewer threads than
//! the limit, the pusher starts another. A thread that waits looks at the queue before it waits
//! again or leaves. So each closure has a thread that comes for it, or all threads are at work.
//!
//! A thread that is about to start counts, and others rely on it. If the system refuses it and there
//! is no other, whoever would have started it takes all closures and cancels them: where there are
//! no threads, nothing waits for one.
//!
//! A mutex and a condition, and nothing cleverer: whoever blocks has milliseconds.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use super::address::{Address, Home};
use super::context::{Context, Role};
use super::threads::Threads;
use super::{Shared, in_place};
use crate::primitive::atomic::AtomicUsize;
use crate::primitive::atomic::Ordering::Relaxed;
use crate::task::{self, JoinHandle, List, Name, Origin, Runnable, UNLISTED};

/// See the module's page.
#[derive(Debug)]
pub(super) struct Pool {
    state: Mutex<State>,
    /// Told when there is work, or the end.
    work: Condvar,
    limit: usize,
    keep_alive: Duration,
    /// Closures that wait or run, and calls in place.
    blocked: AtomicUsize,
}

#[derive(Debug, Default)]
struct State {
    closures: List,
    /// Those that are run before the end, since what they do has been promised.
    promised: List,
    /// Seats that somebody has to sit on, whatever the limit says.
    seats: VecDeque<usize>,
    /// Threads that wait on `work`.
    idle: usize,
    threads: usize,
    closed: bool,
}

impl State {
    /// Whether more is to be done than there are threads waiting for it.
    fn lacks_threads(&self) -> bool {
        self.closures.len() + self.promised.len() + self.seats.len() > self.idle
    }

    fn is_empty(&self) -> bool {
        self.closures.len() + self.promised.len() + self.seats.len() == 0
    }

    fn next_closure(&mut self) -> Option<Runnable> {
        self.promised.pop_front().or_else(|| self.closures.pop_front())
    }
}

/// What becomes of a closure that has not begun when the runtime ends.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(not(feature = "fs"), allow(dead_code, reason = "only files promise anything"))]
pub(crate) enum AtEnd {
    Drop,
    Run,
}

/// Why work was not taken on.
enum Refused {
    Closed,
    NoThread(io::Error),
}

impl Pool {
    pub(super) fn new(limit: usize, keep_alive: Duration) -> Self {
        Self {
            state: Mutex::default(),
            work: Condvar::new(),
            limit,
            keep_alive,
            blocked: AtomicUsize::new(0),
        }
    }

    /// No code of a user's runs under the lock.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sees that somebody comes for what was pushed last. If the system has no thread to give, that
    /// is an error, with the closures for which nobody is left.
    fn summon(
        &self,
        shared: &Arc<Shared>,
        mut state: MutexGuard<'_, State>,
    ) -> Result<(), (List, io::Error)> {
        if !state.lacks_threads() {
            drop(state);
            self.work.notify_one();
            return Ok(());
        }
        // Who sits down on a seat may be who the closures at work are waiting for.
        if state.threads >= self.limit && state.seats.is_empty() {
            return Ok(());
        }
        // Under the lock, so that who ends the runtime waits for the thread. If nobody is left, the
        // seat's own thread is gone, too.
        let Some(number) = shared.crew.announce() else { return Ok(()) };
        state.threads += 1;
        drop(state);
        let Err(error) = Threads::start(shared, number, serve) else { return Ok(()) };
        let mut state = self.lock();
        state.threads -= 1;
        let mut left = List::default();
        if state.threads == 0 {
            left.append(std::mem::take(&mut state.closures));
            left.append(std::mem::take(&mut state.promised));
        }
        Err((left, error))
    }

    fn push(
        &self,
        shared: &Arc<Shared>,
        closure: Runnable,
        at_end: AtEnd,
    ) -> Result<(), (List, Refused)> {
        let mut state = self.lock();
        if state.closed {
            return Err((List::from(closure), Refused::Closed));
        }
        match at_end {
            AtEnd::Drop => state.closures.push_back(closure),
            AtEnd::Run => state.promised.push_back(closure),
        }
        match self.summon(shared, state) {
            Err((left, error)) if left.len() > 0 => Err((left, Refused::NoThread(error))),
            // The threads that there are will come to it, or have.
            _ => Ok(()),
        }
    }

    /// Has a thread sit on `seat`, at the end, too; false if there is none to be had.
    pub(super) fn push_seat(&self, shared: &Arc<Shared>, seat: usize) -> bool {
        let mut state = self.lock();
        state.seats.push_back(seat);
        let Err((left, _)) = self.summon(shared, state) else { return true };
        let mut state = self.lock();
        let waiting = state.seats.len();
        state.seats.retain(|&other| other != seat);
        // A thread that was there before may have come for it all the same.
        let taken = state.seats.len() == waiting;
        drop(state);
        cancel(shared, left);
        taken
    }

    /// Drops what has not begun and is not promised, and has the threads leave after the rest.
    pub(super) fn close(&self, shared: &Shared) {
        let closures = {
            let mut state = self.lock();
            state.closed = true;
            debug_assert!(state.threads > 0 || state.promised.len() == 0, "who runs them?");
            self.work.notify_all();
            std::mem::take(&mut state.closures)
        };
        cancel(shared, closures);
    }

    /// Whether something blocks on this runtime's account, for which a clock that stands still is
    /// to wait.
    pub(super) fn is_busy(&self) -> bool {
        self.blocked.load(Relaxed) != 0
    }
}

impl Shared {
    pub(super) fn begin_to_block(&self) {
        // Ordering: Relaxed; whoever goes to sleep has begun it before, or never knew of it.
        self.blocking.blocked.fetch_add(1, Relaxed);
    }

    pub(super) fn end_to_block(&self) {
        // Ordering: pairs, by the fence in `notify`, with the look at it after the fence of
        // `Idle::park`: who goes to sleep sees that nothing blocks, or is seen asleep.
        self.blocking.blocked.fetch_sub(1, Relaxed);
        if self.timers.clock().is_paused() {
            self.wake(self.idle.notify());
        }
    }
}

/// Runs a closure, which is counted as blocked until then.
fn run(shared: &Shared, closure: Runnable) {
    let again = closure.run();
    debug_assert!(again.is_none(), "a closure is polled once");
    // After the wake of who has waited for it.
    shared.end_to_block();
}

fn cancel(shared: &Shared, mut closures: List) {
    while let Some(closure) = closures.pop_front() {
        closure.cancel();
        run(shared, closure);
    }
}

/// The life of a thread.
fn serve(shared: &Arc<Shared>) {
    let context = Context::new(shared, Role::Blocking);
    let _inside = context.enter();
    let pool = &shared.blocking;
    let mut state = pool.lock();
    loop {
        if let Some(seat) = state.seats.pop_front() {
            drop(state);
            in_place::stand_in(shared, &context, seat);
        } else if let Some(closure) = state.next_closure() {
            drop(state);
            run(shared, closure);
        } else if state.closed {
            break;
        } else {
            state.idle += 1;
            let waited = pool.work.wait_timeout(state, pool.keep_alive);
            let (now, wait) = waited.unwrap_or_else(PoisonError::into_inner);
            state = now;
            state.idle -= 1;
            if wait.timed_out() && state.is_empty() {
                break;
            }
            continue;
        }
        state = pool.lock();
    }
    // Under the lock in which we have seen that there is nothing to do.
    state.threads -= 1;
}

/// A closure as a future.
struct Call<F>(Option<F>);

impl<F> Unpin for Call<F> {}

impl<R, F: FnOnce() -> R> Future for Call<F> {
    type Output = R;

    fn poll(mut self: Pin<&mut Self>, _: &mut TaskContext<'_>) -> Poll<R> {
        let call = self.0.take().expect("a closure is polled once");
        Poll::Ready(call())
    }
}

/// Runs `f` on a thread where it may block. At the runtime's end it is dropped.
#[track_caller]
pub(crate) fn spawn_blocking<F, R, N: Name>(
    shared: &Arc<Shared>,
    f: F,
    origin: Origin<N>,
) -> JoinHandle<R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    let (handle, refused) = submit(shared, f, origin, AtEnd::Drop);
    if let Some(Refused::NoThread(error)) = refused {
        panic!("spawn_blocking needs a thread, and the system refuses to start one: {error}");
    }
    handle
}

/// The same for an operation that can fail, as it does if nobody will run it.
#[cfg(any(feature = "fs", feature = "net"))]
pub(crate) fn try_spawn_blocking<F, R>(
    shared: &Arc<Shared>,
    f: F,
    origin: Origin,
    at_end: AtEnd,
) -> io::Result<JoinHandle<R>>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    match submit(shared, f, origin, at_end) {
        (handle, None) => Ok(handle),
        (_, Some(Refused::Closed)) => Err(ended()),
        (_, Some(Refused::NoThread(error))) => Err(error),
    }
}

/// The error of an operation that the end of the runtime came before.
#[cfg(any(feature = "fs", feature = "net"))]
pub(crate) fn ended() -> io::Error {
    io::Error::other("the runtime has ended; begin the operation in one that lives")
}

fn submit<F, R, N: Name>(
    shared: &Arc<Shared>,
    f: F,
    origin: Origin<N>,
    at_end: AtEnd,
) -> (JoinHandle<R>, Option<Refused>)
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    // The runtime is there as long as the task is: its threads have an `Arc` of it.
    let (task, handle) = task::spawn(Call(Some(f)), Address::new(Home::of(shared), None), origin);
    task.set_tag(UNLISTED);
    // Until `run`.
    shared.begin_to_block();
    let refused = shared.blocking.push(shared, task, at_end).err().map(|(closures, why)| {
        cancel(shared, closures);
        why
    });
    (handle, refused)
}
