//! Random numbers for choices that must not line up: spin lengths, victims of theft.

use std::cell::Cell;

/// Marsaglia's xorshift64* generator: eight bytes of state, good enough to break ties.
#[derive(Debug)]
pub(crate) struct Rng(u64);

impl Rng {
    /// The seed may be anything; zero, the one state that xorshift cannot leave, is replaced.
    pub(crate) const fn new(seed: u64) -> Self {
        Self(if seed == 0 { 0x9E37_79B9_7F4A_7C15 } else { seed })
    }

    /// A seed that goes on from here.
    pub(crate) fn state(&self) -> u64 {
        self.0
    }

    pub(crate) fn next_u32(&mut self) -> u32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32) as u32
    }

    /// A number in `0..n` by Lemire's multiply-shift; `n` must not be zero.
    pub(crate) fn below(&mut self, n: u32) -> u32 {
        ((u64::from(self.next_u32()) * u64::from(n)) >> 32) as u32
    }
}

thread_local! {
    /// 0 until the first use.
    static STATE: Cell<u64> = const { Cell::new(0) };
}

/// A number in `0..n` from a generator of this thread's; `n` must not be zero.
pub(crate) fn below(n: u32) -> u32 {
    let state = match STATE.get() {
        // An address of this thread's differs between threads.
        0 => STATE.with(|state| std::ptr::from_ref(state).addr() as u64),
        state => state,
    };
    let mut rng = Rng::new(state);
    let number = rng.below(n);
    STATE.set(rng.state());
    number
}

#[cfg(all(test, not(annulus_loom)))]
mod tests {
    use super::Rng;

    #[test]
    fn below_reaches_every_value_and_no_other() {
        let mut rng = Rng::new(0);
        let mut seen = [0u32; 7];
        for _ in 0..7_000 {
            seen[rng.below(7) as usize] += 1;
        }
        assert!(seen.iter().all(|&n| n > 800), "{seen:?}");
    }
}
