//! Each operation of the table, as the child performs it.
//!
//! Where nothing else is said it is performed by a task, in the `block_on` of a runtime with one
//! worker, which is the thread that is traced. So nobody sleeps who could be woken, and nobody
//! takes a part that would be somebody else's to count.
#![allow(unused_mut, reason = "what is said once of all kinds: handles of a Single side need it")]

use std::cell::RefCell;
use std::env;
use std::fs;
use std::future::{Future, pending, poll_fn};
use std::hint;
use std::pin::pin;
use std::process;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use annulus::channel::{self, oneshot};
use annulus::sync::{Mutex, Notify, RwLock, Semaphore};
use annulus::task::JoinSet;
use annulus::{Builder, Runtime, spawn, time, yield_now};

use super::{clock, stepper};

/// The child's operation, by its number.
pub(crate) const CHILD: &str = "ANNULUS_COSTS_CHILD";

/// So many operations are counted, and then twice as many: what is more is what they cost.
const TIMES: usize = 8;

/// What the child is to do, unless this is no child.
pub(crate) fn run(allocations: fn() -> u64) {
    let Ok(index) = env::var(CHILD) else { return };
    clock::begin();
    ALL[index.parse::<usize>().unwrap()].1(Meter { allocations });
}

/// Has the parent trace this thread from now on; where that is refused this is the end.
fn be_traced() {
    // SAFETY: it only says that the parent may.
    if unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) } < 0 {
        process::exit(0);
    }
}

fn trap() {
    // SAFETY: the parent that traces us goes on from here.
    unsafe { std::arch::asm!("int3") };
}

/// What is counted by the parent; allocations are counted here.
#[derive(Clone, Copy)]
pub(crate) struct Meter {
    allocations: fn() -> u64,
}

/// A part of the program that the parent watches.
struct Window {
    meter: Meter,
    /// 0: it does not, but will. All windows are opened by one thread.
    sign: i32,
    operations: usize,
    allocations: u64,
}

impl Meter {
    /// Once to get warm, then some operations, then twice as many; each is to be opened.
    fn windows(self) -> impl Iterator<Item = Window> + Send {
        let windows = [(0, 2 * TIMES), (-1, TIMES), (1, 2 * TIMES)];
        windows.into_iter().map(move |(sign, operations)| self.window(sign, operations))
    }

    /// One operation each.
    fn singles(self) -> impl Iterator<Item = Window> {
        (0..TIMES).map(move |i| self.window(i32::from(i > 0), 1))
    }

    fn window(self, sign: i32, operations: usize) -> Window {
        Window { meter: self, sign, operations, allocations: 0 }
    }
}

impl Window {
    /// Opens it, and says how many operations to perform.
    fn open(&mut self) -> usize {
        self.allocations = (self.meter.allocations)();
        match self.sign {
            0 => be_traced(),
            _ => trap(),
        }
        self.operations
    }

    fn close(self) {
        if self.sign != 0 {
            trap();
            let allocations = (self.meter.allocations)() - self.allocations;
            println!("@ {} {} {allocations}", self.sign, self.operations);
        }
    }
}

fn runtime() -> Runtime {
    Builder::new().worker_threads(1).build().unwrap()
}

fn in_task(task: impl Future<Output = ()> + Send + 'static) {
    let runtime = runtime();
    runtime.block_on(async { spawn(task).await }).unwrap();
}

/// Performs the loop's body in a task.
macro_rules! each {
    ($meter:ident => $body:expr) => {
        in_task(async move {
            for mut window in $meter.windows() {
                // With a budget for all of it.
                yield_now().await;
                for _ in 0..window.open() {
                    $body;
                }
                window.close();
            }
        })
    };
}

macro_rules! send_and_recv {
    ($meter:ident, $kind:ident) => {{
        let (mut tx, mut rx) = channel::$kind(16);
        each!($meter => {
            tx.send(1).await.unwrap();
            hint::black_box(rx.recv().await);
        });
    }};
}

