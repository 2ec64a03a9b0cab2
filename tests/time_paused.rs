//! The clock that tests move, and ticks and limits by it.

use std::cell::RefCell;
use std::future::{Future, pending};
use std::pin::pin;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, OnceLock, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use annulus::time::{
    self, Duration, Elapsed, Instant, MissedTickBehavior, interval, interval_at, sleep, timeout,
};
use annulus::{Builder, EnterGuard, Handle, Runtime, join, yield_now};

use self::support::{Polled, panic_text};

mod support;

const MS: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);

fn paused(workers: usize) -> Runtime {
    Builder::new().worker_threads(workers).start_paused(true).build().unwrap()
}

/// Days pass in no time, to the nanosecond, in tasks on all workers.
#[test]
fn time_passes_when_all_wait() {
    for workers in [1, 2, 3] {
        let runtime = paused(workers);
        let real = Instant::now();
        runtime.block_on(async {
            let start = time::now();
            let tasks: Vec<_> = (1..=20)
                .map(|n| {
                    annulus::spawn(async move {
                        for _ in 0..10 {
                            sleep(HOUR * n).await;
                        }
                        time::now()
                    })
                })
                .collect();
            for (n, task) in (1..).zip(tasks) {
                assert_eq!(task.await.unwrap() - start, HOUR * n * 10);
            }
            assert_eq!(time::now() - start, HOUR * 200);
        });
        assert!(real.elapsed() < HOUR);
    }
}

/// It does not pass while a task has something to do.
#[test]
fn time_stands_still_while_anybody_works() {
    for workers in [1, 2] {
        let runtime = paused(workers);
        let (tx, rx) = mpsc::channel();
        let start = runtime.block_on(async { time::now() });
        let stop = Arc::new(AtomicUsize::new(0));
        let busy = runtime.spawn({
            let stop = Arc::clone(&stop);
            async move {
                tx.send(()).unwrap();
                while stop.load(SeqCst) == 0 {
                    yield_now().await;
                }
                time::now()
            }
        });
        rx.recv().unwrap();
        let sleeper = runtime.spawn(async { sleep(MS).await });
        for _ in 0..50 {
            runtime.block_on(runtime.spawn(async {})).unwrap();
            assert!(!sleeper.is_finished());
        }
        stop.store(1, SeqCst);
        assert_eq!(runtime.block_on(busy).unwrap(), start);
        runtime.block_on(sleeper).unwrap();
        assert_eq!(runtime.block_on(async { time::now() }), start + MS);
    }
}

/// A timer that was cancelled moves no clock.
#[test]
fn a_cancelled_timer_is_not_waited_for() {
    for workers in [1, 2] {
        let runtime = paused(workers);
        let (tx, mut rx) = annulus::channel::mpsc(1);
        let start = runtime.block_on(async {
            let start = time::now();
            {
                let mut dropped = pin!(sleep(MS));
                assert!(support::poll_with(dropped.as_mut(), Waker::noop()).is_pending());
            }
            start
        });
        let waits = runtime.spawn(async move { rx.recv().await });
        // Everybody waits, and nobody for a timer.
        (0..100).for_each(|_| thread::yield_now());
        tx.try_send(1).unwrap();
        assert_eq!(runtime.block_on(waits).unwrap(), Some(1));
        assert_eq!(runtime.block_on(async { time::now() }), start);
    }
}

#[test]
fn advance_fires_what_is_due_and_no_more() {
    paused(1).block_on(async {
        let start = time::now();
        let mut timers: Vec<_> = (1..=5).map(|n| Polled::waiting(sleep(MS * n))).collect();
        time::advance(MS * 3).await;
        assert_eq!(time::now(), start + MS * 3);
        let wakes: Vec<_> = timers.iter().map(Polled::wakes).collect();
        assert_eq!(wakes, [1, 1, 1, 0, 0]);
        assert!(timers[2].poll().is_ready() && timers[3].poll().is_pending());
        time::advance(MS - Duration::from_nanos(1)).await;
        assert!(timers[3].poll().is_pending());
        time::advance(Duration::from_nanos(1)).await;
        timers[3].ready();
        // Without awaiting it, too.
        drop(time::advance(MS));
        timers[4].ready();
    });
}

#[test]
fn pause_and_resume() {
    for workers in [1, 2] {
        let runtime = Builder::new().worker_threads(workers).build().unwrap();
        runtime.block_on(async {
            let before = Instant::now();
            assert!(time::now() >= before);
            time::pause();
            let stopped = time::now();
            assert_eq!(time::now(), stopped);
            sleep(HOUR).await;
            assert_eq!(time::now(), stopped + HOUR);
            time::resume();
            // It runs on from there, an hour ahead.
            let (start, real) = (time::now(), Instant::now());
            sleep(MS * 2).await;
            assert!(time::now() - start >= MS * 2 && real.elapsed() >= MS * 2);
            assert!(time::now() - before >= HOUR);
            let text = panic_text(time::resume);
            assert!(text.contains("call `time::pause` first"), "{text}");
            let text = panic_text(|| drop(time::advance(MS)));
            assert!(text.contains("call `time::pause` first"), "{text}");
            time::pause();
            let text = panic_text(time::pause);
            assert!(text.contains("call `time::resume` first"), "{text}");
        });
    }
    let text = panic_text(time::pause);
    assert!(text.contains("inside `block_on`"), "{text}");
}

