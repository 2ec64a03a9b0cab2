//! Whether this thread may wait for something: not while it runs tasks, which would wait with it.
//!
//! The executor notes it when a thread begins to run tasks, and not for each task; only calls that
//! block look. It stands here, and not there, because the channels know of no executor.

use std::cell::Cell;

thread_local! {
    static RUNS_TASKS: Cell<bool> = const { Cell::new(false) };
}

/// Panics, in the name of `call`, if this thread runs tasks.
#[inline]
#[track_caller]
pub(crate) fn check(call: &str, instead: &str) {
    if RUNS_TASKS.get() {
        refuse(call, instead);
    }
}

#[cold]
#[track_caller]
fn refuse(call: &str, instead: &str) -> ! {
    panic!(
        "{call} was called inside block_on or a task, where it would block a worker and all tasks \
         on it; use {instead}, or move the call into spawn_blocking or block_in_place"
    );
}

/// This thread runs tasks until the guard drops.
pub(crate) fn forbid() -> impl Drop {
    Restore(RUNS_TASKS.replace(true))
}

/// This thread runs no tasks until the guard drops.
pub(crate) fn allow() -> impl Drop {
    Restore(RUNS_TASKS.replace(false))
}

struct Restore(bool);

impl Drop for Restore {
    fn drop(&mut self) {
        RUNS_TASKS.set(self.0);
    }
}
