//! What blocks: closures with threads of their own, `block_in_place`, and where calls that block are
//! refused.

use std::future::{Future, pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex, mpsc};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use annulus::{
    Builder, Handle, Runtime, block_in_place, channel, spawn_blocking, sync, time, yield_now,
};
use support::{Counted, Polled, now, panic_text};

#[macro_use]
mod support;

fn runtime(workers: usize) -> Runtime {
    Builder::new().worker_threads(workers).build().unwrap()
}

#[test]
fn closures_that_block_run_beside_the_workers() {
    let runtime = runtime(1);
    let answer = runtime.block_on(async {
        let (tx, rx) = channel::mpmc(1);
        let blocked: Vec<_> = (0..8)
            .map(|_| {
                let rx = rx.clone();
                spawn_blocking(move || rx.recv_blocking().unwrap())
            })
            .collect();
        for n in 0..8 {
            tx.send(n).await.unwrap();
        }
        let mut sum = 0;
        for task in blocked {
            sum += task.await.unwrap();
        }
        sum
    });
    assert_eq!(answer, 28);
}

#[test]
fn closures_beyond_the_limit_wait_and_can_be_aborted() {
    let runtime = Builder::new().worker_threads(1).max_blocking_threads(2).build().unwrap();
    let at_work = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let (release, released) = channel::mpmc::<()>(1);
    let tasks: Vec<_> = (0..10)
        .map(|_| {
            let (at_work, most, released) =
                (Arc::clone(&at_work), Arc::clone(&most), released.clone());
            runtime.spawn_blocking(move || {
                most.fetch_max(at_work.fetch_add(1, SeqCst) + 1, SeqCst);
                let _ = released.recv_blocking();
                at_work.fetch_sub(1, SeqCst);
            })
        })
        .collect();
    // It has not begun: two others are in front of it.
    tasks[9].abort();
    drop(release);
    for (n, task) in tasks.into_iter().enumerate() {
        assert_eq!(runtime.block_on(task).is_err(), n == 9);
    }
    assert!(most.load(SeqCst) <= 2);
}

#[test]
fn a_thread_that_has_nothing_to_do_leaves_and_another_comes() {
    let ends = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&ends);
    let runtime = Builder::new()
        .worker_threads(1)
        .thread_keep_alive(Duration::from_millis(1))
        .on_thread_stop(move || _ = count.fetch_add(1, SeqCst))
        .build()
        .unwrap();
    for round in 1..4 {
        let sum = runtime.spawn_blocking(move || round);
        assert_eq!(runtime.block_on(sum).unwrap(), round);
        while ends.load(SeqCst) < round {
            thread::yield_now();
        }
    }
}

#[test]
fn the_end_drops_closures_that_wait_and_waits_for_those_that_run() {
    let runtime = Builder::new().worker_threads(1).max_blocking_threads(1).build().unwrap();
    let drops = Arc::new(AtomicUsize::new(0));
    let (begun, has_begun) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let done = Arc::new(AtomicUsize::new(0));
    let running = runtime.spawn_blocking({
        let done = Arc::clone(&done);
        move || {
            begun.send(()).unwrap();
            released.recv().unwrap();
            done.store(1, SeqCst);
            7
        }
    });
    has_begun.recv().unwrap();
    let guard = Counted(Arc::clone(&drops));
    let waiting = runtime.spawn_blocking(move || drop(guard));
    let helper = thread::spawn({
        let drops = Arc::clone(&drops);
        move || {
            // Dropped although the one thread is still at work.
            while drops.load(SeqCst) == 0 {
                thread::yield_now();
            }
            release.send(()).unwrap();
        }
    });
    drop(runtime);
    assert_eq!(done.load(SeqCst), 1, "the drop has waited");
    assert_eq!(now(running).unwrap(), 7);
    assert!(now(waiting).unwrap_err().is_cancelled());
    helper.join().unwrap();
}

