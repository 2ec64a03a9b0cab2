//! Whether tasks are spread over workers, or kept together.
//!
//! Work is worth sharing as soon as it takes longer than to come for it. There are two exceptions.
//!
//! *Tasks that do hardly anything but pass messages*: between two processors a message costs the
//! transfer of the cache lines it is made of. Some gain all the same, like the stages of a
//! pipeline, of which only one has its neighbour on another processor; others lose, like many
//! senders to one receiver, all of whom have.
//!
//! *Tasks that wait for sockets, while there are more threads than processors*: a second worker takes
//! the processor from those whom the first serves, and both from each other.
//!
//! No rule of ours told who gains from who loses, but a trial does: the runtime counts its operations
//! a second, both ways, and keeps to the better way. Each of the two is a [`Question`] of its own.
//!
//! ```text
//!            cause                      `wait`, then 4 times as long each time, if nothing changes
//!   QUIET ------------> settle --> measure one way --> settle --> measure the other --> HOLD
//!     ^ |                  ^             ^                          |                    |  |
//!     | |                  +-------------|-- once, if it is better -+                    |  |
//!     | |                                +-----------------------------------------------+  |
//!     | +- cause again, before the next trial is due --> HOLD                               |
//!     +-------------------------------- no cause for `lasts` -------------------------------+
//! ```
//!
//! Who looks at the clock when the time of a step has come takes it; the others go on. The other way is
//! given up as soon as a third of its time has shown that it is worse; if it is better, the first way is
//! measured once more, since other things change, too.

use std::time::{Duration, Instant};

use super::seat::Seat;
use crate::primitive::Mutex;
use crate::primitive::atomic::Ordering::Relaxed;
use crate::primitive::atomic::{AtomicBool, AtomicU64};
use crate::primitive::may_spin;
use crate::tuning::{CHATTY, GATHER, SHARE, SHARE_GATHERED, SHARE_TOGETHER};
use crate::util::CachePadded;

/// The times of a question's trials.
#[derive(Debug)]
struct Pace {
    /// For how long its cause counts, once seen.
    lasts: Duration,
    /// How long tasks may take to move after a change, and how long operations are counted then; the
    /// other way a third of it first.
    settle: Duration,
    measure: Duration,
    /// The time between two trials, at first and at most.
    wait: Duration,
    longest_wait: Duration,
    /// How many times as good as together it must be apart, to be chosen; and the other way round.
    apart: f64,
    together: f64,
}

/// If who takes a step began to work so late, there was a time without work; less may be another
/// thread's turn.
const GAP: Duration = Duration::from_millis(10);

/// Spread over workers, chatty tasks look busy.
const MESSAGES: Pace = Pace {
    lasts: Duration::from_millis(10),
    settle: Duration::from_millis(2),
    measure: Duration::from_millis(1),
    wait: Duration::from_millis(8),
    longest_wait: Duration::from_millis(128),
    // What works is changed for a clear gain only.
    apart: 1.1,
    together: 1.1,
};

/// What comes over sockets comes in bursts of a millisecond and more, when other threads have had
/// their turn: the same way may be worth half as much again in the next trial. Where there are processors
/// for two workers, they are worth almost twice as much as one.
const SOCKETS: Pace = Pace {
    lasts: Duration::from_secs(15),
    settle: Duration::from_millis(5),
    measure: Duration::from_millis(30),
    wait: Duration::from_millis(400),
    longest_wait: Duration::from_secs(6),
    apart: 1.3,
    // Who has just been left at the sockets is helped for a moment by the other.
    together: 1.0 / 1.1,
};

/// What the seats of a runtime have found out together.
#[derive(Debug)]
pub(super) struct Sharing {
    start: Instant,
    /// Whether to keep tasks together that pass messages.
    messages: Question,
    /// Whether to keep tasks together that wait for sockets.
    sockets: Question,
}

