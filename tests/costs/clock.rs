//! The child's clock, in the place of the system's.
//!
//! Who goes on by single steps would find that every poll takes long, and do what is to be done
//! about that. So a child's clock goes on by a little each time that somebody looks at it, as if
//! everything were done in nanoseconds.

use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering::Relaxed;

use libc::{c_int, clockid_t, timespec};

const STEP: i64 = 25;
const SECOND: i64 = 1_000_000_000;

/// What the child's clock shows, in nanoseconds; 0: this is no child, or not yet.
static NOW: AtomicI64 = AtomicI64::new(0);

/// From now on this process has a clock of its own.
pub(crate) fn begin() {
    let mut now = timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: it writes the time.
    unsafe { clock_gettime(libc::CLOCK_MONOTONIC, &mut now) };
    NOW.store(now.tv_sec * SECOND + now.tv_nsec, Relaxed);
}

/// What the standard library calls, instead of the system's function of this name.
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(clock: clockid_t, time: *mut timespec) -> c_int {
    let now = NOW.load(Relaxed);
    if now == 0 {
        // SAFETY: the caller's contract is the same.
        return unsafe { libc::syscall(libc::SYS_clock_gettime, clock, time) } as c_int;
    }
    // Not in one step, which would be counted.
    NOW.store(now + STEP, Relaxed);
    // SAFETY: the caller gives a place for the time.
    unsafe { time.write(timespec { tv_sec: now / SECOND, tv_nsec: now % SECOND }) };
    0
}
