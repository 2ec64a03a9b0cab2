//! The word of one side: its index, its lock, and whether the other side waits for it to move.
//!
//! ```text
//!   63                                    3        2        1        0
//!  +---------------------------------------+--------+--------+--------+
//!  |  index: the next slot of this side    | CLOSED | WAITS  | LOCKED |
//!  +---------------------------------------+--------+--------+--------+
//! ```
//!
//! | bit    | set by                                   | cleared by                           |
//! |--------|------------------------------------------|--------------------------------------|
//! | LOCKED | `claim` on a Multi side, and for promises| the same claim's `publish`/`abandon` |
//! | WAITS  | `arm`, by a waiter of the **other** side | `publish` if that side is Single     |
//! |        |                                          | (who clears it owes the wake), else  |
//! |        |                                          | `disarm` under the waiters' lock     |
//! | CLOSED | `close`, on the producers' word only     | never                                |
//!
//! # Invariants
//!
//! 1. While LOCKED is set, nobody but its holder writes the word; `arm`, `disarm` and `close`
//!    wait for the few nanoseconds. So on a Multi side the claim is the only locked instruction:
//!    what the holder saw then is still true when it publishes, by a plain store.
//! 2. The index changes only in `publish`. Once CLOSED is set it changes for promised slots only
//!    (`credit.rs`): with no promise left a closed word is frozen. So "closed, nothing promised,
//!    and the indices are equal" is final.
//! 3. All that the two sides tell each other goes through this one word, whose changes every
//!    thread sees in the same order. A waiter either sets WAITS before the index moves, and
//!    then the `publish` that moves it sees the bit, or its `arm` fails because the index has
//!    moved. No fence and no `SeqCst` is needed for "nobody sleeps through a message".
//! 4. Between `claim` and `publish`/`abandon` the caller alone is at this side: by LOCKED on a
//!    Multi side, by the contract of `claim` on a Single one. `peer` is touched only then, and
//!    `promised` written only then.
//!
//! A Single side has no lock, and publishes by compare-exchange. Not by a swap, which would wipe
//! a CLOSED that arrived meanwhile, nor by an add, which could not clear WAITS in the same
//! operation nor refuse a closed word. Either way a step costs one locked instruction.

use super::side::Side;
use crate::primitive::UnsafeCell;
use crate::primitive::atomic::AtomicUsize;
use crate::primitive::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use crate::util::Backoff;

const LOCKED: usize = 1;
const WAITS: usize = 1 << 1;
const CLOSED: usize = 1 << 2;
const INDEX: u32 = 3;

/// The largest number of slots whose indices fit beside the bits.
pub(super) const MAX_SLOTS: usize = usize::MAX >> INDEX;

/// One side's word, and its private copy of the other side's index.
#[derive(Debug)]
pub(crate) struct SideWord {
    /// See the picture above.
    word: AtomicUsize,
    /// What `peer_index` last saw in the other side's word; touched under a claim only.
    peer: UnsafeCell<usize>,
    /// Free slots that are promised to somebody (`credit.rs`); written under a claim only.
    pub(super) promised: AtomicUsize,
    /// How many at this side starve (`channel/turn.rs`): beside the word, because each looks.
    pub(super) starving: AtomicUsize,
}

/// The right to move the index of one side, until `publish` or `abandon`.
#[must_use]
pub(super) struct Claim {
    pub(super) index: usize,
    /// The word as the claim found it, unlocked.
    word: usize,
}

impl Claim {
    /// Whether the word was closed when it was claimed.
    pub(super) fn is_closed(&self) -> bool {
        self.word & CLOSED != 0
    }
}

/// Whether someone at the other side waited for the step just published.
#[must_use = "a waiter that is not woken may sleep for ever"]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Waits(pub(crate) bool);

/// The word is closed: its index will not move again.
#[derive(Debug)]
pub(crate) struct Closed;

/// What `look` saw.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    pub(super) index: usize,
    pub(super) closed: bool,
    /// Somebody is about to publish, or has just found that he cannot.
    pub(super) locked: bool,
}

