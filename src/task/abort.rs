//! Asking a task to stop, without the right to its output.

use std::fmt;

use super::id::Id;
use super::raw::Task;

/// Stops a task from afar; made by [`JoinHandle::abort_handle`](super::JoinHandle::abort_handle).
///
/// It keeps some of the task's memory, but neither the task's future nor its output.
///
/// # Examples
///
/// ```
/// # annulus::block_on(async {
/// let task = annulus::spawn(std::future::pending::<()>());
/// let abort = task.abort_handle();
/// std::thread::spawn(move || abort.abort());
/// assert!(task.await.unwrap_err().is_cancelled());
/// # });
/// ```
pub struct AbortHandle(Task);

// SAFETY: the header is made for sharing. Neither the future nor the output is reached from here:
// when the last reference goes, both are gone (rule 6 in `task/mod.rs`).
unsafe impl Send for AbortHandle {}
// SAFETY: as above.
unsafe impl Sync for AbortHandle {}

impl AbortHandle {
    pub(super) fn new(task: Task) -> Self {
        task.header().state.add_reference();
        Self(task)
    }

    /// Asks the task to stop, as [`JoinHandle::abort`](super::JoinHandle::abort) does.
    pub fn abort(&self) {
        self.0.abort();
    }

    /// Whether the task is complete: it has returned, panicked or been aborted.
    pub fn is_finished(&self) -> bool {
        self.0.header().state.is_complete()
    }

    /// The task's id.
    pub fn id(&self) -> Id {
        self.0.header().id
    }
}

impl Clone for AbortHandle {
    fn clone(&self) -> Self {
        Self::new(self.0)
    }
}

impl Drop for AbortHandle {
    fn drop(&mut self) {
        // SAFETY: the reference is ours, and this is the last we do with it.
        unsafe { self.0.drop_reference() };
    }
}

impl fmt::Debug for AbortHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.debug("AbortHandle", f)
    }
}
