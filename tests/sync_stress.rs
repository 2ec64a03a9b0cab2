//! Many threads and tasks at once: nobody sleeps for ever, and the sums are right.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::thread;

use annulus::sync::{
    Barrier, CancellationToken, Mutex, Notify, OnceCell, RwLock, Semaphore, TryLockError,
};
use annulus::{Builder, Runtime};
use support::{Polled, block_on, rounds};

mod support;

const ROUNDS: usize = rounds(2_000);

fn runtime() -> Runtime {
    Builder::new().worker_threads(2).build().unwrap()
}

/// Tasks, threads that block, a foreign executor, tries, and waits that are given up.
#[test]
fn a_lock_excludes_whoever_takes_it() {
    let runtime = runtime();
    let mutex = Arc::new(Mutex::new((0, 0)));
    let add = |value: &mut (usize, usize)| {
        assert_eq!(value.0, value.1);
        value.0 += 1;
        value.1 += 1;
    };
    let tasks: Vec<_> = (0..4)
        .map(|task| {
            let mutex = Arc::clone(&mutex);
            runtime.spawn(async move {
                for round in 0..ROUNDS {
                    let mut guard = mutex.lock().await;
                    guard.0 += 1;
                    if (round + task) % 64 == 0 {
                        annulus::yield_now().await;
                    }
                    guard.1 += 1;
                }
            })
        })
        .collect();
    let tried = thread::scope(|s| {
        s.spawn(|| (0..ROUNDS).for_each(|_| add(&mut mutex.lock_blocking())));
        s.spawn(|| (0..ROUNDS).for_each(|_| add(&mut block_on(mutex.lock()))));
        s.spawn(|| (0..ROUNDS).for_each(|_| drop(Polled::new(mutex.lock()).poll())));
        let tries = s.spawn(|| {
            let tried = (0..ROUNDS).filter(|_| match mutex.try_lock() {
                Ok(mut guard) => {
                    add(&mut guard);
                    true
                }
                Err(TryLockError) => false,
            });
            tried.count()
        });
        tries.join().unwrap()
    });
    for task in tasks {
        runtime.block_on(task).unwrap();
    }
    let total = 6 * ROUNDS + tried;
    assert_eq!(*mutex.try_lock().unwrap(), (total, total));
}

#[test]
fn permits_are_neither_lost_nor_doubled() {
    const PERMITS: usize = 5;
    let runtime = runtime();
    let semaphore = Arc::new(Semaphore::new(PERMITS));
    let held = Arc::new(AtomicUsize::new(0));
    let enter = |held: &AtomicUsize, count: usize| {
        assert!(held.fetch_add(count, SeqCst) + count <= PERMITS);
        held.fetch_sub(count, SeqCst);
    };
    let tasks: Vec<_> = (1..=4)
        .map(|count| {
            let (semaphore, held) = (Arc::clone(&semaphore), Arc::clone(&held));
            runtime.spawn(async move {
                for _ in 0..ROUNDS {
                    let permit = semaphore.clone().acquire_many_owned(count).await.unwrap();
                    enter(&held, count as usize);
                    drop(permit);
                }
            })
        })
        .collect();
    thread::scope(|s| {
        s.spawn(|| {
            for n in 0..ROUNDS {
                let count = 1 + n % PERMITS;
                let mut permit = semaphore.acquire_many_blocking(count as u32).unwrap();
                enter(&held, count);
                let part = permit.split(count / 2).unwrap();
                drop(permit);
                drop(part);
            }
        });
        // Gives up while it waits, or while it is handed what it waits for.
        s.spawn(|| {
            for n in 0..ROUNDS {
                drop(Polled::new(semaphore.acquire_many(n as u32 % 6)).poll());
            }
        });
        s.spawn(|| {
            for _ in 0..ROUNDS {
                let taken = semaphore.forget_permits(1);
                semaphore.add_permits(taken);
            }
        });
    });
    for task in tasks {
        runtime.block_on(task).unwrap();
    }
    assert_eq!((semaphore.available_permits(), held.load(SeqCst)), (PERMITS, 0));
}

#[test]
fn writers_exclude_readers() {
    let runtime = runtime();
    let lock = Arc::new(RwLock::new((0, 0)));
    let tasks: Vec<_> = (0..4)
        .map(|task| {
            let lock = Arc::clone(&lock);
            runtime.spawn(async move {
                for _ in 0..ROUNDS {
                    if task == 0 {
                        let mut guard = lock.write().await;
                        guard.0 += 1;
                        guard.1 += 1;
                        let seen = *guard;
                        let guard = guard.downgrade();
                        assert_eq!(*guard, seen);
                    } else {
                        let guard = lock.read().await;
                        assert_eq!(guard.0, guard.1);
                    }
                }
            })
        })
        .collect();
    thread::scope(|s| {
        s.spawn(|| {
            for _ in 0..ROUNDS {
                let mut guard = lock.write_blocking();
                guard.0 += 1;
                guard.1 += 1;
            }
        });
        s.spawn(|| (0..ROUNDS).for_each(|_| drop(Polled::new(lock.write()).poll())));
        s.spawn(|| {
            for _ in 0..ROUNDS {
                let guard = lock.read_blocking();
                assert_eq!(guard.0, guard.1);
            }
        });
    });
    for task in tasks {
        runtime.block_on(task).unwrap();
    }
    assert_eq!(*lock.try_read().unwrap(), (2 * ROUNDS, 2 * ROUNDS));
}

