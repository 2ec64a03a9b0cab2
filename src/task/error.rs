//! Why a task has no output.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::panic::Location;
use std::sync::{Arc, Mutex, PoisonError};

use super::id::Id;
use super::raw::Task;

/// Why a task has no output: it panicked, or it was cancelled.
pub struct JoinError {
    id: Id,
    spawned: &'static Location<'static>,
    name: Option<Box<str>>,
    failure: Failure,
}

/// What a task keeps in the place of an output: one pointer, so that room for it costs nothing.
pub(super) enum Failure {
    Cancelled,
    /// A payload need not be `Sync`; behind the mutex it is.
    Panicked(Box<Mutex<Panic>>),
}

pub(super) struct Panic {
    payload: Box<dyn Any + Send>,
    /// For if nobody waits for the task.
    hook: Option<PanicHook>,
}

/// What is called with panics that nobody has waited for.
pub(crate) type PanicHook = Arc<dyn Fn(JoinError) + Send + Sync>;

impl Failure {
    pub(super) fn panicked(payload: Box<dyn Any + Send>, hook: Option<PanicHook>) -> Self {
        Self::Panicked(Box::new(Mutex::new(Panic { payload, hook })))
    }
}

impl JoinError {
    pub(super) fn new(task: Task, failure: Failure) -> Self {
        let header = task.header();
        let name = task.name().map(Box::from);
        Self { id: header.id, spawned: header.location, name, failure }
    }

    /// The task has no handle any more.
    pub(super) fn report(mut self) {
        let hook = match &mut self.failure {
            Failure::Cancelled => None,
            Failure::Panicked(panic) => {
                panic.get_mut().unwrap_or_else(PoisonError::into_inner).hook.take()
            }
        };
        if let Some(hook) = hook {
            hook(self);
        }
    }

    /// The id of the task.
    pub fn id(&self) -> Id {
        self.id
    }

    /// Whether the task was stopped before its end, by `abort` or by its runtime's shutdown.
    pub fn is_cancelled(&self) -> bool {
        matches!(self.failure, Failure::Cancelled)
    }

    /// Whether the task panicked.
    pub fn is_panic(&self) -> bool {
        matches!(self.failure, Failure::Panicked(_))
    }

    /// Where the task was spawned.
    pub fn spawned_at(&self) -> &'static Location<'static> {
        self.spawned
    }

    /// The name that the task's [`Builder`](super::Builder) gave it, if it did.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Gives the panic's payload, for `std::panic::resume_unwind`.
    ///
    /// # Errors
    ///
    /// Gives the error back if the task did not panic.
    ///
    /// # Examples
    ///
    /// ```
    /// # annulus::block_on(async {
    /// # std::panic::set_hook(Box::new(|_| ()));
    /// let error = annulus::spawn(async { panic!("boom") }).await.unwrap_err();
    /// let payload = error.try_into_panic().unwrap();
    /// assert_eq!(payload.downcast_ref(), Some(&"boom"));
    /// # });
    /// ```
    pub fn try_into_panic(self) -> Result<Box<dyn Any + Send>, Self> {
        match self.failure {
            Failure::Panicked(panic) => {
                Ok(panic.into_inner().unwrap_or_else(PoisonError::into_inner).payload)
            }
            Failure::Cancelled => Err(self),
        }
    }

    /// Gives the panic's payload, for `std::panic::resume_unwind`.
    ///
    /// # Panics
    ///
    /// If the task did not panic; [`try_into_panic`](Self::try_into_panic) does not.
    #[track_caller]
    pub fn into_panic(self) -> Box<dyn Any + Send> {
        self.try_into_panic()
            .unwrap_or_else(|error| panic!("{error}, so there is no panic; ask is_panic first"))
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id: _, spawned, name, failure } = self;
        f.write_str("the task ")?;
        if let Some(name) = name {
            write!(f, "`{name}` ")?;
        }
        match failure {
            Failure::Cancelled => write!(f, "spawned at {spawned} was cancelled"),
            Failure::Panicked(panic) => {
                write!(f, "spawned at {spawned} panicked")?;
                let panic = panic.lock().unwrap_or_else(PoisonError::into_inner);
                let message = panic
                    .payload
                    .downcast_ref::<&str>()
                    .copied()
                    .or_else(|| panic.payload.downcast_ref::<String>().map(String::as_str));
                message.map_or(Ok(()), |message| write!(f, ": {message}"))
            }
        }
    }
}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinError({self})")
    }
}

impl Error for JoinError {}
