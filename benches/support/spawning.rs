//! What rows do with tasks: spawn them, wait for them, let them yield. The result of each is the
//! sum of the numbers that its tasks stand for.

use super::api::{Api, Rx, Spawn, Tx};

/// Spawns a task and waits for it, again and again.
pub(crate) async fn one_by_one<A: Spawn>(tasks: u64) -> u64 {
    let mut sum = 0;
    for n in 0..tasks {
        sum += A::spawn(async move { n }).await;
    }
    sum
}

/// Spawns all tasks, then waits for all.
pub(crate) async fn at_once<A: Spawn>(tasks: u64) -> u64 {
    let tasks: Vec<_> = (0..tasks).map(|n| A::spawn(async move { n })).collect();
    sum_of(tasks).await
}

/// Each task spawns the next, and the last reports.
pub(crate) async fn chain<A: Api>(tasks: u64) -> u64 {
    fn link<A: Api>(left: u64, sum: u64, mut report: impl Tx<u64>) {
        A::spawn_detached(async move {
            match left {
                0 => report.send(sum).await,
                _ => link::<A>(left - 1, sum + left - 1, report),
            }
        });
    }
    let (report, mut reported) = A::spsc::<u64>(1);
    link::<A>(tasks, 0, report);
    reported.recv().await.expect("the last link reports")
}

/// Each task yields so many times.
pub(crate) async fn yielding<A: Spawn>(tasks: u64, yields: u64) -> u64 {
    let tasks = (0..tasks).map(|task| {
        A::spawn(async move {
            let mut sum = 0;
            for n in task * yields..(task + 1) * yields {
                A::yield_now().await;
                sum += n;
            }
            sum
        })
    });
    sum_of(tasks.collect()).await
}

/// A tree of tasks with this many leaves, a power of 10; each leaf has a number. Each task above
/// spawns ten, receives from them, and sends the sum up.
pub(crate) async fn tree<A: Api>(leaves: u64) -> u64 {
    fn node<A: Api>(first: u64, leaves: u64, mut up: impl Tx<u64>) {
        A::spawn_detached(async move {
            if leaves == 1 {
                return up.send(first).await;
            }
            let (tx, mut rx) = A::mpsc::<u64>(10);
            let part = leaves / 10;
            for child in 0..10 {
                node::<A>(first + child * part, part, tx.clone());
            }
            let mut sum = 0;
            for _ in 0..10 {
                sum += rx.recv().await.expect("ten send");
            }
            up.send(sum).await;
        });
    }
    let (up, mut sum) = A::mpsc::<u64>(1);
    node::<A>(0, leaves, up);
    sum.recv().await.expect("the root sends")
}

/// Waits for all, in the order of their spawning.
pub(crate) async fn sum_of(tasks: Vec<impl Future<Output = u64>>) -> u64 {
    let mut sum = 0;
    for task in tasks {
        sum += task.await;
    }
    sum
}
