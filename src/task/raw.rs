//! The allocation of a task, and what can be done to it without knowing its future's type.

use std::any::Any;
use std::future::Future;
use std::mem;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::pin::Pin;
use std::ptr::{self, NonNull};
use std::task::{Context, Poll, Waker};

use super::join::{JoinError, JoinHandle, PanicHook};
use super::state::{AfterRun, State};
use super::waker;
use crate::primitive::UnsafeCell;
use crate::primitive::atomic::AtomicUsize;
use crate::primitive::atomic::Ordering::Relaxed;

/// Where the task's wakes go: the one call that leads up, from here to an executor.
///
/// A task calls its scheduler only until it has completed (`task/mod.rs`, rule 2), which an
/// implementation may rely on to be a plain pointer.
pub(crate) trait Schedule: Copy + 'static {
    /// The task has work to do: see that somebody runs it.
    fn schedule(&self, task: Runnable);

    /// Who is to learn of a panic of the task if its handle does not; asked before `completed`.
    fn panic_hook(&self) -> Option<PanicHook> {
        None
    }

    /// The task has completed. It is freed when this and the last waker and handle are dropped.
    fn completed(&self, task: Completed);
}

/// The part of a task whose type does not depend on its future.
#[repr(C)]
pub(super) struct Header {
    pub(super) state: State,
    vtable: &'static Vtable,
    /// Where the task was spawned.
    pub(super) location: &'static Location<'static>,
    /// The next task in a `List` or `Stack`; touched by who has the `Runnable`, or afterwards the
    /// `Completed`.
    pub(super) next: UnsafeCell<Option<Task>>,
    /// The executor's note; written before the first run.
    tag: AtomicUsize,
    /// Whose it is: rule 4 in `task/mod.rs`.
    pub(super) join_waker: UnsafeCell<Option<Waker>>,
}

/// What is done differently for each type of future.
struct Vtable {
    run: unsafe fn(NonNull<Header>) -> AfterRun,
    schedule: unsafe fn(NonNull<Header>),
    /// Moves the output to a `*mut Option<Result<T, JoinError>>`.
    take_output: unsafe fn(NonNull<Header>, *mut ()),
    drop_output: unsafe fn(NonNull<Header>),
    free: unsafe fn(NonNull<Header>),
}

#[repr(C)]
struct Cell<F: Future, S> {
    header: Header,
    scheduler: S,
    /// Whose it is: rules 1 and 3 in `task/mod.rs`.
    stage: UnsafeCell<Stage<F>>,
}

// `repr(C)`: the tag is a field of its own, and not in a niche of a future that may be borrowing,
// or sharing, that part of itself while we look at the tag.
#[repr(C)]
enum Stage<F: Future> {
    Future(F),
    Output(Result<F::Output, JoinError>),
    Taken,
}

/// Makes a task that is ready to run.
pub(crate) fn spawn<F, S>(
    future: F,
    scheduler: S,
    location: &'static Location<'static>,
) -> (Runnable, JoinHandle<F::Output>)
where
    F: Future,
    S: Schedule,
{
    let cell = Box::new(Cell {
        header: Header {
            state: State::new(),
            vtable: const {
                &Vtable {
                    run: run::<F, S>,
                    schedule: schedule::<F, S>,
                    take_output: take_output::<F, S>,
                    drop_output: drop_output::<F, S>,
                    free: free::<F, S>,
                }
            },
            location,
            next: UnsafeCell::new(None),
            tag: AtomicUsize::new(0),
            join_waker: UnsafeCell::new(None),
        },
        scheduler,
        stage: UnsafeCell::new(Stage::Future(future)),
    });
    // The pointer keeps the provenance of the whole allocation; `repr(C)` puts the header first.
    // SAFETY: a box is never null.
    let task = Task(unsafe { NonNull::new_unchecked(Box::into_raw(cell)) }.cast());
    (Runnable(task), JoinHandle::new(task))
}

/// A pointer to a task that someone keeps alive.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Task(NonNull<Header>);

impl Task {
    pub(super) fn header(&self) -> &Header {
        // SAFETY: whoever has a `Task` holds a reference to it or its `Runnable`.
        unsafe { self.0.as_ref() }
    }

    pub(super) fn into_raw(self) -> *const () {
        self.0.as_ptr().cast_const().cast()
    }

    /// # Safety
    ///
    /// `raw` comes from `into_raw`, and someone keeps the task alive.
    pub(super) unsafe fn from_raw(raw: *const ()) -> Self {
        // SAFETY: `into_raw` gives no null.
        Self(unsafe { NonNull::new_unchecked(raw.cast_mut().cast()) })
    }

    /// Wakes the task: schedules it, or has it run once more.
    #[inline]
    pub(super) fn wake(self) {
        if self.header().state.wake() {
            // SAFETY: we have made the task's only `Runnable`, and it is not complete.
            unsafe { (self.header().vtable.schedule)(self.0) };
        }
    }

    pub(super) fn abort(self) {
        self.header().state.cancel();
        self.wake();
    }

