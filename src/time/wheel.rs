//! Timers by deadline: a hierarchical wheel of lists, threaded through a slab.
//!
//! ```text
//!   level 0    64 slots of 16 µs    the next millisecond
//!   level 1    64 slots of 1 ms     the next 67 ms
//!   level 2    64 slots of 67 ms    the next 4.3 s
//!     ...
//!   level 8    what is left of 584 years
//! ```
//!
//! Times are nanoseconds since the clock's start. A granule is the 16 µs of one slot of level 0.
//!
//! # Invariants
//!
//! 1. No timer in a slot is due in a granule before `cursor`, but in the cursor's own slot, where
//!    those are put that come too late for theirs.
//! 2. A timer is at the level of the highest digit, in base 64, in which its granule differs from
//!    the cursor's. So a slot of level 1 and up is after the cursor and holds what no lower level
//!    can, the lower level's timers are the earlier, and no level ever wraps.
//! 3. Deadlines are exact. The granule says only which list a timer is in; the cursor's list is
//!    searched, the others become due as a whole, in the order of their deadlines.
//! 4. An entry is its owner's until `remove`. One that has fired is in no list, without a waker.
//!
//! Setting and cancelling are a few writes, whatever the number of timers. A heap does without
//! the levels, and takes a logarithm for each; ten thousand timers that fire together cost it a
//! tenth of a microsecond each, and here they are one list.

use std::task::Waker;

use slab::Slab;

/// The time that does not come.
pub(super) const NEVER: u64 = u64::MAX;

/// Bits of a time within its granule.
const GRANULE: u32 = 14;
/// Bits of a granule that choose a slot of one level.
const DIGIT: u32 = 6;
const SLOTS: usize = 1 << DIGIT;
/// As many as cover all granules.
const LEVELS: usize = (u64::BITS - GRANULE).div_ceil(DIGIT) as usize;

/// The list of timers that are due and wait to be fired.
const DUE: u16 = (LEVELS * SLOTS) as u16;
/// The list of no timer.
const NO_LIST: u16 = u16::MAX;
/// The end of a list.
const END: u32 = u32::MAX;

/// See the module's page.
#[derive(Debug)]
pub(super) struct Wheel {
    entries: Slab<Entry>,
    /// The slots, level by level, then `DUE`.
    lists: Box<[List]>,
    /// A bit for each slot of a level that holds a timer.
    occupied: [u64; LEVELS],
    /// A granule: see invariant 1. It never goes back.
    cursor: u64,
    /// The number of timers in lists.
    len: usize,
    /// Kept for its memory.
    sorted: Vec<u32>,
}

#[derive(Debug)]
struct Entry {
    deadline: u64,
    waker: Option<Waker>,
    list: u16,
    previous: u32,
    next: u32,
}

#[derive(Debug, Clone, Copy)]
struct List {
    first: u32,
    last: u32,
}

impl List {
    const EMPTY: Self = Self { first: END, last: END };
}

impl Wheel {
    pub(super) fn new() -> Self {
        Self {
            entries: Slab::new(),
            lists: vec![List::EMPTY; usize::from(DUE) + 1].into_boxed_slice(),
            occupied: [0; LEVELS],
            cursor: 0,
            len: 0,
            sorted: Vec::new(),
        }
    }

    /// Whether all timers have fired.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Sets a timer, and gives the key by which its owner knows it.
    #[inline]
    pub(super) fn insert(&mut self, deadline: u64, waker: Waker) -> u32 {
        let entry = Entry { deadline, waker: Some(waker), list: NO_LIST, previous: END, next: END };
        let key = self.entries.insert(entry) as u32;
        debug_assert_ne!(key, END);
        self.place(key);
        key
    }

    /// Ends a timer, fired or not; the waker that was not woken is for the caller to drop.
    #[inline]
    pub(super) fn remove(&mut self, key: u32) -> Option<Waker> {
        self.unlink(key);
        self.entries.remove(key as usize).waker
    }

    /// Moves a timer to another deadline; false if it has fired.
    pub(super) fn reset(&mut self, key: u32, deadline: u64) -> bool {
        if self.waker(key).is_none() {
            return false;
        }
        self.unlink(key);
        self.entry(key).deadline = deadline;
        self.place(key);
        true
    }

    /// The waker of a timer; none after it has fired.
    pub(super) fn waker(&mut self, key: u32) -> Option<&mut Waker> {
        self.entry(key).waker.as_mut()
    }

    /// Fires the next timer that is due, and gives its waker.
    pub(super) fn pop(&mut self, now: u64) -> Option<Waker> {
        loop {
            let key = self.lists[usize::from(DUE)].first;
            if key != END {
                self.unlink(key);
                return self.entry(key).waker.take();
            }
            if !self.turn(now) {
                return None;
            }
        }
    }

