//! How to wait for a lock that is held for some ten nanoseconds.

use crate::primitive::{may_spin, spin_loop, yield_again};
use crate::util::Rng;

/// Waits longer and longer: a few random spins, then the rest of the time slice, again and again.
///
/// The holder of a side lock may have been preempted, and then only giving up the processor
/// helps. Never a sleep of a fixed time (the holder needs nanoseconds), never a park (nobody
/// would wake us). With one processor nobody can make progress while we spin, so we do not.
#[derive(Debug)]
pub(crate) struct Backoff {
    round: u32,
}

impl Backoff {
    /// Rounds that spin, up to 2^6 pauses each, before the first yield to the scheduler.
    ///
    /// Perf: a quarter of the pauses costs `mpsc 4:1, capacity 64` in benches/versus_tokio.rs
    /// two thirds more, because the word goes back and forth between those who wait for it.
    const SPINS: u32 = 4;

    #[inline]
    pub(crate) fn new() -> Self {
        Self { round: 0 }
    }

    #[cold]
    pub(crate) fn wait(&mut self) {
        self.round = self.round.saturating_add(1);
        if self.round <= Self::SPINS && may_spin() {
            // The address of the stack differs between threads, and the round between rounds.
            let seed = std::ptr::from_ref(self).addr() as u64 ^ u64::from(self.round);
            for _ in 0..=Rng::new(seed).below(4 << self.round) {
                spin_loop();
            }
        } else {
            yield_again(self.round);
        }
    }
}