#[test]
fn a_shutdown_with_a_limit_leaves_what_blocks_for_ever() {
    let runtime = runtime(1);
    let (release, released) = mpsc::channel::<()>();
    let (begun, has_begun) = mpsc::channel();
    let task = runtime.spawn_blocking(move || {
        begun.send(()).unwrap();
        released.recv().unwrap();
    });
    has_begun.recv().unwrap();
    let start = Instant::now();
    runtime.shutdown_timeout(Duration::from_millis(20));
    assert!(start.elapsed() >= Duration::from_millis(20), "it has tried");
    release.send(()).unwrap();
    annulus::block_on(task).unwrap();

    let other = Builder::new().worker_threads(2).build().unwrap();
    let task = other.spawn(pending::<()>());
    other.shutdown_background();
    assert!(annulus::block_on(task).unwrap_err().is_cancelled());
}

#[test]
fn a_runtime_dropped_in_its_own_closure_does_not_wait_for_itself() {
    let (give, given) = mpsc::channel::<Runtime>();
    let runtime = runtime(2);
    let task = runtime.spawn_blocking(move || drop(given.recv().unwrap()));
    give.send(runtime).unwrap();
    annulus::block_on(task).unwrap();
}

#[test]
fn blocking_calls_on_a_worker_panic_and_say_what_to_do() {
    let runtime = runtime(2);
    let handle = runtime.handle();
    let refused = move || {
        let (tx, rx) = channel::mpmc(1);
        let (once, value) = channel::oneshot::channel::<u8>();
        let (watched, mut watcher) = channel::watch::channel(0);
        let (all, mut each) = channel::broadcast::channel::<u8>(1);
        let (offers, takers) = channel::rendezvous::channel::<u8>();
        let lock = sync::RwLock::new(());
        let permits = sync::Semaphore::new(9);
        let here = line!() + 1;
        let texts = [panic_text(|| tx.send_blocking(1)), panic_text(|| rx.recv_blocking())];
        for text in [
            panic_text(|| tx.send_timeout_blocking(1, Duration::ZERO)),
            panic_text(|| rx.recv_deadline_blocking(Instant::now())),
            panic_text(|| rx.iter().next()),
            panic_text(|| value.recv_blocking()),
            panic_text(|| watcher.changed_blocking()),
            panic_text(|| watcher.wait_for_blocking(|n| *n == 0).map(drop)),
            panic_text(|| each.recv_blocking()),
            panic_text(|| offers.send_blocking(1)),
            panic_text(|| offers.send_timeout_blocking(1, Duration::ZERO)),
            panic_text(|| takers.recv_blocking()),
            panic_text(|| takers.recv_timeout_blocking(Duration::ZERO)),
            panic_text(|| drop(sync::Mutex::new(()).lock_blocking())),
            panic_text(|| drop(lock.read_blocking())),
            panic_text(|| drop(lock.write_blocking())),
            panic_text(|| drop(permits.acquire_blocking())),
            panic_text(|| drop(permits.acquire_many_blocking(2))),
            panic_text(|| sync::Notify::new().notified_blocking()),
            panic_text(|| sync::CancellationToken::new().cancelled_blocking()),
            panic_text(|| _ = sync::Barrier::new(1).wait_blocking()),
            panic_text(|| handle.block_on(async {})),
            panic_text(|| annulus::block_on(async {})),
        ]
        .iter()
        .chain(&texts)
        {
            for word in [".await`", "spawn_blocking", "block_in_place"] {
                assert!(text.contains(word), "{text}");
            }
        }
        assert!(texts[0].starts_with("send_blocking was called inside block_on or a task"));
        drop((once, watched, all));
        here
    };
    let root = refused.clone();
    runtime.block_on(async move { root() });
    runtime.block_on(runtime.spawn(async move { refused() })).unwrap();
}

