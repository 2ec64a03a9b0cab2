//! Wakers collected under a lock, to be woken after it.

use std::task::Waker;

/// A fixed array of wakers, filled while a lock is held and woken when it no longer is.
///
/// A waker is foreign code: it may take the same lock, or panic. So nobody calls one under a
/// lock (law 3 of ARCHITECTURE.md). When one panics, the drop of the rest wakes the others.
#[derive(Debug)]
pub(crate) struct WakeBatch {
    wakers: [Option<Waker>; WakeBatch::SIZE],
    len: usize,
}

impl WakeBatch {
    const SIZE: usize = if cfg!(all(test, annulus_loom)) { 2 } else { 32 };

    pub(crate) fn new() -> Self {
        Self { wakers: [const { None }; Self::SIZE], len: 0 }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.len == Self::SIZE
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds a waker; the batch must not be full.
    pub(crate) fn push(&mut self, waker: Waker) {
        self.wakers[self.len] = Some(waker);
        self.len += 1;
    }

    /// Wakes all, in the order in which they came. Call this without a lock.
    pub(crate) fn wake_all(&mut self) {
        // Taken out one by one: after a panic the ones not yet taken are still here for `drop`.
        for slot in &mut self.wakers {
            if let Some(waker) = slot.take() {
                waker.wake();
            }
        }
        self.len = 0;
    }
}

impl Drop for WakeBatch {
    fn drop(&mut self) {
        self.wake_all();
    }
}
