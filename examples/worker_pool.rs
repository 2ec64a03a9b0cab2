//! A fast producer and slower workers: a bounded channel of jobs holds the producer back.
//!
//! `cargo run --release --example worker_pool`
//!
//! ```text
//!   produce --jobs (at most 8)--> work, work, ... --results--> main
//! ```
//!
//! A job is a range of numbers, its result how many steps they all take to reach 1 by the rule
//! of Collatz: halve an even number, make an odd one `3n + 1`.

use std::ops::Range;
use std::thread::available_parallelism;

use annulus::channel::{Mpsc, Receiver, Sender, TrySendError, bounded, mpsc};
use annulus::{JoinError, block_on, spawn};

/// How many jobs may wait for a worker.
const QUEUE: usize = 8;

/// The numbers of each job, and of all jobs together.
const JOB: u64 = 250;
const ALL: Range<u64> = 1..1_000_001;

/// What the producer saw of the queue.
struct Seen {
    sent: usize,
    deepest: usize,
    full: usize,
}

fn main() -> Result<(), JoinError> {
    let workers = available_parallelism().map_or(1, usize::from);
    let (steps, seen) = block_on(async {
        let (jobs, queue) = bounded(QUEUE);
        let (results, mut incoming) = mpsc(QUEUE);
        let producer = spawn(produce(jobs));
        let start_worker = |_| spawn(work(queue.clone(), results.clone()));
        let pool: Vec<_> = (0..workers).map(start_worker).collect();
        drop((queue, results)); // the workers hold the others, so their end closes the channels

        let mut steps = 0;
        while let Some(n) = incoming.recv().await {
            steps += n;
        }
        for worker in pool {
            worker.await?;
        }
        Ok((steps, producer.await?))
    })?;

    println!("{workers} workers took {} jobs: {steps} Collatz steps", seen.sent);
    println!("the producer found the queue full {} times", seen.full);
    println!("the queue was at most {} deep, its capacity is {QUEUE}", seen.deepest);
    assert!(seen.deepest <= QUEUE);
    assert_eq!(steps, collatz_steps(ALL), "one thread gets the same sum");
    println!("ok");
    Ok(())
}

/// Makes jobs as fast as the queue takes them.
async fn produce(jobs: Sender<Range<u64>>) -> Seen {
    let mut seen = Seen { sent: 0, deepest: 0, full: 0 };
    for start in ALL.step_by(JOB as usize) {
        let job = start..ALL.end.min(start + JOB);
        // `send` alone would do; `try_send` lets us count how often it has to wait.
        match jobs.try_send(job) {
            Ok(()) => {}
            Err(TrySendError::Full(job)) => {
                seen.full += 1;
                jobs.send(job).await.expect("the workers stay until we close");
            }
            Err(TrySendError::Closed(_)) => unreachable!("the workers stay until we close"),
        }
        seen.sent += 1;
        seen.deepest = seen.deepest.max(jobs.len());
    }
    seen
}

/// Does jobs until there will be no more.
async fn work(queue: Receiver<Range<u64>>, results: Sender<u64, Mpsc>) {
    while let Some(job) = queue.recv().await {
        if results.send(collatz_steps(job)).await.is_err() {
            return;
        }
    }
}

/// How many steps the numbers take to reach 1, all together.
fn collatz_steps(numbers: Range<u64>) -> u64 {
    let steps = |n: u64| {
        let next = |&n: &u64| Some(if n % 2 == 0 { n / 2 } else { 3 * n + 1 });
        std::iter::successors(Some(n), next).take_while(|&n| n != 1).count() as u64
    };
    numbers.map(steps).sum()
}
