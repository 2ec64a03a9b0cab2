//! The run queue of one seat: a ring that its owner fills and empties, and from which others
//! take half.
//!
//! ```text
//!        stolen     real                    tail
//!          |          |                       |
//!   ...----+----------+-----------------------+----...        indices count up and wrap at 2^32;
//!          | a thief  |  tasks ready to run   |               slot = index % CAPACITY
//!          | is here  |                       |
//! ```
//!
//! # Invariants
//!
//! 1. `head` packs two indices: `real`, the next task to take, and `stolen`, the first slot that
//!    a thief may still be reading. They are equal when there is no thief; then, and only then, a
//!    new one may start, by moving `real` alone.
//! 2. `tail - stolen <= CAPACITY`, so the owner never overwrites what a thief reads.
//! 3. Only the owner writes `tail` and slots at `tail`; a slot between `stolen` and `tail` holds
//!    a task until who moved `real` past it has read it.
//!
//! A push costs no locked instruction, a pop one, a theft two however many tasks it moves. The
//! algorithm is that of Go's run queue as tokio refined it with the second index.

use std::mem::MaybeUninit;

use crate::primitive::UnsafeCell;
use crate::primitive::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use crate::primitive::atomic::{AtomicU32, AtomicU64};
use crate::task::{List, Runnable};

/// Tasks that one seat holds; the rest go to the injector.
pub(super) const CAPACITY: u32 = if cfg!(all(test, annulus_loom)) { 4 } else { 256 };

/// See the module's page. Methods marked unsafe are the owner's.
pub(super) struct LocalQueue {
    /// `stolen << 32 | real`.
    head: AtomicU64,
    tail: AtomicU32,
    slots: Box<[UnsafeCell<MaybeUninit<Runnable>>]>,
}

// SAFETY: a slot is written by the owner while it is free, and read by whoever has moved `real`
// past it (invariants 1 to 3).
unsafe impl Sync for LocalQueue {}
// SAFETY: as above.
unsafe impl Send for LocalQueue {}

fn pack(stolen: u32, real: u32) -> u64 {
    (u64::from(stolen) << 32) | u64::from(real)
}

fn unpack(head: u64) -> (u32, u32) {
    ((head >> 32) as u32, head as u32)
}

impl LocalQueue {
    pub(super) fn new() -> Self {
        Self::starting_at(0)
    }

    /// A queue whose indices start anywhere, so that tests reach the wrap at once.
    pub(super) fn starting_at(start: u32) -> Self {
        Self {
            head: AtomicU64::new(pack(start, start)),
            tail: AtomicU32::new(start),
            slots: (0..CAPACITY).map(|_| UnsafeCell::new(MaybeUninit::uninit())).collect(),
        }
    }