    /// Gives up one reference.
    ///
    /// # Safety
    ///
    /// The caller owns one, and does not use the task after this.
    #[inline]
    pub(super) unsafe fn drop_reference(self) {
        if self.header().state.drop_reference() {
            // SAFETY: that was the last one.
            unsafe { (self.header().vtable.free)(self.0) };
        }
    }

    /// # Safety
    ///
    /// The task is complete, its output is the caller's and still there, and is of type `T`.
    pub(super) unsafe fn take_output<T>(self) -> Result<T, JoinError> {
        let mut output = None::<Result<T, JoinError>>;
        // SAFETY: the caller's contract.
        unsafe { (self.header().vtable.take_output)(self.0, (&raw mut output).cast()) };
        output.expect("the output of a task can be taken once")
    }

    /// # Safety
    ///
    /// The task is complete and its output is the caller's.
    pub(super) unsafe fn drop_output(self) {
        // SAFETY: the caller's contract.
        unsafe { (self.header().vtable.drop_output)(self.0) };
    }
}

/// The right to poll a task, of which there is at most one.
#[must_use = "a task that is not run is lost"]
#[derive(PartialEq, Eq)]
pub(crate) struct Runnable(pub(super) Task);

// SAFETY: `spawn` in `runtime.rs` takes only futures that are Send; the loom tests too.
unsafe impl Send for Runnable {}

impl std::fmt::Debug for Runnable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runnable").field("spawned", self.0.header().location).finish()
    }
}

impl Runnable {
    /// Polls the task once. Gives it back if it was woken meanwhile and is to run again.
    #[inline]
    pub(crate) fn run(self) -> Option<Self> {
        // SAFETY: we have the right to poll.
        match unsafe { (self.0.header().vtable.run)(self.0.0) } {
            AfterRun::Idle => None,
            AfterRun::Again => Some(self),
        }
    }

    /// Has the next run drop the future instead of polling it.
    pub(crate) fn cancel(&self) {
        self.0.header().state.cancel();
    }

    /// Leaves a note for when the task has completed.
    pub(crate) fn set_tag(&self, tag: usize) {
        // Ordering: Relaxed; the queue that carries the task to its runner publishes it.
        self.0.header().tag.store(tag, Relaxed);
    }

    /// A name for the task, for the executor's list.
    pub(crate) fn id(&self) -> TaskId {
        TaskId(self.0)
    }

    pub(crate) fn into_raw(self) -> *mut () {
        self.0.into_raw().cast_mut()
    }

    /// # Safety
    ///
    /// `raw` comes from `into_raw`, and is turned back once.
    pub(crate) unsafe fn from_raw(raw: *mut ()) -> Self {
        // SAFETY: the caller's contract.
        Self(unsafe { Task::from_raw(raw) })
    }
}

/// The runtime's reference to a task that has completed.
#[derive(Debug)]
pub(crate) struct Completed(pub(super) Runnable);

impl Completed {
    /// What [`Runnable::set_tag`] was given.
    pub(crate) fn tag(&self) -> usize {
        self.0.0.header().tag.load(Relaxed)
    }
}

impl Drop for Completed {
    fn drop(&mut self) {
        // SAFETY: whoever made this gave it the reference.
        unsafe { self.0.0.drop_reference() };
    }
}

/// Names a task in the executor's list of live tasks; holds no reference.
#[derive(Clone)]
pub(crate) struct TaskId(Task);

// SAFETY: as for `Runnable`.
unsafe impl Send for TaskId {}

impl std::fmt::Debug for TaskId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TaskId").finish_non_exhaustive()
    }
}

impl TaskId {
    /// Has the task drop its future at its next run, and schedules that run.
    ///
    /// # Safety
    ///
    /// The task is not complete, and cannot complete before this has cancelled it.
    pub(crate) unsafe fn abort(&self) {
        self.0.abort();
    }
}

/// # Safety (of all that follow)
///
/// `header` is that of a live `Cell<F, S>`.
unsafe fn cell<'a, F: Future, S>(header: NonNull<Header>) -> &'a Cell<F, S> {
    // SAFETY: the contract above.
    unsafe { header.cast::<Cell<F, S>>().as_ref() }
}

/// # Safety
///
/// As `cell`, and the caller has the task's `Runnable`.
unsafe fn schedule<F: Future, S: Schedule>(header: NonNull<Header>) {
    // SAFETY: the contract.
    let scheduler = unsafe { cell::<F, S>(header) }.scheduler;
    scheduler.schedule(Runnable(Task(header)));
}