#[test]
fn the_panic_of_a_blocking_call_names_the_caller() {
    let place = Arc::new(Mutex::new(None));
    let (seen, this) = (Arc::clone(&place), thread::current().id());
    let former = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if thread::current().id() == this {
            *seen.lock().unwrap() = info.location().map(|l| (l.file().to_owned(), l.line()));
        } else {
            former(info);
        }
    }));
    let (_tx, rx) = channel::mpmc::<u8>(1);
    let line = line!() + 1;
    let call = || rx.recv_blocking();
    assert!(catch_unwind(AssertUnwindSafe(|| annulus::block_on(async { call() }))).is_err());
    let _ = std::panic::take_hook();
    assert_eq!(*place.lock().unwrap(), Some((file!().to_owned(), line)));
}

#[test]
fn blocking_calls_work_where_they_may() {
    let runtime = runtime(1);
    let all = move || {
        let (tx, rx) = channel::mpmc(1);
        tx.send_blocking(1).unwrap();
        assert_eq!(rx.recv_blocking(), Some(1));
        drop(sync::Mutex::new(()).lock_blocking());
        assert_eq!(
            Handle::current().block_on(async { annulus::spawn(async { 2 }).await.unwrap() }),
            2
        );
    };
    runtime.block_on(runtime.spawn_blocking(all)).unwrap();
    runtime.block_on(runtime.spawn(async move { block_in_place(all) })).unwrap();
    runtime.block_on(async move { block_in_place(all) });
    block_in_place(|| runtime.block_on(async {}));
}

/// One worker, which blocks until another task has run: only on its seat can it have.
#[test]
fn a_seat_goes_on_while_its_thread_blocks() {
    for workers in [1, 2] {
        let runtime = runtime(workers);
        let task = runtime.spawn(async {
            let mut sum = 0;
            for n in 0..50 {
                let (tx, rx) = mpsc::channel();
                // In the slot of this seat.
                let other = annulus::spawn(async move {
                    yield_now().await;
                    tx.send(n).unwrap();
                });
                sum += block_in_place(|| rx.recv().unwrap());
                other.await.unwrap();
            }
            sum
        });
        assert_eq!(runtime.block_on(task).unwrap(), 49 * 25);
        let root = runtime.block_on(async {
            let (tx, rx) = mpsc::channel();
            let other = annulus::spawn(async move { tx.send(3).unwrap() });
            let n = block_in_place(|| rx.recv().unwrap());
            other.await.unwrap();
            n
        });
        assert_eq!(root, 3);
    }
}

/// All workers block at once, and so do those that stand in for them.
#[test]
fn every_thread_blocks_in_place_and_the_runtime_goes_on() {
    let runtime = runtime(2);
    let meet = Arc::new(std::sync::Barrier::new(8));
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let meet = Arc::clone(&meet);
            runtime.spawn(async move {
                for _ in 0..20 {
                    block_in_place(|| _ = meet.wait());
                    yield_now().await;
                }
            })
        })
        .collect();
    for task in tasks {
        runtime.block_on(task).unwrap();
    }
}

/// The poll goes on after the closure, with or without a seat, and the runtime is left in order.
#[test]
fn after_blocking_in_place_the_task_goes_on() {
    let runtime = runtime(2);
    for round in 0..200 {
        let (tx, mut rx) = channel::spsc(1);
        let mut tx = Some(tx);
        let task = runtime.spawn(async move {
            let noise = [(); 3].map(|()| annulus::spawn(yield_now()));
            let mut tx = tx.take().unwrap();
            if round % 2 == 0 {
                block_in_place(thread::yield_now);
            } else {
                block_in_place(|| block_in_place(|| annulus::block_on(yield_now())));
            }
            // Wakes and spawns, from wherever this poll is now.
            let other = annulus::spawn(async move { tx.send(round).await });
            let mut woken = false;
            poll_fn(|cx| {
                if std::mem::replace(&mut woken, true) {
                    return Poll::Ready(());
                }
                cx.waker().wake_by_ref();
                block_in_place(|| ());
                Poll::Pending
            })
            .await;
            other.await.unwrap().unwrap();
            for task in noise {
                task.await.unwrap();
            }
            rx.recv().await
        });
        assert_eq!(runtime.block_on(task).unwrap(), Some(round));
    }
}

