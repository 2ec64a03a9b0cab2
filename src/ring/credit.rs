//! Promised slots: room that somebody has been given before the item is there.
//!
//! # Invariants
//!
//! 1. At least `promised` slots are free, beside the spare one: a push that would use one up is
//!    refused as full. So who was promised a slot fills it without asking.
//! 2. Promises are given while the word is open, and are kept or broken at any time after. As long
//!    as one is out, a closed ring that is empty is not finished.
//! 3. `promised` changes while the word is LOCKED, on a Single side, too. So it goes up before the
//!    word is closed, and who sees it at 0 sees the lock, or what was done under it.

use super::{FullAt, Multi, Refused, RingBuffer, Side, Waits, word};
use crate::primitive::atomic::Ordering::{Relaxed, Release};

/// What became of a promise.
#[derive(Debug)]
pub(crate) struct Kept {
    /// Whether a consumer waited.
    pub(crate) waits: Waits,
    /// The ring is closed, and this was the last promise: every consumer should know.
    pub(crate) finished: bool,
}

impl<T, P: Side, C: Side> RingBuffer<T, P, C> {
    /// How many slots are free and promised to nobody, looking again if that seems less than
    /// `want`; and where that was seen.
    ///
    /// # Safety
    ///
    /// The claim is of the producers' side.
    pub(super) unsafe fn room(&self, claim: &word::Claim, want: usize) -> (usize, FullAt) {
        let head = claim.index;
        // Ordering: Relaxed; it is written under a claim, and we hold one.
        let promised = self.head.promised.load(Relaxed);
        let room = |tail| (self.capacity() - self.distance(tail, head)).saturating_sub(promised);
        // SAFETY: we hold the claim.
        let mut tail = unsafe { self.head.peer_copy() };
        if room(tail) < want {
            // SAFETY: as above.
            tail = unsafe { self.head.peer_index(tail, &self.tail) }.index;
        }
        (room(tail), FullAt { head, tail, promised })
    }

    /// Promises at least one slot, and at most `want`, which is not 0; says how many.
    ///
    /// # Safety
    ///
    /// If `P` is Single, no other call of the producers' side may overlap with this one.
    pub(crate) unsafe fn promise(&self, want: usize) -> Result<usize, Refused> {
        // SAFETY: the contract.
        let Ok(claim) = (unsafe { self.head.claim::<Multi>(false) }) else {
            return Err(Refused::Closed);
        };
        // SAFETY: we hold the claim.
        let (room, full) = unsafe { self.room(&claim, want) };
        let count = room.min(want);
        // Ordering: Relaxed; giving up the claim publishes it.
        self.head.promised.store(full.promised + count, Relaxed);
        self.head.abandon::<Multi>(claim);
        if count == 0 { Err(Refused::Full(full)) } else { Ok(count) }
    }

    /// How many promises are out, for who knows that none is being given or spent.
    pub(crate) fn promised(&self) -> usize {
        // Ordering: Relaxed; the caller has seen the last change happen before.
        self.head.promised.load(Relaxed)
    }

    /// Keeps a promise: moves the item into the ring, closed or not.
    ///
    /// # Safety
    ///
    /// The caller has a promise, and spends it. As in `promise`.
    #[inline]
    pub(crate) unsafe fn push_promised(&self, item: T) -> Kept {
        // SAFETY: the contract.
        let Ok(claim) = (unsafe { self.head.claim::<Multi>(true) }) else {
            unreachable!("a promise is kept when the ring is closed, too")
        };
        // SAFETY: slot `head` is free (invariant 1), and whoever gave the promise has seen the
        // consumer's last read of it happen before. The claim keeps other producers out, and no
        // consumer reads the slot before `publish`.
        self.slots[claim.index].with_mut(|slot| unsafe { (*slot).write(item) });
        let to = self.next(claim.index);
        // SAFETY: the slots up to `to` are filled.
        unsafe { self.keep(claim, to, 1) }
    }

    /// Breaks promises: the slots are free for all. True if the ring is closed and these were the
    /// last: every consumer should know. Else it is no news to consumers, and their bit stays.
    ///
    /// # Safety
    ///
    /// The caller has so many promises, and spends them. As in `promise`.
    pub(crate) unsafe fn break_promises(&self, count: usize) -> bool {
        // SAFETY: the contract.
        let Ok(claim) = (unsafe { self.head.claim::<Multi>(true) }) else {
            unreachable!("a promise is broken when the ring is closed, too")
        };
        // SAFETY: we hold the claim.
        let finished = unsafe { self.spend(&claim, count) };
        self.head.abandon::<Multi>(claim);
        finished
    }

    /// Publishes what was done with `count` promises.
    ///
    /// # Safety
    ///
    /// The slots from the claim's index up to `to` are filled, and were promised.
    pub(super) unsafe fn keep(&self, claim: word::Claim, to: usize, count: usize) -> Kept {
        // SAFETY: the contract.
        let finished = unsafe { self.spend(&claim, count) };
        let Ok(waits) = self.head.publish::<Multi, C>(claim, to, true) else {
            unreachable!("promises are kept when the ring is closed, too")
        };
        Kept { waits, finished }
    }

    /// Counts `count` promises off. True if they were the last, and the ring is closed.
    ///
    /// # Safety
    ///
    /// The claim is of the producers' side.
    unsafe fn spend(&self, claim: &word::Claim, count: usize) -> bool {
        // Ordering: Relaxed; it is written under a claim, and we hold one.
        let left = self.head.promised.load(Relaxed) - count;
        // Ordering: Release pairs with the Acquire in `is_final`.
        self.head.promised.store(left, Release);
        left == 0 && claim.is_closed()
    }

    /// The number of slots from `from` up to `to`, not including it.
    #[inline]
    pub(super) fn distance(&self, from: usize, to: usize) -> usize {
        if to >= from { to - from } else { to + self.slots.len() - from }
    }
}
