//! annulus' scheduler against those of tokio and smol: what tasks cost, how long they wait, and
//! what they are worth.
//!
//! ```sh
//! cargo bench --bench runtime                     # criterion's report and all tables
//! cargo bench --bench runtime -- yield            # criterion's report on some rows
//! cargo bench --bench runtime -- table            # the tables only, in about five minutes
//! cargo bench --bench runtime -- table yield own  # rows and titles with these words
//! cargo bench --bench runtime -- table Latency    # or one of the tables
//! cargo bench --bench runtime -- crowd            # more workers than processors
//! cargo bench --bench runtime -- --test           # each row once, quickly
//! VERSUS_CPUS=0,2,4,6 cargo bench --bench runtime    # so many workers, there; else 0,1
//! ```
//!
//! # What is measured
//!
//! Each row is written once, for any runtime, and each runtime uses the channels that its users
//! would: tokio its own, smol's executor (async-executor, with as many threads) async-channel. In
//! the rows with work, where channels matter as much as the scheduler, tokio has crossfire's, too.
//! There are two groups, with a worker for each processor and with one worker; `tokio-ct` is the
//! current-thread runtime. The ratio after a rival is how many times longer it takes than annulus
//! in that group: below 1 is a loss, printed bold.
//!
//! - [`Row`](support::rows::Row): a task spawned from outside does it all. The speed-up of a
//!   pipeline is the quotient of two cells, one of each group.
//! - [`Errand`](support::errands::Errand): a thread that is no worker spawns, and waits in
//!   `block_on`.
//! - [`latency`]: percentiles of the round trips of two tasks beside others that poll for a
//!   millisecond, and of the time from a foreign thread's wake to the poll.
//! - [`footprint`]: the processor time of a runtime that nobody uses, and the bytes and allocations
//!   of a task.
//! - `crowd`: some rows with 1, 2, 4 and 16 workers, threads where the system puts them; then again
//!   in a process with one processor.
//!
//! Every run adds up the numbers that it received and compares the sum. Contenders take turns, as
//! in `versus_tokio`; the tables come once with the threads where the system puts them, and once
//! with each worker on a processor of its own.
//!
//! # Whom it favours
//!
//! - In annulus and in the current-thread runtime the thread in `block_on` is a worker, and in
//!   tokio's multi-thread runtime one thread more; this is what *From outside* shows. smol's users
//!   choose: here `block_on` runs tasks, too, beside as many workers as the others have.
//! - smol's tasks find their executor in a thread-local variable, as those of tokio and annulus
//!   do; smol's own `spawn` finds the one that it has in a static one.
//! - Who does the errands shares a processor with the first worker where workers are pinned, and
//!   while it spawns, it is one thread more than there are processors: whose workers sleep and wake
//!   in between pays more for it.
//! - tokio and smol run without I/O and timers, as annulus does.
//! - With one worker annulus and smol are ready for threads that steal and wake from outside;
//!   `tokio-ct` has a queue that only its own thread touches.
//! - tokio's and crossfire's channels of the row *one queue* are what `versus_tokio` and `channels`
//!   say of them.
//! - Two processors steal little: `VERSUS_CPUS` is for machines with more.
//! - Rows with 10 µs of work or more have few slices: if anything else runs on the machine, they
//!   tell of that. On one worker a pipeline must take its stages' work and little more.

use std::process::Command;
use std::rc::Rc;
use std::time::Duration;
use std::{env, fmt, thread};

use criterion::Criterion;

use self::support::allocations::Counting;
use self::support::api::{Annulus, Tokio};
use self::support::contender::{self, Case, Contender, Home, Team, pin, processors};
use self::support::crew::Crew;
use self::support::errands::{self, Errand};
use self::support::latency::Waiter;
use self::support::rivals::{AsyncChannel, Crossfire, On};
use self::support::rows::Row;
use self::support::smol::{self, Smol};
use self::support::{footprint, latency, measure, table};

