//! Timers, annulus against tokio: what they cost, and how late they are.
//!
//! ```sh
//! cargo bench --bench time             # everything, in about a minute
//! cargo bench --bench time -- ready    # criterion's report on some rows
//! cargo bench --bench time -- table    # the tables only
//! ```
//!
//! # What is measured
//!
//! - `sleeps of 1 ms`: 10 000 tasks that sleep for a millisecond each, and are joined.
//! - `timeout around what is ready`: the limit that is not needed.
//! - `create, poll, drop`: a sleep of an hour that is polled once; in one task, and in two at
//!   once. This is what a limit costs that is needed and not reached.
//! - The lateness of `sleep(1 ms)` on an idle machine, in one task and in the future of `block_on`:
//!   median and 99th percentile; and what a sleep costs the processors, so that nobody wins by
//!   spinning.
//!
//! The contenders are those of `versus_tokio`, here with tokio's time driver. tokio's timers tick
//! in milliseconds and are rounded up, so that its sleeps are late by a millisecond on average.
//! That is its choice, and helps it in the first row, where it fires all at once.

use std::future::{Future, ready};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};
use std::{env, fmt};

use criterion::Criterion;

use self::support::api::{Annulus, Spawn, Tokio};
use self::support::contender::{Case, Contender, Home};
use self::support::homes::homes;
use self::support::measure;

/// What this benchmark uses of what the benchmarks share.
mod support {
    #[allow(dead_code, reason = "nothing is sent here")]
    pub(crate) mod api;
    #[allow(dead_code, reason = "no thread is tied to a processor here")]
    pub(crate) mod contender;
    pub(crate) mod homes;
    #[allow(dead_code, reason = "the tables here show nothing but the time")]
    pub(crate) mod measure;
}

const HOUR: Duration = Duration::from_secs(3600);
const MS: Duration = Duration::from_millis(1);

/// The timers of a runtime.
trait Time: Spawn {
    fn sleep(time: Duration) -> impl Future<Output = ()> + Send;
    fn is_in_time(time: Duration, f: impl Future + Send) -> impl Future<Output = bool> + Send;
}

impl Time for Annulus {
    fn sleep(time: Duration) -> impl Future<Output = ()> + Send {
        annulus::time::sleep(time)
    }

    async fn is_in_time(time: Duration, f: impl Future + Send) -> bool {
        annulus::time::timeout(time, f).await.is_ok()
    }
}

impl Time for Tokio {
    fn sleep(time: Duration) -> impl Future<Output = ()> + Send {
        tokio::time::sleep(time)
    }

    async fn is_in_time(time: Duration, f: impl Future + Send) -> bool {
        tokio::time::timeout(time, f).await.is_ok()
    }
}

#[derive(Debug, Clone, Copy)]
enum Row {
    Sleeps,
    Ready,
    Cancelled { tasks: u64 },
}

const ROWS: [Row; 4] =
    [Row::Sleeps, Row::Ready, Row::Cancelled { tasks: 1 }, Row::Cancelled { tasks: 2 }];

/// Operations of a task in one run.
const MANY: u64 = 10_000;

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sleeps => f.write_str("10 000 sleeps of 1 ms"),
            Self::Ready => f.write_str("timeout around what is ready"),
            Self::Cancelled { tasks } => write!(f, "create, poll, drop: {tasks} tasks"),
        }
    }
}

impl Case for Row {
    fn elements(self) -> u64 {
        MANY
    }
}

impl Row {
    async fn time<A: Time>(self, runs: u64) -> Duration {
        let start = Instant::now();
        for _ in 0..runs {
            match self {
                Self::Sleeps => {
                    let tasks: Vec<_> = (0..MANY).map(|_| A::spawn(A::sleep(MS))).collect();
                    for task in tasks {
                        task.await;
                    }
                }
                Self::Ready => {
                    let mut in_time = 0;
                    for n in 0..MANY {
                        in_time += u64::from(A::is_in_time(HOUR, ready(n)).await);
                    }
                    assert_eq!(in_time, MANY);
                }
                Self::Cancelled { tasks } => {
                    let task =
                        |_| A::spawn(async { (0..MANY).for_each(|_| cancel(A::sleep(HOUR))) });
                    let tasks: Vec<_> = (0..tasks).map(task).collect();
                    for task in tasks {
                        task.await;
                    }
                }
            }
        }
        start.elapsed()
    }
}