/// Gives everything back that it gets.
macro_rules! echo {
    ($kind:ident) => {{
        let (tx, mut requests) = channel::$kind(16);
        let (mut replies, rx) = channel::$kind(16);
        let echo = async move {
            while let Some(request) = requests.recv().await {
                replies.send(request).await.unwrap();
            }
        };
        (tx, rx, echo)
    }};
}

macro_rules! round_trip {
    ($meter:ident, $kind:ident) => {
        in_task(async move {
            let (mut tx, mut rx, echo) = echo!($kind);
            let echo = spawn(echo);
            for mut window in $meter.windows() {
                for _ in 0..window.open() {
                    tx.send(1).await.unwrap();
                    hint::black_box(rx.recv().await);
                }
                window.close();
            }
            drop(tx);
            echo.await.unwrap();
        })
    };
}

macro_rules! one_slot {
    ($meter:ident, $kind:ident) => {
        in_task(async move {
            let (mut tx, mut rx) = channel::$kind(1);
            drop(spawn(async move { while tx.send(1).await.is_ok() {} }));
            for mut window in $meter.windows() {
                for _ in 0..window.open() {
                    hint::black_box(rx.recv().await);
                }
                window.close();
            }
        })
    };
}

type Operation = fn(Meter);

pub(crate) const ALL: &[(&str, Operation)] = &[
    ("`spawn`, and await the handle", |meter| {
        each!(meter => spawn(async {}).await.unwrap());
    }),
    ("`spawn` by a task that then ends", |meter| {
        fn chain(n: usize, done: oneshot::Sender<()>) {
            let link = async move {
                match n {
                    0 => done.send(()).unwrap(),
                    _ => chain(n - 1, done),
                }
            };
            drop(spawn(link));
        }
        in_task(async move {
            for mut window in meter.windows() {
                let (done, end) = oneshot::channel();
                chain(window.open(), done);
                end.await.unwrap();
                window.close();
            }
        });
    }),
    ("`JoinSet::spawn` and `join_next`", |meter| {
        let mut set = JoinSet::new();
        each!(meter => {
            set.spawn(async {});
            set.join_next().await.unwrap().unwrap();
        });
    }),
    ("a poll that wakes its own task", |meter| each!(meter => pend(Waker::wake_by_ref).await)),
    ("`yield_now`", |meter| each!(meter => yield_now().await)),
    ("two tasks wake each other, two polls", |meter| {
        in_task(async move {
            leave_waker(0).await;
            drop(spawn(async {
                leave_waker(1).await;
                loop {
                    pend(|_| wake(0)).await;
                }
            }));
            yield_now().await;
            for mut window in meter.windows() {
                for _ in 0..window.open() {
                    pend(|_| wake(1)).await;
                }
                window.close();
            }
            WAKERS.take();
        });
    }),
    ("spsc: `send` and `recv`, nobody waits", |meter| send_and_recv!(meter, spsc)),
    ("mpsc: `send` and `recv`, nobody waits", |meter| send_and_recv!(meter, mpsc)),
    ("spmc: `send` and `recv`, nobody waits", |meter| send_and_recv!(meter, spmc)),
    ("mpmc: `send` and `recv`, nobody waits", |meter| send_and_recv!(meter, mpmc)),
    ("spsc: a round trip between two tasks", |meter| round_trip!(meter, spsc)),
    ("mpsc: a round trip between two tasks", |meter| round_trip!(meter, mpsc)),
    ("spmc: a round trip between two tasks", |meter| round_trip!(meter, spmc)),
    ("mpmc: a round trip between two tasks", |meter| round_trip!(meter, mpmc)),
    ("spsc: a message through one slot", |meter| one_slot!(meter, spsc)),
    ("mpmc: a message through one slot", |meter| one_slot!(meter, mpmc)),
    ("oneshot: made, sent, received", |meter| {
        each!(meter => {
            let (tx, rx) = oneshot::channel();
            tx.send(1).unwrap();
            hint::black_box(rx.await.unwrap());
        });
    }),
    ("a `timeout` around a `recv` that is ready", |meter| {
        let (mut tx, mut rx) = channel::spsc(16);
        each!(meter => {
            tx.try_send(1).unwrap();
            hint::black_box(time::timeout(Duration::from_secs(9), rx.recv()).await.unwrap());
        });
    }),
    ("`sleep`, polled once and dropped", |meter| {
        each!(meter => {
            let mut sleep = pin!(time::sleep(Duration::from_secs(9)));
            let polled = sleep.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert!(polled.is_pending());
        });
    }),
    ("`Mutex`: locked and unlocked", |meter| {
        let mutex = Mutex::new(0);
        each!(meter => *mutex.lock().await += 1);
    }),
    ("`Mutex`: handed over to who waits", |meter| {
        let mutex = Arc::new(Mutex::new(0));
        let theirs = Arc::clone(&mutex);
        in_task(async move {
            let other = spawn(async move {
                loop {
                    let mut number = theirs.lock().await;
                    yield_now().await;
                    *number += 1;
                }
            });
            for mut window in meter.windows() {
                for _ in 0..window.open() {
                    let mut number = mutex.lock().await;
                    yield_now().await;
                    *number += 1;
                }
                window.close();
            }
            other.abort();
        });
    }),
    ("`RwLock`: read", |meter| {
        let lock = RwLock::new(0);
        each!(meter => hint::black_box(*lock.read().await));
    }),
    ("`Semaphore`: a permit taken and given back", |meter| {
        let semaphore = Semaphore::new(1);
        each!(meter => drop(semaphore.acquire().await.unwrap()));
    }),
    ("`Notify`: `notify_one` and `notified`", |meter| {
        let notify = Notify::new();
        each!(meter => {
            notify.notify_one();
            notify.notified().await;
        });
    }),
    ("`block_in_place` that nobody notices", |meter| {
        let worker = Worker::start();
        let task = worker.runtime.spawn(async move {
            for mut window in meter.windows() {
                for _ in 0..window.open() {
                    annulus::block_in_place(|| {});
                }
                window.close();
            }
        });
        // Without a part in the runtime.
        while !task.is_finished() {
            thread::yield_now();
        }
    }),
    ("`block_on` of what is ready, the workers asleep", |meter| {
        let runtime = runtime();
        for mut window in meter.windows() {
            for _ in 0..window.open() {
                runtime.block_on(async {});
            }
            window.close();
        }
    }),
    ("a request from `block_on` to a task, and the reply", |meter| {
        let (mut tx, mut rx, echo) = echo!(spsc);
        runtime().block_on(async {
            drop(spawn(echo));
            for mut window in meter.windows() {
                for _ in 0..window.open() {
                    tx.send(1).await.unwrap();
                    hint::black_box(rx.recv().await);
                }
                window.close();
            }
        });
    }),
    ("`spawn` from outside, the worker busy", |meter| {
        let worker = Worker::start();
        // So that the list of tasks has grown before.
        let tasks: Vec<_> = (0..8 * TIMES).map(|_| worker.runtime.spawn(async {})).collect();
        tasks.into_iter().for_each(|task| worker.runtime.block_on(task).unwrap());
        let _busy = worker.keep_busy();
        let handle = worker.runtime.handle();
        for mut window in meter.windows() {
            for _ in 0..window.open() {
                drop(handle.spawn(async {}));
            }
            window.close();
        }
    }),
    ("`spawn` from outside, the worker asleep", |meter| {
        let worker = Worker::start();
        let handle = worker.runtime.handle();
        for mut window in meter.singles() {
            worker.wait_for_sleep();
            window.open();
            drop(handle.spawn(async {}));
            window.close();
        }
    }),
    ("a wake from outside, the worker busy", |meter| {
        let worker = Worker::start();
        let wakers = worker.sleeping_tasks(5 * TIMES);
        let _busy = worker.keep_busy();
        let mut wakers = wakers.iter();
        for mut window in meter.windows() {
            for waker in wakers.by_ref().take(window.open()) {
                waker.wake_by_ref();
            }
            window.close();
        }
    }),
    ("a wake from outside, the worker asleep", |meter| {
        let worker = Worker::start();
        let wakers = worker.sleeping_tasks(1);
        for mut window in meter.singles() {
            worker.wait_for_sleep();
            window.open();
            wakers[0].wake_by_ref();
            window.close();
        }
    }),
    ("`send_blocking` and `recv_blocking`, nobody waits", |meter| {
        let (mut tx, mut rx) = channel::spsc(16);
        for mut window in meter.windows() {
            for _ in 0..window.open() {
                tx.send_blocking(1).unwrap();
                hint::black_box(rx.recv_blocking());
            }
            window.close();
        }
    }),
];

