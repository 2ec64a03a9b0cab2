//! Which seats sleep, and how many look for work: whom to wake, and when nobody need be.
//!
//! # Invariants
//!
//! 1. A set bit in `parked` is a seat that sleeps, or is about to. Who clears the bit decides
//!    what becomes of the seat: a notifier (`claim`) owes it a "go", a guest of `block_on`
//!    takes the seat for itself, the sleeper (`unpark`) goes on by itself.
//! 2. `searching` counts the seats that look for work in other queues, those included that a
//!    notifier has claimed and that are not awake yet. While it is not zero nobody needs to be
//!    woken, *because* whoever gives up searching looks once more at every queue after the
//!    decrement: after success in `Worker::stop_searching`, after failure in `Worker::park`. At the
//!    timers, and whether anybody waits for sockets, who has succeeded looks, too. Else the last to
//!    go to sleep looks, also whether something blocks: so who leaves a seat to another stops
//!    searching before, and not when that one may be asleep.
//!
//! # No task is left behind while all sleep
//!
//! A push from outside goes: push, **fence**, read `searching` and `parked` (`notify`). A seat
//! that goes to sleep: decrement `searching`, set its bit, **fence**, read every queue (`park`).
//! The fences are sequentially consistent, so one comes first. If the pusher's, the sleeper sees
//! the task. If the sleeper's, the pusher sees the bit, and no searcher that has given up, and
//! wakes it.
//!
//! A push to a seat's own queue skips the fence (`notify_soon`): a wake that is missed costs
//! some parallelism, but no task, since the pusher runs its queue itself.
//!
//! The sentinel is the one sleeper that looks up now and then while others are busy, so that a
//! task behind a long poll is found within about a millisecond; within twelve, where the sockets are
//! left to one worker (`sharing.rs`). When all sleep there is none.
//!
//! # No timer is left behind while all sleep
//!
//! The seat that goes to sleep last sleeps until the first timer is due: the keeper of the time.
//! One that goes to sleep after it, when the others sleep again, takes the part over if it has
//! to wake up earlier; the former keeper, who is not told, looks up once in vain.
//!
//! A timer that is set on a seat concerns nobody else: the seat goes to sleep later, or is busy
//! and looks at the clock itself. One that is set elsewhere goes: publish the timer, **fence**,
//! read `keeper` (`kept_until`). A keeper: write `keeper`, **fence**, read all timers
//! (`keep_time`). One fence comes first. If the setter's, the keeper sees the timer. If the
//! keeper's, the setter sees until when it sleeps, and wakes it. One that goes to sleep in the
//! system's poll, where it may not be seen yet, reads the timers once more when it is. A keeper that
//! goes to work gives `keeper` up, **fence**, reads the timers (`Worker::entrust_timers`).

use std::time::Instant;

use super::processor;
use super::sharing::nanos;
use crate::primitive::atomic::Ordering::{AcqRel, Acquire, Relaxed, SeqCst};
use crate::primitive::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, fence};
use crate::tuning::WAKE_ELSEWHERE;

/// The most seats that fit in the mask.
pub(crate) const MAX_SEATS: usize = u64::BITS as usize;

/// See the module's page.
#[derive(Debug)]
pub(super) struct Idle {
    parked: AtomicU64,
    /// The seat that fell asleep last, whose caches are warm. A hint.
    latest: AtomicUsize,
    /// When a seat was last picked to be woken, in nanoseconds since the start. A hint.
    claimed: AtomicU64,
    start: Instant,
    /// Where each seat fell asleep, as far as that is known. Hints.
    processors: Box<[AtomicU32]>,
    searching: AtomicUsize,
    sentinel: AtomicBool,
    /// NOBODY, or until when the keeper sleeps and in the lowest bits which seat it is.
    keeper: AtomicU64,
    seats: usize,
}

/// No seat keeps the time.
const NOBODY: u64 = u64::MAX;
/// The bits of `keeper` that say which seat it is.
const SEAT: u64 = MAX_SEATS as u64 - 1;

/// What a keeper has written, by which it gives the part up.
#[derive(Debug)]
pub(super) struct Kept(u64);

impl Kept {
    /// Until when it is kept; may be a little early.
    pub(super) fn until(&self) -> u64 {
        self.0 & !SEAT
    }
}

impl Idle {
    /// All of `seats` start asleep.
    pub(super) fn new(seats: usize) -> Self {
        Self {
            parked: AtomicU64::new(Self::all(seats)),
            latest: AtomicUsize::new(0),
            claimed: AtomicU64::new(0),
            start: Instant::now(),
            processors: (0..seats).map(|_| AtomicU32::new(u32::MAX)).collect(),
            searching: AtomicUsize::new(0),
            sentinel: AtomicBool::new(false),
            keeper: AtomicU64::new(NOBODY),
            seats,
        }
    }

