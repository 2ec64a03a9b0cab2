//! Tasks whose polls take long leave the others their turns.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use annulus::{Builder, Runtime, channel, spawn, time, yield_now};

/// Far more than the others need to get their turns.
const MESSAGES: u32 = 5_000;

fn runtime(workers: usize) -> Runtime {
    Builder::new().worker_threads(workers).build().unwrap()
}

/// A flag that one task raises and another waits for, in one poll.
#[derive(Clone, Default)]
struct Flag(Arc<AtomicBool>);

impl Flag {
    fn raise(&self) {
        self.0.store(true, Relaxed);
    }

    fn is_up(&self) -> bool {
        self.0.load(Relaxed)
    }

    /// Fails instead of hanging.
    #[track_caller]
    fn await_computing(&self) {
        let start = Instant::now();
        while !self.is_up() {
            assert!(start.elapsed() < Duration::from_secs(30), "nobody has come for the others");
            std::hint::spin_loop();
        }
    }
}

fn compute() {
    let start = Instant::now();
    while start.elapsed() < Duration::from_micros(30) {
        std::hint::spin_loop();
    }
}

/// Two tasks that wake each other and compute in between stay in the slot, by turns. They must not do
/// so for ever.
#[test]
fn those_in_the_slot_leave_the_ring_its_turns() {
    let runtime = runtime(1);
    let done = Arc::new(AtomicBool::new(false));
    let (mut to_other, mut at_other) = channel::spsc::<u32>(1);
    let (mut to_us, mut at_us) = channel::spsc::<u32>(1);
    let other = runtime.spawn(async move {
        while let Some(message) = at_other.recv().await {
            compute();
            if to_us.send(message).await.is_err() {
                break;
            }
        }
    });
    let pair = runtime.spawn({
        let done = Arc::clone(&done);
        async move {
            for message in 0..MESSAGES {
                if done.load(Relaxed) {
                    return true;
                }
                to_other.send(message).await.unwrap();
                compute();
                assert_eq!(at_us.recv().await, Some(message));
            }
            false
        }
    });
    let waits = runtime.spawn(async move {
        for _ in 0..20 {
            yield_now().await;
        }
        done.store(true, Relaxed);
    });
    runtime.block_on(async {
        assert!(pair.await.unwrap(), "a task in the ring has had no turn");
        waits.await.unwrap();
        other.await.unwrap();
    });
}

/// A timer that fires wakes nobody to watch, if its task is all that is due. When that one computes,
/// somebody comes all the same for what else is its seat's.
#[test]
fn what_is_on_a_seat_goes_on_while_a_task_that_a_timer_woke_computes() {
    let runtime = runtime(2);
    let short = Duration::from_micros(500);
    let rounds = || {
        async move {
            for _ in 0..20 {
                // A timer of another task, which was set on this seat before.
                let slept = Flag::default();
                let other = slept.clone();
                let task = spawn(async move {
                    time::sleep(4 * short).await;
                    other.raise();
                });
                time::sleep(short).await;
                slept.await_computing();
                task.await.unwrap();
                // A task that this one spawns.
                time::sleep(short).await;
                let ran = Flag::default();
                let other = ran.clone();
                let task = spawn(async move { other.raise() });
                ran.await_computing();
                task.await.unwrap();
                // One that waits for a message of this one.
                let got = Flag::default();
                let other = got.clone();
                let (mut tx, mut rx) = channel::spsc::<u8>(1);
                let task = spawn(async move {
                    rx.recv().await.unwrap();
                    other.raise();
                });
                time::sleep(short).await;
                tx.try_send(1).unwrap();
                got.await_computing();
                task.await.unwrap();
            }
        }
    };
    // As a task, and as the root.
    runtime.block_on(runtime.spawn(rounds())).unwrap();
    runtime.block_on(rounds());
}

/// While one task computes, who looks after the others looks up once in 10 ms. Timers that another
/// seat has set meanwhile are not kept waiting for that: many short ones in a row are over before a
/// long one.
#[test]
fn short_timers_do_not_wait_for_another_seats_nap() {
    // Each lasts 0.15 ms here, and would last 10 ms.
    const MANY: u32 = 50;
    let runtime = runtime(3);
    let (begun, end) = (Flag::default(), Flag::default());
    let hog = runtime.spawn({
        let (begun, end) = (begun.clone(), end.clone());
        async move {
            begun.raise();
            end.await_computing();
        }
    });
    begun.await_computing();
    let chain = || async {
        for _ in 0..MANY {
            time::sleep(Duration::from_micros(100)).await;
        }
    };
    let round = || {
        // Wakes a seat, which then looks after the others.
        drop(runtime.spawn(async {}));
        runtime.block_on(async {
            // So that it has not become us by the time when we sleep, and looks up seldom.
            std::thread::sleep(Duration::from_millis(20));
            time::timeout(MANY * Duration::from_millis(1), chain()).await.is_ok()
        })
    };
    // If they have to wait, that is by chance in one round out of three, or in all.
    let in_time = (0..5).any(|_| (0..20).all(|_| round()));
    end.raise();
    assert!(in_time, "short timers are late");
    runtime.block_on(hog).unwrap();
}
