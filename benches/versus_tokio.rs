//! annulus against tokio: what a message, a task and a yield cost.
//!
//! ```sh
//! cargo bench --bench versus_tokio                   # everything, in about three minutes
//! cargo bench --bench versus_tokio -- spsc           # criterion's report on some rows
//! cargo bench --bench versus_tokio -- table          # the tables only, in one minute
//! VERSUS_CPUS=0,2,4,6 cargo bench --bench versus_tokio   # so many workers, there; else 0,1
//! ```
//!
//! # What is measured
//!
//! Each row of [`Row`](support::rows::Row) is written once, for any runtime, and runs on
//!
//! - `annulus-mt` and its rival `tokio-mt`, the multi-thread runtime, with as many workers;
//! - `annulus-1w`, annulus with one worker, and its rival `tokio-ct`, the current-thread runtime.
//!
//! Every run adds up the numbers that it received and compares the sum. A run makes its channels
//! and spawns its tasks anew; that is counted, and spread over thousands of elements.
//!
//! Criterion measures the contenders of a row back to back. The tables, which are for the README,
//! measure them in turns (see [`measure`]), once with the threads where the system puts them, and
//! once with each worker on a processor of its own: left alone, the system may keep two workers
//! on one processor for seconds. A ratio below 1 is a loss, printed bold.
//!
//! # Whom it favours
//!
//! - The measured work is a task that was spawned from outside. With `block_on` instead, the
//!   thread would be a worker in annulus and in the current-thread runtime, while tokio's
//!   multi-thread runtime would have one thread more, and a thread to cross with each message.
//! - tokio has no channel with many receivers. In the rows `mpmc` and `one queue` its receivers
//!   take turns at one behind a `tokio::sync::Mutex`, as its users do. These rows tell what the
//!   missing channel costs. Other crates have one: kanal's and crossfire's run on tokio, too, and
//!   are faster than tokio's own channels.
//! - Nor has it one with a single sender: in the rows `spsc` it pays for many.
//! - tokio runs without its I/O and time drivers, which is no slower than `#[tokio::main]`.
//! - `annulus-1w` is ready for threads that steal and wake from outside; `tokio-ct` has a queue
//!   that only its own thread touches.
//! - Except for the fan-out, the tasks do nothing between messages. Then it pays to run both ends
//!   on one worker, so these rows measure messages between tasks more than between processors.
//! - Messages are 8 bytes, and rings are allocated whole while tokio's lists grow by blocks.
//! - Two processors contend little: `VERSUS_CPUS` is for machines with more.

use std::env;
use std::rc::Rc;
use std::time::Duration;

use criterion::Criterion;

use self::support::api::{Annulus, Tokio};
use self::support::contender::{Contender, Home, pin, processors};
use self::support::rows::Row;
use self::support::{measure, table};

/// What this benchmark uses of what the benchmarks share.
mod support {
    #[allow(dead_code, reason = "no row here has batches")]
    pub(crate) mod api;
    pub(crate) mod contender;
    #[allow(dead_code, reason = "the tables here show nothing but the time")]
    pub(crate) mod measure;
    pub(crate) mod passing;
    #[allow(dead_code, reason = "some rows are for the benchmark of the runtimes")]
    pub(crate) mod rows;
    pub(crate) mod spawning;
    pub(crate) mod stream;
    pub(crate) mod table;
    pub(crate) mod work;
}

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .nresamples(10_000)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(800))
        .configure_from_args();
    let homes = homes();
    let contenders = contenders(&homes);
    measure::report(&mut criterion, "", &Row::all(), &contenders);
    criterion.final_summary();

    if tables_wanted() {
        table::print("Workers where the system puts them", &Row::all(), &contenders, &[2, 2]);
        match pin(homes.iter().map(|home| home.team())) {
            Ok(()) => {
                let title = "Each worker on a processor of its own";
                table::print(title, &Row::all(), &contenders, &[2, 2]);
            }
            Err(error) => println!("\nNo worker has a processor of its own: {error}"),
        }
    }
}

/// The two with a worker for each processor, then the two with one.
fn homes() -> [Rc<Home>; 4] {
    let workers = processors().len();
    [
        Home::annulus("annulus-mt", workers),
        Home::tokio_multi_thread("tokio-mt", workers),
        Home::annulus("annulus-1w", 1),
        Home::tokio_current_thread("tokio-ct"),
    ]
}

fn contenders(homes: &[Rc<Home>; 4]) -> [Contender<Row>; 4] {
    [
        homes[0].contender("annulus-mt", Row::time::<Annulus>),
        homes[1].contender("tokio-mt", Row::time::<Tokio>),
        homes[2].contender("annulus-1w", Row::time::<Annulus>),
        homes[3].contender("tokio-ct", Row::time::<Tokio>),
    ]
}

/// Whether this is `cargo bench`, and of everything or of the tables.
fn tables_wanted() -> bool {
    let mut arguments = env::args().skip(1).filter(|argument| argument != "--bench");
    let measures = !measure::only_tests();
    measures && arguments.next().is_none_or(|argument| argument == "table")
}
