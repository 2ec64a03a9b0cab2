//! Tasks that stay on one thread, and so need not be `Send`.
//!
//! # Invariants
//!
//! 1. A [`LocalSet`] does not leave its thread, the owner. It alone takes tasks out of `queue`,
//!    and so polls and completes them; `live` is touched by the owner only.
//! 2. Anybody puts tasks in: who wakes one. If the owner waits, it is told.
//! 3. The set's drop runs every task to its end. A task calls its scheduler only before that, so
//!    until its `Runnable` is in the queue the set is there. Then it may go at once: whoever wakes
//!    from elsewhere holds on to [`Shared`] first.
//!
//! One queue behind a lock, and not one for the owner and one for the others: the tasks of a set
//! are in one order, and a lock that nobody else wants costs little.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::ptr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread;

use pin_project_lite::pin_project;

use super::join::JoinHandle;
use super::list::List;
use super::live::{Live, UNLISTED};
use super::raw::{self, Completed, Name, Origin, Runnable, Schedule, catch_quietly};
use crate::tuning::LOCAL_RUNS;
use crate::util::{SpinLock, budget};
use crate::wait::Event;
use crate::wait::queue::Ticket;

/// Tasks that all run on the thread that made the set, and need not be `Send`.
///
/// They run while somebody on that thread awaits the set, or a [`run_until`](Self::run_until) of
/// it: first come first served, some at a time, so that the outer runtime has its turns. They
/// can be woken from every thread.
///
/// Dropping the set drops the future of every task that is left, on this thread.
///
/// # Examples
///
/// ```
/// use std::rc::Rc;
/// use annulus::task::{LocalSet, spawn_local};
///
/// let set = LocalSet::new();
/// let shared = Rc::new("not Send");
/// let len = annulus::block_on(set.run_until(async {
///     let theirs = Rc::clone(&shared);
///     spawn_local(async move { theirs.len() }).await
/// }));
/// assert_eq!(len.unwrap(), 8);
/// ```
pub struct LocalSet {
    shared: Arc<Shared>,
    /// The place of `LocalSet::poll` among those who wait.
    ticket: Ticket,
    /// Rule 1.
    stays: PhantomData<Rc<()>>,
}

struct Shared {
    /// Tasks to run. Filled by anybody, emptied by the owner.
    queue: SpinLock<List>,
    told: Event,
    /// The owner's.
    live: RefCell<Live>,
    /// The owner's: whether the set is being dropped.
    closed: Cell<bool>,
}

// SAFETY: what is not the owner's may be shared: a queue of `Runnable`s behind a lock, and the
// event. Other threads reach `Shared` only by `Home::schedule`, which touches these two, and drop
// it only after the set is gone, when the queue and the list are empty (rules 1 and 3).
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

thread_local! {
    /// The set whose tasks this thread is running, or null.
    static CURRENT: Cell<*const Shared> = const { Cell::new(ptr::null()) };
}

/// Where a task of a set goes when it is woken.
#[derive(Clone, Copy)]
struct Home(*const Shared);

impl Schedule for Home {
    fn schedule(&self, task: Runnable) {
        if CURRENT.get() == self.0 {
            // SAFETY: the set is there as long as this thread runs its tasks.
            return unsafe { &*self.0 }.push(task);
        }
        // SAFETY: the task is not complete, so the set is there; the pointer is from an `Arc`.
        let shared = unsafe {
            Arc::increment_strong_count(self.0);
            Arc::from_raw(self.0)
        };
        shared.push(task);
    }

    fn completed(&self, task: Completed) {
        // SAFETY: a task completes on the owner, while the set is there.
        let shared = unsafe { &*self.0 };
        if task.tag() != UNLISTED {
            shared.live.borrow_mut().remove(task.tag());
        }
        // Here the task may be freed, and a foreign waker in it, whose drop may come back to us.
        drop(task);
    }
}

impl Shared {
    fn push(&self, task: Runnable) {
        let mut queue = self.queue.lock();
        queue.push_back(task);
        // Under the lock under which the owner looks.
        let awaited = self.told.is_awaited();
        drop(queue);
        if awaited {
            self.told.notify_waiters();
        }
    }

    /// Runs the first of the tasks that are queued; false if none was.
    ///
    /// # Safety
    ///
    /// The caller is the owner.
    unsafe fn run_one(&self) -> bool {
        let Some(task) = self.queue.lock().pop_front() else { return false };
        budget::refill();
        if let Some(again) = task.run() {
            self.push(again);
        }
        true
    }
}

/// Makes this thread's current set `shared`, until the guard drops. From the `Arc`, whose pointer
/// reaches the counts, too.
fn enter(shared: &Arc<Shared>) -> impl Drop + '_ {
    struct Leave<'a>(*const Shared, PhantomData<&'a Shared>);
    impl Drop for Leave<'_> {
        fn drop(&mut self) {
            CURRENT.set(self.0);
        }
    }
    Leave(CURRENT.replace(Arc::as_ptr(shared)), PhantomData)
}

/// Runs a future as a task of the [`LocalSet`] that this is called in.
///
/// # Panics
///
/// Outside of a set: neither in a task of one nor in its [`run_until`](LocalSet::run_until).
///
/// # Examples
///
/// ```
/// use annulus::task::{LocalSet, spawn_local};
///
/// annulus::block_on(LocalSet::new().run_until(async {
///     let task = spawn_local(async { std::rc::Rc::new(1) });
///     assert_eq!(*task.await.unwrap(), 1);
/// }));
/// ```
#[track_caller]
pub fn spawn_local<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    spawn_from(future, Origin::caller())
}

