//! What is known of a source: in which directions it may be tried, and whether anybody waits.
//!
//! The system tells of a change once (edge-triggered). So what it said is kept until an operation
//! shows that it no longer holds.
//!
//! # Invariants
//!
//! 1. A set bit says that an operation may succeed; a clear one, that the system will tell when
//!    one may. So bits are cleared only by who has seen an operation fail, or find less than it had
//!    room for.
//! 2. The word counts what the system has said (the tick). Who clears names the word that it had
//!    read before its operation; if the system has spoken since, nothing is cleared, and the
//!    operation is tried again. So an edge that comes between the failure and the clearing stays.
//! 3. CLOSED bits outlive a short read: the end of the stream came with the data, and is not told
//!    again. They fall only with a failure, which shows that they were no end.
//! 4. GONE stays: the runtime has ended.
//! 5. URGENT stays, and a short read of such a source clears nothing: urgent data (TCP) stops a
//!    read although there is more. Where the system does not tell of it, none of them does.
//! 6. Who waits for a direction has set its WAITS bit while nothing was known of that direction. The
//!    step that tells of the direction clears the bit, and by it knows whom to wake.
//!
//! An error of the source sets all bits, since either direction is to find it.
//!
//! # Doubts
//!
//! A read that succeeds and does not show that it has taken all leaves a doubt, until the system tells
//! of that direction, or an operation settles it. Who would read next may wait (`doubts.rs`).
//!
//! | READABLE | DOUBT | what holds for reads |
//! |---|---|---|
//! | 1 | 0 | the system has told: try |
//! | 1 | 1 | and a read has succeeded since: try, or wait in doubt |
//! | 0 | 1 | somebody waits in doubt, and will be told, by the system or by [`settle`](Readiness::settle); who comes to try, tries |
//! | 0 | 0 | the system will tell |
//!
//! A source that is closed, gone or has urgent data is never waited for in doubt.

use crate::primitive::atomic::AtomicU64;
use crate::primitive::atomic::Ordering::{AcqRel, Acquire};

/// The way of the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Read,
    Write,
}

pub(super) const READABLE: u64 = 1;
pub(super) const WRITABLE: u64 = 1 << 1;
pub(super) const READ_CLOSED: u64 = 1 << 2;
pub(super) const WRITE_CLOSED: u64 = 1 << 3;
const GONE: u64 = 1 << 4;
pub(super) const URGENT: u64 = 1 << 5;
const READ_WAITS: u64 = 1 << 6;
const WRITE_WAITS: u64 = 1 << 7;
const DOUBT: u64 = 1 << 8;
/// Whether the system says that there is urgent data.
const TELLS_URGENT: bool = cfg!(any(target_os = "linux", target_os = "android"));
/// One message of the system.
const TICK: u64 = 1 << 9;

/// What the system says at once of one source.
#[derive(Debug, Clone, Copy)]
pub(super) struct Edge(pub(super) u64);

impl Edge {
    pub(super) fn of(event: &mio::event::Event) -> Self {
        let bit = |set: bool, bit| if set { bit } else { 0 };
        let error = event.is_error();
        Self(
            bit(event.is_readable() || error, READABLE)
                | bit(event.is_writable() || error, WRITABLE)
                | bit(event.is_read_closed() || error, READ_CLOSED)
                | bit(event.is_write_closed() || error, WRITE_CLOSED)
                | bit(event.is_priority(), URGENT),
        )
    }

    /// The runtime has ended.
    pub(super) fn gone() -> Self {
        Self(GONE | READABLE | WRITABLE)
    }

    /// Whether it concerns who waits for `direction`.
    pub(super) fn concerns(self, direction: Direction) -> bool {
        self.0 & (direction.open() | direction.closed()) != 0
    }
}

impl Direction {
    fn open(self) -> u64 {
        match self {
            Self::Read => READABLE,
            Self::Write => WRITABLE,
        }
    }

    fn closed(self) -> u64 {
        match self {
            Self::Read => READ_CLOSED,
            Self::Write => WRITE_CLOSED,
        }
    }

    fn doubt(self) -> u64 {
        match self {
            Self::Read => DOUBT,
            Self::Write => 0,
        }
    }

    fn waits(self) -> u64 {
        match self {
            Self::Read => READ_WAITS,
            Self::Write => WRITE_WAITS,
        }
    }
}

/// Which directions somebody waited for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Awaited(u64);

impl Awaited {
    pub(super) fn is(self, direction: Direction) -> bool {
        self.0 & direction.waits() != 0
    }
}

/// A word that was read before an operation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen(u64);

impl Seen {
    pub(crate) fn is_ready(self, direction: Direction) -> bool {
        self.0 & (direction.open() | direction.closed() | direction.doubt() | GONE) != 0
    }