#[test]
fn a_panic_in_place_and_an_end_in_place() {
    let runtime = runtime(1);
    let task = runtime.spawn(async { block_in_place(|| panic!("in place")) });
    assert!(runtime.block_on(task).unwrap_err().to_string().contains("in place"));
    assert_eq!(runtime.block_on(runtime.spawn(async { 1 })).unwrap(), 1);
    // The end waits for what is blocked.
    let (begun, has_begun) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let drops = Arc::new(AtomicUsize::new(0));
    let (blocked, queued) = (Counted(Arc::clone(&drops)), Counted(Arc::clone(&drops)));
    drop(runtime.spawn(async move {
        let _guard = blocked;
        begun.send(()).unwrap();
        block_in_place(|| released.recv().unwrap());
        pending::<()>().await;
    }));
    has_begun.recv().unwrap();
    drop(runtime.spawn(async move {
        let _guard = queued;
        pending::<()>().await;
    }));
    let end = thread::spawn(move || drop(runtime));
    (0..100).for_each(|_| thread::yield_now());
    release.send(()).unwrap();
    end.join().unwrap();
    assert_eq!(drops.load(SeqCst), 2);
}

/// At the end a thread may wait in place for what only the end drops.
#[test]
fn the_end_drops_what_a_thread_in_place_waits_for() {
    for workers in [1, 2] {
        let runtime = runtime(workers);
        let (mut rxs, mut asleep) = (Vec::new(), Vec::new());
        for _ in 0..workers {
            let (tx, rx) = channel::mpsc::<u32>(1);
            rxs.push(rx);
            asleep.push(runtime.spawn(async move {
                let _tx = tx;
                pending::<()>().await;
            }));
        }
        let (begun, has_begun) = mpsc::channel();
        let blocked = rxs.into_iter().map(|mut rx| {
            let begun = begun.clone();
            runtime.spawn(async move {
                let none = block_in_place(|| {
                    begun.send(()).unwrap();
                    rx.recv_blocking()
                });
                // Nobody runs what is woken now, but what is ready goes on.
                (none, annulus::spawn(async {}).await.unwrap_err().is_cancelled())
            })
        });
        let blocked: Vec<_> = blocked.collect();
        (0..workers).for_each(|_| has_begun.recv().unwrap());
        drop(runtime);
        for task in blocked {
            assert_eq!(now(task).unwrap(), (None, true));
        }
        for task in asleep {
            assert!(now(task).unwrap_err().is_cancelled());
        }
    }
}

/// The same, with tasks that borrow from the blocked thread's stack.
#[test]
fn the_end_drops_the_tasks_of_a_scope_in_place() {
    let runtime = runtime(1);
    let (begun, has_begun) = mpsc::channel();
    let task = runtime.spawn(async move {
        block_in_place(|| {
            let local = 5;
            annulus::scope(|s| {
                let task = s.spawn(async {
                    begun.send(()).unwrap();
                    pending::<()>().await;
                    local
                });
                task.join().unwrap_err().is_cancelled()
            })
        })
    });
    has_begun.recv().unwrap();
    drop(runtime);
    assert!(now(task).unwrap());
}

/// Timers go on while the only worker blocks: somebody else keeps the time.
#[test]
fn timers_of_a_seat_whose_thread_blocks_are_on_time() {
    for _ in 0..20 {
        let runtime = runtime(1);
        let task = runtime.spawn(async {
            let (tx, rx) = mpsc::channel();
            let other = annulus::spawn(async move {
                time::sleep(Duration::from_millis(2)).await;
                tx.send(()).unwrap();
            });
            yield_now().await; // the sleep is set on this seat
            block_in_place(|| rx.recv().unwrap());
            other.await.unwrap();
        });
        runtime.block_on(task).unwrap();
        // The same for who is in `block_on`.
        runtime.block_on(async {
            let (tx, rx) = mpsc::channel();
            let sleep = async move {
                time::sleep(Duration::from_millis(1)).await;
                tx.send(()).unwrap();
            };
            drop(annulus::spawn(sleep));
            block_in_place(|| rx.recv().unwrap());
        });
    }
}

