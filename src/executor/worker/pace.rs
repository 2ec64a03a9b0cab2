//! How long polls take, and what follows from that.
//!
//! The clock is read after several short polls, and after each while some are long, or one of those
//! that compute. A window goes from one reading to the next; what is concluded from it holds until the
//! next.

use std::time::{Duration, Instant};

use super::Worker;
use crate::executor::processor;
use crate::executor::sharing::{Window, nanos};
use crate::primitive::atomic::Ordering::Relaxed;
use crate::tuning::{
    BATCH_EVERY, CLOCK_EVERY, COMPUTES, CROWDED, LATE_SHARE, LONG_POLL, LOOK_EVERY,
    MOST_POLLS_PER_CLOCK, MOST_SLOT_RUNS, POLLS_PER_CLOCK, SLOT_RUNS, SLOT_SHARE, SLOT_TIME,
    WARY_FOR,
};

/// Measures polls, at a cost that is lost in them.
#[derive(Default)]
pub(super) struct Clock {
    pub(super) last: Option<Instant>,
    polls: u32,
    /// How many there may be before the next look.
    pub(super) most: u32,
    /// Operations on channels since then.
    pub(super) operations: u32,
    /// Polls for which to look after each of them: some take long.
    wary: u32,
}

/// After so long one of those that compute has its turn, however long the last of them took.
const LONGEST_LATE: Duration = Duration::from_millis(100);

impl Clock {
    /// The next poll is measured alone.
    pub(super) fn start_anew(&mut self) {
        (self.last, self.polls) = (Some(Instant::now()), 0);
        // One is gone before it is asked.
        self.wary = self.wary.max(2);
    }
}

/// How often to ask how long we have waited for a processor. Those that have just begun may be on one for
/// some time, though there is another.
const ASK_EVERY: Duration = Duration::from_millis(50);

/// What is known of how long we have.
#[derive(Default)]
pub(super) struct Crowd {
    /// When we asked, and the time in nanoseconds, if the system said.
    asked: Option<(Instant, Option<u64>)>,
    /// Whether it was long the last time.
    was: bool,
}

impl Crowd {
    /// Whether we have waited long of late, and before that, too, if it is time to ask.
    fn ask(&mut self, now: Instant) -> bool {
        if CROWDED == 0 || self.asked.is_some_and(|(last, _)| now - last < ASK_EVERY) {
            return false;
        }
        let waited = processor::time_waited();
        let last = self.asked.replace((now, waited));
        let is = last.zip(waited).is_some_and(|((last, before), waited)| {
            let time = waited.saturating_sub(before.unwrap_or(waited));
            time > 0 && u128::from(time) * 1000 >= u128::from(CROWDED) * (now - last).as_nanos()
        });
        std::mem::replace(&mut self.was, is) && is
    }
}

impl Worker<'_> {
    /// Notes whether polls are long of late.
    #[inline]
    pub(super) fn measure(&mut self) {
        self.clock.polls += 1;
        self.clock.wary = self.clock.wary.saturating_sub(1);
        let short = self.clock.wary == 0 && !self.seat.long_polls.load(Relaxed);
        if !short || self.clock.polls >= self.clock.most {
            self.look_at_clock();
        }
    }

    #[cold]
    fn look_at_clock(&mut self) {
        let now = Instant::now();
        self.fire_due(|| now);
        self.glance_at_sockets(now);
        if self.batch.is_none_or(|last| now - last >= BATCH_EVERY) {
            (self.batch, self.batch_due) = (Some(now), true);
        }
        let polls = std::mem::take(&mut self.clock.polls);
        let operations = std::mem::take(&mut self.clock.operations);
        self.seat.count_operations(operations);
        let Some(last) = self.clock.last.replace(now) else { return };
        let time = now - last;
        let poll = time / polls;
        let polls_in = |time, least: u32, most: u32| {
            (nanos(time) / nanos(poll).max(1)).clamp(least.into(), most.into()) as u32
        };
        self.clock.most = polls_in(CLOCK_EVERY, POLLS_PER_CLOCK, MOST_POLLS_PER_CLOCK);
        self.slot_cap = polls_in(SLOT_TIME, SLOT_RUNS, MOST_SLOT_RUNS);
        // Not after those from the slot: they would give each other time without an end.
        if poll > LONG_POLL && self.slot_runs == 0 {
            self.slot_until = Some(now + time / SLOT_SHARE);
        }
        if poll > LOOK_EVERY || time > LONG_POLL * POLLS_PER_CLOCK {
            self.clock.wary = WARY_FOR;
        }
        let may_gather = self.shared.seats.len() > 1 && self.shared.reactor.exists();
        let crowded = may_gather && self.crowd.ask(now);
        let window = Window { end: now, time, polls, operations, crowded };
        let share_from = self.shared.sharing.share_from(window, &self.shared.seats);
        self.seat.share_from.store(share_from, Relaxed);
        // To wake another worker costs more than its time, where it would stand in somebody's way.
        let long = if self.shared.sharing.gathers() { COMPUTES } else { LONG_POLL };
        self.seat.long_polls.store(poll > long, Relaxed);
        self.computes = polls == 1 && time > COMPUTES;
        // Not after those that compute and then wait: they would put it off for ever.
        if std::mem::take(&mut self.runs_late) {
            self.late_after = Some(now + (time * LATE_SHARE).min(LONGEST_LATE));
        }
    }
}