fn cancel(sleep: impl Future<Output = ()>) {
    let mut cx = Context::from_waker(Waker::noop());
    assert!(pin!(sleep).poll(&mut cx).is_pending());
}

/// How late sleeps of a millisecond are, sorted.
async fn lateness<A: Time>() -> Vec<Duration> {
    let mut late = Vec::new();
    for _ in 0..1000 {
        let start = Instant::now();
        A::sleep(MS).await;
        late.push(start.elapsed().saturating_sub(MS));
    }
    late.sort_unstable();
    late
}

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .nresamples(10_000)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(600))
        .configure_from_args();
    let homes = homes(tokio::runtime::Builder::enable_time);
    let contenders = contenders(&homes);
    measure::report(&mut criterion, "", &ROWS, &contenders);
    criterion.final_summary();
    if tables_wanted() {
        print_costs(&contenders);
        print_lateness(&homes);
    }
}

fn contenders(homes: &[Rc<Home>; 4]) -> [Contender<Row>; 4] {
    [
        homes[0].contender("annulus-mt", Row::time::<Annulus>),
        homes[1].contender("tokio-mt", Row::time::<Tokio>),
        homes[2].contender("annulus-1w", Row::time::<Annulus>),
        homes[3].contender("tokio-ct", Row::time::<Tokio>),
    ]
}

fn print_costs(contenders: &[Contender<Row>; 4]) {
    println!("\n### Costs\n");
    print!("| ns per element |");
    for pair in contenders.chunks(2) {
        print!(" {} | {} | share |", pair[0].name, pair[1].name);
    }
    println!("\n|---|{}", "--:|".repeat(6));
    for row in ROWS {
        print!("| {row} |");
        let costs = measure::in_turns(row, contenders);
        let nanos: Vec<_> = costs.into_iter().map(|cost| cost.expect("none hangs").nanos).collect();
        for pair in nanos.chunks(2) {
            let share = pair[0] / pair[1];
            // A loss is to be seen.
            let mark = if share > 1.0 { "**" } else { "" };
            print!(" {:.1} | {:.1} | {mark}{share:.2}{mark} |", pair[0], pair[1]);
        }
        println!();
    }
}

fn print_lateness(homes: &[Rc<Home>; 4]) {
    println!("\n### How late `sleep(1 ms)` is\n");
    println!("| µs | half | 99 of 100 | processor's time a sleep |\n|---|--:|--:|--:|");
    for (home, tokio) in homes.iter().zip([false, true, false, true]) {
        print_late(home.team().name, || {
            let late = home.start(async move {
                if tokio { lateness::<Tokio>().await } else { lateness::<Annulus>().await }
            });
            late.recv().expect("the task does not panic")
        });
    }
    let annulus = annulus::Builder::new().worker_threads(1).build().expect("a runtime");
    let tokio = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let tokio = tokio.expect("a runtime without a thread");
    print_late("annulus, in `block_on`", || annulus.block_on(lateness::<Annulus>()));
    print_late("tokio-ct, in `block_on`", || tokio.block_on(lateness::<Tokio>()));
}

fn print_late(name: &str, sleep: impl FnOnce() -> Vec<Duration>) {
    let before = measure::cpu_time_of("");
    let late = sleep();
    let spent = measure::cpu_time_of("").zip(before).map(|(after, before)| after - before);
    let spent = spent.map_or(f64::NAN, |nanos| nanos as f64 / late.len() as f64 / 1000.0);
    let micros = |part: usize| late[late.len() * part / 100].as_nanos() as f64 / 1000.0;
    println!("| {name} | {:.0} | {:.0} | {spent:.1} |", micros(50), micros(99));
}

/// Whether this is `cargo bench`, and of everything or of the tables.
fn tables_wanted() -> bool {
    let mut arguments = env::args().skip(1).filter(|argument| argument != "--bench");
    let measures = !measure::only_tests();
    measures && arguments.next().is_none_or(|argument| argument == "table")
}
