//! A bounded queue in a ring of slots, with one word a side.
//!
//! ```text
//!            tail (next read)        head (next write)
//!              |                       |
//!   +-----+-----+-----+-----+-----+-----+-----+-----+
//!   |     |  A  |  B  |  C  |  D  |     |     |     |      8 slots hold 7 items
//!   +-----+-----+-----+-----+-----+-----+-----+-----+
//! ```
//!
//! # Invariants
//!
//! 1. The slots from `tail` up to, not including, `head` hold items; no other slot does. They
//!    hold nothing but `T`: no stamp, no discriminant, and nothing at all before the first push.
//! 2. One slot is always spare, so the indices alone tell: equal is empty, `next(head) == tail`
//!    is full. `next` adds one and compares; there is no division.
//! 3. Producers write `head` and the slot it names; consumers write `tail` and read the slot it
//!    names. A side excludes only itself, by a bit in its own word (none on a [`Single`] side).
//! 4. An item leaves its slot, and the index moves past it, before any code of the user's runs.
//!    A `Drop` that panics can therefore not run twice.
//!
//! `head` and `tail` sit on cache lines of their own, each beside that side's private copy of
//! the other index, so that the other side's line is read only when the copy says full or empty.
//! The copy is Lamport's queue with the cached indices of rtrb and of B-Queue.
//!
//! Why no stamp in each slot (Vyukov's queue): the slots would grow by a word each, a claimed
//! slot that is not yet written would stop the consumers, and `len` would count it.

mod batch;
mod credit;
mod in_place;
mod look;
mod side;
mod word;

use std::fmt;
use std::marker::PhantomData;
use std::mem::MaybeUninit;

pub(crate) use self::batch::Stash;
pub(crate) use self::credit::Kept;
pub use self::side::{Multi, Side, Single};
use self::word::MAX_SLOTS;
pub(crate) use self::word::{SideWord, Waits};
use crate::primitive::atomic::AtomicUsize;
use crate::primitive::atomic::Ordering::{Acquire, Relaxed};
use crate::primitive::{UnsafeCell, empty_slots};
use crate::util::CachePadded;

/// A bounded first-in first-out queue whose slots never move.
///
/// `P` and `C` say who may push and pop: [`Multi`], the default, is any number of threads through
/// `&self`; [`Single`] is one at a time, through the [`Producer`] or [`Consumer`] that
/// [`split`](Self::split) lends. An uncontended push or pop costs one locked instruction on a
/// Single side and two on a Multi side, and never allocates.
///
/// # Examples
///
/// ```
/// use annulus::ring::RingBuffer;
///
/// let ring = RingBuffer::new(4); // four slots hold three items
/// assert_eq!(ring.capacity(), 3);
/// std::thread::scope(|s| {
///     s.spawn(|| (0..3).for_each(|i| ring.push(i).unwrap()));
/// });
/// assert_eq!(ring.push(3), Err(3)); // full: the item comes back
/// assert_eq!(ring.pop(), Some(0));
/// ```
#[repr(C)]
pub struct RingBuffer<T, P: Side = Multi, C: Side = Multi> {
    /// Slot `i` is written by who has claimed `head == i`, read by who has claimed `tail == i`.
    slots: Box<[UnsafeCell<MaybeUninit<T>>]>,
    /// The producers' word: the next slot to write.
    head: CachePadded<SideWord>,
    /// The consumers' word: the next slot to read.
    tail: CachePadded<SideWord>,
    sides: PhantomData<fn() -> (P, C)>,
}

// SAFETY: items move from thread to thread, so `T: Send`; a `&T` is never given out, so
// `T: Sync` is not needed. The slots and the words' private copies are accessed only under a
// claim, which one thread at a time holds (invariant 3).
unsafe impl<T: Send, P: Side, C: Side> Send for RingBuffer<T, P, C> {}
// SAFETY: as above.
unsafe impl<T: Send, P: Side, C: Side> Sync for RingBuffer<T, P, C> {}

/// Why an item was not pushed. It is where it was.
#[derive(Debug)]
pub(crate) enum Refused {
    /// No slot is free; `arm_not_full` asks to hear of one.
    Full(FullAt),
    /// Nothing can be pushed any more.
    Closed,
}

/// The indices at which the ring was seen full.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FullAt {
    head: usize,
    tail: usize,
    promised: usize,
}