impl Look {
    fn of(word: usize) -> Self {
        Self { index: word >> INDEX, closed: word & CLOSED != 0, locked: word & LOCKED != 0 }
    }
}

impl SideWord {
    pub(super) fn new(index: usize) -> Self {
        Self {
            word: AtomicUsize::new(index << INDEX),
            peer: UnsafeCell::new(index),
            promised: AtomicUsize::new(0),
            starving: AtomicUsize::new(0),
        }
    }

    /// Where this side stands.
    ///
    /// Ordering: Acquire pairs with the Release in `publish`: who sees the index sees the slots
    /// that it passed (filled by a producer, emptied by a consumer).
    #[inline]
    pub(super) fn look(&self) -> Look {
        Look::of(self.word.load(Acquire))
    }

    /// Claims this side. `Err` if it is closed, unless `promised`: the caller has been promised
    /// slots while it was open.
    ///
    /// # Safety
    ///
    /// On a Single side no two claims may overlap.
    #[inline]
    pub(super) unsafe fn claim<S: Side>(&self, promised: bool) -> Result<Claim, Closed> {
        let refuses = if promised { 0 } else { CLOSED };
        // Ordering: Relaxed, because on a Single side only the caller moves the index, and on a
        // Multi side nothing is concluded from this value but what the compare-exchange confirms.
        let mut word = self.word.load(Relaxed);
        if !S::SHARED {
            if word & refuses != 0 {
                return Err(Closed);
            }
            return Ok(Claim { index: word >> INDEX, word });
        }
        let mut backoff = Backoff::new();
        loop {
            if word & refuses != 0 {
                return Err(Closed);
            }
            if word & LOCKED != 0 {
                backoff.wait();
                word = self.word.load(Relaxed);
                continue;
            }
            // Ordering: Acquire pairs with the Release of the last `publish` or `abandon`, so
            // that `peer` and the slots are seen as the last holder left them.
            match self.word.compare_exchange_weak(word, word | LOCKED, Acquire, Relaxed) {
                Ok(_) => return Ok(Claim { index: word >> INDEX, word }),
                Err(now) => word = now,
            }
        }
    }

    /// Moves the index to `to` and gives the claim up. `Err` if the word was closed meanwhile,
    /// and the claim is not `promised`: then nothing has moved.
    #[inline]
    pub(super) fn publish<S: Side, Other: Side>(
        &self,
        claim: Claim,
        to: usize,
        promised: bool,
    ) -> Result<Waits, Closed> {
        let refuses = if promised { 0 } else { CLOSED };
        // One waiter: take its bit, and with it the duty to wake. Many: their lock guards it.
        let kept = if Other::SHARED { WAITS | CLOSED } else { CLOSED };
        let mut word = claim.word;
        if S::SHARED {
            // Ordering: Release pairs with `look` (the slot) and with `claim` (`peer`). The
            // waker that goes with WAITS was seen by the Acquire in `claim`.
            self.word.store((to << INDEX) | (word & kept), Release);
            return Ok(Waits(word & WAITS != 0));
        }
        loop {
            if word & refuses != 0 {
                return Err(Closed);
            }
            // Ordering: Release pairs with `look` (the slot); Acquire pairs with the Release in
            // `arm`: who takes the bit sees the waker stored before it.
            match self.word.compare_exchange(word, (to << INDEX) | (word & kept), AcqRel, Relaxed) {
                Ok(_) => return Ok(Waits(word & WAITS != 0)),
                Err(now) => word = now,
            }
        }
    }

    /// Gives the claim up with the index where it was.
    #[inline]
    pub(super) fn abandon<S: Side>(&self, claim: Claim) {
        if S::SHARED {
            // Ordering: Release pairs with the Acquire in `claim`.
            self.word.store(claim.word, Release);
        }
    }

    /// The private copy of the other side's index, however old.
    ///
    /// # Safety
    ///
    /// The caller holds a claim of this side.
    #[inline]
    pub(super) unsafe fn peer_copy(&self) -> usize {
        // SAFETY: by the contract no one else touches the copy while the claim is held.
        self.peer.with(|p| unsafe { *p })
    }

