//! Sleeps: order, cancelling, moving, and how they get on with busy workers.

use std::future::{Future, pending, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use annulus::time::{self, Duration, Instant, Sleep, sleep, sleep_until, timeout};
use annulus::{Builder, Runtime, join, yield_now};

use self::support::{Polled, panic_text, rounds};

mod support;

const MS: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);

fn runtime(workers: usize) -> Runtime {
    Builder::new().worker_threads(workers).build().unwrap()
}

/// Blocks this thread until `rx` has something; too long means that a timer was forgotten.
fn patiently<T>(rx: &mpsc::Receiver<T>) -> T {
    rx.recv_timeout(Duration::from_secs(20)).expect("the timer fires")
}

#[test]
fn never_early() {
    for workers in [1, 2] {
        runtime(workers).block_on(async {
            for micros in [1, 10, 16, 17, 100, 999, 1000, 1001, 5000] {
                let (start, time) = (Instant::now(), Duration::from_micros(micros));
                sleep(time).await;
                assert!(start.elapsed() >= time);
                let deadline = Instant::now() + time;
                sleep_until(deadline).await;
                assert!(Instant::now() >= deadline);
            }
        });
    }
}

#[test]
fn tasks_wake_in_the_order_of_their_deadlines() {
    let runtime = Builder::new().worker_threads(1).start_paused(true).build().unwrap();
    let order = Arc::new(Mutex::new(Vec::new()));
    runtime.block_on(async {
        let start = time::now();
        // 700 of them with 70 deadlines, set in no order.
        let tasks: Vec<_> = (0..700_u64)
            .map(|n| {
                let order = Arc::clone(&order);
                let after = n * 37 % 70;
                annulus::spawn(async move {
                    sleep_until(start + MS * after as u32).await;
                    order.lock().unwrap().push((after, n));
                    assert_eq!(time::now() - start, MS * after as u32);
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
    let order = order.lock().unwrap();
    assert_eq!(order.len(), 700);
    assert!(order.is_sorted_by_key(|&(after, _)| after), "{order:?}");
}

/// All that is due at one advance, in the order of the deadlines, too.
#[test]
fn an_advance_over_many_deadlines_keeps_their_order() {
    let runtime = Builder::new().worker_threads(1).start_paused(true).build().unwrap();
    let order = Arc::new(Mutex::new(Vec::new()));
    runtime.block_on(async {
        for n in (1..=100).rev() {
            let order = Arc::clone(&order);
            drop(annulus::spawn(async move {
                sleep(MS * n).await;
                order.lock().unwrap().push(n);
            }));
        }
        yield_now().await;
        // Let them set their timers; no time passes while this task is ready.
        while annulus::spawn(async {}).await.is_err() {}
        (0..300).for_each(drop);
        for _ in 0..300 {
            yield_now().await;
        }
        time::advance(MS * 100).await;
        sleep(MS).await;
    });
    assert_eq!(*order.lock().unwrap(), (1..=100).collect::<Vec<_>>());
}

#[test]
fn zero_and_the_past_are_ready_at_once() {
    // In no runtime: they touch none.
    assert!(Polled::new(sleep(Duration::ZERO)).poll().is_ready());
    assert!(Polled::new(sleep_until(Instant::now())).poll().is_ready());
    let mut again = Polled::new(sleep(Duration::ZERO));
    again.ready();
    again.ready();
    let past = Instant::now().checked_sub(MS).unwrap_or_else(Instant::now);
    assert!(sleep_until(past).is_elapsed());
    runtime(1).block_on(async {
        sleep(Duration::ZERO).await;
        sleep_until(past).await;
        assert!(timeout(Duration::ZERO, pending::<()>()).await.is_err());
        assert!(time::timeout_at(past, pending::<()>()).await.is_err());
    });
}

/// A loop around what is ready at once lets others run.
#[test]
fn ready_sleeps_use_up_the_budget_of_a_poll() {
    runtime(1).block_on(async {
        let over = Arc::new(AtomicUsize::new(0));
        let theirs = Arc::clone(&over);
        drop(annulus::spawn(async move { theirs.store(1, SeqCst) }));
        while over.load(SeqCst) == 0 {
            sleep(Duration::ZERO).await;
        }
    });
}

#[test]
fn the_far_future() {
    let runtime = Builder::new().worker_threads(2).start_paused(true).build().unwrap();
    runtime.block_on(async {
        for far in
            [Duration::MAX, Duration::from_secs(u64::MAX / 2), Duration::from_nanos(u64::MAX)]
        {
            let sleep = sleep(far);
            assert!(sleep.deadline() > time::now() + HOUR * 24 * 365 * 99);
            assert_eq!(timeout(far, async { 5 }).await, Ok(5));
            // Set beside an earlier one, and taken out.
            let both = timeout(HOUR, sleep).await;
            assert!(both.is_err());
            // An hour within the endless limit.
            timeout(far, time::sleep(HOUR)).await.unwrap();
        }
    });
}

#[test]
fn a_sleep_that_is_dropped_wakes_nobody() {
    let runtime = Builder::new().worker_threads(1).start_paused(true).build().unwrap();
    runtime.block_on(async {
        let count = support::Count::new();
        let mut kept = pin!(sleep(MS * 2));
        for _ in 0..100 {
            let mut dropped = Box::pin(sleep(MS));
            assert!(support::poll(dropped.as_mut(), &count).is_pending());
        }
        assert!(support::poll(kept.as_mut(), &count).is_pending());
        time::advance(MS * 3).await;
        assert_eq!(count.wakes(), 1);
        assert!(support::poll(kept.as_mut(), &count).is_ready());
        assert_eq!(Arc::strong_count(&count), 1, "no waker is left anywhere");
    });
}

/// The waker of the last poll is woken, whatever it is.
#[test]
fn any_waker_and_the_last_one() {
    let runtime = Builder::new().worker_threads(1).start_paused(true).build().unwrap();
    runtime.block_on(async {
        let (first, last) = (support::Count::new(), support::Count::new());
        let mut future = pin!(sleep(MS));
        assert!(support::poll(future.as_mut(), &first).is_pending());
        assert!(support::poll(future.as_mut(), &last).is_pending());
        assert!(support::poll(future.as_mut(), &last).is_pending());
        time::advance(MS).await;
        assert_eq!((first.wakes(), last.wakes()), (0, 1));
        assert!(support::poll(future.as_mut(), &first).is_ready());
    });
}

/// A foreign waker that panics ends no worker, and keeps no other from being woken.
#[test]
fn a_waker_that_panics() {
    struct Bomb;
    impl Wake for Bomb {
        fn wake(self: Arc<Self>) {
            panic!("a waker that panics on purpose");
        }
    }
    for workers in [1, 2] {
        let runtime = runtime(workers);
        runtime.block_on(async {
            let mut bombs: Vec<_> = (0..3).map(|_| Box::pin(sleep(MS))).collect();
            let bomb = Waker::from(Arc::new(Bomb));
            for sleep in &mut bombs {
                assert!(support::poll_with(sleep.as_mut(), &bomb).is_pending());
            }
            let tasks = [(); 3].map(|()| annulus::spawn(sleep(MS)));
            for task in tasks {
                task.await.unwrap();
            }
            for sleep in bombs {
                sleep.await;
            }
        });
    }
}

#[test]
fn reset_to_later_and_to_earlier() {
    let runtime = Builder::new().worker_threads(1).start_paused(true).build().unwrap();
    runtime.block_on(async {
        let start = time::now();
        let count = support::Count::new();
        let mut future = pin!(sleep(MS * 10));
        // Before it is polled.
        future.as_mut().reset(start + MS * 20);
        assert!(support::poll(future.as_mut(), &count).is_pending());
        // Later: it is not polled again, and still wakes.
        future.as_mut().reset(start + MS * 30);
        time::advance(MS * 29).await;
        assert_eq!(count.wakes(), 0);
        time::advance(MS).await;
        assert_eq!(count.wakes(), 1);
        assert!(future.is_elapsed() && support::poll(future.as_mut(), &count).is_ready());
        // After it was ready.
        future.as_mut().reset(start + MS * 40);
        assert!(!future.is_elapsed() && future.deadline() == start + MS * 40);
        assert!(support::poll(future.as_mut(), &count).is_pending());
        // Earlier: the task is woken to poll it.
        future.as_mut().reset(start + MS * 35);
        assert_eq!(count.wakes(), 2);
        assert!(support::poll(future.as_mut(), &count).is_pending());
        time::advance(MS * 5).await;
        assert_eq!(count.wakes(), 3);
        // Fired, and reset before the poll that would see it.
        future.as_mut().reset(start + MS * 50);
        assert!(support::poll(future.as_mut(), &count).is_pending());
        future.await;
        assert_eq!(time::now(), start + MS * 50);
    });
}

/// A reset from a thread that is in no runtime, of a sleep that a task waits for.
#[test]
fn reset_to_earlier_from_elsewhere() {
    let runtime = runtime(2);
    let shared = Arc::new(Mutex::new(Box::pin(sleep(HOUR))));
    let (polled, has_polled) = mpsc::channel();
    let theirs = Arc::clone(&shared);
    let task = runtime.spawn(poll_fn(move |cx| {
        let poll = theirs.lock().unwrap().as_mut().poll(cx);
        polled.send(()).unwrap();
        poll
    }));
    patiently(&has_polled);
    shared.lock().unwrap().as_mut().reset(Instant::now() + MS);
    runtime.block_on(task).unwrap();
}

#[test]
fn outside_of_a_runtime_it_says_what_to_do() {
    let line = line!() + 1;
    let mut outside = Box::pin(sleep(HOUR));
    let text = panic_text(|| support::poll_with(outside.as_mut(), Waker::noop()));
    assert!(text.contains(&format!("time.rs:{line}:")), "{text}");
    assert!(text.contains("inside `annulus::block_on`"), "{text}");
    let text = panic_text(|| {
        let late = timeout(HOUR, pending::<()>());
        support::poll_with(pin!(late), Waker::noop())
    });
    assert!(text.contains("time.rs:"), "{text}");
    // What is ready needs none.
    assert_eq!(support::now(timeout(HOUR, async { 3 })), Ok(3));
    // And it can still be used inside.
    outside.as_mut().reset(Instant::now() + MS);
    runtime(1).block_on(outside);
}

/// A task of another executor's cannot set a timer, but one set here may be polled there.
#[test]
fn a_timer_that_is_set_is_good_anywhere() {
    let runtime = runtime(2);
    let mut future = Box::pin(sleep(MS));
    runtime.block_on(async {
        assert!(support::poll_with(future.as_mut(), Waker::noop()).is_pending());
    });
    support::block_on(future);
    // Dropped there.
    for _ in 0..rounds(200) {
        let sleeps: Vec<_> = (0..10).map(|n| Box::pin(sleep(MS * n))).collect();
        let mut sleeps = runtime.block_on(async move {
            let mut sleeps = sleeps;
            for sleep in &mut sleeps {
                let _ = support::poll_with(sleep.as_mut(), Waker::noop());
            }
            sleeps
        });
        let rest = sleeps.split_off(5);
        thread::scope(|s| {
            s.spawn(move || drop(sleeps));
            s.spawn(move || drop(rest));
        });
    }
}

/// Timers are set on one thread and cancelled on another, while they fire on a third.
#[test]
fn cancelling_against_firing() {
    let runtime = runtime(2);
    let (tx, rx) = mpsc::sync_channel::<Vec<Pin<Box<Sleep>>>>(4);
    let canceller = thread::spawn(move || rx.into_iter().map(|sleeps| sleeps.len()).sum::<usize>());
    runtime.block_on(async {
        for round in 0..rounds(500) {
            let mut sleeps: Vec<_> = (0..20)
                .map(|n| Box::pin(sleep(Duration::from_micros(1 + (n * round as u64) % 200))))
                .collect();
            for sleep in &mut sleeps {
                let _ = support::poll_with(sleep.as_mut(), Waker::noop());
            }
            if round % 2 == 0 {
                sleep(Duration::from_micros(50)).await;
            }
            tx.send(sleeps).unwrap();
        }
    });
    drop(tx);
    assert_eq!(canceller.join().unwrap(), 20 * rounds(500));
}

#[test]
fn a_million_timers() {
    let count = if cfg!(miri) { 1000 } else { 1_000_000 };
    let runtime = Builder::new().worker_threads(1).start_paused(true).build().unwrap();
    runtime.block_on(async {
        let wakes = support::Count::new();
        let waker = Waker::from(Arc::clone(&wakes));
        let mut sleeps: Vec<_> = (0..count)
            .map(|n| {
                let n = (n as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) % 3_600_000_000;
                Box::pin(sleep(Duration::from_micros(1 + n)))
            })
            .collect();
        for sleep in &mut sleeps {
            assert!(sleep.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        }
        // A third is dropped, a third is still waiting at half time.
        sleeps.truncate(count - count / 3);
        time::advance(HOUR / 2).await;
        let due = sleeps.iter().filter(|sleep| sleep.is_elapsed()).count();
        assert_eq!(wakes.wakes(), due);
        assert!(due > count / 4 && due < count / 2);
        time::advance(HOUR).await;
        assert_eq!(wakes.wakes(), sleeps.len());
    });
}

/// Tasks that always have something to do do not keep timers from firing.
#[test]
fn a_storm_of_tasks_starves_no_timer() {
    for workers in [1, 2] {
        let runtime = runtime(workers);
        let stop = Arc::new(AtomicUsize::new(0));
        let busy: Vec<_> = (0..8)
            .map(|_| {
                let stop = Arc::clone(&stop);
                runtime.spawn(async move {
                    while stop.load(SeqCst) == 0 {
                        yield_now().await;
                    }
                })
            })
            .collect();
        let (tx, rx) = mpsc::channel();
        drop(runtime.spawn(async move {
            for _ in 0..5 {
                sleep(MS).await;
            }
            tx.send(()).unwrap();
        }));
        patiently(&rx);
        // The same for a root, on a thread that gets a seat when it asks for it, or none.
        thread::scope(|s| {
            for _ in 0..3 {
                s.spawn(|| runtime.block_on(sleep(MS)));
            }
        });
        stop.store(1, SeqCst);
        for task in busy {
            runtime.block_on(task).unwrap();
        }
    }
}

/// The root alone is always ready, and there is no task.
#[test]
fn a_root_that_never_waits_starves_no_timer() {
    for workers in [1, 2] {
        runtime(workers).block_on(async {
            let over = AtomicUsize::new(0);
            let timer = async {
                sleep(MS).await;
                over.store(1, SeqCst);
            };
            let storm = async {
                while over.load(SeqCst) == 0 {
                    yield_now().await;
                }
            };
            join!(timer, storm);
        });
    }
}

/// A poll that blocks its worker: timers of that seat fire through the other one.
#[test]
fn the_timers_of_a_stuck_seat_fire_elsewhere() {
    for round in 0..rounds(20) {
        let runtime = runtime(2);
        let (tx, rx) = mpsc::channel();
        // Both the timer and what blocks run on the guest's seat, the other one asleep.
        runtime.block_on(async {
            let (set, mut is_set) = annulus::channel::mpsc(1);
            drop(annulus::spawn(async move {
                let mut future = pin!(sleep(MS * (round as u32 % 4)));
                let mut set = Some(set);
                poll_fn(|cx| {
                    let poll = future.as_mut().poll(cx);
                    let _ = set.take().map(|set| set.try_send(()));
                    poll
                })
                .await;
                tx.send(()).unwrap();
            }));
            is_set.recv().await.unwrap();
            patiently(&rx);
        });
    }
}

/// As above, where nobody looks on: the future of `block_on` wakes nobody, and between the timer and
/// what blocks lies the end of a poll.
#[test]
fn timers_fire_while_the_only_one_awake_is_stuck() {
    struct Tell(mpsc::Sender<()>);
    impl Wake for Tell {
        fn wake(self: Arc<Self>) {
            self.0.send(()).unwrap();
        }
    }

    for round in 0..rounds(20) {
        let runtime = runtime(2);
        // By now both are likely to sleep; it is right in any case.
        (0..1000).for_each(|_| thread::yield_now());
        let (tell, fired) = mpsc::channel();
        let waker = Waker::from(Arc::new(Tell(tell)));
        runtime.block_on(async {
            if round % 2 == 0 {
                // A timer that was set in an earlier poll, and is gone.
                drop(Polled::waiting(sleep(HOUR)));
                yield_now().await;
            }
            let mut timer = pin!(sleep(MS));
            assert!(timer.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            yield_now().await;
            patiently(&fired);
        });
    }
}

/// As above, with timers that were pending while all slept, and the keeper is called to work.
#[test]
fn timers_fire_while_the_one_who_kept_the_time_is_stuck() {
    for _ in 0..rounds(20) {
        let runtime = runtime(2);
        let (tx, rx) = mpsc::channel();
        drop(runtime.spawn(async move {
            sleep(MS * 4).await;
            tx.send(()).unwrap();
        }));
        // Fires first, and does not come to an end until the other has fired.
        runtime
            .block_on(runtime.spawn(async move {
                sleep(MS).await;
                patiently(&rx);
            }))
            .unwrap();
    }
}

#[test]
fn several_threads_in_block_on_have_timers() {
    let runtime = runtime(2);
    thread::scope(|s| {
        for thread in 0..4 {
            let runtime = &runtime;
            s.spawn(move || {
                for round in 0..20 {
                    let time = Duration::from_micros(100 * (thread * 7 + round * 3) % 2000);
                    let start = Instant::now();
                    runtime.block_on(sleep(time));
                    assert!(start.elapsed() >= time);
                }
            });
        }
    });
}

/// A thread without a seat sets a timer while all seats sleep, for ever or until a later one.
#[test]
fn a_timer_of_a_thread_without_a_seat_wakes_who_sleeps() {
    for round in 0..20 {
        let runtime = runtime(1 + round % 2);
        let (mut end, mut ended) = annulus::channel::spsc::<()>(1);
        let (here, is_here) = mpsc::channel();
        let (done, is_done) = mpsc::channel();
        thread::scope(|s| {
            let runtime = &runtime;
            s.spawn(move || {
                runtime.block_on(async {
                    here.send(()).unwrap();
                    let limit = if round % 4 < 2 { HOUR } else { Duration::ZERO };
                    if timeout(limit, ended.recv()).await.is_err() {
                        ended.recv().await;
                    }
                })
            });
            s.spawn(move || {
                is_here.recv().unwrap();
                // By now the other is likely to sleep; it is right in any case.
                (0..1000).for_each(|_| thread::yield_now());
                runtime.block_on(sleep(MS));
                done.send(()).unwrap();
            });
            patiently(&is_done);
            end.try_send(()).unwrap();
        });
    }
}

/// Sleeping, working and sleeping again, on seats that are lent to and fro.
#[test]
fn guests_come_and_go_while_tasks_sleep() {
    for workers in [1, 2, 3] {
        let runtime = runtime(workers);
        let tasks: Vec<_> = (0..6)
            .map(|n| {
                runtime.spawn(async move {
                    for round in 0..60 {
                        sleep(Duration::from_micros(100 + n * 170 + round * 13)).await;
                    }
                })
            })
            .collect();
        thread::scope(|s| {
            for _ in 0..2 {
                s.spawn(|| {
                    for round in 0..60 {
                        runtime.block_on(sleep(Duration::from_micros(50 + round * 11)));
                        thread::yield_now();
                    }
                });
            }
        });
        let (tx, rx) = mpsc::channel();
        drop(runtime.spawn(async move {
            for task in tasks {
                task.await.unwrap();
            }
            tx.send(()).unwrap();
        }));
        patiently(&rx);
    }
}

#[test]
fn a_runtime_is_dropped_with_live_timers() {
    for workers in [1, 2] {
        let runtime = runtime(workers);
        let (tx, rx) = mpsc::channel();
        for n in 0..100 {
            let tx = tx.clone();
            drop(runtime.spawn(async move {
                let mut future = pin!(sleep(HOUR + MS * n));
                let mut tx = Some(tx);
                poll_fn(|cx| {
                    let poll = future.as_mut().poll(cx);
                    let _ = tx.take().map(|tx| tx.send(()));
                    poll
                })
                .await;
            }));
        }
        (0..100).for_each(|_| patiently(&rx));
        drop(tx);
        drop(runtime);
        assert!(rx.recv().is_err(), "every task is gone");
    }
}

/// A timer outlives its runtime: whoever waits is woken, and waits on in the runtime it is in.
#[test]
fn a_timer_whose_runtime_is_gone() {
    let first = runtime(1);
    let count = support::Count::new();
    let mut future = Box::pin(sleep(MS * 20));
    first.block_on(async { assert!(support::poll(future.as_mut(), &count).is_pending()) });
    let mut forgotten = Box::pin(sleep(HOUR));
    first.block_on(async { assert!(support::poll(forgotten.as_mut(), &count).is_pending()) });
    drop(first);
    assert_eq!(count.wakes(), 2, "those who wait learn of it");
    assert_eq!(Arc::strong_count(&count), 1);
    let text = panic_text(|| support::poll(forgotten.as_mut(), &count));
    assert!(text.contains("in no annulus runtime"), "{text}");
    let deadline = future.deadline();
    runtime(2).block_on(future);
    assert!(Instant::now() >= deadline);
}

#[test]
fn debug_shows_the_state() {
    let text = format!("{:?}", sleep(Duration::ZERO));
    assert!(
        text.starts_with("Sleep { deadline: ") && text.ends_with(", elapsed: true }"),
        "{text}"
    );
    assert!(matches!(Polled::new(sleep(Duration::ZERO)).poll(), Poll::Ready(())));
}
