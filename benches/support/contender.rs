//! The runtimes that take part, and how their threads are tied to processors.

use std::process::{self, Command, Stdio};
use std::sync::mpsc::{self, SyncSender};
use std::time::Duration;
use std::{env, fs, io};

use super::api::{Annulus, Tokio};
use super::rows::Row;

/// A runtime that stays up for all rows.
pub(crate) struct Contender {
    /// Also what the names of its threads begin with.
    pub(crate) name: &'static str,
    /// How many threads of its own it has.
    threads: usize,
    /// Runs a row so many times in one task, and gives the time that took.
    pub(crate) time: Box<dyn Fn(Row, u64) -> Duration>,
}

/// The two with a worker for each processor, then the two with one.
pub(crate) fn contenders() -> [Contender; 4] {
    let workers = processors().len();
    [
        annulus("annulus-mt", workers),
        tokio_multi_thread("tokio-mt", workers),
        annulus("annulus-1w", 1),
        tokio_current_thread("tokio-ct"),
    ]
}

fn annulus(name: &'static str, workers: usize) -> Contender {
    let builder = annulus::Builder::new().worker_threads(workers).thread_name(name);
    let runtime = builder.build().expect("the system lets us start threads");
    let time = move |row: Row, runs| {
        outside(|done| {
            drop(runtime.spawn(async move { done.send(row.time::<Annulus>(runs).await) }));
        })
    };
    Contender { name, threads: workers, time: Box::new(time) }
}

fn tokio_multi_thread(name: &'static str, workers: usize) -> Contender {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(workers).thread_name(name).build();
    let runtime = runtime.expect("the system lets us start threads");
    let time = move |row: Row, runs| {
        outside(|done| {
            drop(runtime.spawn(async move { done.send(row.time::<Tokio>(runs).await) }));
        })
    };
    Contender { name, threads: workers, time: Box::new(time) }
}

fn tokio_current_thread(name: &'static str) -> Contender {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.expect("a runtime without a thread");
    let time = move |row: Row, runs| {
        runtime.block_on(runtime.spawn(row.time::<Tokio>(runs))).expect("the row panicked")
    };
    Contender { name, threads: 0, time: Box::new(time) }
}

/// Waits, as a thread that belongs to no runtime, for the result of a task that `start` starts.
fn outside(start: impl FnOnce(SyncSender<Duration>)) -> Duration {
    let (done, result) = mpsc::sync_channel(1);
    start(done);
    let patience = Duration::from_secs(60);
    result.recv_timeout(patience).expect("the row neither panics nor hangs")
}

/// The processors to use, by number: one for each worker.
fn processors() -> Vec<String> {
    let list = env::var("VERSUS_CPUS").unwrap_or_else(|_| String::from("0,1"));
    list.split(',').map(str::to_owned).collect()
}

/// Ties each worker to a processor of its own: from outside, which works alike for all runtimes.
/// Call it when all have run something, since a thread gets its name only once it runs.
///
/// # Errors
///
/// If this is not Linux, or has no `taskset`, or not these processors.
pub(crate) fn pin(contenders: &[Contender]) -> io::Result<()> {
    // This thread, the main one, is the worker of the current-thread runtime.
    taskset(process::id(), &processors()[0])?;
    for contender in contenders {
        let threads = threads_of(contender.name)?;
        assert_eq!(threads.len(), contender.threads, "threads of {}", contender.name);
        for (thread, processor) in threads.into_iter().zip(processors()) {
            taskset(thread, &processor)?;
        }
    }
    Ok(())
}

/// The ids of the threads whose names begin with `name`, oldest first.
fn threads_of(name: &str) -> io::Result<Vec<u32>> {
    let mut ids = Vec::new();
    for thread in fs::read_dir("/proc/self/task")? {
        let thread = thread?;
        if fs::read_to_string(thread.path().join("comm"))?.starts_with(name) {
            ids.extend(thread.file_name().to_str().and_then(|id| id.parse::<u32>().ok()));
        }
    }
    ids.sort_unstable();
    Ok(ids)
}

fn taskset(thread: u32, processor: &str) -> io::Result<()> {
    let mut command = Command::new("taskset");
    command.args(["--pid", "--cpu-list", processor, &thread.to_string()]);
    match command.stdout(Stdio::null()).status()?.success() {
        true => Ok(()),
        false => Err(io::Error::other(format!("taskset refuses processor {processor}"))),
    }
}