/// What this benchmark uses of what the benchmarks share.
mod support {
    pub(crate) mod allocations;
    #[allow(dead_code, reason = "no row here has batches")]
    pub(crate) mod api;
    pub(crate) mod contender;
    pub(crate) mod crew;
    pub(crate) mod errands;
    pub(crate) mod footprint;
    pub(crate) mod latency;
    #[allow(dead_code, reason = "the tables here show nothing but the time")]
    pub(crate) mod measure;
    pub(crate) mod passing;
    #[allow(dead_code, reason = "smol and tokio have theirs, and crossfire's")]
    pub(crate) mod rivals;
    #[allow(dead_code, reason = "some rows are for `versus_tokio`")]
    pub(crate) mod rows;
    pub(crate) mod smol;
    pub(crate) mod spawning;
    pub(crate) mod stream;
    pub(crate) mod table;
    pub(crate) mod work;
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

type SmolTasks = On<Smol, AsyncChannel>;

fn main() {
    // As its documentation asks for.
    crossfire::detect_backoff_cfg();
    let measures = !measure::only_tests();
    let mut arguments = env::args().skip(1).filter(|argument| argument != "--bench");
    let first = arguments.next();
    let filter = Filter(arguments.collect());
    match first.as_deref() {
        Some("crowd") => crowd(&filter),
        Some("table") => Stage::new().print(&filter),
        _ => {
            let stage = Stage::new();
            stage.report();
            if !measures {
                stage.print_others("rehearsed", &filter, &Scale::REHEARSAL);
            } else if first.is_none() {
                stage.print(&filter);
            }
        }
    }
}

/// Words of which each must be in a table's title or a row's name.
struct Filter(Vec<String>);

impl Filter {
    fn wants(&self, title: &str, row: impl fmt::Display) -> bool {
        let line = format!("{title}: {row}");
        self.0.iter().all(|word| line.contains(word))
    }

    fn print<C: Case>(&self, title: &str, cases: &[C], all: &[Contender<C>], groups: &[usize]) {
        let wanted = cases.iter().copied().filter(|case| self.wants(title, case));
        let wanted: Vec<_> = wanted.collect();
        if !wanted.is_empty() {
            table::print(title, &wanted, all, groups);
        }
    }
}

/// How much of what is neither a row nor an errand.
struct Scale {
    rounds: usize,
    beside_hogs: Duration,
    wakes: usize,
    idle: Duration,
}

impl Scale {
    const FULL: Self = Self {
        rounds: 5,
        beside_hogs: Duration::from_millis(800),
        wakes: 200,
        idle: Duration::from_secs(4),
    };
    const REHEARSAL: Self = Self {
        rounds: 1,
        beside_hogs: Duration::from_millis(10),
        wakes: 3,
        idle: Duration::from_millis(20),
    };
}

/// All who take part: first those with a worker for each processor, then those with one.
struct Stage {
    homes: [Rc<Home>; 6],
    /// Where errands are done, and by whom.
    outside: Vec<Team>,
    tasks: Vec<Contender<Row>>,
    work: Vec<Contender<Row>>,
    errands: Vec<Contender<Errand>>,
}

impl Stage {
    fn new() -> Self {
        let workers = processors().len();
        let homes = [
            Home::annulus("annulus-mt", workers),
            Home::tokio_multi_thread("tokio-mt", workers),
            smol::home("smol-mt", workers),
            Home::annulus("annulus-1w", 1),
            Home::tokio_current_thread("tokio-ct"),
            smol::home("smol-1w", 1),
        ];
        let tasks = || contenders(&homes.each_ref().map(|home| (home, home.team().name)));
        let mut work = tasks();
        let crossfire = Row::time::<On<Tokio, Crossfire>>;
        work.insert(2, homes[1].contender("tokio-mt, crossfire", crossfire));
        work.insert(6, homes[4].contender("tokio-ct, crossfire", crossfire));
        let (errands, outside) = errands(workers);
        let stage = Self { tasks: tasks(), work, errands, outside, homes };
        // Until all threads run, and have their names.
        thread::sleep(Duration::from_millis(100));
        stage
    }

    fn report(&self) {
        let mut criterion = Criterion::default()
            .sample_size(10)
            .nresamples(1_000)
            .warm_up_time(Duration::from_millis(100))
            .measurement_time(Duration::from_millis(300))
            .configure_from_args();
        measure::report(&mut criterion, "Tasks: ", &Row::of_scheduler(), &self.tasks);
        measure::report(&mut criterion, "Work: ", &Row::of_work(), &self.work);
        measure::report(&mut criterion, "From outside: ", &Errand::all(), &self.errands);
        criterion.final_summary();
    }

    fn print(&self, filter: &Filter) {
        self.print_placed("where the system puts them", filter);
        let teams = self.homes.iter().map(|home| home.team());
        match pin(teams.chain(self.outside.iter().copied())) {
            Ok(()) => self.print_placed("each on a processor of its own", filter),
            Err(error) => println!("\nNo worker has a processor of its own: {error}"),
        }
    }

    /// Prints all tables; `workers` says where the workers are.
    fn print_placed(&self, workers: &str, filter: &Filter) {
        let title = |what| format!("{what}, workers {workers}");
        filter.print(&title("Tasks"), &Row::of_scheduler(), &self.tasks, &[3, 3]);
        filter.print(&title("Work"), &Row::of_work(), &self.work, &[4, 4]);
        filter.print(&title("From outside"), &Errand::all(), &self.errands, &[3, 3]);
        self.print_others(workers, filter, &Scale::FULL);
    }

