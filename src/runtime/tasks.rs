//! The ways to a task that know of the runtime: `spawn` of what `task` has.

use std::future::Future;
use std::sync::Arc;

use super::{Handle, Runtime, here, spawn_from};
use crate::executor::{self, Shared};
use crate::task::{AbortHandle, Builder, JoinHandle, JoinSet, LocalSet, Origin};

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

    /// Runs a future as a task of the runtime of `handle`.
    #[track_caller]
    pub fn spawn_on<F>(self, future: F, handle: &Handle) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        match self.origin() {
            Ok(named) => handle.0.spawn(future, named),
            Err(nameless) => handle.0.spawn(future, nameless),
        }
    }

    /// Runs a closure that blocks, as [`spawn_blocking`](crate::spawn_blocking) does.
    ///
    /// # Panics
    ///
    /// If a thread is needed, there is none, and the system refuses to start one.
    ///
    /// # Examples
    ///
    /// ```
    /// let task = annulus::task::Builder::new().name("digest").spawn_blocking(|| 6 * 7);
    /// assert_eq!(annulus::block_on(task).unwrap(), 42);
    /// ```
    #[track_caller]
    pub fn spawn_blocking<F, R>(self, f: F) -> JoinHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        self.run_blocking(&here(), f)
    }

    /// Runs a closure that blocks, in the runtime of `handle`.
    ///
    /// # Panics
    ///
    /// If a thread is needed, there is none, and the system refuses to start one.
    #[track_caller]
    pub fn spawn_blocking_on<F, R>(self, f: F, handle: &Handle) -> JoinHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        self.run_blocking(&handle.0, f)
    }

    #[track_caller]
    fn run_blocking<F, R>(self, shared: &Arc<Shared>, f: F) -> JoinHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        match self.origin() {
            Ok(named) => executor::spawn_blocking(shared, f, named),
            Err(nameless) => executor::spawn_blocking(shared, f, nameless),
        }
    }
}

impl<T: Send + 'static> JoinSet<T> {
    /// Runs a future as a task of the set, where [`spawn`](crate::spawn) would.
    ///
    /// # Panics
    ///
    /// If the global runtime is needed and the system refuses to start its threads.
    #[track_caller]
    pub fn spawn<F>(&mut self, future: F) -> AbortHandle
    where
        F: Future<Output = T> + Send + 'static,
    {
        let origin = Origin::caller();
        self.add(future, |member| spawn_from(member, origin))
    }

    /// Runs a future as a task of the set, in the runtime of `handle`.
    #[track_caller]
    pub fn spawn_on<F>(&mut self, future: F, handle: &Handle) -> AbortHandle
    where
        F: Future<Output = T> + Send + 'static,
    {
        let origin = Origin::caller();
        self.add(future, |member| handle.0.spawn(member, origin))
    }

    /// Runs a closure that blocks as a task of the set, as [`spawn_blocking`](crate::spawn_blocking)
    /// does.
    ///
    /// # Panics
    ///
    /// If a thread is needed, there is none, and the system refuses to start one.
    #[track_caller]
    pub fn spawn_blocking<F>(&mut self, f: F) -> AbortHandle
    where
        F: FnOnce() -> T + Send + 'static,
    {
        self.add_blocking(&here(), f, Origin::caller())
    }

    /// Runs a closure that blocks as a task of the set, in the runtime of `handle`.
    ///
    /// # Panics
    ///
    /// If a thread is needed, there is none, and the system refuses to start one.
    #[track_caller]
    pub fn spawn_blocking_on<F>(&mut self, f: F, handle: &Handle) -> AbortHandle
    where
        F: FnOnce() -> T + Send + 'static,
    {
        self.add_blocking(&handle.0, f, Origin::caller())
    }

    #[track_caller]
    fn add_blocking<F>(&mut self, shared: &Arc<Shared>, f: F, origin: Origin) -> AbortHandle
    where
        F: FnOnce() -> T + Send + 'static,
    {
        self.add_with(|end| {
            let call = move || {
                let _end = end;
                f()
            };
            executor::spawn_blocking(shared, call, origin)
        })
    }
}

impl<F> FromIterator<F> for JoinSet<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    /// Spawns each future as a task of a new set.
    fn from_iter<I: IntoIterator<Item = F>>(futures: I) -> Self {
        let mut set = Self::new();
        futures.into_iter().for_each(|future| drop(set.spawn(future)));
        set
    }
}

impl LocalSet {
    /// Runs a future to its end on this thread, in a runtime, and the tasks of the set meanwhile.
    ///
    /// # Panics
    ///
    /// As [`Runtime::block_on`].
    #[track_caller]
    pub fn block_on<F: Future>(&self, runtime: &Runtime, future: F) -> F::Output {
        runtime.block_on(self.run_until(future))
    }
}