/// Why nothing was popped.
#[derive(Debug)]
pub(crate) enum Nothing {
    /// No item is here; `arm_not_empty` asks to hear of one.
    Empty(EmptyAt),
    /// No item is here, and none will come.
    Closed,
}

/// The index, of both sides, at which the ring was seen empty.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EmptyAt {
    index: usize,
}

impl<T> RingBuffer<T> {
    /// Makes an empty ring for any number of producers and consumers.
    ///
    /// `slots` is the number of slots, one of which is always spare: `n` slots hold `n - 1` items.
    ///
    /// # Panics
    ///
    /// With fewer than two slots, and when the slots would take more memory than an allocation
    /// may (`isize::MAX` bytes). An allocation that the system refuses aborts, as all of std's do.
    #[track_caller]
    pub fn new(slots: usize) -> Self {
        Self::with_sides(slots)
    }
}

impl<T, P: Side, C: Side> RingBuffer<T, P, C> {
    /// Makes an empty ring whose sides the type names.
    ///
    /// # Panics
    ///
    /// As [`new`](RingBuffer::new).
    ///
    /// # Examples
    ///
    /// ```
    /// use annulus::ring::{RingBuffer, Single};
    ///
    /// let mut ring = RingBuffer::<String, Single, Single>::with_sides(2);
    /// let (mut producer, mut consumer) = ring.split();
    /// producer.push("one".to_string()).unwrap();
    /// assert_eq!(consumer.pop().as_deref(), Some("one"));
    /// ```
    #[track_caller]
    pub fn with_sides(slots: usize) -> Self {
        Self::starting_at(slots, 0)
    }

    /// A ring whose first item goes to slot `start`, so that tests reach the wrap at once.
    #[track_caller]
    pub(crate) fn starting_at(slots: usize, start: usize) -> Self {
        assert!(slots >= 2, "a ring needs at least 2 slots, one of them spare: {slots} given");
        let bytes = slots.checked_mul(size_of::<T>());
        assert!(
            slots <= MAX_SLOTS && bytes.is_some_and(|n| n <= isize::MAX as usize),
            "a ring of {slots} slots of {} bytes is larger than an allocation can be",
            size_of::<T>(),
        );
        assert!(start < slots);
        Self {
            slots: empty_slots(slots),
            head: CachePadded::new(SideWord::new(start)),
            tail: CachePadded::new(SideWord::new(start)),
            sides: PhantomData,
        }
    }

    /// The number of slots, the spare one included.
    pub fn slots(&self) -> usize {
        self.slots.len()
    }

    /// The number of items that fit: one less than the slots.
    pub fn capacity(&self) -> usize {
        self.slots.len() - 1
    }

    /// The number of items in the ring, within `0..=capacity()` at every instant.
    ///
    /// While others push and pop it is an estimate: it may be off by what they moved meanwhile.
    pub fn len(&self) -> usize {
        loop {
            let tail = self.tail.look().index;
            let head = self.head.look().index;
            // If the tail has moved meanwhile the two do not belong together. (It may have gone
            // once round; then the answer is off by what moved.)
            if self.tail.look().index == tail {
                return self.distance(tail, head);
            }
        }
    }

    /// Whether the ring holds no item.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the ring holds as many items as fit.
    pub fn is_full(&self) -> bool {
        self.len() == self.capacity()
    }

    /// Lends the two ends to threads that the ring outlives.
    ///
    /// # Examples
    ///
    /// ```
    /// use annulus::ring::{RingBuffer, Single};
    ///
    /// let mut ring = RingBuffer::<u32, Single, Single>::with_sides(8);
    /// let (mut producer, mut consumer) = ring.split();
    /// std::thread::scope(|s| {
    ///     s.spawn(move || (0..7).for_each(|i| producer.push(i).unwrap()));
    ///     s.spawn(move || {
    ///         for expected in 0..7 {
    ///             while consumer.pop().map(|got| assert_eq!(got, expected)).is_none() {
    ///                 std::thread::yield_now();
    ///             }
    ///         }
    ///     });
    /// });
    /// ```
    pub fn split(&mut self) -> (Producer<'_, T, P, C>, Consumer<'_, T, P, C>) {
        (Producer { ring: self }, Consumer { ring: self })
    }

    #[inline(always)]
    fn next(&self, index: usize) -> usize {
        let next = index + 1;
        if next == self.slots.len() { 0 } else { next }
    }