    fn print_others(&self, workers: &str, filter: &Filter, scale: &Scale) {
        let [annulus, tokio, smol, annulus_1w, tokio_ct, smol_1w] = &self.homes;
        let waiters = [
            Waiter::new::<Annulus>(annulus),
            Waiter::new::<Tokio>(tokio),
            Waiter::new::<SmolTasks>(smol),
            Waiter::new::<Annulus>(annulus_1w),
            Waiter::new::<Tokio>(tokio_ct),
            Waiter::new::<SmolTasks>(smol_1w),
        ];
        let title = format!("Latency, workers {workers}");
        if filter.wants(&title, "beside hogs") {
            println!("\n### {title}");
            latency::print_beside_hogs(&waiters, scale.rounds, scale.beside_hogs);
        }
        if filter.wants(&title, "foreign wake") {
            println!("\n### {title}");
            latency::print_foreign_wakes(&waiters, scale.rounds, scale.wakes);
        }
        let title = format!("Footprint, workers {workers}");
        if filter.wants(&title, "idle") {
            println!("\n### {title}");
            footprint::print_idle(&self.homes.each_ref().map(|home| home.team()), scale.idle);
        }
        if filter.wants(&title, "task") {
            println!("\n### {title}");
            footprint::print_tasks_head();
            let workers = processors().len();
            footprint::print_task::<Annulus>(&Home::annulus("annulus", workers));
            footprint::print_task::<Tokio>(&Home::tokio_multi_thread("tokio", workers));
            footprint::print_task::<Smol>(&smol::home("smol", workers));
        }
    }
}

/// Each home's with the channels of its users: annulus, tokio, smol, and so on.
fn contenders(homes: &[(&Rc<Home>, &'static str)]) -> Vec<Contender<Row>> {
    let contender = |(i, &(home, name)): (usize, &(&Rc<Home>, _))| match i % 3 {
        0 => home.contender(name, Row::time::<Annulus>),
        1 => home.contender(name, Row::time::<Tokio>),
        _ => home.contender(name, Row::time::<SmolTasks>),
    };
    homes.iter().enumerate().map(contender).collect()
}

/// Those whose errands one more thread does, and all threads there.
fn errands(workers: usize) -> (Vec<Contender<Errand>>, Vec<Team>) {
    let crew = Rc::new(Crew::new("caller", 1));
    let team = |name, threads| Team { name, threads };
    let contenders = vec![
        errands::contender::<Annulus, Annulus>(
            "annulus-mt",
            contender::annulus("out-annulus", workers),
            &crew,
        ),
        errands::contender::<Tokio, Tokio>(
            "tokio-mt",
            contender::tokio_multi_thread("out-tokio", workers),
            &crew,
        ),
        errands::contender::<Smol, AsyncChannel>(
            "smol-mt",
            smol::start("out-smol", workers),
            &crew,
        ),
        errands::contender::<Annulus, Annulus>(
            "annulus-1w",
            contender::annulus("out1-annulus", 1),
            &crew,
        ),
        errands::contender::<Tokio, Tokio>("tokio-ct", contender::tokio_current_thread(), &crew),
        errands::contender::<Smol, AsyncChannel>("smol-1w", smol::start("out1-smol", 1), &crew),
    ];
    let teams = vec![
        team("out-annulus", workers),
        team("out-tokio", workers),
        team("out-smol", workers),
        team("out1-annulus", 1),
        team("out1-smol", 1),
        crew.team(),
    ];
    (contenders, teams)
}

/// More workers than processors; then the same where there is one processor.
fn crowd(filter: &Filter) {
    const NAMES: [(usize, [&str; 3]); 4] = [
        (1, ["annulus 1", "tokio 1", "smol 1"]),
        (2, ["annulus 2", "tokio 2", "smol 2"]),
        (4, ["annulus 4", "tokio 4", "smol 4"]),
        (16, ["annulus 16", "tokio 16", "smol 16"]),
    ];
    let homes = NAMES.map(|(workers, [annulus, tokio, smol])| {
        [
            Home::annulus(annulus, workers),
            Home::tokio_multi_thread(tokio, workers),
            smol::home(smol, workers),
        ]
    });
    let homes: Vec<_> = homes.iter().flatten().map(|home| (home, home.team().name)).collect();
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let title = format!("Workers, by number, on processors: {processors}");
    filter.print(&title, &Row::of_crowd(), &contenders(&homes), &[3; 4]);
    if processors > 1 {
        let again = || {
            let mut command = Command::new("taskset");
            command.args(["--cpu-list", &self::processors()[0]]).arg(env::current_exe()?);
            command.arg("crowd").args(&filter.0).status()
        };
        if let Err(error) = again() {
            println!("\nNot measured with one processor: {error}");
        }
    }
}