/// A timer that waits while the clock is stopped fires when it runs again.
#[test]
fn a_timer_set_before_a_pause_fires_after_it() {
    let runtime = Builder::new().worker_threads(2).build().unwrap();
    let task = runtime.spawn(sleep(MS * 5));
    runtime.block_on(async {
        time::pause();
        let start = time::now();
        // Nobody knows whether it has been polled; either way it takes no real time now.
        sleep(HOUR).await;
        assert!(task.is_finished());
        assert_eq!(time::now(), start + HOUR);
    });
}

#[test]
fn limits() {
    paused(2).block_on(async {
        let start = time::now();
        let limited = timeout(MS * 5, sleep(MS * 4)).await;
        assert_eq!((limited, time::now()), (Ok(()), start + MS * 4));
        let late = timeout(MS * 5, sleep(MS * 6)).await;
        assert_eq!((late.is_err(), time::now() - start), (true, MS * 9));
        // Both at once: what is ready in time counts.
        assert!(timeout(MS * 5, sleep(MS * 5)).await.is_ok());
        let at = time::now() + HOUR;
        assert!(time::timeout_at(at, pending::<()>()).await.is_err());
        assert_eq!(time::now(), at);
        // The time counts from the first poll.
        let unpolled = timeout(MS, pending::<()>());
        sleep(HOUR).await;
        let before = time::now();
        assert!(unpolled.await.is_err());
        assert_eq!(time::now() - before, MS);
        // The future can be had back.
        assert_eq!(timeout(MS, async { 3 }).into_inner().await, 3);
        let mut ready = timeout(MS, std::future::ready(4));
        assert!(format!("{ready:?}").starts_with("Timeout"));
        *ready.get_mut() = std::future::ready(5);
        assert_eq!(ready.get_ref().clone().await, 5);
        let Err(elapsed) = timeout(MS, pending::<()>()).await else { panic!("it never ends") };
        assert_eq!(std::io::Error::from(elapsed).kind(), std::io::ErrorKind::TimedOut);
        assert!(elapsed.to_string().contains("not ready in time"));
        let _: Elapsed = elapsed;
    });
}

/// A future that uses up its budget and is never over gets its time, and not more.
#[test]
fn a_limit_around_what_is_always_ready() {
    let runtime = Builder::new().worker_threads(1).build().unwrap();
    runtime.block_on(async {
        let (tx, rx) = annulus::channel::mpmc(1);
        let endless = async {
            loop {
                tx.send(1).await.unwrap();
                rx.recv().await;
            }
        };
        assert!(timeout(MS * 5, endless).await.is_err());
    });
}

#[test]
fn ticks() {
    paused(1).block_on(async {
        let start = time::now();
        let mut ticks = interval(MS * 10);
        assert_eq!((ticks.tick().await, time::now()), (start, start));
        for n in 1..5 {
            // Late, but by less than a period.
            sleep(MS * 3).await;
            assert_eq!(
                (ticks.tick().await - start, time::now() - start),
                (MS * 10 * n, MS * 10 * n)
            );
        }
        ticks.reset();
        sleep(MS * 2).await;
        assert_eq!(ticks.tick().await - start, MS * 50);
        sleep(MS * 5).await;
        ticks.reset();
        assert_eq!(ticks.tick().await - start, MS * 65);
        // A tick that was given up comes the next time.
        assert!(timeout(MS, ticks.tick()).await.is_err());
        assert_eq!(ticks.tick().await - start, MS * 75);

        let mut later = interval_at(time::now() + HOUR, MS);
        assert!(Polled::new(later.tick()).poll().is_pending());
        let first = later.tick().await;
        assert_eq!(first - start, HOUR + MS * 75);
        let mut endless = interval(Duration::MAX);
        endless.tick().await;
        assert!(timeout(HOUR, endless.tick()).await.is_err());
        assert_eq!(endless.period(), Duration::MAX);
    });
    let text = panic_text(|| drop(interval(Duration::ZERO)));
    assert!(text.contains("above zero"), "{text}");
}

/// The ticks that come, in tenths of a period, if a tick is taken at once, then after 3.5
/// periods, and then as they come.
fn taken(behavior: MissedTickBehavior) -> Vec<(u128, u128)> {
    paused(1).block_on(async {
        let start = time::now();
        let mut ticks = interval(MS * 10);
        assert_eq!(ticks.missed_tick_behavior(), MissedTickBehavior::Burst);
        ticks.set_missed_tick_behavior(behavior);
        ticks.tick().await;
        sleep(MS * 35).await;
        let mut taken = Vec::new();
        for _ in 0..5 {
            let scheduled = ticks.tick().await - start;
            taken.push((scheduled.as_millis(), (time::now() - start).as_millis()));
        }
        taken
    })
}

