//! Rates and the waits of the slow: rounds of those who are compared, and the medians of the rounds.

use std::time::Duration;

/// What a round has shown, or the medians of many.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) per_second: f64,
    /// In microseconds; half, 99 of 100 and 999 of 1000 took no longer.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
}

impl Pace {
    pub(crate) fn of(elapsed: Duration, mut waits: Vec<Duration>) -> Self {
        waits.sort_unstable();
        let micros = |permille: usize| {
            waits[((waits.len() - 1) * permille).div_ceil(1000)].as_nanos() as f64 / 1e3
        };
        Self {
            per_second: waits.len() as f64 / elapsed.as_secs_f64(),
            p50: micros(500),
            p99: micros(990),
            p999: micros(999),
        }
    }

    fn medians(rounds: &[Self]) -> Self {
        let median = |what: fn(&Self) -> f64| {
            let mut values: Vec<_> = rounds.iter().map(what).collect();
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        Self {
            per_second: median(|pace| pace.per_second),
            p50: median(|pace| pace.p50),
            p99: median(|pace| pace.p99),
            p999: median(|pace| pace.p999),
        }
    }
}

/// Has all of `names` measured in turns, in so many rounds, each of which begins with another;
/// the medians of each.
pub(crate) fn in_turns(
    names: &[&str],
    rounds: usize,
    mut measure: impl FnMut(usize) -> Pace,
) -> Vec<Pace> {
    let mut all = vec![Vec::new(); names.len()];
    for round in 0..rounds {
        for turn in 0..names.len() {
            let i = (round + turn) % names.len();
            all[i].push(measure(i));
        }
    }
    all.iter().map(|rounds| Pace::medians(rounds)).collect()
}

/// Prints the head of a table; `what` is what there are some of in a second.
pub(crate) fn print_head(what: &str) {
    println!(
        "\n| {what} a second | contender | of them | share | p50 µs | p99 µs | share | p99.9 µs |"
    );
    println!("|---|---|--:|--:|--:|--:|--:|--:|");
}

/// Prints the rows of a case: in pairs, ours first, and then tokio with ours as a share of it.
pub(crate) fn print_pairs(case: &str, names: &[&str], paces: &[Pace]) {
    for (names, pair) in names.chunks(2).zip(paces.chunks(2)) {
        let ([our, their], [ours, theirs]) = (names, pair) else { unreachable!("pairs") };
        print(case, our, ours, Some(theirs));
        print(case, their, theirs, None);
    }
}

/// Prints a row, of which `whole` is the whole.
pub(crate) fn print(case: &str, name: &str, pace: &Pace, whole: Option<&Pace>) {
    // A loss is to be seen.
    let show = |share: f64, lost: bool| match lost {
        true => format!("**{share:.2}**"),
        false => format!("{share:.2}"),
    };
    let share = |of: fn(&Pace) -> f64, loses: fn(&f64) -> bool| {
        let share = whole.map(|whole| of(pace) / of(whole));
        share.map_or_else(String::new, |share| show(share, loses(&share)))
    };
    let rate = share(|pace| pace.per_second, |&share| share < 1.0);
    let wait = share(|pace| pace.p99, |&share| share > 1.0);
    let Pace { per_second, p50, p99, p999 } = pace;
    let p999 = if p999.is_nan() { String::from("-") } else { format!("{p999:.1}") };
    println!(
        "| {case} | {name} | {per_second:.0} | {rate} | {p50:.1} | {p99:.1} | {wait} | {p999} |"
    );
}
