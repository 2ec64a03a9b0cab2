//! Aborts at every await point there is.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use annulus::channel::{broadcast, mpmc, mpsc, oneshot, rendezvous, spmc, spsc, watch};
use annulus::sync::{Barrier, CancellationToken, Mutex, Notify, OnceCell, RwLock, Semaphore};
use annulus::task::{AbortHandle, JoinSet, LocalSet};
use annulus::{Builder, join, select, spawn, spawn_blocking, time, yield_now};

use crate::{Guards, commit};

/// What tasks share, and none may keep for itself.
struct Common {
    guards: Guards,
    mutex: Arc<Mutex<u32>>,
    lock: RwLock<u32>,
    semaphore: Arc<Semaphore>,
}

impl Common {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            guards: Guards::default(),
            mutex: Arc::default(),
            lock: RwLock::new(0),
            semaphore: Arc::new(Semaphore::new(2)),
        })
    }

    /// Each waits for something that comes in a moment, one after the other.
    async fn wait_for_everything(self: Arc<Self>) {
        let guards = &self.guards;
        let _guard = guards.guard();
        yield_now().await;
        time::sleep(Duration::from_micros(1)).await;
        _ = time::timeout(Duration::from_micros(1), std::future::pending::<()>()).await;

        // A sender that waits for room, and a receiver that waits for messages, of each kind.
        macro_rules! pass {
            ($kind:ident) => {{
                #[allow(unused_mut, reason = "Single handles need it")]
                let (mut tx, mut rx) = $kind(1);
                tx.try_send(guards.guard()).unwrap();
                let other = spawn(async move {
                    while let Some(message) = rx.recv().await {
                        drop(message);
                        yield_now().await;
                    }
                });
                tx.send(guards.guard()).await.unwrap();
                tx.reserve().await.unwrap().send(guards.guard());
                drop(tx);
                other.await.unwrap();
                #[allow(unused_mut, reason = "as above")]
                let (mut tx, mut rx) = $kind(1);
                let message = guards.guard();
                soon(async move { tx.send(message).await.is_ok() });
                drop(rx.recv().await.unwrap());
                assert!(rx.recv().await.is_none());
            }};
        }
        pass!(spsc);
        pass!(mpsc);
        pass!(spmc);
        pass!(mpmc);

        let (tx, rx) = rendezvous::channel();
        soon(async move { rx.recv().await });
        _ = tx.send(guards.guard()).await;
        let (tx, rx) = rendezvous::channel();
        let message = guards.guard();
        soon(async move { tx.send(message).await });
        drop(rx.recv().await);
        let (tx, rx) = oneshot::channel();
        let message = guards.guard();
        soon(async { tx.send(message) });
        drop(rx.await);
        let (tx, mut rx) = broadcast::channel(1);
        soon(async move { tx.send(1) });
        _ = rx.recv().await;
        let (tx, mut rx) = watch::channel(0);
        soon(async move { tx.send(1) });
        _ = rx.changed().await;

        // What somebody else has for a moment.
        let (theirs, held) = (Arc::clone(&self), self.mutex.lock().await);
        let other = spawn(async move { *theirs.mutex.lock().await += 1 });
        yield_now().await;
        drop(held);
        *Arc::clone(&self.mutex).lock_owned().await += 1;
        other.await.unwrap();
        let (theirs, held) = (Arc::clone(&self), self.lock.read().await);
        let other = spawn(async move { *theirs.lock.write().await += 1 });
        yield_now().await;
        drop(held);
        drop(self.lock.read().await);
        other.await.unwrap();
        let (theirs, held) = (Arc::clone(&self), self.semaphore.acquire().await.unwrap());
        let other = spawn(async move { drop(theirs.semaphore.acquire_many(2).await.unwrap()) });
        yield_now().await;
        drop(held);
        drop(Arc::clone(&self.semaphore).acquire_many_owned(2).await.unwrap());
        other.await.unwrap();

        let notify = Arc::new(Notify::new());
        let theirs = Arc::clone(&notify);
        soon(async move { theirs.notify_one() });
        notify.notified().await;
        let barrier = Arc::new(Barrier::new(2));
        let theirs = Arc::clone(&barrier);
        soon(async move { theirs.wait().await });
        barrier.wait().await;
        let token = CancellationToken::new();
        let theirs = token.child_token();
        soon(async move { theirs.cancelled().await });
        let theirs = token.clone();
        soon(async move { theirs.cancel() });
        token.cancelled().await;
        let cell = Arc::new(OnceCell::new());
        let make = async || {
            yield_now().await;
            1
        };
        join!(cell.get_or_init(make), cell.get_or_init(make));

        // Tasks and closures, alone and in sets.
        let guard = guards.guard();
        spawn(async move { soon(async move { drop(guard) }) }).await.unwrap();
        let guard = guards.guard();
        spawn_blocking(move || drop(guard)).await.unwrap();
        let mut set = JoinSet::new();
        for _ in 0..3 {
            let guard = guards.guard();
            set.spawn(async move {
                yield_now().await;
                drop(guard);
            });
        }
        set.join_next().await.unwrap().unwrap();
        let (first, second) = (guards.guard(), guards.guard());
        select! {
            () = moment(first) => {}
            () = moment(second) => {}
        }
        set.shutdown().await;
    }
}

