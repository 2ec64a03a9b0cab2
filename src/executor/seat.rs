//! What belongs to a seat, whoever sits there.

use std::sync::OnceLock;
use std::thread::Thread;

use super::queue::LocalQueue;
use crate::primitive::Mutex;
use crate::primitive::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use crate::primitive::atomic::{AtomicBool, AtomicPtr, AtomicU32};
use crate::task::Runnable;

/// A worker's place: tasks that wait there, and how to wake who sits there.
///
/// At any time one thread at most sits on a seat: its own background thread, or a guest that is
/// in `block_on`. It got the seat by a "go", or by clearing the seat's bit in `Idle`.
#[derive(Debug)]
pub(super) struct Seat {
    /// The task to run next: the last one woken here. Filled by who sits here, emptied by anyone.
    slot: AtomicPtr<()>,
    pub(super) queue: LocalQueue,
    /// Counts the turns of the loop; written by who sits here. If it stands still, a poll is long.
    tick: AtomicU32,
    /// Whether polls here have been long of late; written by who sits here, and by a rescuer.
    pub(super) long_polls: AtomicBool,
    /// From how many waiting tasks on another worker should come for some; written as above.
    pub(super) share_from: AtomicU32,
    /// Set by who claimed the seat for work, cleared by who wakes up on it.
    go: AtomicBool,
    /// The seat's own thread; set before anybody can claim the seat.
    owner: OnceLock<Thread>,
    /// The guest that sits here instead.
    guest: Mutex<Option<Thread>>,
}

impl Seat {
    pub(super) fn new() -> Self {
        Self {
            slot: AtomicPtr::new(std::ptr::null_mut()),
            queue: LocalQueue::new(),
            tick: AtomicU32::new(0),
            long_polls: AtomicBool::new(false),
            share_from: AtomicU32::new(2),
            go: AtomicBool::new(false),
            owner: OnceLock::new(),
            guest: Mutex::new(None),
        }
    }

    pub(super) fn set_owner(&self, thread: Thread) {
        self.owner.set(thread).expect("a seat has one thread of its own");
    }

    /// Names who sits here instead of the seat's own thread.
    pub(super) fn set_guest(&self, thread: Option<Thread>) {
        *self.guest.lock() = thread;
    }

    /// Sends who sleeps here to work.
    pub(super) fn send_go(&self) {
        // Ordering: Release pairs with the Acquire in `take_go`.
        self.go.store(true, Release);
        match (&*self.guest.lock(), self.owner.get()) {
            (Some(thread), _) | (None, Some(thread)) => thread.unpark(),
            (None, None) => {}
        }
    }

    pub(super) fn take_go(&self) -> bool {
        self.go.swap(false, Acquire)
    }

    /// Puts `task` in the slot, and gives the one that was there.
    ///
    /// # Safety
    ///
    /// The caller sits here.
    #[inline]
    pub(super) unsafe fn replace_slot(&self, task: Runnable) -> Option<Runnable> {
        let task = task.into_raw();
        // Only we fill the slot, so an empty one stays empty.
        if self.slot.load(Relaxed).is_null() {
            // Ordering: Release pairs with the Acquire of who takes the task out.
            self.slot.store(task, Release);
            return None;
        }
        let old = self.slot.swap(task, AcqRel);
        // SAFETY: what is in the slot came from `into_raw`, and the swap made it ours.
        (!old.is_null()).then(|| unsafe { Runnable::from_raw(old) })
    }

    /// Takes the task in the slot.
    #[inline]
    pub(super) fn take_slot(&self) -> Option<Runnable> {
        if self.slot.load(Relaxed).is_null() {
            return None;
        }
        let task = self.slot.swap(std::ptr::null_mut(), AcqRel);
        // SAFETY: as in `replace_slot`.
        (!task.is_null()).then(|| unsafe { Runnable::from_raw(task) })
    }

    pub(super) fn slot_is_empty(&self) -> bool {
        self.slot.load(Acquire).is_null()
    }

    /// Whether more waits here than who sits here will soon have done.
    #[inline]
    pub(super) fn has_plenty(&self) -> bool {
        let waiting = self.queue.len() + u32::from(!self.slot_is_empty());
        waiting >= self.share_from.load(Relaxed)
    }

    /// Whether a task waits here.
    pub(super) fn has_any(&self) -> bool {
        !self.queue.is_empty() || !self.slot_is_empty()
    }

    /// Which turn of the loop this is.
    pub(super) fn tick(&self) -> u32 {
        self.tick.load(Relaxed)
    }

    /// Notes for who sits here that the poll under way is long.
    pub(super) fn mark_stuck(&self) {
        self.long_polls.store(true, Relaxed);
        self.share_from.store(2, Relaxed);
    }

    /// Begins a turn of the loop; the caller sits here.
    #[inline]
    pub(super) fn set_tick(&self, tick: u32) {
        self.tick.store(tick, Relaxed);
    }
}
