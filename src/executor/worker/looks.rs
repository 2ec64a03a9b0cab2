//! How often the others look at the sockets: whether a sleeper leaves the system's poll to them.
//!
//! A sleeper in the poll is woken by each event, and keeps those who are at work from it: when they
//! have no task, they find the poll taken, and fall asleep although the next event is theirs. So
//! where others look often, a sleeper waits in `park`, and sees once in a nap whether they still do. Where
//! the sockets are left to one worker (`sharing.rs`), it is enough that they look at all.
//!
//! Perf: `benches/net.rs`, one connection, two workers: 0.79 of tokio's rate with a sentinel in the
//! poll.

use std::time::{Duration, Instant};

/// As often as this, sockets wait no longer for who is at work than they would for a sleeper.
const OFTEN: Duration = Duration::from_micros(125);
/// A time in which looks can be counted.
const LONG_ENOUGH: Duration = Duration::from_micros(100);

/// What a worker knows of the others' looks.
#[derive(Debug, Default)]
pub(super) struct Looks {
    /// Our own, which count for the reactor like anybody's.
    ours: u32,
    /// The others' when we last counted, and when that was.
    others: u32,
    counted: Option<Instant>,
    /// Whether there were any between the last two counts, and whether there were many.
    any: bool,
    often: bool,
}

impl Looks {
    /// We have looked.
    pub(super) fn add(&mut self) {
        self.ours = self.ours.wrapping_add(1);
    }

    /// Counts, if it is time: there were so many looks until now, by all.
    pub(super) fn count(&mut self, all: u32) {
        let now = Instant::now();
        let time = self.counted.map_or(Duration::MAX, |last| now - last);
        if time < LONG_ENOUGH {
            return;
        }
        let others = all.wrapping_sub(self.ours);
        let looks = others.wrapping_sub(self.others);
        self.any = self.counted.is_some() && looks > 0;
        self.often = self.any && time / looks < OFTEN;
        (self.others, self.counted) = (others, Some(now));
    }

    /// Whether others look at all.
    pub(super) fn any(&self) -> bool {
        self.any
    }

    /// Whether they look so often that the poll is theirs.
    pub(super) fn often(&self) -> bool {
        self.often
    }
}
