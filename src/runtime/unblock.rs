//! Operations of the system's that block, on the pool.
//!
//! They run in the runtime that this thread is in when they begin, or in the global one. Where a
//! closure of a user's panics or is cancelled, an operation fails: what nobody will run is an
//! error, and so is the lack of a thread.

use std::io;

use crate::executor::{self, AtEnd};
use crate::task::{JoinError, JoinHandle, Origin};

/// Begins `f`; the handle's result goes through [`outcome`].
pub(crate) fn begin<R: Send + 'static>(
    f: impl FnOnce() -> R + Send + 'static,
    at_end: AtEnd,
) -> io::Result<JoinHandle<R>> {
    executor::try_spawn_blocking(&super::here(), f, Origin::caller(), at_end)
}

/// What came of an operation: it has run, or the end of its runtime came before.
pub(crate) fn outcome<R>(joined: Result<R, JoinError>) -> io::Result<R> {
    joined.map_err(|error| match error.try_into_panic() {
        Ok(payload) => std::panic::resume_unwind(payload),
        Err(_) => executor::ended(),
    })
}

/// Runs `f`. Dropped before it is ready, the operation goes on in vain.
pub(crate) async fn unblock<R: Send + 'static>(
    f: impl FnOnce() -> io::Result<R> + Send + 'static,
) -> io::Result<R> {
    outcome(begin(f, AtEnd::Drop)?.await)?
}
