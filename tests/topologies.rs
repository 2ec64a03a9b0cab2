//! Every topology carries every message once and in order, wherever its ends are.

use std::future::Future;
use std::thread;

use annulus::channel;

const EACH: usize = 3_000;

/// What the receivers got: per sender in order, and all of it.
fn check(received: Vec<Vec<(usize, usize)>>, senders: usize) {
    let mut seen = vec![vec![false; EACH]; senders];
    for of_one in received {
        let mut next = vec![0; senders];
        for (sender, n) in of_one {
            assert!(n >= next[sender], "message {n} of sender {sender} was overtaken");
            next[sender] = n + 1;
            assert!(!std::mem::replace(&mut seen[sender][n], true), "received twice");
        }
    }
    assert!(seen.iter().flatten().all(|&seen| seen), "a message was lost");
}

/// Something that runs futures beside each other: annulus, tokio, or a thread for each.
trait Runs {
    type Handle<T: Send + 'static>: FnOnce() -> T;
    fn run<F: Future<Output: Send> + Send + 'static>(&self, future: F) -> Self::Handle<F::Output>;
}

impl Runs for annulus::Runtime {
    type Handle<T: Send + 'static> = Box<dyn FnOnce() -> T>;
    fn run<F: Future<Output: Send> + Send + 'static>(&self, future: F) -> Self::Handle<F::Output> {
        let handle = self.spawn(future);
        // Waits without being a worker.
        let (tx, rx) = std::sync::mpsc::channel();
        self.spawn(async move { tx.send(handle.await.unwrap()) });
        Box::new(move || rx.recv().unwrap())
    }
}

impl Runs for tokio::runtime::Runtime {
    type Handle<T: Send + 'static> = Box<dyn FnOnce() -> T>;
    fn run<F: Future<Output: Send> + Send + 'static>(&self, future: F) -> Self::Handle<F::Output> {
        let handle = self.spawn(future);
        let (tx, rx) = std::sync::mpsc::channel();
        self.spawn(async move { tx.send(handle.await.unwrap()) });
        Box::new(move || rx.recv().unwrap())
    }
}

struct Threads;

impl Runs for Threads {
    type Handle<T: Send + 'static> = Box<dyn FnOnce() -> T>;
    fn run<F: Future<Output: Send> + Send + 'static>(&self, future: F) -> Self::Handle<F::Output> {
        // A plain thread that polls: no runtime of any kind.
        let thread = thread::spawn(move || futures_block_on(future));
        Box::new(move || thread.join().unwrap())
    }
}

/// The smallest executor there is.
fn futures_block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = std::sync::Arc::new(Unpark(thread::current())).into();
    let mut cx = std::task::Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        if let std::task::Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return output;
        }
        thread::park();
    }
}

macro_rules! send_all {
    ($tx:ident, $sender:expr) => {
        async move {
            for n in 0..EACH {
                $tx.send(($sender, n)).await.unwrap();
            }
        }
    };
}

macro_rules! receive_all {
    ($rx:ident) => {
        async move {
            let mut received = Vec::new();
            while let Some(message) = $rx.recv().await {
                received.push(message);
            }
            received
        }
    };
}

fn all_topologies(tx_on: &impl Runs, rx_on: &impl Runs) {
    for capacity in [1, 2, 64] {
        let (mut tx, mut rx) = channel::spsc(capacity);
        let sent = tx_on.run(send_all!(tx, 0));
        let received = rx_on.run(receive_all!(rx));
        sent();
        check(vec![received()], 1);

        let (tx, mut rx) = channel::mpsc(capacity);
        let sent = [0, 1, 2].map(|sender| {
            let tx = tx.clone();
            tx_on.run(send_all!(tx, sender))
        });
        drop(tx);
        let received = rx_on.run(receive_all!(rx));
        sent.into_iter().for_each(|sent| sent());
        check(vec![received()], 3);

        let (mut tx, rx) = channel::spmc(capacity);
        let sent = tx_on.run(send_all!(tx, 0));
        let received = [(); 3].map(|()| {
            let rx = rx.clone();
            rx_on.run(receive_all!(rx))
        });
        drop(rx);
        sent();
        check(received.into_iter().map(|r| r()).collect(), 1);

        let (tx, rx) = channel::mpmc(capacity);
        let sent = [0, 1, 2].map(|sender| {
            let tx = tx.clone();
            tx_on.run(send_all!(tx, sender))
        });
        drop(tx);
        let received = [(); 3].map(|()| {
            let rx = rx.clone();
            rx_on.run(receive_all!(rx))
        });
        drop(rx);
        sent.into_iter().for_each(|sent| sent());
        check(received.into_iter().map(|r| r()).collect(), 3);
    }
}

fn annulus(workers: usize) -> annulus::Runtime {
    annulus::Builder::new().worker_threads(workers).build().unwrap()
}

#[test]
fn in_tasks() {
    for workers in [1, 2, 4] {
        let runtime = annulus(workers);
        all_topologies(&runtime, &runtime);
    }
}

#[test]
fn in_tasks_of_tokio() {
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    all_topologies(&tokio, &tokio);
}

#[test]
fn in_threads() {
    all_topologies(&Threads, &Threads);
}

#[test]
fn mixed() {
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let runtime = annulus(2);
    all_topologies(&Threads, &runtime);
    all_topologies(&runtime, &Threads);
    all_topologies(&tokio, &runtime);
}

#[test]
fn blocking_ends() {
    let runtime = annulus(2);
    for capacity in [1, 64] {
        let (mut tx, mut rx) = channel::spsc(capacity);
        let received = runtime.run(receive_all!(rx));
        for n in 0..EACH {
            tx.send_blocking((0, n)).unwrap();
        }
        drop(tx);
        check(vec![received()], 1);

        let (tx, rx) = channel::mpmc(capacity);
        let sent = runtime.run(send_all!(tx, 0));
        check(vec![std::iter::from_fn(|| rx.recv_blocking()).collect()], 1);
        sent();
    }
}