    /// Fires any timer that is left, due or not.
    pub(super) fn pop_any(&mut self) -> Option<Waker> {
        let list = self.lists.iter().find(|list| list.first != END)?;
        let key = list.first;
        self.unlink(key);
        self.entry(key).waker.take()
    }

    /// A time before which none is due: exact for the timers of the next millisecond, for others
    /// the beginning of their slot.
    pub(super) fn next(&self) -> u64 {
        if self.lists[usize::from(DUE)].first != END {
            return 0;
        }
        match self.first_slot() {
            None => NEVER,
            Some((0, list, _)) => {
                self.keys(list).map(|key| self.entries[key as usize].deadline).min().unwrap_or(0)
            }
            Some((_, _, start)) => start << GRANULE,
        }
    }

    /// Takes one step towards `now`: empties the first slot that it has reached. False if there
    /// is nothing to take.
    fn turn(&mut self, now: u64) -> bool {
        // Another thread may have read the clock after us, and been here before.
        let granule = (now >> GRANULE).max(self.cursor);
        let first = self.first_slot().filter(|&(_, _, start)| start <= granule);
        let Some((level, list, start)) = first else {
            self.cursor = granule;
            return false;
        };
        self.cursor = start;
        let mut sorted = std::mem::take(&mut self.sorted);
        sorted.extend(self.keys(list).filter(|&key| {
            // In an earlier granule all are due; and on a higher level all go down.
            level > 0 || start < granule || self.entries[key as usize].deadline <= now
        }));
        if level == 0 {
            // Stable, and fast where they are in order, as timers of one duration are.
            sorted.sort_by_key(|&key| self.entries[key as usize].deadline);
        }
        let moves = !sorted.is_empty();
        for key in sorted.drain(..) {
            self.unlink(key);
            if level == 0 { self.link(key, DUE) } else { self.place(key) }
        }
        self.sorted = sorted;
        moves
    }

    /// The slot of the earliest timers: its level, its list, and its first granule.
    fn first_slot(&self) -> Option<(usize, u16, u64)> {
        let level = self.occupied.iter().position(|&slots| slots != 0)?;
        let slot = self.occupied[level].trailing_zeros();
        let shift = DIGIT * level as u32;
        let above = self.cursor >> (shift + DIGIT) << (shift + DIGIT);
        let list = (level * SLOTS) as u16 + slot as u16;
        Some((level, list, above | u64::from(slot) << shift))
    }

    fn keys(&self, list: u16) -> impl Iterator<Item = u32> + '_ {
        let link = |key: u32| (key != END).then_some(key);
        let next = move |&key: &u32| link(self.entries[key as usize].next);
        std::iter::successors(link(self.lists[usize::from(list)].first), next)
    }

    #[inline]
    fn entry(&mut self, key: u32) -> &mut Entry {
        &mut self.entries[key as usize]
    }

    /// Puts a timer into the slot of its deadline.
    #[inline]
    fn place(&mut self, key: u32) {
        let granule = (self.entry(key).deadline >> GRANULE).max(self.cursor);
        let level = ((granule ^ self.cursor) | 1).ilog2() / DIGIT;
        let slot = granule >> (DIGIT * level) & (SLOTS as u64 - 1);
        self.occupied[level as usize] |= 1 << slot;
        self.link(key, level as u16 * SLOTS as u16 + slot as u16);
    }

    /// Appends a timer that is in no list.
    #[inline]
    fn link(&mut self, key: u32, list: u16) {
        let ends = &mut self.lists[usize::from(list)];
        let last = std::mem::replace(&mut ends.last, key);
        match last {
            END => ends.first = key,
            last => self.entry(last).next = key,
        }
        let entry = self.entry(key);
        (entry.list, entry.previous, entry.next) = (list, last, END);
        self.len += 1;
    }

    /// Takes a timer out of its list, if it is in one.
    #[inline]
    fn unlink(&mut self, key: u32) {
        let entry = self.entry(key);
        let (list, previous, next) = (entry.list, entry.previous, entry.next);
        if list == NO_LIST {
            return;
        }
        entry.list = NO_LIST;
        match previous {
            END => self.lists[usize::from(list)].first = next,
            previous => self.entry(previous).next = next,
        }
        match next {
            END => self.lists[usize::from(list)].last = previous,
            next => self.entry(next).previous = previous,
        }
        if list != DUE && self.lists[usize::from(list)].first == END {
            self.occupied[usize::from(list) / SLOTS] &= !(1 << (usize::from(list) % SLOTS));
        }
        self.len -= 1;
    }
}

#[cfg(all(test, not(annulus_loom)))]
#[path = "wheel_tests.rs"]
mod tests;