#[test]
fn missed_ticks() {
    assert_eq!(
        taken(MissedTickBehavior::Burst),
        [(10, 35), (20, 35), (30, 35), (40, 40), (50, 50)]
    );
    assert_eq!(
        taken(MissedTickBehavior::Delay),
        [(10, 35), (45, 45), (55, 55), (65, 65), (75, 75)]
    );
    assert_eq!(taken(MissedTickBehavior::Skip), [(10, 35), (40, 40), (50, 50), (60, 60), (70, 70)]);
}

/// An interval that is always behind lets others run.
#[test]
fn a_burst_of_ticks_uses_up_the_budget_of_a_poll() {
    paused(1).block_on(async {
        let mut ticks = interval(Duration::from_nanos(1));
        sleep(MS).await;
        let ran = AtomicUsize::new(0);
        let mut count = 0;
        let other = async { ran.store(1, SeqCst) };
        let burst = async {
            while ran.load(SeqCst) == 0 {
                ticks.tick().await;
                count += 1;
            }
        };
        join!(burst, other);
        assert!(count <= 200, "{count}");
    });
}

/// Threads in `block_on` beside the one that has a seat.
#[test]
fn guests_without_a_seat() {
    for workers in [1, 2] {
        let runtime = paused(workers);
        thread::scope(|s| {
            for n in 1..=4 {
                let runtime = &runtime;
                s.spawn(move || {
                    for _ in 0..20 {
                        runtime.block_on(async {
                            let start = time::now();
                            sleep(HOUR * n).await;
                            assert!(time::now() - start >= HOUR * n);
                        });
                    }
                });
            }
        });
    }
}

/// A poll after the end is ready again.
#[test]
fn polled_again() {
    paused(1).block_on(async {
        let mut future = pin!(sleep(MS));
        future.as_mut().await;
        let poll = support::poll_with(
            future.as_mut() as std::pin::Pin<&mut dyn Future<Output = ()>>,
            Waker::noop(),
        );
        assert_eq!(poll, Poll::Ready(()));
    });
}

/// What blocks works in real time, and the clock waits for it.
#[test]
fn closures_that_block_hold_the_clock_back() {
    let hour = Duration::from_secs(3600);
    let work = || {
        for _ in 0..200 {
            thread::yield_now();
        }
        7
    };
    for workers in [1, 2] {
        let runtime = Builder::new().worker_threads(workers).start_paused(true).build().unwrap();
        runtime.block_on(async move {
            for _ in 0..50 {
                let closure = annulus::spawn_blocking(work);
                let output = time::timeout(hour, closure).await.expect("no hour has passed");
                assert_eq!(output.unwrap(), 7);

                // The end of a closure for which nobody waits lets the clock go on.
                let before = time::now();
                drop(annulus::spawn_blocking(work));
                time::sleep(hour).await;
                assert_eq!(time::now() - before, hour);

                let in_place = annulus::spawn(async move {
                    let before = time::now();
                    annulus::block_in_place(work);
                    time::now() - before
                });
                let others = annulus::spawn(time::sleep(hour));
                assert_eq!(in_place.await.unwrap(), Duration::ZERO);
                others.await.unwrap();
            }
        });
    }
}

/// Threads that wait for their first task are told of the end, also by who is just passing time.
#[test]
fn a_runtime_ends_while_time_passes() {
    for _ in 0..if cfg!(miri) { 3 } else { 2_000 } {
        let runtime = paused(3);
        let (tx, rx) = mpsc::channel();
        let task = runtime.spawn(async move {
            loop {
                sleep(HOUR).await;
                let _ = tx.send(());
            }
        });
        rx.recv().unwrap();
        drop(runtime);
        assert!(task.is_finished());
    }
}

/// A waker that `advance` calls drops the guard by which the thread is in the runtime, which nobody
/// else holds any more then.
#[test]
fn a_waker_that_leaves_the_runtime() {
    thread_local! {
        static INSIDE: RefCell<Option<EnterGuard<'static>>> = const { RefCell::new(None) };
    }
    struct Leaves(AtomicUsize);
    impl Wake for Leaves {
        fn wake(self: Arc<Self>) {
            assert!(INSIDE.take().is_some(), "the clock has moved by itself");
            self.0.fetch_add(1, SeqCst);
        }
    }
    static HANDLE: OnceLock<Handle> = OnceLock::new();
    let runtime = paused(1);
    INSIDE.set(Some(HANDLE.get_or_init(|| runtime.handle()).enter()));
    // Holds the clock back.
    let (release, released) = mpsc::channel::<()>();
    let blocks = runtime.spawn_blocking(move || released.recv());
    let leaves = Arc::new(Leaves(AtomicUsize::new(0)));
    let waker = Waker::from(Arc::clone(&leaves));
    let mut sleep = pin!(time::sleep(Duration::from_secs(1)));
    assert!(sleep.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    drop(time::advance(Duration::from_secs(1)));
    assert_eq!(leaves.0.load(SeqCst), 1);
    assert!(Handle::try_current().is_none());
    drop(release);
    runtime.block_on(blocks).unwrap().unwrap_err();
}
