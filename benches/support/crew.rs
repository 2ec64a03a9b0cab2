//! Plain threads that stay up for all rows, so that each can be tied to a processor once.

use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use super::contender::{Team, patiently};

/// What a thread does; the result is added to those of the others.
pub(crate) type Work = Box<dyn FnOnce() -> u64 + Send>;

type Job = Box<dyn FnOnce() + Send>;

pub(crate) struct Crew {
    team: Team,
    threads: Vec<Sender<Job>>,
}

impl Crew {
    pub(crate) fn new(name: &'static str, threads: usize) -> Self {
        let thread = |i| {
            let (jobs, todo) = mpsc::channel::<Job>();
            let work = move || todo.into_iter().for_each(|job| job());
            let thread = thread::Builder::new().name(format!("{name}-{i}")).spawn(work);
            thread.expect("the system lets us start threads");
            jobs
        };
        Self { team: Team { name, threads }, threads: (0..threads).map(thread).collect() }
    }

    /// Does all of `work` at once, a thread for each: the time from the first start to the last
    /// end, and the sum of the results. None if it hangs.
    pub(crate) fn together(&self, work: Vec<Work>) -> Option<(Duration, u64)> {
        assert!(work.len() <= self.threads.len(), "the crew is too small");
        let barrier = Arc::new(Barrier::new(work.len()));
        let (done, results) = mpsc::channel();
        let parts = work.len();
        for (work, thread) in work.into_iter().zip(&self.threads) {
            let (barrier, done) = (Arc::clone(&barrier), done.clone());
            let job = move || {
                barrier.wait();
                let start = Instant::now();
                let sum = work();
                let _ = done.send((start, Instant::now(), sum));
            };
            thread.send(Box::new(job)).expect("no row panicked");
        }
        drop(done);
        let mut whole = patiently(&results)?;
        for _ in 1..parts {
            let (start, end, sum) = patiently(&results)?;
            whole = (whole.0.min(start), whole.1.max(end), whole.2 + sum);
        }
        let (start, end, sum) = whole;
        Some((end - start, sum))
    }

    pub(crate) fn team(&self) -> Team {
        self.team
    }
}
