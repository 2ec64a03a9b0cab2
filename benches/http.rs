//! HTTP, annulus against tokio: one service of hyper's on both, asked by `wrk`.
//!
//! ```sh
//! apt-get install wrk                           # or from your distribution; without it: a notice
//! cargo bench --features hyper --bench http            # in about two minutes
//! cargo bench --features hyper --bench http -- --test  # one second of each
//! ```
//!
//! # What is measured
//!
//! Requests a second and the waits of `wrk -t1 -c64 --latency`, for a body of five bytes over
//! connections that stay open. The servers are the same code, on hyper 1.x; annulus by its own
//! adapters (`annulus::hyper`), tokio by those of `hyper-util`. Each is a process of its own, started
//! anew for every round, and no thread is tied to a processor. Rounds take turns, and what counts is
//! the median of the rounds. For how much of the time `wrk` had a processor is shown, too: where it is
//! nearly all, the server was not what was slow, and no other would have shown a higher rate.
//!
//! The bare loop is the same service of hyper's in a loop over the system's poll, on one thread and
//! without a runtime (`support/bare_http.rs`): what it does not save in comparison with tokio on
//! one thread, no runtime can.
//!
//! Then the same beside two tasks a worker that compute for a millisecond in each poll: how
//! long a request waits for workers that are busy with something else.

use self::support::contender::processors;
use self::support::http_server::{BARE, POLL, Server, serve_if_asked};
use self::support::{measure, pace, wrk};

/// What this benchmark uses of what the benchmarks share.
mod support {
    #[allow(dead_code, reason = "nothing is sent over channels here")]
    pub(crate) mod api;
    pub(crate) mod bare_http;
    #[allow(dead_code, reason = "the runtimes are in other processes")]
    pub(crate) mod contender;
    pub(crate) mod http_server;
    #[allow(dead_code, reason = "wrk measures")]
    pub(crate) mod measure;
    #[allow(dead_code, reason = "the clock is wrk's")]
    pub(crate) mod pace;
    #[allow(dead_code, reason = "hyper reads and writes")]
    pub(crate) mod sockets;
    pub(crate) mod work;
    pub(crate) mod wrk;
}

/// How many rounds, and their seconds.
const FULL: (usize, u32) = (5, 2);
const QUICK: (usize, u32) = (1, 1);

fn main() {
    serve_if_asked();
    if !wrk::is_here() {
        println!("NOTICE: `wrk` is not here (`apt-get install wrk`), and nothing was measured");
        return;
    }
    let (rounds, seconds) = if measure::only_tests() { QUICK } else { FULL };
    let workers = processors().len();
    let servers = [
        Server { name: "annulus-mt", workers },
        Server { name: "tokio-mt", workers },
        Server { name: "annulus-1w", workers: 1 },
        Server { name: "tokio-ct", workers: 1 },
        Server { name: BARE, workers: 1 },
    ];
    let names = servers.map(|server| server.name);
    println!("\n### HTTP, `wrk -t1 -c64`");
    pace::print_head("requests");
    let mut busy = vec![Vec::new(); names.len()];
    let mut measure = |names: &[&str], hogs: usize| {
        pace::in_turns(names, rounds, |i| {
            let server = servers[i];
            let running = server.start(hogs * server.workers).expect("a process for the server");
            let (pace, share) = wrk::ask(running.addr, seconds).expect("answers");
            busy[i].extend(share);
            pace
        })
    };
    let paces = measure(&names, 0);
    pace::print_pairs("alone", &names[..4], &paces[..4]);
    pace::print("alone", BARE, &paces[4], Some(&paces[3]));
    // In the bare loop nothing else can run.
    pace::print_pairs("beside hogs", &names[..4], &measure(&names[..4], 2));
    println!("\nHogs: two tasks a worker that compute for {POLL:?} in each poll.");
    println!(
        "\n`wrk` had a processor for so much of the time, alone in each round and beside hogs:"
    );
    for (name, shares) in names.iter().zip(busy) {
        let percents = shares.iter().map(|share| format!("{:.0}", 100.0 * share));
        println!("{name}: {} %", percents.collect::<Vec<_>>().join(", "));
    }
}
