//! Sockets, annulus against tokio: how many round trips a second, and what the slow ones take.
//!
//! ```sh
//! cargo bench --bench net              # everything, in about three minutes
//! cargo bench --bench net -- UDP       # criterion's report on some rows
//! cargo bench --bench net -- table     # the tables only
//! cargo bench --bench net -- table TCP # some rows of them
//! cargo bench --bench net -- --test    # each row once, quickly
//! ```
//!
//! A connection has two ends here, so a thousand of them need `ulimit -n 4096`.
//!
//! # What is measured
//!
//! A client sends 64 bytes, waits until they are back, and sends the next ones; the server reads
//! what comes and writes it back. Every message is compared, and the sums of both sides.
//!
//! - Clients in the runtime: each client and each server's connection is a task, and all of them
//!   share the workers. Nobody else takes processors away, so this is what sockets cost in a
//!   runtime, from both ends. Written once, for both runtimes (`support/sockets.rs`).
//! - Clients outside: a single thread polls all of the clients' sockets, by mio and without a
//!   runtime, and is the same for all. Here the server's side alone differs; on two processors the
//!   clients keep one of them half or fully busy.
//! - A loop over the system's poll without a runtime (`support/bare.rs`), both ends on one thread:
//!   what it does not save in comparison with tokio on one thread, no runtime can.
//!
//! Contenders take turns, in rounds of 300 ms; what counts is the median of the rounds, of each
//! figure. Connections are made before the time begins. The four are those of `versus_tokio`, here
//! with tokio's driver of sockets, and pairs of them have the same number of threads.

use std::env;
use std::rc::Rc;
use std::sync::mpsc;
use std::time::Duration;

use criterion::Criterion;

use self::support::api::{Annulus, Tokio};
use self::support::bare;
use self::support::contender::{Contender, Home, patiently};
use self::support::echo::{Outcome, Row, Until, serve};
use self::support::homes::homes;
use self::support::measure;
use self::support::outside::talk;
use self::support::pace::{self, Pace};
use self::support::sockets::Sockets;

/// What this benchmark uses of what the benchmarks share.
mod support {
    #[allow(dead_code, reason = "nothing is sent over channels here")]
    pub(crate) mod api;
    pub(crate) mod bare;
    #[allow(dead_code, reason = "no thread is tied to a processor here")]
    pub(crate) mod contender;
    pub(crate) mod echo;
    pub(crate) mod homes;
    #[allow(dead_code, reason = "the tables here show more than the time")]
    pub(crate) mod measure;
    pub(crate) mod outside;
    pub(crate) mod pace;
    pub(crate) mod sockets;
}

/// Of the tables.
const ROUNDS: usize = 9;
const ROUND: Duration = Duration::from_millis(300);

/// A runtime, and its ways to do a row.
struct Side {
    home: Rc<Home>,
    inside: fn(&Home, Row, Until) -> Outcome,
    outside: fn(&Home, u64, Until) -> Outcome,
}

impl Side {
    fn new<N: Sockets>(home: &Rc<Home>) -> Self {
        Self { home: Rc::clone(home), inside: inside::<N>, outside: outside::<N> }
    }

    fn name(&self) -> &'static str {
        self.home.team().name
    }
}

fn inside<N: Sockets>(home: &Home, row: Row, until: Until) -> Outcome {
    patiently(&home.start(async move { row.run::<N>(until).await })).expect("it hangs")
}

/// The clients are on this thread.
fn outside<N: Sockets>(home: &Home, clients: u64, until: Until) -> Outcome {
    let (tell, addr) = mpsc::sync_channel(1);
    let served = home.start(async move {
        let (listener, addr) = N::listen().await.expect("a port of this machine");
        tell.send(addr).expect("somebody waits for it");
        serve::<N>(listener, clients).await.expect("clients that end in order")
    });
    let addr = patiently(&addr).expect("it hangs");
    let outcome = talk(addr, clients, until).expect("a server that answers");
    let bytes = patiently(&served).expect("it hangs");
    assert_eq!(bytes, 64 * outcome.trips.len() as u64, "what was echoed is what came back");
    outcome
}

fn main() {
    let homes = homes(tokio::runtime::Builder::enable_io);
    let arguments: Vec<_> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let tests = measure::only_tests();
    let table = arguments.first().is_some_and(|argument| argument == "table");
    if !table {
        let mut criterion = Criterion::default()
            .sample_size(10)
            .nresamples(10_000)
            .warm_up_time(Duration::from_millis(100))
            .measurement_time(Duration::from_millis(300))
            .configure_from_args();
        measure::report(&mut criterion, "", &Row::ALL, &contenders(&homes));
        criterion.final_summary();
    }
    let sides = sides(&homes);
    if table || !tests && arguments.is_empty() {
        print(&sides, |row| arguments.iter().skip(1).all(|word| row.contains(word.as_str())));
    } else if tests {
        bare::echo(64, Until::Trips(2)).expect("sockets of this machine");
        // The clients of the other table.
        sides.iter().for_each(|side| drop((side.outside)(&side.home, 64, Until::Trips(2))));
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

fn sides(homes: &[Rc<Home>; 4]) -> [Side; 4] {
    [
        Side::new::<Annulus>(&homes[0]),
        Side::new::<Tokio>(&homes[1]),
        Side::new::<Annulus>(&homes[2]),
        Side::new::<Tokio>(&homes[3]),
    ]
}

/// The rows that are wanted by their name, in both tables.
fn print(sides: &[Side; 4], wanted: impl Fn(&str) -> bool) {
    let names = sides.each_ref().map(Side::name);
    let with_loop = [&names[..], &["bare-loop"]].concat();
    let measure = |names: &[&str], run: &dyn Fn(usize) -> Outcome| {
        pace::in_turns(names, ROUNDS, |i| {
            let Outcome { elapsed, trips } = run(i);
            Pace::of(elapsed, trips)
        })
    };
    println!("\n### Clients in the runtime");
    pace::print_head("round trips");
    for row in Row::ALL {
        let case = row.to_string();
        if !wanted(&case) {
            continue;
        }
        let Row::Tcp(clients) = row else {
            let run = |i: usize| (sides[i].inside)(&sides[i].home, row, Until::Time(ROUND));
            pace::print_pairs(&case, &names, &measure(&names, &run));
            continue;
        };
        let paces = measure(&with_loop, &|i| match sides.get(i) {
            Some(side) => (side.inside)(&side.home, row, Until::Time(ROUND)),
            None => bare::echo(clients, Until::Time(ROUND)).expect("sockets of this machine"),
        });
        pace::print_pairs(&case, &names, &paces[..4]);
        pace::print(&case, with_loop[4], &paces[4], Some(&paces[3]));
    }
    println!("\n### Clients outside, on one thread");
    pace::print_head("round trips");
    for row in Row::ALL {
        let Row::Tcp(clients) = row else { continue };
        if wanted(&row.to_string()) {
            let run = |i: usize| (sides[i].outside)(&sides[i].home, clients, Until::Time(ROUND));
            pace::print_pairs(&row.to_string(), &names, &measure(&names, &run));
        }
    }
}