/// In place, the thread itself no longer looks after the timers that it sets, although it did before.
#[test]
fn timers_set_in_place_are_looked_after() {
    const MS: Duration = Duration::from_millis(1);
    for workers in [1, 2] {
        let task = || async {
            drop(Polled::waiting(time::sleep(Duration::from_secs(3600))));
            block_in_place(|| {
                let (start, timer) = (Instant::now(), Polled::waiting(time::sleep(MS)));
                while timer.wakes() == 0 {
                    assert!(start.elapsed() < Duration::from_secs(20), "nobody looks after it");
                    thread::yield_now();
                }
            });
        };
        let runtime = runtime(workers);
        runtime.block_on(task());
        runtime.block_on(runtime.spawn(task())).unwrap();
    }
}

/// A timer belongs to the runtime that is entered, also on threads that have no seat.
#[test]
fn timers_are_set_wherever_the_runtime_is_entered() {
    let short = Duration::from_millis(1);
    let (outer, inner) = (runtime(1), runtime(1));
    outer.block_on(async {
        {
            let _inside = inner.enter();
            let mut sleep = Box::pin(time::sleep(short));
            let mut polled = poll_fn(|cx| Poll::Ready(sleep.as_mut().poll(cx)));
            assert!(now(&mut polled).is_pending());
        }
        // Back in the outer one.
        time::sleep(short).await;
        let handle = Handle::current();
        spawn_blocking(move || handle.block_on(time::sleep(short))).await.unwrap();
        block_in_place(|| inner.block_on(time::sleep(short)));
        time::sleep(short).await;
    });
    let _inside = inner.enter();
    support::block_on(time::sleep(short)); // any executor will do
}

/// Has a worker call `wake` between two tasks, as a foreign waker, and gives what it has returned.
fn between_tasks<R, F>(runtime: &Runtime, wake: F) -> R
where
    R: Send + 'static,
    F: Fn() -> R + Send + Sync + 'static,
{
    struct Foreign<R, F>(F, mpsc::Sender<R>);
    impl<R: Send, F: Fn() -> R + Send + Sync> std::task::Wake for Foreign<R, F> {
        fn wake(self: Arc<Self>) {
            self.1.send(self.0()).unwrap();
        }
    }
    let (tx, rx) = mpsc::channel();
    let task = runtime.spawn(async move {
        let waker = std::task::Waker::from(Arc::new(Foreign(wake, tx)));
        let mut sleep = Box::pin(time::sleep(Duration::from_millis(1)));
        let poll = sleep.as_mut().poll(&mut std::task::Context::from_waker(&waker));
        assert!(poll.is_pending());
        loop {
            if let Ok(result) = rx.try_recv() {
                return result;
            }
            time::sleep(Duration::from_millis(1)).await;
        }
    });
    runtime.block_on(task).unwrap()
}

/// Between two tasks a worker calls wakers of others. One that blocks in place blocks it: who called
/// goes on to use the seat, which nobody else may have by then.
#[test]
fn a_foreign_waker_that_blocks_in_place_keeps_the_seat() {
    let runtime = runtime(1);
    let handle = runtime.handle();
    let ran = between_tasks(&runtime, move || {
        let ran = Arc::new(AtomicUsize::new(0));
        block_in_place(|| {
            let ran_there = Arc::clone(&ran);
            drop(handle.spawn(async move { _ = ran_there.fetch_add(1, SeqCst) }));
            // There is nobody to run it: all that is seen here is a thread that should not be.
            let start = Instant::now();
            while ran.load(SeqCst) == 0 && start.elapsed() < Duration::from_millis(20) {
                thread::yield_now();
            }
        });
        ran.load(SeqCst)
    });
    assert_eq!(ran, 0, "a task ran while the only worker was in a waker");
}