/// As [`spawn_local`], for a task that comes from elsewhere.
#[track_caller]
pub(super) fn spawn_from<F, N: Name>(future: F, origin: Origin<N>) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    let current = CURRENT.get();
    assert!(
        !current.is_null(),
        "spawn_local was called outside of a LocalSet; call it inside run_until, or call \
         spawn_local of the set"
    );
    // SAFETY: a set that is current is there, and this is its thread.
    unsafe { spawn_on(current, future, origin) }
}

/// # Safety
///
/// `shared` is from the `Arc` of a set that is there, and the caller is its owner.
unsafe fn spawn_on<F, N: Name>(
    shared: *const Shared,
    future: F,
    origin: Origin<N>,
) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    let home = Home(shared);
    let (task, handle) = raw::spawn(future, home, origin);
    // SAFETY: the contract.
    let shared = unsafe { &*shared };
    if shared.closed.get() {
        task.set_tag(UNLISTED);
        task.cancel();
        let again = task.run();
        debug_assert!(again.is_none(), "a cancelled task completes");
    } else {
        task.set_tag(shared.live.borrow_mut().insert(task.id()));
        home.schedule(task);
    }
    handle
}

impl LocalSet {
    /// A set without tasks, of this thread.
    pub fn new() -> Self {
        let shared = Shared {
            queue: SpinLock::new(List::new()),
            told: Event::default(),
            live: RefCell::default(),
            closed: Cell::new(false),
        };
        Self { shared: Arc::new(shared), ticket: Ticket::default(), stays: PhantomData }
    }

    /// Runs a future as a task of the set, once the set is awaited.
    #[track_caller]
    pub fn spawn_local<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        // SAFETY: the set is ours, so this is its thread.
        unsafe { spawn_on(Arc::as_ptr(&self.shared), future, Origin::caller()) }
    }

    /// Runs the tasks of the set until a future is ready.
    ///
    /// Inside the future [`spawn_local`] adds to the set. Tasks that are left go on when the set
    /// is awaited again.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it drops the future. The tasks stay in the set.
    pub fn run_until<F: Future>(&self, future: F) -> RunUntil<'_, F> {
        RunUntil { set: self, ticket: Ticket::default(), future }
    }

    /// Runs tasks, and sees to it that the waker is woken when there are more.
    fn turn(&self, ticket: &mut Ticket, cx: &mut Context<'_>) {
        let shared = &*self.shared;
        // Every task has a budget of its own.
        let own = budget::scope();
        // SAFETY: the set is ours, so this is its thread.
        let _all_ran = (0..LOCAL_RUNS).all(|_| unsafe { shared.run_one() });
        drop(own);
        let woken = || (shared.queue.lock().len() > 0).then_some(());
        if shared.told.poll_until(ticket, cx, woken).is_ready() {
            cx.waker().wake_by_ref();
        }
    }
}

/// Runs all tasks of the set to their ends.
impl Future for LocalSet {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut ticket = std::mem::take(&mut self.ticket);
        {
            let _inside = enter(&self.shared);
            self.turn(&mut ticket, cx);
        }
        if self.shared.live.borrow().is_empty() {
            self.shared.told.leave(&mut ticket);
            return Poll::Ready(());
        }
        self.ticket = ticket;
        Poll::Pending
    }
}

impl Drop for LocalSet {
    fn drop(&mut self) {
        let shared = &*self.shared;
        shared.told.leave(&mut self.ticket);
        shared.closed.set(true);
        let _inside = enter(&self.shared);
        let _budget = budget::scope();
        // A `RunUntil` that was forgotten still waits. After this nobody does, so that from here on
        // no foreign waker runs, whose panic would leave tasks behind.
        catch_quietly(|| shared.told.notify_waiters());
        let live: Vec<_> = shared.live.borrow().iter().collect();
        // SAFETY: a listed task is not complete, and nobody but us completes it.
        live.iter().for_each(|task| unsafe { task.abort() });
        // A task whose last wake is under way is not queued yet, but will be.
        while !shared.live.borrow().is_empty() {
            // SAFETY: the set is ours, so this is its thread.
            while unsafe { shared.run_one() } {}
            thread::yield_now();
        }
    }
}

impl Default for LocalSet {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for LocalSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let queued = self.shared.queue.lock().len();
        let tasks = self.shared.live.borrow().len();
        f.debug_struct("LocalSet").field("tasks", &tasks).field("queued", &queued).finish()
    }
}

pin_project! {
    /// The future that [`LocalSet::run_until`] returns.
    #[must_use = "futures do nothing unless you `.await` or poll them"]
    pub struct RunUntil<'a, F> {
        set: &'a LocalSet,
        ticket: Ticket,
        #[pin]
        future: F,
    }

    impl<F> PinnedDrop for RunUntil<'_, F> {
        fn drop(this: Pin<&mut Self>) {
            // Cancel: the set's tasks wait for the next who awaits it.
            let this = this.project();
            this.set.shared.told.leave(this.ticket);
        }
    }
}

impl<F: Future> Future for RunUntil<'_, F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _inside = enter(&this.set.shared);
        let poll = this.future.poll(cx);
        if poll.is_pending() {
            this.set.turn(this.ticket, cx);
        }
        poll
    }
}

impl<F> fmt::Debug for RunUntil<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunUntil").field("set", &self.set).finish_non_exhaustive()
    }
}
