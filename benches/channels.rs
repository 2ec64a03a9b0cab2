//! annulus' channels against those of other crates: what a message costs, in all that it costs.
//!
//! ```sh
//! cargo bench --bench channels                    # criterion's report and all tables
//! cargo bench --bench channels -- spsc            # criterion's report on some rows
//! cargo bench --bench channels -- table           # the tables only, in about four minutes
//! cargo bench --bench channels -- table spsc      # some rows of the tables, or one table
//! cargo bench --bench channels -- --test          # each row once, quickly
//! VERSUS_CPUS=0,2,4,6 cargo bench --bench channels    # so many workers, there; else 0,1
//! ```
//!
//! The rivals are tokio, flume, kanal, async-channel, crossfire (its flavour for each topology)
//! and tachyonix; with threads, crossbeam-channel and `std::sync::mpsc`, too.
//!
//! # What is measured
//!
//! Each row of [`Flow`](support::flows::Flow) is written once, for any channel, and runs in the
//! leagues where it makes sense:
//!
//! - *Two runtimes*: our channels in our runtime, each rival in tokio's multi-thread runtime, with
//!   as many workers.
//! - *One thread of tokio*: all channels, ours too, in tokio's current-thread runtime, where only
//!   the channels differ.
//! - *Plain threads*: sends and receives that block, and in the uncontended rows `try_send` and
//!   `try_recv`.
//! - *Threads that select*: the same, with several channels and one thread that waits for all
//!   of them. Only those take part whose threads can.
//!
//! A measurement is one channel and its tasks, made anew, and so many messages that they take
//! [15 milliseconds](support::measure). In the rows *uncontended* one task or thread sends a
//! message, receives it, and sends the next; nobody waits. Every run adds up the numbers that it
//! received and compares the sum.
//!
//! Beside the time of a message the tables give
//!
//! - the time that all threads spent on processors for it, by the system's account;
//! - its Pendings: how often a future of the channel said that the task has to wait, which takes a
//!   wake later. In our own runtime our channels, and tokio's in its, also say so after 128
//!   messages, to give others their turn. crossfire spins and yields its thread inside a poll
//!   first, so few of its waits show here, but in the CPU time;
//! - its allocations.
//!
//! The last two are what a run twice as long counts more; nothing is counted while times are taken.
//!
//! Contenders take turns, as in `versus_tokio`, each worker on a processor of its own. Plain
//! threads are also measured where the system puts them: when it puts two that wait for each other
//! on one processor, a wake costs less, and spinning is in vain. The ratio is how many times longer
//! the best rival takes than we do: below 1 is a loss, printed bold. Who is slow is measured fewer
//! times; who does not come back in 20 seconds *hangs*, and may hold up those after him.
//!
//! # Whom it favours
//!
//! - The best rival is chosen row by row, after the fact: nobody can use all of them at once.
//! - In *Two runtimes* we have our own runtime, and a win may be the scheduler's. *One thread of
//!   tokio* takes that away, and two processors with it.
//! - The tasks do nothing between messages. Then it pays to run both ends on one worker, so these
//!   rows measure messages between tasks more than between processors.
//! - kanal hands a message from task to task when the other waits, past the queue: with capacity 1
//!   it has two messages under way.
//! - crossfire has no flavour for one sender and many receivers: in the rows `spmc` it pays for
//!   many. Its capacity 1 on one thread shows what spinning costs where nobody else can run.
//! - tokio, tachyonix and std have no channel with many receivers: theirs take turns at one behind
//!   a mutex, as their users do. None of them has one with a single sender; in the rows `spsc`
//!   they pay for many. flume, kanal, async-channel and crossbeam-channel have one channel for
//!   all topologies.
//! - In the rows *in batches* of 64 each uses what calls of that kind it has: kanal and flume none
//!   for sending, and for receiving one that takes all that is there; async-channel, crossfire
//!   and tachyonix none at all, so that they send and receive one by one.
//! - tachyonix has no sends that block, so it does not take part with threads. tokio and
//!   async-channel do, though their channels are made for tasks.
//! - With threads that select, crossbeam-channel pays for many senders to each channel, as it
//!   always does.
//! - A channel is made for each measurement, and costs nothing then. The lists of tokio and the
//!   queues of flume grow with what is in them; the others are allocated whole.
//! - A plain thread that sleeps on another processor takes long to wake, in a virtual machine
//!   tens of microseconds. There who spins before he sleeps wins by orders of magnitude, at the
//!   expense of whoever else wants the processor; here nobody does. The CPU time tells.
//! - Two processors contend little: `VERSUS_CPUS` is for machines with more.

use std::env;
use std::rc::Rc;
use std::time::Duration;

use criterion::Criterion;

use self::support::allocations::Counting;
use self::support::api::{Annulus, Tokio};
use self::support::contender::{Contender, Home, pin, processors};
use self::support::crew::Crew;
use self::support::flows::Flow;
use self::support::league::League;
use self::support::measure;
use self::support::rivals::{AsyncChannel, Crossfire, Flume, Kanal, On, Tachyonix};
use self::support::selects::Selects;
use self::support::threads::{Crossbeam, Std, Threads};

