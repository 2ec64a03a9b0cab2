//! Timers by deadline: a hierarchical wheel of lists, threaded through one array.
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
//! 1. A timer that was just set waits at the door, in the list `NEW`, until the wheel is next looked
//!    at, or until `MANY` have come. Most are cancelled there, and never see a slot.
//! 2. No timer in a slot is due in a granule before `cursor`, but in the cursor's own slot, where
//!    those are put that come too late for theirs.
//! 3. A timer in a slot is at the level of the highest digit, in base 64, in which its granule
//!    differs from the cursor's. So a slot of level 1 and up is after the cursor and holds what no lower level
//!    can, the lower level's timers are the earlier, and no level ever wraps.
//! 4. Deadlines are exact. The granule says only which list a timer is in; the cursor's list is
//!    searched, the others become due as a whole, in the order of their deadlines.
//! 5. A timer is its owner's until `remove`. One that has fired is in no list, without a waker.
//! 6. Each list is a ring of nodes that begins and ends at its head, which is a node, too. A node
//!    in no list is a ring of one. The heads come first among the nodes.
//!
//! Setting and cancelling are a few writes, whatever the number of timers. A heap does without
//! the levels, and takes a logarithm for each; ten thousand timers that fire together cost it a
//! tenth of a microsecond each, and here they are one list.
//!
//! Perf: with heads among the nodes a link knows no ends, and a node need not say which list it is
//! in. Together with the door, and with nodes that are written in place instead of moved into a
//! slab, create, poll and drop of a sleep takes 85 ns instead of 102, 30 of them for the clock.

use std::task::Waker;

/// The time that does not come.
pub(super) const NEVER: u64 = u64::MAX;

/// Bits of a time within its granule.
const GRANULE: u32 = 14;
/// Bits of a granule that choose a slot of one level.
const DIGIT: u32 = 6;
const SLOTS: usize = 1 << DIGIT;
/// As many as cover all granules.
const LEVELS: usize = (u64::BITS - GRANULE).div_ceil(DIGIT) as usize;

/// The list of timers that are due and wait to be fired. (The number of a list is that of its head;
/// those of the slots come first.)
const DUE: u32 = (LEVELS * SLOTS) as u32;
/// The list of timers that wait at the door.
const NEW: u32 = DUE + 1;
/// The number of lists.
const LISTS: u32 = NEW + 1;
/// A list so short is searched for its first deadline.
const FEW: usize = 16;
/// So many come to the door before they are let in.
const MANY: u32 = 64;
/// No node.
const NONE: u32 = u32::MAX;

/// See the module's page.
#[derive(Debug)]
pub(super) struct Wheel {
    /// The heads of the slots, level by level, then those of `DUE` and `NEW`, then the timers.
    nodes: Vec<Node>,
    /// The first node that is nobody's, and by its `next` all others.
    free: u32,
    /// A bit for each slot of a level that holds a timer.
    occupied: [u64; LEVELS],
    /// A granule: see invariant 2. It never goes back.
    cursor: u64,
    /// The number of timers in lists.
    len: usize,
    /// How many have come to the door since the last ones were let in.
    came: u32,
    /// Kept for its memory.
    sorted: Vec<u32>,
}

#[derive(Debug)]
struct Node {
    deadline: u64,
    /// Of a timer in a list.
    waker: Option<Waker>,
    previous: u32,
    next: u32,
}

impl Node {
    fn head(list: u32) -> Self {
        Self { deadline: NEVER, waker: None, previous: list, next: list }
    }
}

