//! Being woken on time: Linux wakes threads up to 50 µs after the time they asked for, so that it
//! can wake several at once.
//!
//! How much that may be is a thread's own setting. The runtime's threads ask for next to nothing
//! as long as they live. A thread of a user's does so from its first wait for a timer on a seat
//! until it leaves the seat, and then has the setting that it had: a `block_on` without timers makes
//! no call of the system for this.
//!
//! Threads and processes inherit the setting from who starts them, as what they have and as what they
//! go back to. So who starts one has the setting of before meanwhile ([`usually`]).
//!
//! Perf: `cargo bench --bench time -- table`, lateness of half of the sleeps of 1 ms, before and
//! after: 102 and 55 to 73 µs. The rest is how long this machine takes to wake up.

use std::cell::Cell;
use std::marker::PhantomData;

thread_local! {
    /// What a punctual thread had asked for before, in nanoseconds; 0 if it is not punctual.
    static BEFORE: Cell<libc::c_ulong> = const { Cell::new(0) };
}

/// What a thread asks for. Not 0, which stands for what its parent had.
const NEXT_TO_NOTHING: libc::c_ulong = 1;

/// A thread that is to be woken on time, until this drops.
#[derive(Debug)]
pub(super) struct Punctual {
    /// Whether it was not before.
    is_first: bool,
    /// The setting is this thread's.
    not_send: PhantomData<*const ()>,
}

impl Punctual {
    #[cold]
    pub(super) fn new() -> Self {
        let is_first = BEFORE.get() == 0;
        if is_first {
            // SAFETY: it takes no argument, and gives a number or an error.
            let before = unsafe { libc::prctl(libc::PR_GET_TIMERSLACK) };
            // A process that may not do this has its timers a little later.
            if let Ok(before @ 1..) = libc::c_ulong::try_from(before) {
                BEFORE.set(before);
                ask_for(NEXT_TO_NOTHING);
            }
        }
        Self { is_first, not_send: PhantomData }
    }
}

impl Drop for Punctual {
    fn drop(&mut self) {
        if let (true, before @ 1..) = (self.is_first, BEFORE.get()) {
            ask_for(before);
            BEFORE.set(0);
        }
    }
}

/// Runs `f`, which starts a thread or a process, with the setting that this thread had before.
pub(crate) fn usually<R>(f: impl FnOnce() -> R) -> R {
    struct Again;
    impl Drop for Again {
        fn drop(&mut self) {
            ask_for(NEXT_TO_NOTHING);
        }
    }
    let before = BEFORE.get();
    let _again = (before > 0).then(|| {
        ask_for(before);
        Again
    });
    f()
}

fn ask_for(slack: libc::c_ulong) {
    // SAFETY: it takes a number, and touches no memory of ours.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, slack) };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slack() -> libc::c_int {
        // SAFETY: as above.
        unsafe { libc::prctl(libc::PR_GET_TIMERSLACK) }
    }

    #[test]
    fn a_thread_gets_its_setting_back() {
        std::thread::spawn(|| {
            ask_for(12_345);
            {
                let _punctual = Punctual::new();
                assert_eq!(slack(), 1);
                // As in a `block_on` within a `block_in_place`.
                drop(Punctual::new());
                assert_eq!(slack(), 1);
                assert_eq!(usually(slack), 12_345);
                assert_eq!(slack(), 1);
            }
            assert_eq!(slack(), 12_345);
            assert_eq!(usually(slack), 12_345);
            assert_eq!(slack(), 12_345);
        })
        .join()
        .unwrap();
    }
}