    /// How many tasks are there; exact for the owner if nobody steals, else a hint.
    pub(super) fn len(&self) -> u32 {
        let (_, real) = unpack(self.head.load(Acquire));
        // A pop may have passed the tail that we read; then there is nothing.
        let len = self.tail.load(Acquire).wrapping_sub(real);
        if len > CAPACITY { 0 } else { len }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn write(&self, index: u32, task: Runnable) {
        let slot = &self.slots[(index % CAPACITY) as usize];
        // SAFETY: the slot is free, and only the owner writes (invariants 2 and 3).
        slot.with_mut(|p| unsafe {
            (*p).write(task);
        });
    }

    fn read(&self, index: u32) -> Runnable {
        let slot = &self.slots[(index % CAPACITY) as usize];
        // SAFETY: the caller has moved `real` past the slot, which holds a task (invariant 3).
        slot.with(|p| unsafe { (*p).assume_init_read() })
    }

    /// Adds a task at the end. When the ring is full, it and half of the ring go, linked
    /// together, to `overflow`.
    ///
    /// # Safety
    ///
    /// The caller is the owner.
    #[inline]
    pub(super) unsafe fn push(&self, task: Runnable, overflow: impl FnOnce(List)) {
        // Ordering: Relaxed, the owner wrote it.
        let tail = self.tail.load(Relaxed);
        // Ordering: Acquire pairs with the Release of thieves: their reads of the slots that
        // they freed come before our writes.
        let mut head = self.head.load(Acquire);
        loop {
            let (stolen, real) = unpack(head);
            if tail.wrapping_sub(stolen) < CAPACITY {
                self.write(tail, task);
                // Ordering: Release pairs with the Acquire in `steal_into` and `len`.
                self.tail.store(tail.wrapping_add(1), Release);
                return;
            }
            if stolen != real {
                // A thief is freeing room; it would be gone before we had made a list.
                return overflow(List::from(task));
            }
            // Take the older half out, as a thief would, but with nothing left to read later.
            let half = CAPACITY / 2;
            let next = real.wrapping_add(half);
            match self.head.compare_exchange(head, pack(next, next), AcqRel, Acquire) {
                Ok(_) => {
                    let mut list = List::new();
                    (0..half).for_each(|i| list.push_back(self.read(real.wrapping_add(i))));
                    list.push_back(task);
                    return overflow(list);
                }
                Err(now) => head = now,
            }
        }
    }

    /// Takes the oldest task.
    ///
    /// # Safety
    ///
    /// The caller is the owner.
    #[inline]
    pub(super) unsafe fn pop(&self) -> Option<Runnable> {
        // Ordering: Relaxed, the owner wrote it.
        let tail = self.tail.load(Relaxed);
        let mut head = self.head.load(Acquire);
        loop {
            let (stolen, real) = unpack(head);
            if real == tail {
                return None;
            }
            let next = real.wrapping_add(1);
            // With a thief at work `stolen` stays where it is.
            let to = if stolen == real { pack(next, next) } else { pack(stolen, next) };
            match self.head.compare_exchange_weak(head, to, AcqRel, Acquire) {
                Ok(_) => return Some(self.read(real)),
                Err(now) => head = now,
            }
        }
    }

    /// Moves half of the tasks to `to`, and gives one of them to run now.
    ///
    /// # Safety
    ///
    /// The caller is the owner of `to`, which is another queue.
    pub(super) unsafe fn steal_into(&self, to: &Self) -> Option<Runnable> {
        // Ordering: Relaxed, the caller wrote it. Acquire pairs with thieves that rob `to`.
        let to_tail = to.tail.load(Relaxed);
        let (to_stolen, _) = unpack(to.head.load(Acquire));
        if to_tail.wrapping_sub(to_stolen) > CAPACITY / 2 {
            return None;
        }
        // Ordering: Acquire pairs with the Release of the last theft and with `push`.
        let mut head = self.head.load(Acquire);
        let (first, count) = loop {
            let (stolen, real) = unpack(head);
            if stolen != real {
                return None;
            }
            let ready = self.tail.load(Acquire).wrapping_sub(real);
            // More than fit means that `head` is old, and the exchange would fail.
            if ready == 0 || ready > CAPACITY {
                return None;
            }
            let count = ready - ready / 2;
            let claimed = pack(stolen, real.wrapping_add(count));
            match self.head.compare_exchange_weak(head, claimed, AcqRel, Acquire) {
                Ok(_) => break (real, count),
                Err(now) => head = now,
            }
        };
        let last = count - 1;
        for i in 0..last {
            to.write(to_tail.wrapping_add(i), self.read(first.wrapping_add(i)));
        }
        let task = self.read(first.wrapping_add(last));
        // The slots are read: give them back, wherever the owner has got to meanwhile.
        let mut head = self.head.load(Relaxed);
        loop {
            let (_, real) = unpack(head);
            // Ordering: Release pairs with the Acquire in `push`: our reads are over.
            match self.head.compare_exchange_weak(head, pack(real, real), AcqRel, Relaxed) {
                Ok(_) => break,
                Err(now) => head = now,
            }
        }
        // Ordering: Release pairs with the Acquire of who steals from `to`.
        to.tail.store(to_tail.wrapping_add(last), Release);
        Some(task)
    }
}

impl std::fmt::Debug for LocalQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalQueue").field("len", &self.len()).finish()
    }
}