impl Wheel {
    pub(super) fn new() -> Self {
        Self {
            nodes: (0..LISTS).map(Node::head).collect(),
            free: NONE,
            occupied: [0; LEVELS],
            cursor: 0,
            len: 0,
            came: 0,
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
        let key = match self.free {
            NONE => self.grow(),
            free => free,
        };
        let node = self.node(key);
        (node.deadline, node.waker) = (deadline, Some(waker));
        self.free = self.node(key).next;
        self.len += 1;
        self.come(key);
        key
    }

    #[cold]
    fn grow(&mut self) -> u32 {
        let key = self.nodes.len() as u32;
        assert_ne!(key, NONE, "a seat cannot have so many timers");
        self.nodes.push(Node { next: NONE, ..Node::head(key) });
        key
    }

    /// Ends a timer, fired or not; the waker that was not woken is for the caller to drop.
    #[inline]
    pub(super) fn remove(&mut self, key: u32) -> Option<Waker> {
        let waker = self.take(key);
        self.node(key).next = std::mem::replace(&mut self.free, key);
        waker
    }

    /// Moves a timer to another deadline; false if it has fired.
    pub(super) fn reset(&mut self, key: u32, deadline: u64) -> bool {
        if self.waker(key).is_none() {
            return false;
        }
        self.unlink(key);
        self.node(key).deadline = deadline;
        self.come(key);
        true
    }

    /// The waker of a timer; none after it has fired.
    pub(super) fn waker(&mut self, key: u32) -> Option<&mut Waker> {
        self.node(key).waker.as_mut()
    }

    /// Fires the next timer that is due, and gives its waker.
    pub(super) fn pop(&mut self, now: u64) -> Option<Waker> {
        loop {
            let key = self.node(DUE).next;
            if key != DUE {
                return self.take(key);
            }
            if !self.turn(now) {
                return None;
            }
        }
    }

    /// Fires any timer that is left, due or not.
    pub(super) fn pop_any(&mut self) -> Option<Waker> {
        let list = [DUE, NEW].into_iter().find(|&list| self.has_any(list));
        let list = list.or_else(|| self.first_slot().map(|(_, list, _)| list))?;
        self.take(self.nodes[list as usize].next)
    }

    /// A time before which none is due: the first deadline, or the beginning of its slot if that
    /// is not of the next millisecond and holds many.
    pub(super) fn next(&self) -> u64 {
        if self.has_any(DUE) {
            return 0;
        }
        let earliest = |list| {
            self.keys(list).map(|key| self.nodes[key as usize].deadline).min().unwrap_or(NEVER)
        };
        let next = match self.first_slot() {
            None => NEVER,
            // Who sleeps until the beginning of a slot sleeps once more there.
            Some((level, list, _)) if level == 0 || self.keys(list).nth(FEW).is_none() => {
                earliest(list)
            }
            Some((_, _, start)) => start << GRANULE,
        };
        next.min(earliest(NEW))
    }

    /// Takes one step towards `now`: empties the first slot that it has reached. False if there
    /// is nothing to take.
    fn turn(&mut self, now: u64) -> bool {
        self.let_in();
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
            level > 0 || start < granule || self.nodes[key as usize].deadline <= now
        }));
        if level == 0 {
            // Stable, and fast where they are in order, as timers of one duration are.
            sorted.sort_by_key(|&key| self.nodes[key as usize].deadline);
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
    fn first_slot(&self) -> Option<(usize, u32, u64)> {
        let level = self.occupied.iter().position(|&slots| slots != 0)?;
        let slot = self.occupied[level].trailing_zeros();
        let shift = DIGIT * level as u32;
        let above = self.cursor >> (shift + DIGIT) << (shift + DIGIT);
        let list = (level * SLOTS) as u32 + slot;
        Some((level, list, above | u64::from(slot) << shift))
    }

    fn keys(&self, list: u32) -> impl Iterator<Item = u32> + '_ {
        let after =
            move |key: u32| Some(self.nodes[key as usize].next).filter(|&next| next != list);
        std::iter::successors(after(list), move |&key| after(key))
    }

    fn has_any(&self, list: u32) -> bool {
        self.nodes[list as usize].next != list
    }

    #[inline]
    fn node(&mut self, node: u32) -> &mut Node {
        &mut self.nodes[node as usize]
    }

    /// Puts a timer that is in no list at the door.
    #[inline]
    fn come(&mut self, key: u32) {
        self.came += 1;
        if self.came > MANY {
            self.let_in();
        }
        self.link(key, NEW);
    }

    /// Puts the timers at the door into their slots.
    #[cold]
    fn let_in(&mut self) {
        self.came = 0;
        loop {
            let key = self.node(NEW).next;
            if key == NEW {
                return;
            }
            self.unlink(key);
            self.place(key);
        }
    }

    /// Puts a timer that is in no list into the slot of its deadline.
    #[inline]
    fn place(&mut self, key: u32) {
        let granule = (self.node(key).deadline >> GRANULE).max(self.cursor);
        let level = ((granule ^ self.cursor) | 1).ilog2() / DIGIT;
        let slot = granule >> (DIGIT * level) & (SLOTS as u64 - 1);
        self.occupied[level as usize] |= 1 << slot;
        self.link(key, level * SLOTS as u32 + slot as u32);
    }

    /// Appends a timer that is in no list.
    #[inline]
    fn link(&mut self, key: u32, list: u32) {
        let last = std::mem::replace(&mut self.node(list).previous, key);
        self.node(last).next = key;
        let node = self.node(key);
        (node.previous, node.next) = (last, list);
    }

    /// Takes a timer out of its list, if it is in one.
    #[inline]
    fn unlink(&mut self, key: u32) {
        let node = self.node(key);
        let Node { previous, next, .. } = *node;
        (node.previous, node.next) = (key, key);
        self.node(previous).next = next;
        self.node(next).previous = previous;
        if previous == next && previous < DUE {
            self.occupied[previous as usize / SLOTS] &= !(1 << (previous as usize % SLOTS));
        }
    }

    /// Takes a timer out of its list together with its waker, unless it has fired.
    #[inline]
    fn take(&mut self, key: u32) -> Option<Waker> {
        self.unlink(key);
        let waker = self.node(key).waker.take();
        self.len -= usize::from(waker.is_some());
        waker
    }
}

#[cfg(all(test, not(annulus_loom)))]
#[path = "wheel_tests.rs"]
mod tests;