/// Is pending once, after a call with the waker.
fn pend(mut call: impl FnMut(&Waker) + Unpin) -> impl Future<Output = ()> {
    let mut called = false;
    poll_fn(move |cx| {
        if called {
            return Poll::Ready(());
        }
        called = true;
        call(cx.waker());
        Poll::Pending
    })
}

thread_local! {
    /// Of the two tasks that wake each other: both run on this thread.
    static WAKERS: RefCell<[Option<Waker>; 2]> = const { RefCell::new([None, None]) };
}

fn leave_waker(index: usize) -> impl Future<Output = ()> {
    poll_fn(move |cx| {
        WAKERS.with_borrow_mut(|wakers| wakers[index] = Some(cx.waker().clone()));
        Poll::Ready(())
    })
}

fn wake(index: usize) {
    WAKERS.with_borrow(|wakers| wakers[index].as_ref().unwrap().wake_by_ref());
}

/// A runtime whose only worker is another thread than this.
struct Worker {
    runtime: Runtime,
    /// Where the system says what that thread does.
    status: String,
}

impl Worker {
    fn start() -> Self {
        let (tx, rx) = mpsc::sync_channel(1);
        let hook = move || {
            stepper::use_all_processors();
            // SAFETY: it only says which thread this is.
            tx.send(unsafe { libc::gettid() }).unwrap();
        };
        let runtime = Builder::new().worker_threads(1).on_thread_start(hook).build().unwrap();
        let status = format!("/proc/self/task/{}/stat", rx.recv().unwrap());
        Self { runtime, status }
    }

