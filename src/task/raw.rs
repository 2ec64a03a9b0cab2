//! The allocation of a task, and what can be done to it without knowing its future's type.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::mem::{self, ManuallyDrop};
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::pin::Pin;
use std::ptr::{self, NonNull};
use std::task::{Context, Poll, Waker};

use super::error::{Failure, JoinError, PanicHook};
use super::id::{self, Id};
use super::join::JoinHandle;
use super::state::{AfterRun, State};
use super::waker;
use crate::primitive::UnsafeCell;

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

thread_local! {
    /// Whether the task that runs on this thread has come to its end.
    static ENDING: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Whether what is woken now waited for the end of the task that runs on this thread.
#[inline]
pub(crate) fn is_ending() -> bool {
    ENDING.get()
}

/// The part of a task whose type does not depend on its future: 64 bytes, a cache line.
#[repr(C)]
pub(super) struct Header {
    pub(super) state: State,
    vtable: &'static Vtable,
    /// Where the task was spawned.
    pub(super) location: &'static Location<'static>,
    pub(super) id: Id,
    /// The next task in a `List` or `Stack`; touched by who has the `Runnable`, or afterwards the
    /// `Completed`.
    pub(super) next: UnsafeCell<Option<Task>>,
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
    name: unsafe fn(NonNull<Header>) -> Option<NonNull<str>>,
    free: unsafe fn(NonNull<Header>),
}

#[repr(C)]
struct Cell<F: Future, S, N> {
    header: Header,
    scheduler: S,
    name: N,
    /// Whose it is: rules 1 and 3 in `task/mod.rs`.
    stage: UnsafeCell<Stage<F>>,
}

/// The future, or what came of it. The state says which (rule 6), so there is no tag: COMPLETE
/// and FAILED, and who has taken the output knows that he has.
#[repr(C)]
union Stage<F: Future> {
    future: ManuallyDrop<F>,
    output: ManuallyDrop<F::Output>,
    failure: ManuallyDrop<Failure>,
}

impl<F: Future> Stage<F> {
    fn end(result: Result<F::Output, Failure>) -> Self {
        match result {
            Ok(output) => Self { output: ManuallyDrop::new(output) },
            Err(failure) => Self { failure: ManuallyDrop::new(failure) },
        }
    }

    /// # Safety
    ///
    /// `this` came from `end`, with a failure or not, and this is its last use.
    unsafe fn take(this: *mut Self, failed: bool) -> Result<F::Output, Failure> {
        // SAFETY: the contract.
        unsafe {
            if failed {
                Err(ManuallyDrop::take(&mut (*this).failure))
            } else {
                Ok(ManuallyDrop::take(&mut (*this).output))
            }
        }
    }
}

/// What a task is called. Most have no name, and for those it takes no room.
pub(crate) trait Name: 'static {
    /// The name, if there is one.
    fn text(&self) -> Option<&str>;
}

impl Name for () {
    fn text(&self) -> Option<&str> {
        None
    }
}

impl Name for Box<str> {
    fn text(&self) -> Option<&str> {
        Some(self)
    }
}

/// Where a task comes from: the place in the program, and a name.
#[derive(Clone, Copy)]
pub(crate) struct Origin<N = ()> {
    pub(crate) location: &'static Location<'static>,
    pub(crate) name: N,
}

impl Origin {
    #[track_caller]
    pub(crate) fn caller() -> Self {
        Self { location: Location::caller(), name: () }
    }
}

