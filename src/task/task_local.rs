//! Values that belong to a task, as a thread's locals belong to a thread.
//!
//! The value lives in the future that [`LocalKey::scope`] returns. While that is polled or
//! dropped, it and what is in a local of the thread have changed places; so scopes may be nested,
//! and a task may go on on another thread.

use std::cell::RefCell;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread;

use pin_project_lite::pin_project;

/// Declares values that belong to a task: each is a [`LocalKey`](crate::task::LocalKey).
///
/// # Examples
///
/// ```
/// annulus::task_local! {
///     /// Whose request this is.
///     pub static USER: String;
///     static DEPTH: u32;
/// }
///
/// # annulus::block_on(async {
/// let greeting = USER.scope("Ada".into(), async {
///     DEPTH.scope(1, async { USER.with(|user| format!("{user} at {}", DEPTH.get())) }).await
/// });
/// assert_eq!(greeting.await, "Ada at 1");
/// # });
/// ```
#[macro_export]
macro_rules! task_local {
    ($($(#[$attribute:meta])* $visibility:vis static $name:ident: $type:ty);+ $(;)?) => {$(
        $(#[$attribute])*
        $visibility static $name: $crate::task::LocalKey<$type> = {
            ::std::thread_local! {
                static SLOT: ::std::cell::RefCell<::std::option::Option<$type>> =
                    const { ::std::cell::RefCell::new(::std::option::Option::None) };
            }
            $crate::task::LocalKey::__new(SLOT)
        };
    )+};
}

/// A value that belongs to a task; made by [`task_local!`](crate::task_local).
pub struct LocalKey<T: 'static> {
    slot: thread::LocalKey<RefCell<Option<T>>>,
}

impl<T: 'static> LocalKey<T> {
    /// For the macro.
    #[doc(hidden)]
    pub const fn __new(slot: thread::LocalKey<RefCell<Option<T>>>) -> Self {
        Self { slot }
    }

    /// Runs a future that finds `value` here.
    ///
    /// The value is dropped with the returned future; a spawned task does not inherit it.
    ///
    /// # Panics
    ///
    /// The returned future, if it is polled inside [`with`](Self::with) of the same key.
    pub fn scope<F: Future>(&'static self, value: T, future: F) -> LocalScope<T, F> {
        LocalScope { key: self, value: Some(value), future: Some(future) }
    }

    /// Runs a function that finds `value` here.
    ///
    /// # Panics
    ///
    /// Inside [`with`](Self::with) of the same key. And if the function panics.
    #[track_caller]
    pub fn sync_scope<R>(&'static self, value: T, function: impl FnOnce() -> R) -> R {
        self.swapped(&mut Some(value), function)
    }

    /// Gives the value to a function.
    ///
    /// # Panics
    ///
    /// Outside of a scope of this key; [`try_with`](Self::try_with) does not.
    #[track_caller]
    pub fn with<R>(&'static self, function: impl FnOnce(&T) -> R) -> R {
        self.try_with(function)
            .unwrap_or_else(|error| panic!("{error}, or try_with if that may be"))
    }

    /// Gives the value to a function, if there is one.
    ///
    /// # Errors
    ///
    /// Outside of a scope of this key.
    pub fn try_with<R>(&'static self, function: impl FnOnce(&T) -> R) -> Result<R, AccessError> {
        let call = |slot: &RefCell<Option<T>>| slot.try_borrow().ok()?.as_ref().map(function);
        // There is no value either when the thread's locals are gone.
        self.slot.try_with(call).ok().flatten().ok_or(AccessError { _private: () })
    }

    /// The value, cloned.
    ///
    /// # Panics
    ///
    /// Outside of a scope of this key.
    #[track_caller]
    pub fn get(&'static self) -> T
    where
        T: Clone,
    {
        self.with(T::clone)
    }

    /// Runs a function while `value` and what is in the slot have changed places.
    #[track_caller]
    fn swapped<R>(&'static self, value: &mut Option<T>, function: impl FnOnce() -> R) -> R {
        struct Back<'a, T: 'static>(&'static LocalKey<T>, &'a mut Option<T>);
        impl<T> Drop for Back<'_, T> {
            fn drop(&mut self) {
                // Whoever borrows it does so within a call that is over now.
                self.0.slot.with(|slot| mem::swap(&mut *slot.borrow_mut(), self.1));
            }
        }
        self.slot.with(|slot| match slot.try_borrow_mut() {
            Ok(mut slot) => mem::swap(&mut *slot, value),
            Err(_) => panic!(
                "a scope was entered inside `with` of the same task-local; clone the value first, \
                 with `get`"
            ),
        });
        let _back = Back(self, value);
        function()
    }
}

impl<T> fmt::Debug for LocalKey<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalKey").finish_non_exhaustive()
    }
}

pin_project! {
    /// The future that [`LocalKey::scope`] returns.
    #[must_use = "futures do nothing unless you `.await` or poll them"]
    pub struct LocalScope<T: 'static, F> {
        key: &'static LocalKey<T>,
        value: Option<T>,
        // Until it is dropped, which is done where it finds the value.
        #[pin]
        future: Option<F>,
    }

    impl<T: 'static, F> PinnedDrop for LocalScope<T, F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            // While the thread's locals are being destroyed, or inside `with`, it goes without.
            let free = this.key.slot.try_with(|slot| slot.try_borrow_mut().is_ok());
            if this.future.is_some() && free == Ok(true) {
                this.key.swapped(this.value, || this.future.set(None));
            }
        }
    }
}

impl<T: 'static, F: Future> Future for LocalScope<T, F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        this.key.swapped(this.value, || {
            let future = this.future.as_mut().as_pin_mut();
            let poll = future.expect("a scope was polled again after its end").poll(cx);
            if poll.is_ready() {
                this.future.set(None);
            }
            poll
        })
    }
}

impl<T: fmt::Debug, F> fmt::Debug for LocalScope<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalScope").field("value", &self.value).finish_non_exhaustive()
    }
}

/// There is no value: this is outside of a scope of the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccessError {
    _private: (),
}

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the task-local has no value here; run this inside `scope` of its key")
    }
}

impl Error for AccessError {}