async fn moment<T>(value: T) {
    yield_now().await;
    drop(value);
}

/// Does it in a task, after a moment.
fn soon<F>(future: F)
where
    F: Future<Output: Send> + Send + 'static,
{
    drop(spawn(async {
        yield_now().await;
        future.await
    }));
}

/// Polls `future` until it has been pending so often, then aborts its task: it stops there.
async fn abort_at<F: Future>(point: usize, me: Arc<OnceLock<AbortHandle>>, future: F) -> F::Output {
    let mut future = pin!(future);
    let mut pending = 0;
    poll_fn(|cx| {
        let poll = future.as_mut().poll(cx);
        if poll.is_pending() {
            if pending == point {
                while me.get().is_none() {
                    thread::yield_now();
                }
                me.get().unwrap().abort();
            }
            pending += 1;
        }
        poll
    })
    .await
}

#[test]
fn at_every_await_point() {
    // Fewer in a round in which the other worker is always faster.
    let most = Cell::new(0);
    commit(|| {
        let runtime = Builder::new().worker_threads(2).build().unwrap();
        let common = Common::new();
        for point in 0.. {
            let me = Arc::new(OnceLock::new());
            let future =
                abort_at(point, Arc::clone(&me), Arc::clone(&common).wait_for_everything());
            let task = runtime.spawn(future);
            me.set(task.abort_handle()).unwrap();
            match runtime.block_on(task) {
                Ok(()) => {
                    most.set(point.max(most.get()));
                    break;
                }
                Err(error) => assert!(error.is_cancelled()),
            }
        }
        // Nobody has kept anything.
        common.guards.await_drops();
        drop(runtime);
        assert!(common.mutex.try_lock().is_ok() && common.lock.try_write().is_ok());
        assert_eq!(common.semaphore.available_permits(), 2);
        assert_eq!(Arc::strong_count(&common), 1);
    });
    assert!(most.get() > 20, "it has many points");
}

/// The same for tasks of a set that stay on their thread.
#[test]
fn at_every_await_point_of_a_local_task() {
    commit(|| {
        let runtime = Builder::new().worker_threads(1).build().unwrap();
        let common = Common::new();
        for point in (0..).step_by(3) {
            let set = LocalSet::new();
            let me = Arc::new(OnceLock::new());
            let future =
                abort_at(point, Arc::clone(&me), Arc::clone(&common).wait_for_everything());
            let task = set.spawn_local(future);
            me.set(task.abort_handle()).unwrap();
            match runtime.block_on(set.run_until(task)) {
                Ok(()) => break,
                Err(error) => assert!(error.is_cancelled()),
            }
        }
        common.guards.await_drops();
        drop(runtime);
        assert!(common.mutex.try_lock().is_ok() && common.lock.try_write().is_ok());
        assert_eq!(common.semaphore.available_permits(), 2);
        assert_eq!(Arc::strong_count(&common), 1);
    });
}