    fn all(seats: usize) -> u64 {
        u64::MAX >> (MAX_SEATS - seats)
    }

    /// Picks a sleeper to wake, if there is one and nobody is looking already. Call this after
    /// a push that any sleeper must learn of. The caller owes the seat a "go".
    #[must_use]
    pub(super) fn notify(&self) -> Option<usize> {
        // Ordering: pairs with the fence in `park`.
        fence(SeqCst);
        self.notify_soon()
    }

    /// As `notify`, without the fence: for a push to the caller's own queue.
    #[must_use]
    #[inline]
    pub(super) fn notify_soon(&self) -> Option<usize> {
        if self.parked.load(Relaxed) == 0 || self.searching.load(Relaxed) != 0 {
            return None;
        }
        self.claim()
    }

    /// Picks a sleeper; it will be searching. The caller owes the seat a "go".
    ///
    /// The latest, whose caches are warm; or of those that fell asleep on another processor than
    /// the caller's, if the caller seems to have more to do: one that wakes up here stands in its
    /// way. An idle processor takes longer to wake up than the caller to sleep.
    /// Perf: 10,000 tasks spawned from outside on the processor of seat 0, two workers: 300 to 150
    /// ns each. A single wake of an idle runtime from there: half within 15 µs, elsewhere 60.
    #[must_use]
    #[cold]
    pub(super) fn claim(&self) -> Option<usize> {
        let mut parked = self.parked.load(Relaxed);
        let avoided = if parked == 0 { None } else { self.avoided(parked) };
        while parked != 0 {
            let latest = ones(parked, self.latest.load(Relaxed));
            let elsewhere = avoided.and_then(|processor| {
                latest.clone().find(|&seat| self.processors[seat].load(Relaxed) != processor)
            });
            let seat = elsewhere.or_else(|| latest.clone().next())?;
            if self.claim_this(seat) {
                return Some(seat);
            }
            parked = self.parked.load(Relaxed);
        }
        None
    }

    /// The processor on which to wake nobody who may as well run elsewhere: the caller's, if seats
    /// are at work, or were woken a moment ago.
    fn avoided(&self, parked: u64) -> Option<u32> {
        let here = processor::current()?;
        let now = nanos(self.start.elapsed());
        let last = self.claimed.swap(now, Relaxed);
        let busy = parked != Self::all(self.seats);
        (busy || now.saturating_sub(last) < nanos(WAKE_ELSEWHERE)).then_some(here)
    }

    /// Claims this one sleeper; it will be searching. The caller owes the seat a "go".
    #[must_use]
    pub(super) fn claim_this(&self, seat: usize) -> bool {
        let taken = self.take(seat);
        if taken {
            // Ordering: AcqRel keeps the count between the claim and the "go".
            self.searching.fetch_add(1, AcqRel);
        }
        taken
    }

    /// Clears the seat's bit; false if another was faster, or the seat is awake.
    #[must_use]
    pub(super) fn take(&self, seat: usize) -> bool {
        // Ordering: Acquire pairs with the Release of `park`: the last occupant is done.
        self.parked.fetch_and(!(1 << seat), AcqRel) & (1 << seat) != 0
    }

    /// Sets the seat's bit. The caller looks at every queue once more after this, and if it
    /// finds something, gets the bit back with `take` or waits for the "go" that is on its way.
    pub(super) fn park(&self, seat: usize) {
        self.parked.fetch_or(1 << seat, SeqCst);
        self.latest.store(seat, Relaxed);
        if let Some(processor) = processor::current() {
            self.processors[seat].store(processor, Relaxed);
        }
        // Ordering: pairs with the fence in `notify`.
        fence(SeqCst);
    }

    /// If all sleep, takes all their bits, the caller's among them: nobody wakes up until
    /// `release_others`.
    #[must_use]
    pub(super) fn take_all(&self) -> bool {
        // Ordering: as in `take`.
        self.parked.compare_exchange(Self::all(self.seats), 0, AcqRel, Relaxed).is_ok()
    }

    /// Gives the bits of all but `this` back. Who could not wake up meanwhile must be nudged, and
    /// the caller looks at every queue after this.
    pub(super) fn release_others(&self, this: usize) {
        self.parked.fetch_or(Self::all(self.seats) & !(1 << this), SeqCst);
        // Ordering: pairs with the fence in `notify`, whose caller saw nobody asleep.
        fence(SeqCst);
    }

