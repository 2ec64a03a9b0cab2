//! What belongs to a seat, whoever sits there.

use std::sync::OnceLock;
use std::thread::{self, Thread};

use super::driver;
use super::queue::LocalQueue;
use crate::primitive::Mutex;
use crate::primitive::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use crate::primitive::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64};
use crate::reactor::Reactor;
use crate::task::Runnable;
use crate::tuning::SLOT_RUNS;

/// A worker's place: tasks that wait there, and how to wake who sits there.
///
/// At any time one thread at most sits on a seat: its own background thread, a guest that is in
/// `block_on`, or one of the pool while the own thread blocks. It got the seat by a "go", by a
/// summons, or by clearing the seat's bit in `Idle`.
#[derive(Debug)]
pub(super) struct Seat {
    /// The task to run next: the last one woken here. Filled by who sits here, emptied by anyone.
    slot: AtomicPtr<()>,
    pub(super) queue: LocalQueue,
    /// Counts the turns of the loop; written by who sits here. If it stands still, a poll is long.
    tick: AtomicU32,
    /// Operations on channels that were done here; written by who sits here.
    operations: AtomicU64,
    /// Whether polls here have been long of late; written by who sits here, and by a rescuer.
    pub(super) long_polls: AtomicBool,
    /// From how many waiting tasks on another worker should come for some; written as above.
    pub(super) share_from: AtomicU32,
    /// For its own thread and for a guest: set by who claimed the seat for work, cleared by who
    /// wakes up on it.
    go: [AtomicBool; 2],
    /// The seat's own thread; set before anybody can claim the seat.
    owner: OnceLock<Thread>,
    chair: Mutex<Chair>,
    /// The own thread would like to sit here; written under the lock of `chair`.
    wanted: AtomicBool,
}

/// Who sits here if it is not the seat's own thread.
#[derive(Debug, Default)]
struct Chair {
    guest: Option<Thread>,
    /// The own thread is in `block_in_place`.
    away: bool,
    /// The seat has been claimed for work while away, and nobody has come yet.
    summons: Option<Summons>,
    /// The runtime ends, and who sat here has left in the own thread's name.
    retired: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Summons {
    /// Who comes is counted as searching.
    Pending,
    /// Nobody will come but the own thread, which is not counted.
    Ignored,
}

/// What an own thread finds that comes back.
pub(super) enum Back {
    /// It sits on its seat, and is counted as searching or not.
    Sits {
        searching: bool,
    },
    Occupied,
}

impl Seat {
    pub(super) fn new() -> Self {
        Self {
            slot: AtomicPtr::new(std::ptr::null_mut()),
            queue: LocalQueue::new(),
            tick: AtomicU32::new(0),
            operations: AtomicU64::new(0),
            long_polls: AtomicBool::new(false),
            share_from: AtomicU32::new(2),
            go: Default::default(),
            owner: OnceLock::new(),
            chair: Mutex::default(),
            wanted: AtomicBool::new(false),
        }
    }

    pub(super) fn set_owner(&self, thread: Thread) {
        self.owner.set(thread).expect("a seat has one thread of its own");
    }

    /// Names who sits here instead of the seat's own thread.
    pub(super) fn set_guest(&self, thread: Option<Thread>) {
        let mut chair = self.chair.lock();
        if thread.is_none() {
            self.wanted.store(false, Relaxed);
        }
        chair.guest = thread;
    }

    /// Has a guest sit here, if none does and `take` gets it the seat's bit.
    pub(super) fn lend(
        &self,
        thread: Thread,
        reactor: &Reactor,
        take: impl FnOnce() -> bool,
    ) -> bool {
        let mut chair = self.chair.lock();
        let taken = chair.guest.is_none() && take();
        if taken {
            chair.guest = Some(thread);
            // The guest is to wait for sockets here, and not a thread without a seat.
            if let Some(owner) = self.owner.get() {
                reactor.kick(owner.id());
            }
        }
        taken
    }

    /// Whether a guest sits here.
    pub(super) fn has_guest(&self) -> bool {
        self.chair.lock().guest.is_some()
    }

    /// Has the seat's own thread get its bit back with `take`, unless the bit is a guest's.
    pub(super) fn take_back(&self, take: impl FnOnce() -> bool) -> bool {
        // Under the lock, so that no guest takes the seat, and goes to sleep on it, in between.
        let chair = self.chair.lock();
        chair.guest.is_none() && take()
    }

