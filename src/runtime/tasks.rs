//! The ways to a task that know of the runtime: `spawn` of what `task` has.

use std::future::Future;

use super::{Runtime, spawn_from};
use crate::task::{Builder, JoinHandle};

impl Builder {
    /// Runs a future as a task, as [`spawn`](crate::spawn) does.
    ///
    /// # Panics
    ///
    /// If the global runtime is needed and the system refuses to start its threads.
    #[track_caller]
    pub fn spawn<F>(self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        match self.origin() {
            Ok(named) => spawn_from(future, named),
            Err(nameless) => spawn_from(future, nameless),
        }
    }

    /// Runs a future as a task of this runtime.
    #[track_caller]
    pub fn spawn_on<F>(self, future: F, runtime: &Runtime) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        match self.origin() {
            Ok(named) => runtime.shared.spawn(future, named),
            Err(nameless) => runtime.shared.spawn(future, nameless),
        }
    }
}