    /// Moves the item out of `source` into the ring; on refusal it is back in `source`.
    ///
    /// # Safety
    ///
    /// If `P` is Single, no other `push_from` may overlap with this one.
    ///
    /// # Panics
    ///
    /// If `source` is empty.
    #[inline]
    pub(crate) unsafe fn push_from(&self, source: &mut Option<T>) -> Result<Waits, Refused> {
        // SAFETY: claims of a Single side do not overlap, by our own contract.
        let Ok(claim) = (unsafe { self.head.claim::<P>(false) }) else {
            return Err(Refused::Closed);
        };
        let head = claim.index;
        let next = self.next(head);
        // SAFETY: we hold the claim.
        if let Err(full) = unsafe { self.has_room(&claim, next) } {
            self.head.abandon::<P>(claim);
            return Err(Refused::Full(full));
        }
        let item = source.take().expect("push_from needs an item");
        // SAFETY: slot `head` is free: `next != tail`, and the Acquire in `look` made the
        // consumer's last read of it happen before. The claim keeps other producers out, and no
        // consumer reads the slot before `publish`.
        self.slots[head].with_mut(|slot| unsafe { (*slot).write(item) });
        match self.head.publish::<P, C>(claim, next, false) {
            Ok(waits) => Ok(waits),
            Err(word::Closed) => {
                // SAFETY: the slot was filled above, and the index has not moved past it, so
                // this reads it out again before anyone else could.
                *source = Some(self.slots[head].with(|slot| unsafe { (*slot).assume_init_read() }));
                Err(Refused::Closed)
            }
        }
    }

    /// Whether a slot is free that is promised to nobody; `next` is the index after the claim's.
    ///
    /// # Safety
    ///
    /// The claim is of the producers' side.
    #[inline]
    unsafe fn has_room(&self, claim: &word::Claim, next: usize) -> Result<(), FullAt> {
        // Ordering: Relaxed; it is written under a claim, and we hold one.
        let promised = self.head.promised.load(Relaxed);
        if promised == 0 {
            // SAFETY: we hold the claim.
            let tail = unsafe { self.head.peer_index(next, &self.tail) }.index;
            return if tail == next {
                Err(FullAt { head: claim.index, tail, promised })
            } else {
                Ok(())
            };
        }
        // SAFETY: we hold the claim.
        match unsafe { self.room(claim, 1) } {
            (0, full) => Err(full),
            _ => Ok(()),
        }
    }

    /// Moves the oldest item out of the ring.
    ///
    /// # Safety
    ///
    /// If `C` is Single, no other `pop_once` may overlap with this one.
    #[inline]
    pub(crate) unsafe fn pop_once(&self) -> Result<(T, Waits), Nothing> {
        // SAFETY: claims of a Single side do not overlap, by our own contract.
        let Ok(claim) = (unsafe { self.tail.claim::<C>(false) }) else {
            unreachable!("the consumers' word is never closed")
        };
        let tail = claim.index;
        // SAFETY: we hold the claim.
        let head = unsafe { self.tail.peer_index(tail, &self.head) };
        if head.index == tail {
            self.tail.abandon::<C>(claim);
            return Err(if head.closed && self.is_final(tail) {
                Nothing::Closed
            } else {
                Nothing::Empty(EmptyAt { index: tail })
            });
        }
        // SAFETY: slot `tail` holds an item: `tail != head`, and the Acquire in `look` made the
        // producer's write of it happen before. The claim keeps other consumers out, and no
        // producer writes the slot before `publish`.
        let item = self.slots[tail].with(|slot| unsafe { (*slot).assume_init_read() });
        match self.tail.publish::<C, P>(claim, self.next(tail), false) {
            Ok(waits) => Ok((item, waits)),
            Err(word::Closed) => unreachable!("the consumers' word is never closed"),
        }
    }

    /// For a consumer that saw the ring empty: asks that the next push report it. False, and
    /// nothing is asked, if an item has come or the ring was closed since.
    #[inline]
    pub(crate) fn arm_not_empty(&self, seen: EmptyAt) -> bool {
        self.head.arm(seen.index)
    }