/// Something that trials find out: whether tasks are better off together.
#[derive(Debug)]
struct Question {
    pace: &'static Pace,
    /// Whether they are kept together now.
    together: AtomicBool,
    /// Until when there is a cause for the question, and when the next step is due, in nanoseconds.
    until: AtomicU64,
    next: AtomicU64,
    trial: Mutex<Trial>,
}

/// Some polls of a seat.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    pub(super) end: Instant,
    pub(super) time: Duration,
    pub(super) polls: u32,
    pub(super) operations: u32,
    /// Whether its thread waits long for a processor, and there are sockets.
    pub(super) crowded: bool,
}

impl Sharing {
    pub(super) fn new() -> Self {
        let (messages, sockets) = (Question::new(&MESSAGES), Question::new(&SOCKETS));
        Self { start: Instant::now(), messages, sockets }
    }

    /// From how many waiting tasks on others should come to a seat that has had this window.
    pub(super) fn share_from(&self, window: Window, seats: &[CachePadded<Seat>]) -> u32 {
        let Window { end, time, polls, operations, crowded } = window;
        // On one processor there is nothing to gain.
        let alone = !may_spin();
        if seats.len() > 1 && !alone {
            let now = nanos(end - self.start);
            let since = now.saturating_sub(nanos(time));
            self.messages.ask(time < CHATTY * operations, since, now, seats);
            self.sockets.ask(crowded, since, now, seats);
        }
        let share = if self.gathers() {
            SHARE_GATHERED
        } else if alone || self.messages.together.load(Relaxed) {
            SHARE_TOGETHER
        } else {
            SHARE
        };
        let poll = nanos(time / polls).max(1);
        u32::try_from(nanos(share).div_ceil(poll).max(2)).unwrap_or(u32::MAX)
    }

    /// Whether `gathers` may be true, or have been so: there has been a cause.
    #[inline]
    pub(super) fn may_gather(&self) -> bool {
        GATHER || self.sockets.until.load(Relaxed) != 0
    }

    /// Whether the others leave the sockets, and what they wake, to those who are at it.
    #[inline]
    pub(super) fn gathers(&self) -> bool {
        GATHER || self.sockets.together.load(Relaxed)
    }
}

impl Question {
    fn new(pace: &'static Pace) -> Self {
        Self {
            pace,
            together: AtomicBool::new(false),
            until: AtomicU64::new(0),
            next: AtomicU64::new(0),
            trial: Mutex::new(Trial::new(pace)),
        }
    }

    /// Goes on with the trials, if there is a cause, or was a moment ago. `since` is when the window
    /// began that ends now.
    #[inline]
    fn ask(&self, cause: bool, since: u64, now: u64, seats: &[CachePadded<Seat>]) {
        let lasts = nanos(self.pace.lasts);
        // Ordering: Relaxed here and below; all of it is hints. The line is written seldom.
        let until = self.until.load(Relaxed);
        if cause && until < now + lasts / 2 {
            self.until.store(now + lasts, Relaxed);
        }
        if now >= self.next.load(Relaxed) && (until > now || self.together.load(Relaxed)) {
            self.step(since, now, until > now, seats);
        }
    }

    #[cold]
    fn step(&self, since: u64, now: u64, cause: bool, seats: &[CachePadded<Seat>]) {
        let mut trial = self.trial.lock();
        let next = self.next.load(Relaxed);
        if now < next {
            // Somebody else was faster.
            return;
        }
        // A poll that takes long is none: it began in time.
        let gap = since > next + nanos(GAP);
        let operations = seats.iter().map(|seat| seat.operations()).fold(0, u64::wrapping_add);
        let (together, after) = trial.step(now, operations, cause, gap);
        self.together.store(together, Relaxed);
        self.next.store(now + nanos(after), Relaxed);
    }
}

/// A runtime has not been up for 500 years.
pub(super) fn nanos(time: Duration) -> u64 {
    time.as_nanos() as u64
}