    /// The seats that are awake, from the seat `first` on, then from 0: a hint where tasks are. Who
    /// sets a seat's bit leaves none there, or claims it again for them.
    pub(super) fn awake(&self, first: usize) -> impl Iterator<Item = usize> + Clone + use<> {
        ones(!self.parked.load(Relaxed) & Self::all(self.seats), first)
    }

    /// Whether a seat other than `this` is awake.
    pub(super) fn others_busy(&self, this: usize) -> bool {
        self.parked.load(Relaxed) | (1 << this) != Self::all(self.seats)
    }

    /// Asks to look for work elsewhere. At most half of the seats that are awake do.
    #[must_use]
    pub(super) fn start_searching(&self) -> bool {
        let awake = self.seats - self.parked.load(Relaxed).count_ones() as usize;
        if 2 * self.searching.load(Relaxed) >= awake {
            return false;
        }
        self.searching.fetch_add(1, AcqRel);
        true
    }

    /// True: the caller was the last, and must look at every queue again.
    #[must_use]
    pub(super) fn stop_searching(&self) -> bool {
        let last = self.searching.fetch_sub(1, SeqCst) == 1;
        // Ordering: pairs with the fence in `notify`.
        fence(SeqCst);
        last
    }

    /// Takes on the sentinel's part; false if another has it.
    #[must_use]
    pub(super) fn become_sentinel(&self) -> bool {
        !self.sentinel.swap(true, AcqRel)
    }

    pub(super) fn resign_sentinel(&self) {
        // Ordering: Acquire pairs with the Release of who found the part taken, so that we see
        // him asleep; Release pairs with the Acquire of who takes it next. The fence keeps what
        // is looked at next from being older.
        self.sentinel.swap(false, AcqRel);
        fence(SeqCst);
    }

    /// Takes on the keeper's part until `time`; none if another keeps it until then or earlier.
    /// The caller looks at all timers once more after this.
    #[must_use]
    pub(super) fn keep_time(&self, seat: usize, time: u64) -> Option<Kept> {
        let mine = time & !SEAT | seat as u64;
        let update =
            |now: u64| (now & SEAT == seat as u64 || mine | SEAT < now | SEAT).then_some(mine);
        // Ordering: the timers, the bits and this are ordered by the fences.
        let kept = self.keeper.fetch_update(Relaxed, Relaxed, update).is_ok();
        // Ordering: pairs with the fence in `kept_until`.
        fence(SeqCst);
        kept.then_some(Kept(mine))
    }

    /// Gives the keeper's part up, if nobody has taken it over.
    pub(super) fn stop_keeping(&self, Kept(mine): Kept) {
        let _ = self.keeper.compare_exchange(mine, NOBODY, Relaxed, Relaxed);
    }

    /// Until when the keeper sleeps; a time that does not come if there is none. Call this after
    /// a timer was set that any sleeper must learn of.
    pub(super) fn kept_until(&self) -> u64 {
        // Ordering: pairs with the fence in `keep_time`.
        fence(SeqCst);
        self.keeper.load(Relaxed) | SEAT
    }

    /// The seat of the keeper.
    pub(super) fn keeper(&self) -> Option<usize> {
        let keeper = self.keeper.load(Relaxed);
        (keeper != NOBODY).then_some((keeper & SEAT) as usize)
    }

    /// A hint: whether this seat sleeps.
    pub(super) fn is_parked(&self, seat: usize) -> bool {
        self.parked.load(Relaxed) & (1 << seat) != 0
    }

    /// Whether a sleeper would be worth waking as a sentinel.
    #[inline]
    pub(super) fn lacks_sentinel(&self) -> bool {
        !self.sentinel.load(Relaxed) && self.parked.load(Relaxed) != 0
    }

    /// A hint: whether anybody sleeps.
    #[inline]
    pub(super) fn someone_parked(&self) -> bool {
        self.parked.load(Relaxed) != 0
    }

    /// A hint for tests and `Debug`.
    pub(super) fn searching(&self) -> usize {
        self.searching.load(Acquire)
    }
}

/// The numbers of the bits that are set, from `first` on, then from 0.
fn ones(mask: u64, first: usize) -> impl Iterator<Item = usize> + Clone {
    let mut left = mask.rotate_right(first as u32);
    std::iter::from_fn(move || {
        let next = left.trailing_zeros() as usize;
        (left != 0).then(|| {
            left &= left - 1;
            (first + next) % MAX_SEATS
        })
    })
}
