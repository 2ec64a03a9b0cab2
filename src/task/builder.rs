//! Settings for a task, which is: a name.

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
