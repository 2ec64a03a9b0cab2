//! A task's waker: its header's address and four functions.

use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::task::{RawWaker, RawWakerVTable, Waker};

use super::raw::{Header, Task};
use crate::util::prompt_waker;

/// One for all tasks, and a static: `Waker::will_wake` compares its address.
static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop);

/// A waker for the poll of `task`, which borrows the runner's hold on the task: making and
/// dropping it touches no count.
pub(super) fn borrowed(_held: &Header, task: Task) -> impl Deref<Target = Waker> {
    // SAFETY: the functions below fulfil the contract of `RawWaker`; this waker is never
    // dropped, so that it owns no reference, and lives no longer than the poll.
    ManuallyDrop::new(unsafe { Waker::from_raw(RawWaker::new(task.into_raw(), &VTABLE)) })
}

/// Lets it be known that waking a task runs no code but ours.
pub(crate) fn register() {
    // SAFETY: never used, and never dropped.
    let waker = unsafe { ManuallyDrop::new(Waker::new(std::ptr::null(), &VTABLE)) };
    prompt_waker::register(&waker);
}

/// # Safety (of all four)
///
/// `task` comes from a waker made here, which holds a reference or borrows one.
unsafe fn clone(task: *const ()) -> RawWaker {
    // SAFETY: the contract.
    unsafe { Task::from_raw(task) }.header().state.add_reference();
    RawWaker::new(task, &VTABLE)
}

unsafe fn wake(task: *const ()) {
    // SAFETY: the contract. The reference goes after the wake, which may still need the task.
    unsafe {
        wake_by_ref(task);
        drop(task);
    }
}

unsafe fn wake_by_ref(task: *const ()) {
    // SAFETY: the contract.
    unsafe { Task::from_raw(task) }.wake();
}

unsafe fn drop(task: *const ()) {
    // SAFETY: the contract; the waker that is dropped owns its reference.
    unsafe { Task::from_raw(task).drop_reference() };
}
