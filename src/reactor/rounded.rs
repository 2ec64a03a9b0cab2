//! Waiting in the system's poll: here for milliseconds, rounded up.

use std::io;
use std::time::Duration;

/// As `Poll::poll`.
pub(super) fn poll(
    poll: &mut mio::Poll,
    events: &mut mio::Events,
    time: Option<Duration>,
) -> io::Result<()> {
    poll.poll(events, time)
}
