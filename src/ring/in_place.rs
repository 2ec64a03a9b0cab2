//! What only one kind of side can do: look at an item where it lies, and push an item out.

use std::ptr::NonNull;

use super::{EmptyAt, Multi, Nothing, RingBuffer, Side, Single, Waits, word};

impl<T, P: Side> RingBuffer<T, P, Single> {
    /// Where the oldest item lies. It stays there until `skip`.
    ///
    /// # Safety
    ///
    /// No other call of the consumers' side overlaps with this one.
    pub(crate) unsafe fn peek(&self) -> Result<NonNull<T>, Nothing> {
        // SAFETY: the contract.
        let Ok(claim) = (unsafe { self.tail.claim::<Single>(false) }) else {
            unreachable!("the consumers' word is never closed")
        };
        let tail = claim.index;
        // SAFETY: we hold the claim.
        let head = unsafe { self.tail.peer_index(tail, &self.head) };
        if head.index != tail {
            // Not null: it points into a slot.
            let item = self.slots[tail].with_mut(|slot| slot.cast::<T>());
            return Ok(NonNull::new(item).expect("a slot has an address"));
        }
        Err(if head.closed && self.is_final(tail) {
            Nothing::Closed
        } else {
            Nothing::Empty(EmptyAt { index: tail })
        })
    }

    /// Moves on past the oldest item, which stays undropped.
    ///
    /// # Safety
    ///
    /// There is an item. As `peek`.
    pub(crate) unsafe fn skip(&self) -> Waits {
        // SAFETY: the contract.
        let Ok(claim) = (unsafe { self.tail.claim::<Single>(false) }) else {
            unreachable!("the consumers' word is never closed")
        };
        let to = self.next(claim.index);
        match self.tail.publish::<Single, P>(claim, to, false) {
            Ok(waits) => waits,
            Err(word::Closed) => unreachable!("the consumers' word is never closed"),
        }
    }
}

impl<T, P: Side> RingBuffer<T, P, Multi> {
    /// Moves an item into the ring, and the oldest one out if there is no room. Fails with the
    /// item, and whether the ring is closed: if not, all room is promised.
    ///
    /// Claims the producers' side and then, under it, the consumers'; nobody does it the other
    /// way round.
    ///
    /// # Safety
    ///
    /// If `P` is Single, no other call of the producers' side may overlap with this one.
    pub(crate) unsafe fn push_over(&self, item: T) -> Result<(Option<T>, Waits), (T, bool)> {
        // Locked on a Single side, too, so that no close comes between.
        // SAFETY: the contract.
        let Ok(claim) = (unsafe { self.head.claim::<Multi>(false) }) else {
            return Err((item, true));
        };
        let (head, next) = (claim.index, self.next(claim.index));
        let mut pushed_out = None;
        // SAFETY: we hold the claim.
        while let Err(full) = unsafe { self.has_room(&claim, next) } {
            // SAFETY: the consumers' side is Multi.
            let Ok(theirs) = (unsafe { self.tail.claim::<Multi>(false) }) else {
                unreachable!("the consumers' word is never closed")
            };
            let tail = theirs.index;
            if tail == head {
                self.tail.abandon::<Multi>(theirs);
                if full.promised < self.capacity() {
                    // Consumers have made room meanwhile.
                    continue;
                }
                self.head.abandon::<Multi>(claim);
                return Err((item, false));
            }
            // SAFETY: slot `tail` holds an item, which was published before we got both claims.
            // They keep everybody else out.
            pushed_out = Some(self.slots[tail].with(|slot| unsafe { (*slot).assume_init_read() }));
            let to = self.next(tail);
            // Each side's copy of the other's index may be as old as the index that we move past
            // it, and then would seem to be a whole round ahead.
            // SAFETY: we hold both claims, and know both indices.
            unsafe {
                self.tail.set_peer(head);
                self.head.set_peer(to);
            }
            // The room is filled below, so no sender who waits for it is woken. His bit stays, on
            // a Single side, too (as if it were Multi): who makes room later has to see it.
            let Ok(_) = self.tail.publish::<Multi, Multi>(theirs, to, false) else {
                unreachable!("the consumers' word is never closed")
            };
            break;
        }
        // SAFETY: slot `head` is free: there was room, or we have made it. The claim keeps other
        // producers out, and no consumer reads the slot before `publish`.
        self.slots[head].with_mut(|slot| unsafe { (*slot).write(item) });
        match self.head.publish::<Multi, Multi>(claim, next, false) {
            Ok(waits) => Ok((pushed_out, waits)),
            Err(word::Closed) => unreachable!("nobody closes a word that is locked"),
        }
    }
}
