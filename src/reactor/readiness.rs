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
/// Whether the system says that there is urgent data.
const TELLS_URGENT: bool = cfg!(any(target_os = "linux", target_os = "android"));
/// One message of the system.
const TICK: u64 = 1 << 8;

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
        self.0 & (direction.open() | direction.closed() | GONE) != 0
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
            concerned |= if edge.concerns(direction) { direction.waits() } else { 0 };
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

    /// The operation that was tried after `seen` would have had to wait.
    pub(crate) fn clear(&self, seen: Seen, direction: Direction) {
        self.take(seen, direction.open() | direction.closed());
    }

    /// The operation that was tried after `seen` has done less than it had room for.
    pub(crate) fn clear_open(&self, seen: Seen, direction: Direction) {
        if direction == Direction::Write || (TELLS_URGENT && seen.0 & URGENT == 0) {
            self.take(seen, direction.open());
        }
    }

    fn take(&self, Seen(seen): Seen, bits: u64) {
        let mut word = seen;
        // The other direction may change its bits; the tick may not.
        while word / TICK == seen / TICK && word & GONE == 0 {
            // Ordering: what was said before is known to who reads the word later.
            match self.0.compare_exchange_weak(word, word & !bits, AcqRel, Acquire) {
                Ok(_) => return,
                Err(now) => word = now,
            }
        }
    }
}