/// The steps of the trials: a machine without a clock or atomics, for tests.
#[derive(Debug)]
struct Trial {
    pace: &'static Pace,
    stage: Stage,
    /// Whether tasks are kept together between trials.
    chosen: bool,
    /// What was counted while things were as chosen, a nanosecond.
    rate: f64,
    /// What was counted the other way, if that was better: what is chosen has another try.
    other: Option<f64>,
    /// When the next trial is due, and how long after it the one that follows.
    due: u64,
    wait: Duration,
}

#[derive(Debug, Default, Clone, Copy)]
enum Stage {
    #[default]
    Quiet,
    /// Things are to be as chosen, or the other way.
    Settle {
        chosen: bool,
    },
    Measure {
        chosen: bool,
        since: u64,
        operations: u64,
    },
    Hold,
}

impl Trial {
    fn new(pace: &'static Pace) -> Self {
        let (stage, wait) = (Stage::Quiet, pace.wait);
        Self { pace, stage, chosen: true, rate: 0.0, other: None, due: 0, wait }
    }

    /// One step: whether tasks are to be together from now on, and when the next step is due. `gap`
    /// says that it comes after a time without work.
    fn step(&mut self, now: u64, total: u64, cause: bool, gap: bool) -> (bool, Duration) {
        if !cause {
            (self.stage, self.other) = (Stage::Quiet, None);
            return (false, Duration::ZERO);
        }
        match self.stage {
            // Nobody had anything to do, and maybe other things before than now.
            Stage::Settle { .. } | Stage::Measure { .. } if gap => {
                (self.other, self.due) = (None, now + nanos(self.wait));
                self.hold(now)
            }
            // What was better before will be so again, until the next trial.
            Stage::Quiet if now < self.due => self.hold(now),
            Stage::Quiet => self.settle(true),
            Stage::Settle { chosen } => self.measure(chosen, now, total),
            Stage::Measure { chosen, since, operations } => {
                let rate = total.wrapping_sub(operations) as f64 / (now - since) as f64;
                if chosen {
                    self.rate = rate;
                    return match self.other.take() {
                        Some(other) => self.conclude(self.is_better(other), now),
                        None => self.settle(false),
                    };
                }
                let left = nanos(self.pace.measure).saturating_sub(now - since);
                if left > 0 && rate >= self.gain().min(1.0) * self.rate {
                    return (!self.chosen, Duration::from_nanos(left));
                }
                if self.is_better(rate) {
                    self.other = Some(rate);
                    return self.settle(true);
                }
                self.conclude(false, now)
            }
            Stage::Hold => self.measure(true, now, total),
        }
    }

    /// How many times as good the other way must be.
    fn gain(&self) -> f64 {
        if self.chosen { self.pace.apart } else { self.pace.together }
    }

    /// Whether the other way, which has had this rate, is better.
    fn is_better(&self, other: f64) -> bool {
        // Where nothing is counted, nothing is gained.
        let in_vain = self.chosen && other == 0.0 && self.rate == 0.0;
        other > self.gain() * self.rate || in_vain
    }

    fn conclude(&mut self, other_is_better: bool, now: u64) -> (bool, Duration) {
        self.wait = match other_is_better {
            true => {
                self.chosen = !self.chosen;
                self.pace.wait
            }
            false => (4 * self.wait).min(self.pace.longest_wait),
        };
        self.due = now + nanos(self.wait);
        self.hold(now)
    }

    fn hold(&mut self, now: u64) -> (bool, Duration) {
        self.stage = Stage::Hold;
        (self.chosen, Duration::from_nanos(self.due - now))
    }

    fn settle(&mut self, chosen: bool) -> (bool, Duration) {
        self.stage = Stage::Settle { chosen };
        (chosen == self.chosen, self.pace.settle)
    }

