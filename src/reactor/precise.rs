//! Waiting in the system's poll for a time in nanoseconds: mio's counts in milliseconds.

use std::io;
use std::os::fd::AsRawFd;
use std::ptr;
use std::time::Duration;

/// As `Poll::poll`, and not late by the rest of a millisecond.
pub(super) fn poll(
    poll: &mut mio::Poll,
    events: &mut mio::Events,
    time: Option<Duration>,
) -> io::Result<()> {
    let Some(time) = time.filter(|time| time.subsec_nanos() % 1_000_000 != 0) else {
        return poll.poll(events, time);
    };
    let mut fd = libc::pollfd { fd: poll.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // A year is as good as any longer time: a wait may end early.
    let seconds = time.as_secs().min(31_536_000) as libc::time_t;
    let limit = libc::timespec { tv_sec: seconds, tv_nsec: time.subsec_nanos() as _ };
    // SAFETY: one `pollfd` and a `timespec` that live through the call; no mask of signals.
    let ready = unsafe { libc::ppoll(&mut fd, 1, &limit, ptr::null()) };
    match ready {
        0 => {
            events.clear();
            Ok(())
        }
        1.. => poll.poll(events, Some(Duration::ZERO)),
        _ => Err(io::Error::last_os_error()),
    }
}
