//! The function that names threads is a user's code, which is called wherever a thread is sent for:
//! it may do what it likes with the runtime.

use std::cell::RefCell;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::task::{Context, Waker};
use std::thread;

use annulus::time::{Duration, Instant, sleep};
use annulus::{Builder, EnterGuard, Handle, block_in_place, yield_now};

/// It is called by a thread that sets a timer, and has that thread leave the runtime.
#[test]
fn who_names_a_thread_may_leave_the_runtime() {
    static HANDLE: OnceLock<Handle> = OnceLock::new();
    thread_local! {
        static INSIDE: RefCell<Option<EnterGuard<'static>>> = const { RefCell::new(None) };
    }
    let left = Arc::new(AtomicBool::new(false));
    let name = {
        let left = Arc::clone(&left);
        move |number| {
            if INSIDE.take().is_some() {
                left.store(true, SeqCst);
            }
            format!("thread {number}")
        }
    };
    let runtime = Builder::new().worker_threads(1).thread_name_fn(name).build().unwrap();
    let (is_away, away) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let blocker = runtime.spawn(async move {
        block_in_place(|| {
            is_away.send(()).unwrap();
            released.recv().unwrap();
        });
    });
    away.recv().unwrap();
    INSIDE.set(Some(HANDLE.get_or_init(|| runtime.handle()).enter()));
    let mut timer = pin!(sleep(Duration::from_millis(1)));
    assert!(timer.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert!(left.load(SeqCst), "the seat of who is away is sent for");
    release.send(()).unwrap();
    runtime.block_on(async {
        blocker.await.unwrap();
        timer.await;
    });
}

/// It is called by a worker that sleeps, and whose seat a guest has meanwhile. What it spawns does not
/// go there, where only one thread at a time may put something.
#[test]
fn who_names_a_thread_while_a_guest_has_its_seat_sits_nowhere() {
    /// What has been done: the guest spawns, the function does, and both tasks run, by the guest.
    #[derive(Default)]
    struct Log(Mutex<Vec<&'static str>>);
    impl Log {
        fn add(&self, what: &'static str) {
            self.0.lock().unwrap().push(what);
        }
        fn until(&self, length: usize) {
            let start = Instant::now();
            while self.0.lock().unwrap().len() < length {
                assert!(start.elapsed() < Duration::from_secs(20), "{:?}", self.0.lock().unwrap());
                thread::yield_now();
            }
        }
    }
    let worker = || -> Option<usize> { thread::current().name()?.parse().ok() };
    let spawn = |log: &Arc<Log>, spawns, runs| {
        let theirs = Arc::clone(log);
        drop(annulus::spawn(async move { theirs.add(runs) }));
        log.add(spawns);
    };
    for round in 0.. {
        assert!(round < 50, "no worker that sleeps sends for a thread");
        let (log, armed) = (Arc::new(Log::default()), Arc::new(AtomicBool::new(false)));
        let name = {
            let (log, armed) = (Arc::clone(&log), Arc::clone(&armed));
            move |number: usize| {
                if armed.load(SeqCst) && worker() == Some(0) {
                    log.add("called");
                    log.until(2);
                    spawn(&log, "spawns", "runs");
                    log.until(5);
                }
                number.to_string()
            }
        };
        let runtime = Builder::new().worker_threads(3).thread_name_fn(name).build().unwrap();
        // A task for each worker.
        let stages = Arc::new([const { AtomicUsize::new(0) }; 3]);
        let (arrives, arrived) = mpsc::channel();
        let tasks: Vec<_> = (0..3)
            .map(|_| {
                let (arrives, stages) = (arrives.clone(), Arc::clone(&stages));
                let task = runtime.spawn(async move {
                    let index = worker().unwrap_or(0) % 3;
                    arrives.send(()).unwrap();
                    let until = |stage| {
                        while stages[index].load(SeqCst) < stage {
                            thread::yield_now();
                        }
                    };
                    until(1);
                    if index == 1 {
                        block_in_place(|| until(2));
                    }
                    until(2);
                });
                let _ = arrived.recv_timeout(Duration::from_millis(200));
                task
            })
            .collect();
        // The first falls asleep, and looks up every now and then, as long as the third is busy. So
        // nobody is sent for when the second blocks.
        let short = Duration::from_millis(20);
        stages[0].store(2, SeqCst);
        thread::sleep(short);
        stages[1].store(1, SeqCst);
        thread::sleep(short);
        let called = runtime.block_on(async {
            armed.store(true, SeqCst);
            // When the first looks up, it sends for somebody to look after us.
            let start = Instant::now();
            while log.0.lock().unwrap().is_empty() && start.elapsed() < 5 * short {
                thread::yield_now();
            }
            armed.store(false, SeqCst);
            let called = !log.0.lock().unwrap().is_empty();
            if called {
                spawn(&log, "guest spawns", "guest's runs");
                log.until(3);
                while log.0.lock().unwrap().len() < 5 {
                    yield_now().await;
                }
            }
            called
        });
        stages.iter().for_each(|stage| stage.store(2, SeqCst));
        tasks.into_iter().for_each(|task| runtime.block_on(task).unwrap());
        if called {
            // What the guest has woken last is what it runs next, unless another has meddled.
            let log = log.0.lock().unwrap();
            assert_eq!(*log, ["called", "guest spawns", "spawns", "guest's runs", "runs"]);
            return;
        }
    }
}