    /// The seat's own thread leaves, to block.
    pub(super) fn go_away(&self) {
        self.chair.lock().away = true;
    }

    /// The seat's own thread is back. If somebody else sits here it stays away, or, if it `asks`,
    /// waits for a "go".
    pub(super) fn come_back(
        &self,
        asks: bool,
        reactor: &Reactor,
        take: impl FnOnce() -> bool,
    ) -> Back {
        let mut chair = self.chair.lock();
        let summons = chair.summons.take();
        if summons.is_some() || (chair.guest.is_none() && take()) {
            chair.away = false;
            return Back::Sits { searching: summons == Some(Summons::Pending) };
        }
        if asks {
            chair.away = false;
            if let Some(guest) = &chair.guest {
                self.wanted.store(true, Relaxed);
                driver::wake(reactor, guest);
            }
        }
        Back::Occupied
    }

    /// Who sits here for an own thread that is away leaves for good, and that one is not to come
    /// back; false if it is back, and wants the seat.
    pub(super) fn retire(&self) -> bool {
        let mut chair = self.chair.lock();
        chair.guest = None;
        chair.retired = chair.away;
        chair.retired
    }

    /// Whether nobody will ever sit here again; for the own thread that is back.
    pub(super) fn is_retired(&self) -> bool {
        self.chair.lock().retired
    }

    /// Whether who sits here is to leave for the seat's own thread.
    pub(super) fn is_wanted(&self) -> bool {
        self.wanted.load(Relaxed)
    }

    /// Sits down if somebody is still needed; then the caller is counted as searching.
    pub(super) fn heed_summons(&self) -> bool {
        let mut chair = self.chair.lock();
        let needed = chair.summons == Some(Summons::Pending);
        if needed {
            chair.summons = None;
            chair.guest = Some(thread::current());
        }
        needed
    }

    /// Nobody can come; true if somebody was still needed.
    pub(super) fn ignore_summons(&self) -> bool {
        let mut chair = self.chair.lock();
        let needed = chair.summons == Some(Summons::Pending);
        if needed {
            chair.summons = Some(Summons::Ignored);
        }
        needed
    }

    /// Sends who sleeps here to work; false if that one is away, and somebody else is needed.
    #[must_use]
    pub(super) fn send_go(&self, reactor: &Reactor) -> bool {
        let mut chair = self.chair.lock();
        if chair.away && chair.guest.is_none() {
            chair.summons = Some(Summons::Pending);
            return false;
        }
        // Ordering: Release pairs with the Acquire in `take_go`.
        self.go[usize::from(chair.guest.is_some())].store(true, Release);
        if let Some(thread) = chair.guest.as_ref().or(self.owner.get()) {
            driver::wake(reactor, thread);
        }
        true
    }

    /// Has who sleeps here, with or without the seat's bit, look at the time again.
    pub(super) fn nudge(&self, reactor: &Reactor) {
        let chair = self.chair.lock();
        let sleepers = chair.guest.iter().chain(self.owner.get());
        sleepers.for_each(|thread| driver::wake(reactor, thread));
    }

    /// Whether there is a "go".
    pub(super) fn has_go(&self, guest: bool) -> bool {
        // Ordering: as in `take_go`.
        self.go[usize::from(guest)].load(Acquire)
    }

    /// Takes a "go" that was meant for the guest, or for the seat's own thread.
    pub(super) fn take_go(&self, guest: bool) -> bool {
        self.go[usize::from(guest)].swap(false, Acquire)
    }

    /// Puts `task` in the slot, and gives the one that was there.
    ///
    /// # Safety
    ///
    /// The caller sits here.
    #[inline]
    pub(super) unsafe fn replace_slot(&self, task: Runnable) -> Option<Runnable> {
        if SLOT_RUNS == 0 {
            return Some(task);
        }
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

    /// How many operations on channels were done here, modulo 2^64.
    pub(super) fn operations(&self) -> u64 {
        self.operations.load(Relaxed)
    }

    /// Adds to `operations`; the caller sits here.
    pub(super) fn count_operations(&self, more: u32) {
        self.operations.store(self.operations().wrapping_add(u64::from(more)), Relaxed);
    }

    /// Begins a turn of the loop; the caller sits here.
    #[inline]
    pub(super) fn set_tick(&self, tick: u32) {
        self.tick.store(tick, Relaxed);
    }
}