    /// Until the system says that it sleeps.
    fn wait_for_sleep(&self) {
        while !fs::read_to_string(&self.status).unwrap().contains(") S ") {
            thread::yield_now();
        }
    }

    /// Has it poll one task until this drops.
    fn keep_busy(&self) -> impl Drop + use<> {
        struct Busy(Arc<AtomicBool>);
        impl Drop for Busy {
            fn drop(&mut self) {
                self.0.store(true, SeqCst);
            }
        }
        let done = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&done);
        let (started, start) = mpsc::sync_channel(1);
        drop(self.runtime.spawn(async move {
            started.send(()).unwrap();
            while !theirs.load(SeqCst) {
                hint::spin_loop();
            }
        }));
        start.recv().unwrap();
        Busy(done)
    }

    /// Tasks that wait for ever, and their wakers.
    fn sleeping_tasks(&self, count: usize) -> Vec<Waker> {
        let (tx, rx) = mpsc::channel();
        for _ in 0..count {
            let tx = tx.clone();
            drop(self.runtime.spawn(async move {
                poll_fn(|cx| {
                    _ = tx.send(cx.waker().clone());
                    Poll::Ready(())
                })
                .await;
                pending::<()>().await;
            }));
        }
        (0..count).map(|_| rx.recv().unwrap()).collect()
    }
}
