//! What the system hears of a runtime: nothing, unless there is something to do.
#![cfg(target_os = "linux")]

use std::fs;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use annulus::{Builder, Runtime, channel};

/// A runtime, and where the system says how often its threads have gone to sleep or been taken
/// off their processors.
struct Watched {
    runtime: Runtime,
    threads: Arc<Mutex<Vec<libc::pid_t>>>,
}

impl Watched {
    fn start(workers: usize) -> Self {
        let threads = Arc::new(Mutex::new(Vec::new()));
        let started = Arc::clone(&threads);
        // SAFETY: it only says which thread this is.
        let hook = move || started.lock().unwrap().push(unsafe { libc::gettid() });
        let runtime = Builder::new().worker_threads(workers).on_thread_start(hook).build().unwrap();
        Self { runtime, threads }
    }

    fn switches(&self) -> Vec<String> {
        let threads = self.threads.lock().unwrap();
        let status =
            |thread| fs::read_to_string(format!("/proc/self/task/{thread}/status")).unwrap();
        let lines = |status: String| {
            let lines = status.lines().filter(|line| line.contains("ctxt_switches"));
            lines.collect::<Vec<_>>().join(" ")
        };
        threads.iter().map(|&thread| lines(status(thread))).collect()
    }

    /// Waits for a time in which no thread did anything.
    fn wait_for_rest(&self) {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(30) {
            let before = self.switches();
            thread::sleep(Duration::from_millis(300));
            if self.switches() == before {
                return;
            }
        }
        panic!("it does not come to rest: {:?}", self.switches());
    }
}

/// Who makes a system call has not been asleep all the time.
#[test]
fn an_idle_runtime_makes_no_system_calls() {
    let watched = Watched::start(4);
    watched.wait_for_rest();
    assert_eq!(watched.switches().len(), 4);
    let tasks: Vec<_> = (0..100).map(|i| watched.runtime.spawn(async move { i })).collect();
    let sum: i32 = tasks.into_iter().map(|task| watched.runtime.block_on(task).unwrap()).sum();
    assert_eq!(sum, 4950);
    watched.wait_for_rest();
    // One that waits, for nothing that comes by itself, keeps nobody awake either.
    let (tx, mut rx) = channel::spsc::<()>(1);
    let waits = watched.runtime.spawn(async move { rx.recv().await });
    watched.wait_for_rest();
    drop(tx);
    assert_eq!(watched.runtime.block_on(waits).unwrap(), None);
}

fn polls_of_the_system() -> usize {
    let files = fs::read_dir("/proc/self/fd").unwrap();
    let targets = files.filter_map(|file| fs::read_link(file.unwrap().path()).ok());
    targets.filter(|target| target.to_string_lossy().contains("eventpoll")).count()
}

#[test]
fn messages_and_timers_need_no_poll_of_the_system() {
    let runtime = Builder::new().worker_threads(2).build().unwrap();
    let (tx, mut rx) = channel::mpsc(4);
    for i in 0..4 {
        let tx = tx.clone();
        drop(runtime.spawn(async move {
            annulus::time::sleep(Duration::from_millis(1)).await;
            for n in 0..1000 {
                tx.send(i * n).await.unwrap();
            }
        }));
    }
    drop(tx);
    runtime.block_on(async move { while rx.recv().await.is_some() {} });
    assert_eq!(polls_of_the_system(), 0);
}
