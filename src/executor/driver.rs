//! How a thread waits on its seat: the one place where it does.
//!
//! Who waits for a time is the keeper or the sentinel, and of each there is one. So what can wake
//! threads besides [`unpark`](std::thread::Thread::unpark) belongs here, into the wait with a
//! time, and its wake into `Seat::send_go` and `Seat::nudge`.

use std::thread;
use std::time::Duration;

/// Waits until somebody unparks this thread, or for so long at most; may return early.
pub(super) fn wait(time: Option<Duration>) {
    match time {
        Some(time) => thread::park_timeout(time),
        None => thread::park(),
    }
}