    fn measure(&mut self, chosen: bool, since: u64, operations: u64) -> (bool, Duration) {
        self.stage = Stage::Measure { chosen, since, operations };
        let time = if chosen { self.pace.measure } else { self.pace.measure / 3 };
        (chosen == self.chosen, time)
    }
}

#[cfg(all(test, not(annulus_loom)))]
mod tests {
    use super::*;

    /// Steps of a runtime that does so many operations a nanosecond together, and so many apart,
    /// for so long; the share of the time for which tasks were together.
    fn run(pace: &'static Pace, together: f64, apart: f64, for_millis: u64) -> f64 {
        let (mut trial, mut now, mut total, mut spent) = (Trial::new(pace), 0, 0.0, 0);
        while now < for_millis * 1_000_000 {
            let (is_together, after) = trial.step(now, total as u64, true, false);
            let after = nanos(after);
            now += after;
            total += after as f64 * if is_together { together } else { apart };
            spent += if is_together { after } else { 0 };
        }
        spent as f64 / now as f64
    }

    #[test]
    fn the_better_way_is_taken() {
        assert!(run(&MESSAGES, 0.1, 0.05, 1000) > 0.95);
        assert!(run(&MESSAGES, 0.1, 0.2, 1000) < 0.05);
        // Neither is better: as it was.
        assert!(run(&MESSAGES, 0.1, 0.1, 1000) > 0.95);
    }

    #[test]
    fn a_second_worker_at_the_sockets_has_to_be_worth_it() {
        assert!(run(&SOCKETS, 0.1, 0.12, 60_000) > 0.95);
        assert!(run(&SOCKETS, 0.1, 0.18, 60_000) < 0.05);
        // What seemed so by chance is not kept up.
        let mut trial = Trial { chosen: false, ..Trial::new(&SOCKETS) };
        let (mut now, mut total, mut together) = (0, 0.0, false);
        for _ in 0..5 {
            let step = trial.step(now, total as u64, true, false);
            together = step.0;
            now += nanos(step.1);
            total += nanos(step.1) as f64 * if together { 0.1 } else { 0.105 };
        }
        assert!(together, "and holds");
    }

    #[test]
    fn what_is_worse_is_soon_given_up() {
        for pace in [&MESSAGES, &SOCKETS] {
            let (mut trial, mut now, mut total, mut apart) = (Trial::new(pace), 0, 0.0, 0);
            while !matches!(trial.stage, Stage::Hold) {
                let (together, after) = trial.step(now, total as u64, true, false);
                now += nanos(after);
                total += nanos(after) as f64 * if together { 0.1 } else { 0.05 };
                apart += if together { 0 } else { nanos(after) };
            }
            assert_eq!(u128::from(apart), (pace.settle + pace.measure / 3).as_nanos());
        }
    }

    #[test]
    fn what_was_measured_before_a_gap_does_not_count() {
        // The second way is due, and nothing happens for a second. Then everything is faster.
        let (mut trial, mut now, mut total, mut speed) = (Trial::new(&SOCKETS), 0, 0.0, 0.1);
        let mut gap = false;
        for _ in 0..5 {
            let (_, after) = trial.step(now, total as u64, true, gap);
            now += nanos(after);
            total += nanos(after) as f64 * speed;
            gap = matches!(trial.stage, Stage::Settle { chosen: false });
            if gap {
                (now, speed) = (now + 1_000_000_000, 1.0);
            }
        }
        assert!(
            trial.chosen
                && matches!(trial.stage, Stage::Hold | Stage::Measure { chosen: true, .. })
        );
    }

