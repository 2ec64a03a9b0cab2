//! Wakers that are known to be prompt: `wake` only notes that the task is to run.
//!
//! A foreign waker may do anything, even poll the task inside `wake`. Of this crate's own wakers
//! we know better, and [`WaitCell`](crate::wait::WaitCell) makes use of it. They are known by their
//! vtables, which the modules that make such wakers register here.

use std::ptr;
use std::sync::atomic::AtomicPtr;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{RawWakerVTable, Waker};

/// Tasks, threads and guests; a fourth, should the compiler make a vtable twice. One that does
/// not fit counts as foreign, which is slower but as right.
static PROMPT: [AtomicPtr<RawWakerVTable>; 4] = [const { AtomicPtr::new(ptr::null_mut()) }; 4];

/// Registers the kind of `waker`. To wake one must not panic, and must drop nothing of a user's.
pub(crate) fn register(waker: &Waker) {
    let vtable = ptr::from_ref(waker.vtable()).cast_mut();
    for place in &PROMPT {
        let there = match place.load(Relaxed) {
            // Ordering: Relaxed; the pointers are compared and never followed.
            there if there.is_null() => place
                .compare_exchange(there, vtable, Relaxed, Relaxed)
                .map_or_else(|now| now, |_| vtable),
            there => there,
        };
        if there == vtable {
            return;
        }
    }
}

/// Whether waking this waker runs no code but ours.
#[inline]
pub(crate) fn is_prompt(waker: &Waker) -> bool {
    let vtable = ptr::from_ref(waker.vtable()).cast_mut();
    PROMPT.iter().any(|place| place.load(Relaxed) == vtable)
}