    /// After `arm_not_empty`: whether the ring was still empty then, and something may come.
    ///
    /// With other consumers about, it may have gone once round since it was seen empty, so that
    /// `head` is the same again and yet items are here. Then the tail has moved, and the Acquire
    /// in `arm` makes us see that it has.
    #[inline]
    pub(crate) fn still_empty(&self, seen: EmptyAt) -> bool {
        (!C::SHARED || self.tail.look().index == seen.index)
            && !(self.head.look().closed && self.is_final(seen.index))
    }

    /// For a ring that was seen closed, and empty at `index`: whether it will stay so.
    fn is_final(&self, index: usize) -> bool {
        // Ordering: Acquire pairs with the Release of who keeps or breaks the last promise. He
        // has the word LOCKED then, and our look after this is not older than that.
        if self.head.promised.load(Acquire) != 0 {
            return false;
        }
        let head = self.head.look();
        head.index == index && !head.locked
    }

    /// Whether nothing will come out any more.
    pub(crate) fn is_finished(&self) -> bool {
        // Closed first: once it is, the ring fills no more but with what was promised.
        let head = self.head.look();
        head.closed && self.tail.look().index == head.index && self.is_final(head.index)
    }

    /// For a producer that saw the ring full: asks that the next pop report it. False, and
    /// nothing is asked, if a slot has been freed since.
    #[inline]
    pub(crate) fn arm_not_full(&self, seen: FullAt) -> bool {
        self.tail.arm(seen.tail)
    }

    /// After `arm_not_full`: whether the ring was still full then, and open.
    ///
    /// As in `still_empty`; and a close that came too early for its `disarm` to see our bit is
    /// seen here.
    #[inline]
    pub(crate) fn still_full(&self, seen: FullAt) -> bool {
        let head = self.head.look();
        // Ordering: Relaxed; who breaks a promise takes the lock of the waiters, under which
        // this is asked, before he asks whom to wake.
        let promised = self.head.promised.load(Relaxed);
        head.index == seen.head && !head.closed && promised == seen.promised
    }

    /// Whether the ring is empty not only for this thread: see [`SideWord::confirm`].
    pub(crate) fn confirm_empty(&self, seen: EmptyAt) -> bool {
        self.head.confirm(seen.index) && self.still_empty(seen)
    }

    /// Whether the ring is full not only for this thread: see [`SideWord::confirm`].
    pub(crate) fn confirm_full(&self, seen: FullAt) -> bool {
        self.tail.confirm(seen.tail) && self.still_full(seen)
    }

    /// Closes the ring for producers: what is in it can still be popped. `None` if it was closed
    /// already, else whether a consumer waits.
    pub(crate) fn close(&self) -> Option<Waits> {
        self.head.close::<C>()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.head.look().closed
    }

    /// The word whose WAITS bit stands for waiting consumers.
    pub(crate) fn consumers_bit(&self) -> &SideWord {
        &self.head
    }

    /// How many consumers starve.
    pub(crate) fn consumers_starving(&self) -> &AtomicUsize {
        &self.tail.starving
    }

    /// How many producers starve.
    pub(crate) fn producers_starving(&self) -> &AtomicUsize {
        &self.head.starving
    }

    /// The word whose WAITS bit stands for waiting producers.
    pub(crate) fn producers_bit(&self) -> &SideWord {
        &self.tail
    }

    /// Drops what the ring holds, each item once, also when one of the drops panics; tells
    /// `moved` of each step.
    ///
    /// # Safety
    ///
    /// If `C` is Single, no `pop_once` may overlap with this.
    pub(crate) unsafe fn clear(&self, moved: impl Fn(Waits)) {
        struct Rest<'a, T, P: Side, C: Side, F: Fn(Waits)>(&'a RingBuffer<T, P, C>, F);
        impl<T, P: Side, C: Side, F: Fn(Waits)> Rest<'_, T, P, C, F> {
            fn pop_all(&self) {
                // SAFETY: the contract of `clear`. The item is out of the ring, and the index
                // past it, before its drop runs.
                while let Ok((item, waits)) = unsafe { self.0.pop_once() } {
                    (self.1)(waits);
                    drop(item);
                }
            }
        }
        impl<T, P: Side, C: Side, F: Fn(Waits)> Drop for Rest<'_, T, P, C, F> {
            fn drop(&mut self) {
                self.pop_all();
            }
        }
        // If a drop panics, the guard drops the rest while the panic unwinds; one more panic
        // aborts, as for every collection.
        Rest(self, moved).pop_all();
    }
}