/// What this benchmark uses of what the benchmarks share.
mod support {
    #[allow(dead_code, reason = "no bytes are counted here")]
    pub(crate) mod allocations;
    #[allow(dead_code, reason = "no task yields here")]
    pub(crate) mod api;
    pub(crate) mod batches;
    pub(crate) mod contender;
    pub(crate) mod counted;
    pub(crate) mod crew;
    pub(crate) mod flows;
    pub(crate) mod league;
    pub(crate) mod measure;
    pub(crate) mod rivals;
    pub(crate) mod selects;
    pub(crate) mod stream;
    pub(crate) mod threads;
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() {
    // As its documentation asks for.
    crossfire::detect_backoff_cfg();
    let homes = [
        Home::annulus("annulus-mt", processors().len()),
        Home::tokio_multi_thread("tokio-mt", processors().len()),
        Home::tokio_current_thread("tokio-ct"),
    ];
    let crew = Rc::new(Crew::new("plain", 4));
    let leagues =
        [two_runtimes(&homes[0], &homes[1]), one_thread(&homes[2]), threads(&crew), selects(&crew)];

    let measures = !measure::only_tests();
    let mut arguments = env::args().skip(1).filter(|argument| argument != "--bench");
    let first = arguments.next();
    let tables_only = first.as_deref() == Some("table");
    if !tables_only {
        report(&leagues);
    }
    if tables_only || (measures && first.is_none()) {
        let filter = arguments.next().unwrap_or_default();
        for league in &leagues[2..] {
            league.print("where the system puts them", &filter);
        }
        let teams = homes.iter().map(|home| home.team()).chain([crew.team()]);
        let placed = match pin(teams) {
            Ok(()) => "each on a processor of its own",
            Err(error) => {
                println!("\nNo worker has a processor of its own: {error}");
                "where the system puts them"
            }
        };
        for league in &leagues {
            league.print(placed, &filter);
        }
    }
}

fn report(leagues: &[League]) {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .nresamples(1_000)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(300))
        .configure_from_args();
    for league in leagues {
        let prefix = format!("{}: ", league.title);
        measure::report(&mut criterion, &prefix, &league.flows, &league.contenders);
    }
    criterion.final_summary();
}

fn two_runtimes(ours: &Rc<Home>, theirs: &Rc<Home>) -> League {
    let mut contenders = vec![ours.contender("annulus", Flow::in_tasks::<Annulus>)];
    contenders.extend(rivals(theirs));
    let title = "Two runtimes";
    League { title, flows: Flow::of_tasks(), contenders, tasks: true }
}

fn one_thread(home: &Rc<Home>) -> League {
    let mut contenders = vec![home.contender("annulus", Flow::in_tasks::<On<Tokio, Annulus>>)];
    contenders.extend(rivals(home));
    let title = "One thread of tokio";
    League { title, flows: Flow::of_tasks(), contenders, tasks: true }
}

fn rivals(home: &Rc<Home>) -> [Contender<Flow>; 6] {
    [
        home.contender("tokio", Flow::in_tasks::<Tokio>),
        home.contender("flume", Flow::in_tasks::<On<Tokio, Flume>>),
        home.contender("kanal", Flow::in_tasks::<On<Tokio, Kanal>>),
        home.contender("async-channel", Flow::in_tasks::<On<Tokio, AsyncChannel>>),
        home.contender("crossfire", Flow::in_tasks::<On<Tokio, Crossfire>>),
        home.contender("tachyonix", Flow::in_tasks::<On<Tokio, Tachyonix>>),
    ]
}

fn threads(crew: &Rc<Crew>) -> League {
    fn contender<T: Threads>(name: &'static str, crew: &Rc<Crew>) -> Contender<Flow> {
        let crew = Rc::clone(crew);
        let time = move |flow: Flow, runs| flow.in_threads::<T>(&crew, runs);
        Contender { name, time: Box::new(time) }
    }
    let contenders = vec![
        contender::<Annulus>("annulus", crew),
        contender::<Tokio>("tokio", crew),
        contender::<Flume>("flume", crew),
        contender::<Kanal>("kanal", crew),
        contender::<AsyncChannel>("async-channel", crew),
        contender::<Crossfire>("crossfire", crew),
        contender::<Crossbeam>("crossbeam", crew),
        contender::<Std>("std", crew),
    ];
    League { title: "Plain threads", flows: Flow::of_threads(), contenders, tasks: false }
}

fn selects(crew: &Rc<Crew>) -> League {
    fn contender<S: Selects>(name: &'static str, crew: &Rc<Crew>) -> Contender<Flow> {
        let crew = Rc::clone(crew);
        let time = move |flow: Flow, runs| flow.selecting::<S>(&crew, runs);
        Contender { name, time: Box::new(time) }
    }
    let contenders = vec![
        contender::<Annulus>("annulus", crew),
        contender::<Crossfire>("crossfire", crew),
        contender::<Crossbeam>("crossbeam", crew),
    ];
    League { title: "Threads that select", flows: Flow::of_selects(), contenders, tasks: false }
}