    /// Whether a read has succeeded since the system told of it, and there may be no more.
    pub(super) fn has_doubt(self) -> bool {
        self.0 & DOUBT != 0
    }

    /// Whether a read may wait in doubt.
    pub(super) fn is_doubtful(self) -> bool {
        self.0 & (READABLE | DOUBT | READ_CLOSED | URGENT | GONE) == READABLE | DOUBT
    }

    /// Whether somebody may wait in doubt.
    pub(super) fn is_in_doubt(self) -> bool {
        self.0 & (READABLE | DOUBT) == DOUBT
    }

    pub(crate) fn is_gone(self) -> bool {
        self.0 & GONE != 0
    }
}

/// See the module's page. Nothing is known at first, and the system tells at the registration.
#[derive(Debug)]
pub(crate) struct Readiness(AtomicU64);

impl Readiness {
    pub(super) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    pub(crate) fn look(&self) -> Seen {
        // Ordering: Acquire pairs with the Release of `tell`.
        Seen(self.0.load(Acquire))
    }

    /// Notes what the system says. The caller wakes who has waited for that, after this.
    pub(super) fn tell(&self, edge: Edge) -> Awaited {
        let mut concerned = 0;
        for direction in [Direction::Read, Direction::Write] {
            if edge.concerns(direction) {
                concerned |= direction.waits() | direction.doubt();
            }
        }
        let next = |word: u64| Some(((word | edge.0) & !concerned).wrapping_add(TICK));
        // Ordering: Release pairs with the Acquire of `look`, `clear` and `wait`; Acquire with the
        // Release of `wait`.
        let (Ok(word) | Err(word)) = self.0.fetch_update(AcqRel, Acquire, next);
        Awaited(word & concerned)
    }

    /// Notes that somebody waits for a direction, of which nothing is known; false if something is.
    pub(super) fn wait(&self, direction: Direction) -> bool {
        let mut word = self.look();
        while !word.is_ready(direction) {
            let waits = word.0 | direction.waits();
            // Ordering: as in `tell`. A bit that is set already stays: the step that clears it is
            // still to come.
            match self.0.compare_exchange_weak(word.0, waits, AcqRel, Acquire) {
                Ok(_) => return true,
                Err(now) => word = Seen(now),
            }
        }
        false
    }

    /// The read that was tried after `seen` may have taken all.
    pub(super) fn doubt(&self, seen: Seen) {
        if seen.0 & READABLE != 0 {
            self.change(seen, |word| word | DOUBT);
        }
    }

    /// Notes that somebody waits in doubt, and gives what `settle` is to be called with; None if there is no doubt
    /// (any more).
    pub(super) fn wait_in_doubt(&self) -> Option<Seen> {
        let waits = |word: u64| Seen(word).is_doubtful().then_some(word & !READABLE | READ_WAITS);
        // Ordering: as in `wait`.
        self.0.fetch_update(AcqRel, Acquire, waits).ok().map(Seen)
    }

    /// Who has waited in doubt since `since` is to try; None if that wait is over.
    pub(super) fn settle(&self, since: Seen) -> Option<Awaited> {
        let told = |word: u64| {
            let lasts = Seen(word).is_in_doubt() && word / TICK == since.0 / TICK;
            lasts.then_some(word & !(DOUBT | READ_WAITS) | READABLE)
        };
        // Ordering: as in `tell`.
        self.0.fetch_update(AcqRel, Acquire, told).ok().map(|word| Awaited(word & READ_WAITS))
    }

    /// The operation that was tried after `seen` would have had to wait.
    pub(crate) fn clear(&self, seen: Seen, direction: Direction) {
        self.take(seen, direction.open() | direction.closed() | direction.doubt());
    }

    /// The operation that was tried after `seen` has done less than it had room for.
    pub(crate) fn clear_open(&self, seen: Seen, direction: Direction) {
        if direction == Direction::Write || (TELLS_URGENT && seen.0 & URGENT == 0) {
            self.take(seen, direction.open() | direction.doubt());
        }
    }

    fn take(&self, seen: Seen, bits: u64) {
        self.change(seen, |word| word & !bits);
    }

    /// Unless the system has spoken since `seen`.
    fn change(&self, Seen(seen): Seen, next: impl Fn(u64) -> u64) {
        let mut word = seen;
        // The other direction may change its bits; the tick may not.
        while word / TICK == seen / TICK && word & GONE == 0 {
            // Ordering: what was said before is known to who reads the word later.
            match self.0.compare_exchange_weak(word, next(word), AcqRel, Acquire) {
                Ok(_) => return,
                Err(now) => word = now,
            }
        }
    }
}