/// What such a waker enters is another runtime, whose seat it may leave.
#[test]
fn a_foreign_waker_that_enters_another_runtime_may_block_there() {
    let (here, there) = (runtime(1), runtime(1));
    let answer = between_tasks(&here, move || {
        let answer = async {
            let (tx, rx) = mpsc::channel();
            let task = annulus::spawn(async move { tx.send(7).unwrap() });
            let answer = block_in_place(|| rx.recv_timeout(Duration::from_secs(30)));
            task.await.unwrap();
            answer
        };
        block_in_place(|| there.block_on(answer))
    });
    assert_eq!(answer, Ok(7), "the seat of the other runtime was kept from its task");
}

/// Of two seats one is left, by a thread that blocks or by a guest, while on the other a task
/// computes until another has run: one that waits behind it, or for a timer that was set on the seat
/// that is left. Somebody comes for that.
#[test]
fn who_leaves_a_seat_leaves_somebody_to_look_after_the_others() {
    let wait_for = |flag: &AtomicUsize, value: usize| {
        let start = Instant::now();
        while flag.load(SeqCst) < value {
            assert!(start.elapsed() < Duration::from_secs(30), "nobody has come");
            std::hint::spin_loop();
        }
    };
    for (for_timer, as_guest) in [(false, false), (false, true), (true, false), (true, true)] {
        let runtime = runtime(2);
        // How far the two are, and whether the third has run.
        let (stage, done) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (release, released) = mpsc::channel::<()>();
        let raise = {
            let done = Arc::clone(&done);
            async move { done.store(1, SeqCst) }
        };
        let computes = {
            let (stage, done) = (Arc::clone(&stage), Arc::clone(&done));
            move |behind: Option<_>| async move {
                stage.store(1, SeqCst);
                wait_for(&stage, 2);
                // The other seat is awake, so this wakes nobody.
                drop(behind.map(annulus::spawn));
                stage.store(3, SeqCst);
                wait_for(&done, 1);
            }
        };
        let leaves = async move {
            let mut behind = Some(raise);
            if for_timer {
                let raise = behind.take().unwrap();
                drop(annulus::spawn(async {
                    time::sleep(Duration::from_millis(30)).await;
                    raise.await;
                }));
                yield_now().await;
            }
            drop(annulus::spawn(computes(behind)));
            wait_for(&stage, 1);
            stage.store(2, SeqCst);
            wait_for(&stage, 3);
            if !as_guest {
                block_in_place(|| released.recv().unwrap());
            }
        };
        if as_guest {
            runtime.block_on(leaves);
            wait_for(&done, 1);
        } else {
            let task = runtime.spawn(leaves);
            wait_for(&done, 1);
            release.send(()).unwrap();
            runtime.block_on(task).unwrap();
        }
    }
}

/// The function that names threads is called by a worker between two tasks, which goes on to use its
/// seat: to block in there does not give the seat to another.
#[test]
fn who_names_a_thread_keeps_its_seat() {
    let (ran, runs) = mpsc::channel();
    let runs = Mutex::new(runs);
    let (verdict, verdicts) = mpsc::channel();
    let name = move |number| {
        // The first that is not a worker's own: it is to sit on the seat of who is away.
        if number == 2 {
            let patience = Duration::from_millis(300);
            let others = block_in_place(|| runs.lock().unwrap().recv_timeout(patience));
            verdict.send(others.is_err()).unwrap();
        }
        format!("thread {number}")
    };
    let runtime = Builder::new().worker_threads(2).thread_name_fn(name).build().unwrap();
    let (is_away, away) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let (begins, begun) = mpsc::channel();
    let busy = runtime.spawn(async move {
        begins.send(()).unwrap();
        away.recv().unwrap();
        // Back in the ring, for which the seat of the other is claimed.
        yield_now().await;
        ran.send(()).unwrap();
    });
    begun.recv().unwrap();
    let blocker = runtime.spawn(async move {
        block_in_place(|| {
            is_away.send(()).unwrap();
            released.recv().unwrap();
        });
    });
    let kept = verdicts.recv_timeout(Duration::from_secs(20));
    release.send(()).unwrap();
    runtime.block_on(async {
        busy.await.unwrap();
        blocker.await.unwrap();
    });
    assert_eq!(kept, Ok(true), "another has run a task of its seat");
}
