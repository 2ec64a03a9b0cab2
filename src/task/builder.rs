//! Settings for a task, which is: a name.

use std::future::Future;

use super::join::JoinHandle;
use super::local;
use super::raw::Origin;

/// Settings for a task: a name, for debugging.
///
/// A name is shown where the task is: by its handles' `Debug`, and by a
/// [`JoinError`](super::JoinError). Tasks without one pay nothing for it.
///
/// # Examples
///
/// ```
/// # std::panic::set_hook(Box::new(|_| ()));
/// # annulus::block_on(async {
/// let task = annulus::task::Builder::new().name("sieve").spawn(async { panic!("no room") });
/// let error = task.await.unwrap_err();
/// assert!(error.to_string().starts_with("the task `sieve` spawned at"));
/// # });
/// ```
#[derive(Debug, Clone, Default)]
#[must_use = "a builder does nothing until `spawn`"]
pub struct Builder {
    name: Option<Box<str>>,
}

impl Builder {
    /// The settings of [`spawn`](crate::spawn).
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives the task a name; several may have the same.
    pub fn name(mut self, name: impl Into<Box<str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Runs a future as a task of the [`LocalSet`](super::LocalSet) that this is called in.
    ///
    /// See [`spawn_local`](super::spawn_local).
    ///
    /// # Panics
    ///
    /// Outside of a set: neither in a task of one nor in its `run_until`.
    ///
    /// # Examples
    ///
    /// ```
    /// use annulus::task::{Builder, LocalSet};
    ///
    /// annulus::block_on(LocalSet::new().run_until(async {
    ///     let task = Builder::new().name("counter").spawn_local(async { std::rc::Rc::new(1) });
    ///     assert_eq!(*task.await.unwrap(), 1);
    /// }));
    /// ```
    #[track_caller]
    pub fn spawn_local<F>(self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        match self.origin() {
            Ok(named) => local::spawn_from(future, named),
            Err(nameless) => local::spawn_from(future, nameless),
        }
    }

    /// Where the task comes from, by whether it has a name.
    #[track_caller]
    pub(crate) fn origin(self) -> Result<Origin<Box<str>>, Origin> {
        let Origin { location, name: () } = Origin::caller();
        match self.name {
            Some(name) => Ok(Origin { location, name }),
            None => Err(Origin { location, name: () }),
        }
    }
}
