//! Work that a task does on a message.

use std::hint::black_box;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// Keeps the processor busy for about this time, by steps of arithmetic counted out beforehand:
/// the clock would take its share.
pub(crate) fn work(time: Duration) {
    static STEPS_PER_MILLI: LazyLock<u64> = LazyLock::new(|| {
        const SAMPLE: u64 = 100_000;
        let sample = || {
            let start = Instant::now();
            steps(SAMPLE);
            start.elapsed()
        };
        let fastest = (0..20).map(|_| sample()).min().expect("20 samples");
        SAMPLE * 1_000_000 / fastest.as_nanos().max(1) as u64
    });
    if !time.is_zero() {
        steps(time.as_nanos() as u64 * *STEPS_PER_MILLI / 1_000_000);
    }
}

/// Not inlined, so that all callers run the same loop, whatever number of steps the compiler knows.
#[inline(never)]
fn steps(count: u64) {
    let mut state = black_box(count);
    for _ in 0..count {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
    }
    black_box(state);
}