/// # Safety
///
/// As `cell`, and the caller has the task's `Runnable`.
unsafe fn run<F: Future, S: Schedule>(header: NonNull<Header>) -> AfterRun {
    // SAFETY: the contract.
    let cell = unsafe { cell::<F, S>(header) };
    let state = &cell.header.state;
    let run = state.start();
    let result = if run.cancelled {
        Err(JoinError::cancelled(cell.header.location))
    } else {
        let waker = waker::borrowed(&cell.header, Task(header));
        let mut cx = Context::from_waker(&waker);
        let poll = catch_unwind(AssertUnwindSafe(|| {
            cell.stage.with_mut(|stage| {
                // SAFETY: we have the right to poll (rule 1).
                let Stage::Future(future) = (unsafe { &mut *stage }) else {
                    unreachable!("a task that is complete does not run")
                };
                // SAFETY: the future is in its task's allocation and does not move before its drop.
                unsafe { Pin::new_unchecked(future) }.poll(&mut cx)
            })
        }));
        match poll {
            Ok(Poll::Pending) => return state.finish(run),
            Ok(Poll::Ready(output)) => Ok(output),
            Err(payload) => {
                let hook = cell.scheduler.panic_hook();
                Err(JoinError::panicked(cell.header.location, payload, hook))
            }
        }
    };
    // SAFETY: we have the right to poll, and use it up.
    unsafe { complete::<F, S>(header, result) };
    AfterRun::Idle
}

/// # Safety
///
/// As `run`, whose last call this is.
unsafe fn complete<F: Future, S: Schedule>(
    header: NonNull<Header>,
    result: Result<F::Output, JoinError>,
) {
    // Not an argument: a reference that comes as one must stay good until the function returns,
    // and this one frees the task.
    // SAFETY: the contract.
    let cell = unsafe { cell::<F, S>(header) };
    let (state, scheduler) = (&cell.header.state, cell.scheduler);
    cell.stage.with_mut(|stage| {
        // SAFETY: the future is ours (rule 1). It is dropped in place, since it is pinned, and
        // whether that panics or not it counts as gone: `write` drops nothing.
        let dropped = catch_unwind(AssertUnwindSafe(|| unsafe { ptr::drop_in_place(stage) }));
        let result = match (dropped, result) {
            (Ok(()), result) => result,
            // The first panic is the one that explains.
            (Err(payload), result @ Err(_)) if result.as_ref().is_err_and(JoinError::is_panic) => {
                drop_quietly(payload);
                result
            }
            (Err(payload), result) => {
                drop_quietly(result);
                Err(JoinError::panicked(cell.header.location, payload, scheduler.panic_hook()))
            }
        };
        // SAFETY: as above.
        unsafe { ptr::write(stage, Stage::Output(result)) };
    });
    let completion = state.complete();
    if !completion.join_interest {
        // SAFETY: the handle is gone, so the output is ours (rule 3).
        unsafe { drop_output::<F, S>(header) };
    }
    if completion.join_waker {
        // SAFETY: the handle has left it to us (rule 4).
        let waker = cell.header.join_waker.with_mut(|w| unsafe { (*w).take() });
        catch_quietly(|| waker.map(Waker::wake));
    }
    scheduler.completed(Completed(Runnable(Task(header))));
}

/// # Safety
///
/// As `Task::take_output`.
unsafe fn take_output<F: Future, S>(header: NonNull<Header>, to: *mut ()) {
    // SAFETY: the contract.
    let cell = unsafe { cell::<F, S>(header) };
    cell.stage.with_mut(|stage| {
        // SAFETY: the output is the caller's (rule 3), and `to` is of its type.
        unsafe {
            if let Stage::Output(output) = mem::replace(&mut *stage, Stage::Taken) {
                *to.cast::<Option<Result<F::Output, JoinError>>>() = Some(output);
            }
        }
    });
}

/// # Safety
///
/// As `Task::drop_output`.
unsafe fn drop_output<F: Future, S>(header: NonNull<Header>) {
    // SAFETY: the contract.
    let cell = unsafe { cell::<F, S>(header) };
    // SAFETY: the output is the caller's (rule 3).
    let stage = cell.stage.with_mut(|stage| unsafe { mem::replace(&mut *stage, Stage::Taken) });
    catch_quietly(|| match stage {
        Stage::Output(Err(error)) => error.report(),
        stage => drop(stage),
    });
}

/// # Safety
///
/// As `cell`, and no reference to the task is left.
unsafe fn free<F: Future, S>(header: NonNull<Header>) {
    // SAFETY: the contract; the box is the one that `spawn` leaked.
    drop_quietly(unsafe { Box::from_raw(header.cast::<Cell<F, S>>().as_ptr()) });
}

/// Runs `f`, and swallows its panic: for code of the user's that nobody waits for.
pub(crate) fn catch_quietly<R>(f: impl FnOnce() -> R) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(f()))) {
        drop_quietly(payload);
    }
}

/// Drops `value`, and swallows a panic of its `drop`. The panic hook has reported it.
fn drop_quietly<T>(value: T) {
    let mut payload: Box<dyn Any + Send> = match catch_unwind(AssertUnwindSafe(|| drop(value))) {
        Ok(()) => return,
        Err(payload) => payload,
    };
    // A payload's own drop may panic, with a payload whose drop may panic, without an end.
    for _ in 0..2 {
        match catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            Ok(()) => return,
            Err(next) => payload = next,
        }
    }
    mem::forget(payload);
}