    /// Sets the private copy of the other side's index, for who knows it.
    ///
    /// # Safety
    ///
    /// The caller holds a claim of this side, and the other side is at `index`.
    pub(super) unsafe fn set_peer(&self, index: usize) {
        // SAFETY: by the contract no one else touches the copy while the claim is held.
        self.peer.with_mut(|p| unsafe { *p = index });
    }

    /// The other side's index: the private copy, refreshed from `other` when it equals `limit`.
    ///
    /// # Safety
    ///
    /// The caller holds a claim of this side.
    #[inline]
    pub(super) unsafe fn peer_index(&self, limit: usize, other: &SideWord) -> Look {
        // SAFETY: the contract.
        let copy = unsafe { self.peer_copy() };
        if copy != limit {
            return Look { index: copy, closed: false, locked: false };
        }
        let look = other.look();
        // SAFETY: by the contract no one else touches the copy while the claim is held.
        self.peer.with_mut(|p| unsafe { *p = look.index });
        look
    }

    /// Sets WAITS for a waiter of the other side; false if the index is not `at` any more.
    #[inline]
    pub(super) fn arm(&self, at: usize) -> bool {
        self.change(|word| match word {
            _ if word >> INDEX != at => Err(false),
            _ if word & WAITS != 0 => Err(true),
            _ => Ok(word | WAITS),
        })
        .map_or_else(|armed| armed, |_| true)
    }

    /// Whether the index is still `at`, and will be for all who look from now on: what is
    /// published later sees what the caller did before.
    ///
    /// A publish on a Multi side is a plain store, which may lag behind its thread's next load. A
    /// load alone could therefore miss it, and two threads that each send to the other and then look
    /// could both find nothing.
    pub(super) fn confirm(&self, at: usize) -> bool {
        self.change(|word| if word >> INDEX == at { Ok(word) } else { Err(()) }).is_ok()
    }

    /// Clears WAITS; true if it was set. Who clears it for a single waiter owes it the wake.
    ///
    /// Always a read-modify-write: `close` of a channel relies on it to come either before a
    /// waiter's `arm`, which then sees the closed word, or after it, and then this sees the bit.
    #[inline]
    pub(crate) fn disarm(&self) -> bool {
        self.change(|word| Ok::<_, ()>(word & !WAITS)).is_ok_and(|word| word & WAITS != 0)
    }

    /// A hint, without synchronisation: whether WAITS is set.
    #[inline]
    pub(crate) fn is_armed(&self) -> bool {
        self.word.load(Relaxed) & WAITS != 0
    }

    /// Closes the word. `None` if it was closed before.
    pub(super) fn close<Other: Side>(&self) -> Option<Waits> {
        let closed = |word| if Other::SHARED { word | CLOSED } else { (word | CLOSED) & !WAITS };
        self.change(|word| if word & CLOSED == 0 { Ok(closed(word)) } else { Err(()) })
            .ok()
            .map(|word| Waits(word & WAITS != 0))
    }

    /// Changes the bits as `to` says, and gives the word that was there; or gives up with what
    /// `to` says instead. For those who hold no claim.
    #[inline]
    fn change<E>(&self, to: impl Fn(usize) -> Result<usize, E>) -> Result<usize, E> {
        // Ordering: Acquire here and in the exchange pairs with the Release in `publish`, so
        // that a waiter's next look at its own side's word is not older than this index, and
        // with the Release of other changes: who sees WAITS sees the waker, who sees WAITS
        // cleared or CLOSED sees what came before. Release is the other end of these pairs.
        let mut word = self.word.load(Acquire);
        let mut backoff = Backoff::new();
        loop {
            let changed = to(word)?;
            if word & LOCKED != 0 {
                backoff.wait();
                word = self.word.load(Acquire);
                continue;
            }
            match self.word.compare_exchange_weak(word, changed, AcqRel, Acquire) {
                Ok(_) => return Ok(word),
                Err(now) => word = now,
            }
        }
    }
}