impl<T, C: Side> RingBuffer<T, Multi, C> {
    /// Adds an item at the end.
    ///
    /// # Errors
    ///
    /// Gives the item back when the ring is full.
    #[doc(alias = "enqueue")]
    #[inline]
    pub fn push(&self, item: T) -> Result<(), T> {
        // SAFETY: the producers' side is Multi.
        unsafe { push_item(self, item) }
    }
}

impl<T, P: Side> RingBuffer<T, P, Multi> {
    /// Takes the oldest item, if there is one.
    #[doc(alias = "dequeue")]
    #[inline]
    pub fn pop(&self) -> Option<T> {
        // SAFETY: the consumers' side is Multi.
        unsafe { pop_item(self) }
    }
}

/// # Safety
///
/// As [`RingBuffer::push_from`].
#[inline]
unsafe fn push_item<T, P: Side, C: Side>(ring: &RingBuffer<T, P, C>, item: T) -> Result<(), T> {
    let mut item = Some(item);
    loop {
        // SAFETY: the caller's contract. Nobody waits on a bare ring, so there is nobody to wake.
        match unsafe { ring.push_from(&mut item) } {
            Ok(_) => return Ok(()),
            Err(Refused::Full(seen)) if !ring.confirm_full(seen) => {}
            Err(_) => return Err(item.expect("a refused item stays where it was")),
        }
    }
}

/// # Safety
///
/// As [`RingBuffer::pop_once`].
#[inline]
unsafe fn pop_item<T, P: Side, C: Side>(ring: &RingBuffer<T, P, C>) -> Option<T> {
    loop {
        // SAFETY: the caller's contract. Nobody waits on a bare ring, so there is nobody to wake.
        match unsafe { ring.pop_once() } {
            Ok((item, _)) => return Some(item),
            Err(Nothing::Empty(seen)) if !ring.confirm_empty(seen) => {}
            Err(_) => return None,
        }
    }
}

impl<T, P: Side, C: Side> Drop for RingBuffer<T, P, C> {
    fn drop(&mut self) {
        // SAFETY: `&mut self`, so no one else is at either side.
        unsafe { self.clear(|_| ()) };
    }
}

impl<T, P: Side, C: Side> fmt::Debug for RingBuffer<T, P, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RingBuffer")
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .finish()
    }
}

/// The writing end of a ring that was [split](RingBuffer::split); `Clone` if that side is [`Multi`].
pub struct Producer<'a, T, P: Side = Multi, C: Side = Multi> {
    ring: &'a RingBuffer<T, P, C>,
}

impl<T, P: Side, C: Side> Producer<'_, T, P, C> {
    /// Adds an item at the end.
    ///
    /// # Errors
    ///
    /// Gives the item back when the ring is full.
    #[inline]
    pub fn push(&mut self, item: T) -> Result<(), T> {
        // SAFETY: on a Single side this is the only producer, it cannot be cloned, and
        // `&mut self` keeps two pushes from overlapping.
        unsafe { push_item(self.ring, item) }
    }
}

impl<T, C: Side> Clone for Producer<'_, T, Multi, C> {
    fn clone(&self) -> Self {
        Self { ring: self.ring }
    }
}

impl<T, P: Side, C: Side> fmt::Debug for Producer<'_, T, P, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer").field("ring", self.ring).finish()
    }
}

/// The reading end of a ring that was [split](RingBuffer::split); `Clone` if that side is [`Multi`].
pub struct Consumer<'a, T, P: Side = Multi, C: Side = Multi> {
    ring: &'a RingBuffer<T, P, C>,
}

impl<T, P: Side, C: Side> Consumer<'_, T, P, C> {
    /// Takes the oldest item, if there is one.
    #[inline]
    pub fn pop(&mut self) -> Option<T> {
        // SAFETY: on a Single side this is the only consumer, it cannot be cloned, and
        // `&mut self` keeps two pops from overlapping.
        unsafe { pop_item(self.ring) }
    }
}

impl<T, P: Side> Clone for Consumer<'_, T, P, Multi> {
    fn clone(&self) -> Self {
        Self { ring: self.ring }
    }
}

impl<T, P: Side, C: Side> fmt::Debug for Consumer<'_, T, P, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer").field("ring", self.ring).finish()
    }
}

#[cfg(all(test, annulus_loom))]
mod loom_tests;
#[cfg(all(test, not(annulus_loom)))]
mod tests;
