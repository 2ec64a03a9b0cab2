//! Who waits in the system's poll, and how it is told to go on.
//!
//! The reactor's page has the protocol. This is the part of it that does not touch the system, so
//! that the models (`loom_tests.rs`) run the code that the reactor runs.

use std::thread::ThreadId;

use crate::primitive::atomic::Ordering::SeqCst;
use crate::primitive::atomic::fence;
use crate::util::SpinLock;

/// The name of who waits in the poll, if anybody does.
#[derive(Debug)]
pub(super) struct Asleep<N = ThreadId>(SpinLock<Option<N>>);

/// Comes between a reason to be awake and the look for a sleeper, and between the name of a
/// sleeper and its look for a reason: one of the two sees the other.
pub(super) fn settle() {
    // Ordering: pairs with itself, in `Asleep::wait` and in who kicks.
    fence(SeqCst);
}

impl<N: PartialEq> Asleep<N> {
    pub(super) fn new() -> Self {
        Self(SpinLock::new(None))
    }

    /// Waits in `poll`, which hears whether to wait at all: `stay` finds no reason to be awake.
    /// One thread at a time calls this.
    pub(super) fn wait(&self, name: N, stay: impl FnOnce() -> bool, poll: impl FnOnce(bool)) {
        *self.0.lock() = Some(name);
        settle();
        poll(stay());
        *self.0.lock() = None;
    }

    /// Calls `wake`, which ends the poll or the next one, if it is this one who waits there. The
    /// caller has made the reason, and called `settle`.
    pub(super) fn kick(&self, name: N, wake: impl FnOnce()) {
        let waits = self.0.lock().take_if(|asleep| *asleep == name).is_some();
        if waits {
            wake();
        }
    }

    /// A hint.
    pub(super) fn is_nobody(&self) -> bool {
        self.0.lock().is_none()
    }
}
