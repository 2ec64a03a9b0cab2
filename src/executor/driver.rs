//! How a thread waits on its seat, and how it is woken: the one place where it does.
//!
//! It waits in the system's poll, if there is a reactor and no other thread is there, else in
//! `park`. Who wakes it does both: [`unpark`](Thread::unpark), which costs nothing if the thread is
//! not parked, and [`kick`](Reactor::kick), which does nothing unless it waits in the poll.

use std::thread::{self, Thread};
use std::time::Duration;

use crate::reactor::{Reactor, Ready};

/// Waits until somebody wakes this thread, or for so long at most; may return early. True: it was
/// in the system's poll. `watch` says whether it may wait there, and `stay` whether to wait.
pub(super) fn wait(
    reactor: &Reactor,
    time: Option<Duration>,
    ready: &mut Ready,
    watch: bool,
    stay: impl FnOnce() -> bool,
) -> bool {
    if watch && reactor.wait(time, ready, stay) {
        return true;
    }
    match time {
        Some(time) => thread::park_timeout(time),
        None => thread::park(),
    }
    false
}

/// Wakes a thread that is in `wait`, or has its next `wait` end at once.
pub(super) fn wake(reactor: &Reactor, thread: &Thread) {
    thread.unpark();
    reactor.kick(thread.id());
}