    /// Bursts in which no trial comes to an end are no reason for one trial after the other.
    #[test]
    fn trials_are_seldom_in_bursts() {
        let (mut trial, mut total, mut apart) = (Trial::new(&SOCKETS), 0, 0);
        let (mut together, mut next) = (true, 0);
        // A burst is of 50 ms, and one begins each 90.
        for now in (0..60_000).filter(|now| now % 90 < 50).map(|now| now * 1_000_000) {
            if now >= next {
                let gap = now > next + nanos(GAP);
                let (is_together, after) = trial.step(now, total, true, gap);
                (together, next) = (is_together, now + nanos(after));
            }
            total += if together { 1000 } else { 500 };
            apart += u32::from(!together);
        }
        assert!(apart < 60_000 * 50 / 90 / 20, "apart for {apart} ms");
    }

    /// Each poll takes 5 ms, so each step is late.
    #[test]
    fn long_polls_are_no_gaps() {
        let (mut trial, mut now, mut total) = (Trial::new(&MESSAGES), 0, 0);
        let mut together = true;
        for _ in 0..100 {
            let (is_together, after) = trial.step(now, total, true, false);
            let time = nanos(after).max(1).next_multiple_of(5_000_000);
            (now, total) = (now + time, total + if is_together { time / 10 } else { time });
            together = is_together;
        }
        assert!(!together, "apart is ten times as good");
    }

    /// Who steps late after a poll of 100 ms has worked all the time.
    #[test]
    fn a_poll_is_no_gap() {
        let (question, seats) = (Question::new(&SOCKETS), [CachePadded::new(Seat::new())]);
        let (mut now, mut together, poll) = (0, true, 100_000_000);
        for _ in 0..100 {
            // Apart is ten times as good.
            seats[0].count_operations(if together { 1000 } else { 10_000 });
            question.ask(true, now, now + poll, &seats);
            (now, together) = (now + poll, question.together.load(Relaxed));
        }
        assert!(!question.trial.lock().chosen, "apart is ten times as good");
    }

    #[test]
    fn a_change_for_another_reason_does_not_count() {
        let (mut trial, mut now, mut total) = (Trial::new(&SOCKETS), 0, 0.0);
        let mut apart = false;
        while !matches!(trial.stage, Stage::Hold) {
            let (together, after) = trial.step(now, total as u64, true, false);
            now += nanos(after);
            // Everything is faster from the moment on in which the other way is tried.
            apart |= !together;
            total += nanos(after) as f64 * if apart { 0.2 } else { 0.1 };
        }
        assert!(trial.chosen);
    }

    #[test]
    fn quiet_tasks_are_shared() {
        let mut trial = Trial::new(&MESSAGES);
        assert!(trial.step(0, 0, true, false).0);
        assert!(!trial.step(1_000_000, 1_000_000, false, false).0);
        assert!(matches!(trial.stage, Stage::Quiet));
    }

    #[test]
    fn what_was_better_is_taken_up_again() {
        let mut trial = Trial::new(&MESSAGES);
        let (mut now, mut total) = (0, 0.0);
        let mut apart = 0;
        for burst in 0..50 {
            let end = now + 10_000_000;
            while now < end {
                let (together, after) = trial.step(now, total as u64, true, false);
                let after = nanos(after).min(end - now).max(1);
                now += after;
                total += after as f64 * if together { 0.1 } else { 0.2 };
                apart += if together || burst < 10 { 0 } else { after };
            }
            assert!(!trial.step(now, total as u64, false, false).0);
            now += 20_000_000;
        }
        assert!(apart > 350_000_000, "apart for {apart} of 400 ms");
    }

    #[test]
    fn a_change_is_noticed() {
        let mut trial = Trial::new(&MESSAGES);
        let (mut now, mut total) = (0, 0.0);
        // A whole trial.
        let mut advance = |apart: f64| loop {
            let (together, after) = trial.step(now, total as u64, true, false);
            now += nanos(after);
            total += nanos(after) as f64 * if together { 0.1 } else { apart };
            if matches!(trial.stage, Stage::Hold) {
                return together;
            }
        };
        assert!(advance(0.05), "together, and holds");
        assert!(!advance(0.2), "apart, and holds");
    }
}