/// Makes a task that is ready to run.
pub(crate) fn spawn<F, S, N>(
    future: F,
    scheduler: S,
    origin: Origin<N>,
) -> (Runnable, JoinHandle<F::Output>)
where
    F: Future,
    S: Schedule,
    N: Name,
{
    let cell = Box::new(Cell {
        header: Header {
            state: State::new(),
            vtable: const {
                &Vtable {
                    run: run::<F, S, N>,
                    schedule: schedule::<F, S, N>,
                    take_output: take_output::<F, S, N>,
                    drop_output: drop_output::<F, S, N>,
                    name: name::<F, S, N>,
                    free: free::<F, S, N>,
                }
            },
            location: origin.location,
            id: Id::next(),
            next: UnsafeCell::new(None),
            join_waker: UnsafeCell::new(None),
        },
        scheduler,
        name: origin.name,
        stage: UnsafeCell::new(Stage { future: ManuallyDrop::new(future) }),
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
    #[inline]
    pub(super) fn header(&self) -> &Header {
        // SAFETY: whoever has a `Task` holds a reference to it or its `Runnable`.
        unsafe { self.0.as_ref() }
    }

    #[inline]
    pub(super) fn into_raw(self) -> *const () {
        self.0.as_ptr().cast_const().cast()
    }

    /// # Safety
    ///
    /// `raw` comes from `into_raw`, and someone keeps the task alive.
    #[inline]
    pub(super) unsafe fn from_raw(raw: *const ()) -> Self {
        // SAFETY: `into_raw` gives no null.
        Self(unsafe { NonNull::new_unchecked(raw.cast_mut().cast()) })
    }

    /// Writes what all handles of a task show.
    pub(super) fn debug(self, handle: &'static str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = self.header();
        let mut shown = f.debug_struct(handle);
        shown.field("id", &header.id);
        if let Some(name) = self.name() {
            shown.field("name", &name);
        }
        shown
            .field("spawned", &format_args!("{}", header.location))
            .field("finished", &header.state.is_complete())
            .finish()
    }

    pub(super) fn name(&self) -> Option<&str> {
        // SAFETY: as in `header`; the name stays as long as the task.
        unsafe { (self.header().vtable.name)(self.0).map(|name| name.as_ref()) }
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
    #[inline]
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

// SAFETY: `spawn` in `runtime.rs` takes only futures that are Send, the loom tests too; those of a
// `LocalSet` are run and dropped by its thread only (`local.rs`, rule 1).
unsafe impl Send for Runnable {}

impl fmt::Debug for Runnable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runnable").field("spawned", self.0.header().location).finish()
    }
}

impl Runnable {
    /// Polls the task once. Gives it back if it was woken meanwhile and is to run again.
    #[inline]
    pub(crate) fn run(self) -> Option<Self> {
        let outer = id::replace_current(Some(self.0.header().id));
        // SAFETY: we have the right to poll. All that is the user's is caught in there.
        let after = unsafe { (self.0.header().vtable.run)(self.0.0) };
        id::replace_current(outer);
        match after {
            AfterRun::Idle => None,
            AfterRun::Again => Some(self),
        }
    }

    /// Has the next run drop the future instead of polling it.
    pub(crate) fn cancel(&self) {
        self.0.header().state.cancel();
    }

    /// Leaves a note for when the task has completed.
    #[inline]
    pub(crate) fn set_tag(&self, tag: u32) {
        self.0.header().state.set_tag(tag);
    }

    /// Leaves a mark for who runs the task next.
    #[inline]
    pub(crate) fn mark(&self) {
        self.0.header().state.mark();
    }

    /// Takes the mark off, and says whether there was one.
    #[inline]
    pub(crate) fn take_mark(&self) -> bool {
        self.0.header().state.take_mark()
    }

    /// A name for the task, for the executor's list.
    #[inline]
    pub(crate) fn id(&self) -> TaskId {
        TaskId(self.0)
    }

    #[inline]
    pub(crate) fn into_raw(self) -> *mut () {
        self.0.into_raw().cast_mut()
    }

    /// # Safety
    ///
    /// `raw` comes from `into_raw`, and is turned back once.
    #[inline]
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
    #[inline]
    pub(crate) fn tag(&self) -> u32 {
        self.0.0.header().state.tag()
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

impl fmt::Debug for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskId").finish_non_exhaustive()
    }
}

impl TaskId {
    /// Has the task drop its future at its next run, and schedules that run; does nothing if it is
    /// complete.
    ///
    /// # Safety
    ///
    /// The task is there until this returns.
    pub(crate) unsafe fn abort(&self) {
        self.0.abort();
    }
}

/// # Safety (of all that follow)
///
/// `header` is that of a live `Cell<F, S, N>`.
unsafe fn cell<'a, F: Future, S, N>(header: NonNull<Header>) -> &'a Cell<F, S, N> {
    // SAFETY: the contract above.
    unsafe { header.cast::<Cell<F, S, N>>().as_ref() }
}

/// # Safety
///
/// As `cell`, and the caller has the task's `Runnable`.
unsafe fn schedule<F: Future, S: Schedule, N: Name>(header: NonNull<Header>) {
    // SAFETY: the contract.
    let scheduler = unsafe { cell::<F, S, N>(header) }.scheduler;
    scheduler.schedule(Runnable(Task(header)));
}

/// # Safety
///
/// As `cell`, and the caller has the task's `Runnable`.
unsafe fn run<F: Future, S: Schedule, N: Name>(header: NonNull<Header>) -> AfterRun {
    // SAFETY: the contract.
    let cell = unsafe { cell::<F, S, N>(header) };
    let state = &cell.header.state;
    let run = state.start();
    let result = if run.cancelled {
        Err(Failure::Cancelled)
    } else {
        let waker = waker::borrowed(&cell.header, Task(header));
        let mut cx = Context::from_waker(&waker);
        let poll = catch_unwind(AssertUnwindSafe(|| {
            cell.stage.with_mut(|stage| {
                // SAFETY: we have the right to poll (rule 1), and a task that has it is not
                // complete (rule 2): the future is there.
                let future = unsafe { &mut *(&raw mut (*stage).future).cast::<F>() };
                // SAFETY: the future is in its task's allocation and does not move before its drop.
                unsafe { Pin::new_unchecked(future) }.poll(&mut cx)
            })
        }));
        match poll {
            Ok(Poll::Pending) => return state.finish(run),
            Ok(Poll::Ready(output)) => Ok(output),
            Err(payload) => Err(Failure::panicked(payload, cell.scheduler.panic_hook())),
        }
    };
    // SAFETY: we have the right to poll, and use it up.
    unsafe { complete::<F, S, N>(header, result) };
    AfterRun::Idle
}

/// # Safety
///
/// As `run`, whose last call this is.
unsafe fn complete<F: Future, S: Schedule, N: Name>(
    header: NonNull<Header>,
    result: Result<F::Output, Failure>,
) {
    // Not an argument: a reference that comes as one must stay good until the function returns,
    // and this one frees the task.
    // SAFETY: the contract.
    let cell = unsafe { cell::<F, S, N>(header) };
    let (state, scheduler) = (&cell.header.state, cell.scheduler);
    ENDING.set(true);
    let failed = cell.stage.with_mut(|stage| {
        // SAFETY: the future is ours (rule 1). It is dropped in place, since it is pinned, and
        // whether that panics or not it counts as gone: `write` drops nothing.
        let dropped = catch_unwind(AssertUnwindSafe(|| unsafe {
            ManuallyDrop::drop(&mut (*stage).future);
        }));
        let result = match (dropped, result) {
            (Ok(()), result) => result,
            // The first panic is the one that explains.
            (Err(payload), result @ Err(Failure::Panicked(_))) => {
                drop_quietly(payload);
                result
            }
            (Err(payload), result) => {
                drop_quietly(result);
                Err(Failure::panicked(payload, scheduler.panic_hook()))
            }
        };
        let failed = result.is_err();
        // SAFETY: as above.
        unsafe { ptr::write(stage, Stage::end(result)) };
        failed
    });
    let completion = state.complete(failed);
    if !completion.join_interest {
        // SAFETY: the handle is gone, so the output is ours (rule 3).
        let result = cell.stage.with_mut(|stage| unsafe { Stage::<F>::take(stage, failed) });
        discard(Task(header), result);
    }
    if completion.join_waker {
        // SAFETY: the handle has left it to us (rule 4).
        let waker = cell.header.join_waker.with_mut(|w| unsafe { (*w).take() });
        catch_quietly(|| waker.map(Waker::wake));
    }
    ENDING.set(false);
    scheduler.completed(Completed(Runnable(Task(header))));
}

/// # Safety
///
/// As `Task::take_output`.
unsafe fn take_output<F: Future, S, N>(header: NonNull<Header>, to: *mut ()) {
    // SAFETY: the contract.
    let cell = unsafe { cell::<F, S, N>(header) };
    let failed = cell.header.state.has_failed();
    // SAFETY: the output is the caller's (rule 3).
    let result = cell.stage.with_mut(|stage| unsafe { Stage::<F>::take(stage, failed) });
    let result = result.map_err(|failure| JoinError::new(Task(header), failure));
    // SAFETY: `to` is of this type.
    unsafe { *to.cast::<Option<Result<F::Output, JoinError>>>() = Some(result) };
}

/// # Safety
///
/// As `Task::drop_output`.
unsafe fn drop_output<F: Future, S, N>(header: NonNull<Header>) {
    // SAFETY: the contract.
    let cell = unsafe { cell::<F, S, N>(header) };
    let failed = cell.header.state.has_failed();
    // SAFETY: the output is the caller's (rule 3).
    let result = cell.stage.with_mut(|stage| unsafe { Stage::<F>::take(stage, failed) });
    discard(Task(header), result);
}

/// Drops what nobody has waited for.
fn discard<T>(task: Task, result: Result<T, Failure>) {
    catch_quietly(|| result.map_err(|failure| JoinError::new(task, failure).report()));
}

/// # Safety
///
/// As `cell`.
unsafe fn name<F: Future, S, N: Name>(header: NonNull<Header>) -> Option<NonNull<str>> {
    // SAFETY: the contract.
    unsafe { cell::<F, S, N>(header) }.name.text().map(NonNull::from)
}

/// # Safety
///
/// As `cell`, and no reference to the task is left.
unsafe fn free<F: Future, S, N>(header: NonNull<Header>) {
    // What the stage held is gone (rule 6).
    // SAFETY: the contract; the box is the one that `spawn` leaked.
    drop_quietly(unsafe { Box::from_raw(header.cast::<Cell<F, S, N>>().as_ptr()) });
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
