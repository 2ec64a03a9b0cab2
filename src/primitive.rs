//! The concurrency primitives everything else is built from: std's, or loom's in a model.
//!
//! This is the only file that knows of loom. Under `--cfg annulus_loom` the unit tests of this
//! crate run on loom's atomics, cells, mutexes and threads, which explore every interleaving and
//! every value that a weak memory model lets a load return; in every other build these names are
//! std's, and the wrappers below compile to nothing.

pub(crate) use imp::*;

#[cfg(not(all(test, annulus_loom)))]
mod imp {
    use std::mem::MaybeUninit;
    pub(crate) use std::sync::Arc;
    pub(crate) use std::sync::atomic;
    pub(crate) use std::thread;

    /// `std::cell::UnsafeCell` behind the closure interface that loom needs to check accesses.
    #[derive(Debug)]
    #[repr(transparent)]
    pub(crate) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self(std::cell::UnsafeCell::new(value))
        }

        #[inline(always)]
        pub(crate) fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
            f(self.0.get())
        }

        #[inline(always)]
        pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
            f(self.0.get())
        }
    }

    /// A boxed slice of `len` empty slots, whose memory nobody has touched yet.
    pub(crate) fn empty_slots<T>(len: usize) -> Box<[UnsafeCell<MaybeUninit<T>>]> {
        // SAFETY: a slot is a transparent wrapper of `MaybeUninit`, which needs no initialisation.
        unsafe { Box::<[UnsafeCell<MaybeUninit<T>>]>::new_uninit_slice(len).assume_init() }
    }

    /// `std::sync::Mutex` that ignores poison: no code of a user's runs under our locks, so a
    /// panic while one is held cannot leave what it guards half changed.
    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(std::sync::Mutex<T>);

    pub(crate) use std::sync::MutexGuard;

    impl<T> Mutex<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self(std::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
        }
    }

    /// `std::sync::RwLock` that ignores poison: what it guards is a user's value, and the user's
    /// to judge after a panic of his own.
    #[derive(Debug)]
    pub(crate) struct RwLock<T>(std::sync::RwLock<T>);

    pub(crate) use std::sync::{RwLockReadGuard, RwLockWriteGuard};

    impl<T> RwLock<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self(std::sync::RwLock::new(value))
        }

        pub(crate) fn read(&self) -> RwLockReadGuard<'_, T> {
            self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner)
        }

        pub(crate) fn write(&self) -> RwLockWriteGuard<'_, T> {
            self.0.write().unwrap_or_else(std::sync::PoisonError::into_inner)
        }
    }

    /// Makes a constructor `const`, for statics.
    macro_rules! const_fn {
        ($(#[$attribute:meta])* $visibility:vis fn $($rest:tt)+) => {
            $(#[$attribute])* $visibility const fn $($rest)+
        };
    }
    pub(crate) use const_fn;

    /// True when spinning can help: someone else can run while we do.
    pub(crate) fn may_spin() -> bool {
        use std::sync::OnceLock;
        static SEVERAL: OnceLock<bool> = OnceLock::new();
        *SEVERAL.get_or_init(|| thread::available_parallelism().is_ok_and(|n| n.get() > 1))
    }

    pub(crate) use std::hint::spin_loop;

    /// Gives up the processor while waiting for a lock, for the `_times`th time in a row.
    pub(crate) fn yield_again(_times: u32) {
        thread::yield_now();
    }
}

#[cfg(all(test, annulus_loom))]
mod imp {
    pub(crate) use loom::cell::UnsafeCell;
    use std::mem::MaybeUninit;

    pub(crate) fn empty_slots<T>(len: usize) -> Box<[UnsafeCell<MaybeUninit<T>>]> {
        (0..len).map(|_| UnsafeCell::new(MaybeUninit::uninit())).collect()
    }

    pub(crate) use loom::sync::atomic;
    pub(crate) use loom::sync::{Arc, MutexGuard};
    pub(crate) use loom::thread;

    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap()
        }
    }

    #[derive(Debug)]
    pub(crate) struct RwLock<T>(loom::sync::RwLock<T>);

    pub(crate) use loom::sync::{RwLockReadGuard, RwLockWriteGuard};

    impl<T> RwLock<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::RwLock::new(value))
        }

        pub(crate) fn read(&self) -> RwLockReadGuard<'_, T> {
            self.0.read().unwrap()
        }

        pub(crate) fn write(&self) -> RwLockWriteGuard<'_, T> {
            self.0.write().unwrap()
        }
    }

    /// What a model watches is not made before it runs.
    macro_rules! const_fn {
        ($(#[$attribute:meta])* $visibility:vis fn $($rest:tt)+) => {
            $(#[$attribute])* $visibility fn $($rest)+
        };
    }
    pub(crate) use const_fn;

    /// In a model every pass of a loop must let the others run, so nothing spins.
    pub(crate) fn may_spin() -> bool {
        false
    }

    pub(crate) fn spin_loop() {
        thread::yield_now();
    }

    /// A lock that stays held teaches nothing new: a model explores the first waits only.
    pub(crate) fn yield_again(times: u32) {
        if times > 2 {
            loom::skip_branch();
        }
        thread::yield_now();
    }
}
