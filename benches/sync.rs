//! annulus's locks and signals against tokio's: what an operation costs.
//!
//! ```sh
//! cargo bench --bench sync
//! cargo bench --bench sync -- contended
//! ```
//!
//! The rows `free` are one thread that finds what it wants, without any runtime. In the rows
//! `contended` eight tasks want the same, on two workers: annulus's on annulus, tokio's on tokio's
//! multi-thread runtime, and annulus's there too, which shows what is the lock's and what the
//! runtime's. The time is that of one operation: to take and to give back, or to tell and to hear.
//! (Of seven reads and a write it is all eight.)
//!
//! tokio's are built without its `parking_lot` feature, as most programs build them.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use criterion::Criterion;

const WORKERS: usize = 2;
const TASKS: u64 = 8;

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .nresamples(10_000)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(600))
        .configure_from_args();
    free(&mut criterion);
    contended(&mut criterion);
    criterion.final_summary();
}

/// The rows, written once for both libraries, whose names are the same.
macro_rules! rows {
    ($library:ident) => {
        mod $library {
            use std::hint::black_box;

            use $library::sync::{Mutex, Notify, OnceCell, RwLock, Semaphore};

            pub(crate) async fn lock(mutex: &Mutex<u64>) {
                *mutex.lock().await += 1;
            }

            pub(crate) async fn try_lock(mutex: &Mutex<u64>) {
                *mutex.try_lock().expect("nobody else has it") += 1;
            }

            pub(crate) async fn lock_over_a_yield(mutex: &Mutex<u64>) {
                let mut guard = mutex.lock().await;
                super::yield_now().await;
                *guard += 1;
            }

            pub(crate) async fn read(lock: &RwLock<u64>) {
                black_box(*lock.read().await);
            }

            pub(crate) async fn write(lock: &RwLock<u64>) {
                *lock.write().await += 1;
            }

            pub(crate) async fn read_seven_and_write_one(lock: &RwLock<u64>) {
                for _ in 0..7 {
                    read(lock).await;
                }
                write(lock).await;
            }

            pub(crate) async fn acquire(semaphore: &Semaphore) {
                drop(semaphore.acquire().await.expect("it is open"));
            }

            pub(crate) async fn acquire_over_a_yield(semaphore: &Semaphore) {
                let _permit = semaphore.acquire().await.expect("it is open");
                super::yield_now().await;
            }

            pub(crate) async fn notify(notify: &Notify) {
                notify.notify_one();
                notify.notified().await;
            }

            pub(crate) async fn once(cell: &OnceCell<u64>) {
                black_box(cell.get_or_init(async || 1).await);
            }
        }
    };
}

rows!(annulus);
rows!(tokio);

/// The same for both runtimes: back of the queue.
async fn yield_now() {
    let mut yielded = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// So many operations, one after the other.
async fn times<S>(count: u64, shared: &S, operation: impl AsyncFn(&S)) {
    for _ in 0..count {
        operation(shared).await;
    }
}

fn free(criterion: &mut Criterion) {
    /// The time of so many operations that never wait.
    fn time<S>(count: u64, shared: S, operation: impl AsyncFn(&S)) -> Duration {
        let start = Instant::now();
        let work = pin!(times(count, &shared, operation));
        let done = work.poll(&mut Context::from_waker(Waker::noop()));
        assert!(done.is_ready(), "nobody else has it");
        start.elapsed()
    }
    macro_rules! row {
        ($name:literal, $kind:ident($($argument:expr)?), $operation:ident) => {
            let mut group = criterion.benchmark_group(concat!("free/", $name));
            group.bench_function("annulus", |bencher| {
                let new = || ::annulus::sync::$kind::new($($argument)?);
                bencher.iter_custom(|count| time(count, new(), annulus::$operation));
            });
            group.bench_function("tokio", |bencher| {
                let new = || ::tokio::sync::$kind::new($($argument)?);
                bencher.iter_custom(|count| time(count, new(), tokio::$operation));
            });
            group.finish();
        };
    }
    row!("Mutex::lock", Mutex(0), lock);
    row!("Mutex::try_lock", Mutex(0), try_lock);
    row!("RwLock::read", RwLock(0), read);
    row!("RwLock::write", RwLock(0), write);
    row!("Semaphore::acquire", Semaphore(4), acquire);
    row!("Notify", Notify(), notify);
    row!("OnceCell", OnceCell(), once);
}

/// Waits on this thread, which is no worker.
fn wait<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        thread::park();
    }
}

fn contended(criterion: &mut Criterion) {
    let ours = ::annulus::Builder::new().worker_threads(WORKERS).build();
    let ours = ours.expect("the system lets us start threads");
    let theirs = ::tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).build();
    let theirs = theirs.expect("the system lets us start threads");
    /// The time of so many operations in all, in eight tasks.
    macro_rules! time {
        ($count:expr, $runtime:expr, $new:expr, $operation:path) => {{
            let (shared, count) = (Arc::new($new), $count.div_ceil(TASKS));
            let start = Instant::now();
            let task = |_| {
                let shared = Arc::clone(&shared);
                $runtime.spawn(async move { times(count, &*shared, $operation).await })
            };
            let tasks: Vec<_> = (0..TASKS).map(task).collect();
            for task in tasks {
                wait(task).expect("a task of the row panicked");
            }
            start.elapsed()
        }};
    }
    macro_rules! row {
        ($name:literal, $kind:ident($($argument:expr)?), $operation:ident) => {
            let mut group = criterion.benchmark_group(concat!("contended/", $name));
            group.bench_function("annulus", |bencher| {
                let new = || ::annulus::sync::$kind::new($($argument)?);
                bencher.iter_custom(|count| time!(count, ours, new(), annulus::$operation));
            });
            group.bench_function("tokio", |bencher| {
                let new = || ::tokio::sync::$kind::new($($argument)?);
                bencher.iter_custom(|count| time!(count, theirs, new(), tokio::$operation));
            });
            group.bench_function("annulus on tokio", |bencher| {
                let new = || ::annulus::sync::$kind::new($($argument)?);
                bencher.iter_custom(|count| time!(count, theirs, new(), annulus::$operation));
            });
            group.finish();
        };
    }
    row!("Mutex::lock", Mutex(0), lock);
    row!("Mutex::lock over a yield", Mutex(0), lock_over_a_yield);
    row!("RwLock, 7 reads and a write", RwLock(0), read_seven_and_write_one);
    row!("Semaphore(2)::acquire", Semaphore(2), acquire);
    row!("Semaphore(2)::acquire over a yield", Semaphore(2), acquire_over_a_yield);
}