/// Each item is announced once, and the consumers give up now and then.
#[test]
fn no_notification_is_missed() {
    let runtime = runtime();
    let (items, notify) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    let done = Arc::new(AtomicUsize::new(0));
    let take = |items: &AtomicUsize| {
        items.fetch_update(SeqCst, SeqCst, |items| items.checked_sub(1)).is_ok()
    };
    let consumers: Vec<_> = (0..3)
        .map(|_| {
            let (items, notify) = (Arc::clone(&items), Arc::clone(&notify));
            let done = Arc::clone(&done);
            runtime.spawn(async move {
                while done.load(SeqCst) < 2 * ROUNDS {
                    while take(&items) {
                        done.fetch_add(1, SeqCst);
                    }
                    // What was announced while nobody waited counts once, so all look again.
                    if done.load(SeqCst) < 2 * ROUNDS {
                        notify.notified().await;
                    }
                }
                notify.notify_one();
            })
        })
        .collect();
    thread::scope(|s| {
        for _ in 0..2 {
            s.spawn(|| {
                for _ in 0..ROUNDS {
                    items.fetch_add(1, SeqCst);
                    notify.notify_one();
                }
            });
        }
        s.spawn(|| {
            (0..ROUNDS).for_each(|_| {
                let mut wait = Polled::new(notify.notified());
                if wait.poll().is_ready() {
                    notify.notify_one(); // it was for somebody else
                }
            })
        });
    });
    for consumer in consumers {
        runtime.block_on(consumer).unwrap();
    }
    assert_eq!(items.load(SeqCst), 0);
}

/// Who has called `notified` before the step hears of it.
#[test]
fn a_step_is_told_to_all_who_were_there() {
    let (step, notify) = (AtomicUsize::new(0), Notify::new());
    let ready = Barrier::new(3);
    thread::scope(|s| {
        for _ in 0..2 {
            s.spawn(|| {
                for round in 1..=ROUNDS / 10 {
                    ready.wait_blocking();
                    while step.load(Relaxed) < round {
                        let change = notify.notified();
                        if step.load(Relaxed) < round {
                            block_on(change);
                        }
                    }
                }
            });
        }
        for round in 1..=ROUNDS / 10 {
            ready.wait_blocking();
            step.store(round, Relaxed);
            notify.notify_waiters();
        }
    });
}

#[test]
fn a_barrier_lets_nobody_ahead() {
    let runtime = runtime();
    let (barrier, rounds) = (Arc::new(Barrier::new(4)), ROUNDS / 10);
    let (arrived, leaders) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let step = |arrived: &AtomicUsize, round: usize| {
        arrived.fetch_add(1, SeqCst);
        move |arrived: &AtomicUsize| assert!(arrived.load(SeqCst) >= 4 * (round + 1))
    };
    let tasks: Vec<_> = (0..3)
        .map(|_| {
            let barrier = Arc::clone(&barrier);
            let (arrived, leaders) = (Arc::clone(&arrived), Arc::clone(&leaders));
            runtime.spawn(async move {
                for round in 0..rounds {
                    let check = step(&arrived, round);
                    leaders.fetch_add(usize::from(barrier.wait().await.is_leader()), SeqCst);
                    check(&arrived);
                }
            })
        })
        .collect();
    for round in 0..rounds {
        let check = step(&arrived, round);
        leaders.fetch_add(usize::from(barrier.wait_blocking().is_leader()), SeqCst);
        check(&arrived);
    }
    for task in tasks {
        runtime.block_on(task).unwrap();
    }
    assert_eq!(leaders.load(SeqCst), rounds);
}

#[test]
fn a_value_is_made_once() {
    for _ in 0..rounds(200) {
        let (cell, made) = (OnceCell::new(), AtomicUsize::new(0));
        thread::scope(|s| {
            for n in 0..3 {
                let (cell, made) = (&cell, &made);
                s.spawn(move || {
                    let value = block_on(cell.get_or_try_init(async || {
                        annulus::yield_now().await;
                        if n == 0 {
                            return Err("this one cannot");
                        }
                        made.fetch_add(1, SeqCst);
                        Ok(n)
                    }));
                    assert!(value.map_or(n == 0, |value| Some(value) == cell.get()));
                });
            }
        });
        assert_eq!(made.load(SeqCst), 1);
    }
}

#[test]
fn children_come_and_go_while_a_token_is_cancelled() {
    for _ in 0..rounds(200) {
        let token = CancellationToken::new();
        thread::scope(|s| {
            for _ in 0..2 {
                s.spawn(|| {
                    while !token.is_cancelled() {
                        let child = token.child_token();
                        drop(child.child_token());
                        let _ = Polled::new(child.cancelled()).poll();
                    }
                });
            }
            s.spawn(|| block_on(token.child_token().child_token().cancelled_owned()));
            s.spawn(|| token.child_token().cancelled_blocking());
            token.cancel();
        });
    }
}
