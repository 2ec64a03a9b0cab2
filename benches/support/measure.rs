//! Measuring so that a noisy machine is unfair to all alike.
//!
//! Contenders take turns within a case, in short slices, and each round begins with another. What
//! counts is the median of each.

use std::time::Duration;
use std::{env, fs};

use criterion::{Criterion, SamplingMode, Throughput};

use super::contender::{Case, Contender, threads_of};

/// Odd, so that a median is a measurement.
const ROUNDS: usize = 21;
/// The least time of one slice, so that its start and end do not count.
const SLICE: Duration = Duration::from_millis(15);
/// About the most time for all slices of a contender in a case: who is slow gets fewer.
const CELL: Duration = Duration::from_millis(700);

/// Whether each row is to be done once, to see that it can be: so says `--test`, and who runs this
/// by another command than `cargo bench`.
pub(crate) fn only_tests() -> bool {
    let has = |word| env::args().any(|argument| argument == word);
    has("--test") || !has("--bench")
}

/// What an element costs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) nanos: f64,
    /// Nanoseconds of all processors together; not a number if the system does not say.
    pub(crate) cpu: f64,
}

/// One contender's slices.
struct Lane {
    runs: u64,
    rounds: usize,
    nanos: Vec<f64>,
    cpu: Option<u64>,
}

/// What each contender pays for an element of `case`; none for one that hangs.
pub(crate) fn in_turns<C: Case>(case: C, contenders: &[Contender<C>]) -> Vec<Option<Cost>> {
    let lane = |contender: &Contender<C>| {
        // The first run is to warm up.
        (contender.time)(case, 1)?;
        let one = (contender.time)(case, 1)?.max(Duration::from_nanos(1));
        let rounds = CELL.div_duration_f64(one.max(SLICE)) as usize;
        let rounds = rounds.clamp(1, ROUNDS);
        let runs = SLICE.div_duration_f64(one).ceil() as u64;
        Some(Lane { runs, rounds, nanos: Vec::new(), cpu: Some(0) })
    };
    let mut lanes: Vec<_> = contenders.iter().map(lane).collect();
    for round in 0..ROUNDS {
        for turn in 0..lanes.len() {
            let i = (round + turn) % lanes.len();
            let Some(lane) = lanes[i].as_mut().filter(|lane| round < lane.rounds) else { continue };
            let before = cpu_time();
            let time = (contenders[i].time)(case, lane.runs);
            let after = cpu_time();
            let elements = (lane.runs * case.elements()) as f64;
            let Some(time) = time else {
                lanes[i] = None;
                continue;
            };
            lane.nanos.push(time.as_nanos() as f64 / elements);
            let spent = after.zip(before).map(|(after, before)| after.saturating_sub(before));
            lane.cpu = lane.cpu.zip(spent).map(|(sum, spent)| sum + spent);
        }
    }
    lanes.into_iter().map(|lane| lane.map(|lane| lane.cost(case))).collect()
}

impl Lane {
    fn cost(mut self, case: impl Case) -> Cost {
        let elements = (self.nanos.len() as u64 * self.runs * case.elements()) as f64;
        self.nanos.sort_by(f64::total_cmp);
        Cost {
            nanos: self.nanos[self.nanos.len() / 2],
            cpu: self.cpu.map_or(f64::NAN, |cpu| cpu as f64 / elements),
        }
    }
}

/// The nanoseconds that the threads of this process have been on a processor.
fn cpu_time() -> Option<u64> {
    cpu_time_of("")
}

/// The same of the threads whose names begin with `name`.
pub(crate) fn cpu_time_of(name: &str) -> Option<u64> {
    let mut sum = 0;
    for thread in threads_of(name).ok()? {
        let stat = fs::read_to_string(format!("/proc/self/task/{thread}/schedstat")).ok()?;
        sum += stat.split(' ').next()?.parse::<u64>().ok()?;
    }
    Some(sum)
}

/// Criterion's report: the contenders one after the other, case by case. The names of the cases
/// get a prefix.
pub(crate) fn report<C: Case>(
    criterion: &mut Criterion,
    prefix: &str,
    cases: &[C],
    contenders: &[Contender<C>],
) {
    for &case in cases {
        let mut group = criterion.benchmark_group(format!("{prefix}{case}"));
        group.throughput(Throughput::Elements(case.elements()));
        group.sampling_mode(SamplingMode::Flat);
        for contender in contenders {
            group.bench_function(contender.name, |bencher| {
                bencher.iter_custom(|runs| (contender.time)(case, runs).expect("it hangs"));
            });
        }
        group.finish();
    }
}
