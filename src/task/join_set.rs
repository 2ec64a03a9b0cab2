//! Tasks that are waited for together, in the order in which they end.
//!
//! # Invariants
//!
//! 1. A task of the set has a [`Member`] around its future, whose drop, the last thing before the
//!    task is complete, puts the task's key at the end of `ended` and tells the set. So the set
//!    looks at nobody but who has ended: each costs the same, however many there are.
//! 2. A key is in `ended` once, and its task in `tasks` until the set has taken it from there. The
//!    room for it is made at the spawn, so a task that ends allocates nothing.
//! 3. Between the drop of a `Member` and its task's completion no code of a user's runs, so a task
//!    that has ended is complete in a moment; the set waits for it by its handle.
//!
//! A waker of each handle's own would do the same for one allocation more a task.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::mem;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use slab::Slab;

use super::abort::AbortHandle;
use super::error::JoinError;
use super::join::JoinHandle;
use super::local;
use super::raw::{Origin, catch_quietly};
use crate::util::SpinLock;
use crate::wait::Event;
use crate::wait::queue::Ticket;

/// Tasks that end together, or are waited for in the order in which they end.
///
/// Dropping the set aborts all its tasks.
///
/// # Examples
///
/// ```
/// # annulus::block_on(async {
/// let mut set = annulus::task::JoinSet::new();
/// for n in 1..=10 {
///     set.spawn(async move { n });
/// }
/// let mut sum = 0;
/// while let Some(n) = set.join_next().await {
///     sum += n.unwrap();
/// }
/// assert_eq!(sum, 55);
/// # });
/// ```
pub struct JoinSet<T> {
    tasks: Slab<JoinHandle<T>>,
    shared: Arc<Shared>,
    /// The set's place among the waiters for `Shared::told`, of whom there is no other.
    ticket: Ticket,
    /// One that was taken from `ended` and was not complete yet.
    ending: Option<usize>,
}

struct Shared {
    /// The keys of tasks that have ended.
    ended: SpinLock<VecDeque<usize>>,
    told: Event,
}

pin_project! {
    /// A task's future, and who tells the set when it is gone. The order of the fields matters.
    pub(crate) struct Member<F> {
        #[pin]
        future: F,
        end: End,
    }
}

pub(crate) struct End {
    shared: Arc<Shared>,
    key: usize,
}

impl<F: Future> Future for Member<F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.project().future.poll(cx)
    }
}

impl Drop for End {
    fn drop(&mut self) {
        let mut ended = self.shared.ended.lock();
        ended.push_back(self.key);
        // Under the lock under which the set looks.
        let awaited = self.shared.told.is_awaited();
        drop(ended);
        if awaited {
            // A panic in here would be taken for the task's.
            catch_quietly(|| self.shared.told.notify_waiters());
        }
    }
}

/// Drops only if a spawn panics, after its member: takes the key back, which no task has.
struct Refused<'a> {
    shared: &'a Shared,
    key: usize,
}

impl Drop for Refused<'_> {
    fn drop(&mut self) {
        self.shared.ended.lock().retain(|&key| key != self.key);
    }
}

impl Shared {
    fn new() -> Arc<Self> {
        Arc::new(Self { ended: SpinLock::new(VecDeque::new()), told: Event::default() })
    }

    fn pop(&self) -> Option<usize> {
        self.ended.lock().pop_front()
    }
}

impl<T> JoinSet<T> {
    /// A set without tasks.
    pub fn new() -> Self {
        Self { tasks: Slab::new(), shared: Shared::new(), ticket: Ticket::default(), ending: None }
    }

    /// How many tasks are in the set: those that have not been joined.
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Whether there is no task in the set.
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Adds a task, which `spawn` makes of what it is given.
    pub(crate) fn add<F: Future<Output = T>>(
        &mut self,
        future: F,
        spawn: impl FnOnce(Member<F>) -> JoinHandle<T>,
    ) -> AbortHandle {
        self.add_with(|end| spawn(Member { future, end }))
    }

    /// Adds a task, which `spawn` makes; it drops what it is given when its work is done, or
    /// dropped.
    pub(crate) fn add_with(&mut self, spawn: impl FnOnce(End) -> JoinHandle<T>) -> AbortHandle {
        let mut ended = self.shared.ended.lock();
        let running = self.tasks.len() + 1 - ended.len();
        ended.reserve(running);
        drop(ended);
        let entry = self.tasks.vacant_entry();
        let end = End { shared: Arc::clone(&self.shared), key: entry.key() };
        let refused = Refused { shared: &self.shared, key: entry.key() };
        let handle = spawn(end);
        mem::forget(refused);
        entry.insert(handle).abort_handle()
    }

