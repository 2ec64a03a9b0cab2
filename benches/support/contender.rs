//! Where tasks run: runtimes that stay up for all rows, and how their threads are tied to
//! processors.

use std::future::Future;
use std::pin::Pin;
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;
use std::{env, fmt, fs, io, thread};

/// How long something may take that takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is measured: a line of a table.
pub(crate) trait Case: Copy + fmt::Display + 'static {
    /// How many elements one run handles.
    fn elements(self) -> u64;
}

/// One who takes part in the cases `C`: a column of a table.
pub(crate) struct Contender<C> {
    pub(crate) name: &'static str,
    /// Runs a case so many times, and gives the time that took: none if it hung.
    pub(crate) time: Box<dyn Fn(C, u64) -> Option<Duration>>,
}

pub(crate) type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A runtime to start tasks in from outside.
pub(crate) struct Home {
    team: Team,
    start: Box<dyn Fn(Job)>,
}

impl Home {
    /// One that starts tasks with `start`.
    #[allow(dead_code, reason = "most benchmarks use those below")]
    pub(crate) fn new(
        name: &'static str,
        threads: usize,
        start: impl Fn(Job) + 'static,
    ) -> Rc<Self> {
        Rc::new(Self { team: Team { name, threads }, start: Box::new(start) })
    }

    pub(crate) fn annulus(name: &'static str, workers: usize) -> Rc<Self> {
        let runtime = annulus(name, workers);
        Self::new(name, workers, move |job| drop(runtime.spawn(job)))
    }

    pub(crate) fn tokio_multi_thread(name: &'static str, workers: usize) -> Rc<Self> {
        let runtime = tokio_multi_thread(name, workers);
        Self::new(name, workers, move |job| drop(runtime.spawn(job)))
    }

    pub(crate) fn tokio_current_thread(name: &'static str) -> Rc<Self> {
        let (jobs, todo) = mpsc::channel::<Job>();
        let work = move || {
            let runtime = tokio_current_thread();
            for job in todo {
                runtime.block_on(runtime.spawn(job)).expect("the row panicked");
            }
        };
        let thread = thread::Builder::new().name(name.to_owned()).spawn(work);
        thread.expect("the system lets us start threads");
        Self::new(name, 1, move |job| jobs.send(job).expect("no row panicked"))
    }

    /// One who does here what `run` says.
    pub(crate) fn contender<C: Case, F>(
        self: &Rc<Self>,
        name: &'static str,
        run: fn(C, u64) -> F,
    ) -> Contender<C>
    where
        F: Future<Output = Duration> + Send + 'static,
    {
        let home = Rc::clone(self);
        let time = move |case: C, runs| patiently(&home.start(run(case, runs)));
        Contender { name, time: Box::new(time) }
    }

    /// Starts a task here; what is returned receives its result.
    pub(crate) fn start<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> Receiver<T> {
        let (done, result) = mpsc::sync_channel(1);
        (self.start)(Box::pin(async move {
            let _ = done.send(task.await);
        }));
        result
    }

    pub(crate) fn team(&self) -> Team {
        self.team
    }
}

pub(crate) fn annulus(name: &'static str, workers: usize) -> annulus::Runtime {
    let builder = annulus::Builder::new().worker_threads(workers).thread_name(name);
    builder.build().expect("the system lets us start threads")
}

pub(crate) fn tokio_multi_thread(name: &'static str, workers: usize) -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(workers).thread_name(name).build();
    runtime.expect("the system lets us start threads")
}

/// It runs only while a thread is in its `block_on`.
pub(crate) fn tokio_current_thread() -> tokio::runtime::Runtime {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("a runtime without a thread")
}

/// What another thread sends back; none if that takes so long that it hangs.
pub(crate) fn patiently<T>(result: &Receiver<T>) -> Option<T> {
    match result.recv_timeout(PATIENCE) {
        Ok(result) => Some(result),
        Err(RecvTimeoutError::Timeout) => None,
        Err(RecvTimeoutError::Disconnected) => panic!("the row panicked"),
    }
}

/// Threads that work together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Team {
    /// What the names of the threads begin with.
    pub(crate) name: &'static str,
    pub(crate) threads: usize,
}

/// The processors to use, by number: one for each worker.
pub(crate) fn processors() -> Vec<String> {
    let list = env::var("VERSUS_CPUS").unwrap_or_else(|_| String::from("0,1"));
    list.split(',').map(str::to_owned).collect()
}

/// Ties each thread to one of the processors, in turn, which gives each worker its own: from
/// outside, which works alike for all. Call it when all have run something, since a thread gets
/// its name only once it runs.
///
/// # Errors
///
/// If this is not Linux, or has no `taskset`, or not these processors.
pub(crate) fn pin(teams: impl IntoIterator<Item = Team>) -> io::Result<()> {
    for team in teams {
        let threads = threads_of(team.name)?;
        assert_eq!(threads.len(), team.threads, "threads of {}", team.name);
        for (thread, processor) in threads.into_iter().zip(processors().iter().cycle()) {
            taskset(thread, processor)?;
        }
    }
    Ok(())
}

/// The ids of the threads whose names begin with `name`, oldest first.
pub(crate) fn threads_of(name: &str) -> io::Result<Vec<u32>> {
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
