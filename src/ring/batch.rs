//! Many items under one claim: one lock and one publish for all.
//!
//! No code of the user's runs meanwhile: items come from a [`Stash`] that was filled before, and
//! go to a `Vec` that has room already.

use std::mem::MaybeUninit;

use super::credit::Kept;
use super::{EmptyAt, Multi, Nothing, RingBuffer, Side, Waits, word};

impl<T, P: Side, C: Side> RingBuffer<T, P, C> {
    /// Moves the oldest items to the end of `out`: at most `max`, and no more than `out` has room
    /// for without growing; says how many. Neither may be 0.
    ///
    /// # Safety
    ///
    /// If `C` is Single, no other call of the consumers' side may overlap with this one.
    pub(crate) unsafe fn pop_many(
        &self,
        out: &mut Vec<T>,
        max: usize,
    ) -> Result<(usize, Waits), Nothing> {
        // SAFETY: the contract.
        let Ok(claim) = (unsafe { self.tail.claim::<C>(false) }) else {
            unreachable!("the consumers' word is never closed")
        };
        let tail = claim.index;
        let max = max.min(out.capacity() - out.len());
        // SAFETY: we hold the claim.
        let mut head = unsafe { self.tail.peer_copy() };
        let mut closed = false;
        if self.distance(tail, head) < max {
            // SAFETY: as above.
            let look = unsafe { self.tail.peer_index(head, &self.head) };
            (head, closed) = (look.index, look.closed);
        }
        let count = self.distance(tail, head).min(max);
        if count == 0 {
            self.tail.abandon::<C>(claim);
            return Err(if closed && self.is_final(tail) {
                Nothing::Closed
            } else {
                Nothing::Empty(EmptyAt { index: tail })
            });
        }
        let mut to = tail;
        for _ in 0..count {
            // SAFETY: the slots from `tail` up to `head` hold items, whose writes happened before,
            // by the Acquire in `look`. The claim keeps other consumers out, and no producer
            // writes the slots before `publish`. `out` has room, so that nothing can panic.
            out.push(self.slots[to].with(|slot| unsafe { (*slot).assume_init_read() }));
            to = self.next(to);
        }
        match self.tail.publish::<C, P>(claim, to, false) {
            Ok(waits) => Ok((count, waits)),
            Err(word::Closed) => unreachable!("the consumers' word is never closed"),
        }
    }

    /// Keeps a promise for each item of `stash`, and empties it.
    ///
    /// # Safety
    ///
    /// The caller has so many promises, and spends them. If `P` is Single, no other call of the
    /// producers' side may overlap with this one.
    pub(crate) unsafe fn push_promised_all(&self, stash: &mut Stash<T>) -> Kept {
        // SAFETY: the contract.
        let Ok(claim) = (unsafe { self.head.claim::<Multi>(true) }) else {
            unreachable!("promises are kept when the ring is closed, too")
        };
        let count = std::mem::take(&mut stash.len);
        let mut to = claim.index;
        for item in &mut stash.items[..count] {
            let item = std::mem::replace(item, MaybeUninit::uninit());
            // SAFETY: as many slots are free as were promised, and whoever gave the promise has
            // seen the consumer's last reads of them happen before. The claim keeps other
            // producers out, and no consumer reads the slots before `keep`.
            self.slots[to].with_mut(|slot| unsafe { *slot = item });
            to = self.next(to);
        }
        // SAFETY: the items were there, by the invariant of `Stash`, and are in the slots now.
        unsafe { self.keep(claim, to, count) }
    }
}

/// A few items on their way into a ring.
#[derive(Debug)]
pub(crate) struct Stash<T> {
    /// The first `len` are items.
    items: [MaybeUninit<T>; Stash::<()>::SIZE],
    len: usize,
}

impl Stash<()> {
    /// Enough that a claim for all is little for each, few enough for the stack.
    pub(crate) const SIZE: usize = if cfg!(all(test, annulus_loom)) { 2 } else { 32 };
}

impl<T> Stash<T> {
    pub(crate) fn new() -> Self {
        Self { items: [const { MaybeUninit::uninit() }; Stash::<()>::SIZE], len: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Adds an item; the stash must not be full.
    pub(crate) fn push(&mut self, item: T) {
        self.items[self.len].write(item);
        self.len += 1;
    }
}

impl<T> Drop for Stash<T> {
    fn drop(&mut self) {
        while self.len > 0 {
            self.len -= 1;
            // SAFETY: it was one of the first `len`, and is not any more.
            unsafe { self.items[self.len].assume_init_drop() };
        }
    }
}