    /// Runs a future as a task of this set and of the [`LocalSet`](super::LocalSet) that this is
    /// called in.
    ///
    /// See [`spawn_local`](super::spawn_local).
    ///
    /// # Panics
    ///
    /// Outside of a `LocalSet`: neither in a task of one nor in its `run_until`.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::rc::Rc;
    /// use annulus::task::{JoinSet, LocalSet};
    ///
    /// annulus::block_on(LocalSet::new().run_until(async {
    ///     let (shared, mut set) = (Rc::new(20), JoinSet::new());
    ///     for n in 0..3 {
    ///         let shared = Rc::clone(&shared);
    ///         set.spawn_local(async move { *shared + n });
    ///     }
    ///     assert_eq!(set.join_all().await.iter().sum::<i32>(), 63);
    /// }));
    /// ```
    #[track_caller]
    pub fn spawn_local<F>(&mut self, future: F) -> AbortHandle
    where
        F: Future<Output = T> + 'static,
        T: 'static,
    {
        let origin = Origin::caller();
        self.add(future, |member| local::spawn_from(member, origin))
    }

    /// Waits for the next task to end; `None` if the set is empty.
    ///
    /// # Cancel safety
    ///
    /// A wait that is dropped has taken no task out of the set.
    pub fn join_next(&mut self) -> JoinNext<'_, T> {
        JoinNext { set: self }
    }

    /// As [`join_next`](Self::join_next), for a future that is written by hand.
    pub fn poll_join_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, JoinError>>> {
        if self.tasks.is_empty() {
            return Poll::Ready(None);
        }
        let key = match self.ending {
            Some(key) => key,
            None => ready!(self.shared.told.poll_until(&mut self.ticket, cx, || self.shared.pop())),
        };
        self.ending = Some(key);
        let task = &mut self.tasks[key];
        let result = match task.try_join() {
            Some(result) => result,
            None => ready!(Pin::new(task).poll(cx)),
        };
        self.ending = None;
        // The handle of a task that is complete: here its memory may be freed, and no more.
        self.tasks.remove(key);
        Poll::Ready(Some(result))
    }

    /// Takes a task that has ended out of the set, if there is one.
    pub fn try_join_next(&mut self) -> Option<Result<T, JoinError>> {
        self.ending = self.ending.or_else(|| self.shared.pop());
        let key = self.ending?;
        let result = self.tasks[key].try_join()?;
        self.ending = None;
        self.tasks.remove(key);
        Some(result)
    }

    /// Asks every task to stop. They stay in the set until they are joined.
    pub fn abort_all(&mut self) {
        self.tasks.iter().for_each(|(_, task)| task.abort());
    }

    /// Asks every task to stop, and waits until all have.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, it has asked all tasks, and some are still in the set.
    pub async fn shutdown(&mut self) {
        self.abort_all();
        while self.join_next().await.is_some() {}
    }

    /// Lets all tasks go on by themselves; the set is empty then.
    pub fn detach_all(&mut self) {
        // They know the old one.
        self.shared.told.leave(&mut self.ticket);
        self.shared = Shared::new();
        self.ending = None;
        self.tasks.clear();
    }

    /// Waits for all tasks, and gives their outputs in the order in which they ended.
    ///
    /// # Panics
    ///
    /// If a task has panicked, with its panic, or if one was aborted. The others are aborted then.
    ///
    /// # Examples
    ///
    /// ```
    /// # annulus::block_on(async {
    /// let set: annulus::task::JoinSet<_> = (0..3).map(|n| async move { n * n }).collect();
    /// let mut squares = set.join_all().await;
    /// squares.sort();
    /// assert_eq!(squares, [0, 1, 4]);
    /// # });
    /// ```
    pub async fn join_all(mut self) -> Vec<T> {
        let mut outputs = Vec::with_capacity(self.len());
        while let Some(result) = self.join_next().await {
            match result.map_err(JoinError::try_into_panic) {
                Ok(output) => outputs.push(output),
                Err(Ok(payload)) => resume_unwind(payload),
                Err(Err(error)) => panic!("{error}; use join_next for tasks that may be aborted"),
            }
        }
        outputs
    }
}

impl<T> Drop for JoinSet<T> {
    fn drop(&mut self) {
        self.shared.told.leave(&mut self.ticket);
        self.abort_all();
    }
}

impl<T> Default for JoinSet<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for JoinSet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ended = self.shared.ended.lock().len() + usize::from(self.ending.is_some());
        f.debug_struct("JoinSet").field("len", &self.len()).field("ended", &ended).finish()
    }
}

/// The future that [`JoinSet::join_next`] returns.
#[must_use = "futures do nothing unless you `.await` or poll them"]
#[derive(Debug)]
pub struct JoinNext<'a, T> {
    set: &'a mut JoinSet<T>,
}

impl<T> Future for JoinNext<'_, T> {
    type Output = Option<Result<T, JoinError>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.set.poll_join_next(cx)
    }
}
