//! The oneshot channel: one value, or the news that there will be none.

mod support;

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use annulus::channel::oneshot::{self, RecvError, TryRecvError};

use support::{Count, Counted, poll};

#[test]
fn a_value_arrives_whatever_waits_for_it() {
    let (tx, mut rx) = oneshot::channel();
    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    tx.send(1).unwrap();
    assert_eq!(rx.try_recv(), Ok(1));
    // It was the only one.
    assert_eq!(rx.try_recv(), Err(TryRecvError::Closed));
    assert_eq!(rx.recv_blocking(), Err(RecvError));

    let (tx, rx) = oneshot::channel();
    let thread = thread::spawn(move || rx.recv_blocking());
    tx.send(2).unwrap();
    assert_eq!(thread.join().unwrap(), Ok(2));

    let (tx, rx) = oneshot::channel();
    let count = Arc::new(Count::default());
    let mut rx = Box::pin(rx);
    assert!(poll(rx.as_mut(), &count).is_pending());
    tx.send(3).unwrap();
    assert_eq!(count.wakes(), 1);
    assert_eq!(poll(rx.as_mut(), &count), Poll::Ready(Ok(3)));
}

#[test]
fn either_end_may_go_first() {
    let (tx, mut rx) = oneshot::channel::<u8>();
    let count = Arc::new(Count::default());
    assert!(poll(Pin::new(&mut rx), &count).is_pending());
    drop(tx);
    assert_eq!(count.wakes(), 1);
    assert_eq!(rx.try_recv(), Err(TryRecvError::Closed));
    assert_eq!(poll(Pin::new(&mut rx), &count), Poll::Ready(Err(RecvError)));

    let (tx, rx) = oneshot::channel();
    assert!(!tx.is_closed());
    drop(rx);
    assert!(tx.is_closed());
    assert_eq!(tx.send("kept"), Err("kept"));
}

#[test]
fn closing_decides_whether_there_is_a_value() {
    let (tx, mut rx) = oneshot::channel();
    tx.send(1).unwrap();
    rx.close();
    rx.close();
    assert_eq!(rx.try_recv(), Ok(1));

    // Closed while it waits: the poll after it says so.
    let (tx, mut rx) = oneshot::channel();
    let count = Arc::new(Count::default());
    assert!(poll(Pin::new(&mut rx), &count).is_pending());
    rx.close();
    assert_eq!(tx.send(2), Err(2));
    assert_eq!(poll(Pin::new(&mut rx), &count), Poll::Ready(Err(RecvError)));
    assert_eq!(count.wakes(), 0);
}

#[test]
fn closed_is_told_to_the_sender() {
    let (mut tx, rx) = oneshot::channel::<u8>();
    let count = Arc::new(Count::default());
    let other = Arc::new(Count::default());
    {
        let mut closed = pin!(tx.closed());
        assert!(poll(closed.as_mut(), &count).is_pending());
        // Another waker: only the last one is woken.
        assert!(poll(closed.as_mut(), &other).is_pending());
    }
    // A cancelled wait wakes nobody.
    drop(rx);
    assert_eq!((count.wakes(), other.wakes()), (0, 0));
    assert!(poll(pin!(tx.closed()), &count).is_ready());

    let (mut tx, rx) = oneshot::channel::<u8>();
    let mut closed = Box::pin(tx.closed());
    assert!(poll(closed.as_mut(), &count).is_pending());
    drop(rx);
    assert_eq!(count.wakes(), 1);
    assert!(poll(closed.as_mut(), &count).is_ready());

    // Forgotten waits bar nobody.
    let (mut tx, mut rx) = oneshot::channel();
    let mut closed = Box::pin(tx.closed());
    assert!(poll(closed.as_mut(), &count).is_pending());
    std::mem::forget(closed);
    tx.send(7).unwrap();
    rx.close();
    assert_eq!(rx.try_recv(), Ok(7));
    assert_eq!(count.wakes(), 1);
}

#[test]
fn the_last_waker_is_woken_and_no_waker_is_kept() {
    let (tx, mut rx) = oneshot::channel();
    let [first, second] = [(); 2].map(|()| Arc::new(Count::default()));
    assert!(poll(Pin::new(&mut rx), &first).is_pending());
    assert!(poll(Pin::new(&mut rx), &second).is_pending());
    assert_eq!(Arc::strong_count(&first), 1);
    tx.send(1).unwrap();
    assert_eq!((first.wakes(), second.wakes()), (0, 1));

    // An end that goes lets go of its waker, though the other end lives on.
    let (mut tx, mut rx) = oneshot::channel::<u8>();
    assert!(poll(Pin::new(&mut rx), &first).is_pending());
    assert!(poll(pin!(tx.closed()), &second).is_pending());
    drop(rx);
    assert_eq!(Arc::strong_count(&first), 1);
    drop(tx);
    assert_eq!(Arc::strong_count(&second), 1);
}

#[test]
fn the_value_drops_once() {
    let drops = Arc::new(AtomicUsize::new(0));
    let value = || Counted(Arc::clone(&drops));
    let (tx, rx) = oneshot::channel();
    tx.send(value()).unwrap();
    drop(rx);
    assert_eq!(drops.load(SeqCst), 1);
    let (tx, rx) = oneshot::channel();
    drop(rx);
    drop(tx.send(value()).unwrap_err());
    assert_eq!(drops.load(SeqCst), 2);
    let (tx, mut rx) = oneshot::channel();
    tx.send(value()).unwrap();
    drop(rx.try_recv().unwrap());
    drop(rx);
    assert_eq!(drops.load(SeqCst), 3);
    // In a race, whoever wins.
    for n in 0..2_000 {
        let (tx, mut rx) = oneshot::channel();
        let value = value();
        let sender = thread::spawn(move || drop(tx.send(value)));
        if n % 2 == 0 {
            let _ = poll(Pin::new(&mut rx), &Arc::new(Count::default()));
        }
        drop(rx);
        sender.join().unwrap();
        assert_eq!(drops.load(SeqCst), 4 + n);
    }
}

#[test]
fn a_panicking_drop_runs_once() {
    #[derive(Debug)]
    struct Bomb(Arc<AtomicUsize>);
    impl Drop for Bomb {
        fn drop(&mut self) {
            self.0.fetch_add(1, SeqCst);
            panic!("the value's drop panics");
        }
    }
    let drops = Arc::new(AtomicUsize::new(0));
    let (tx, rx) = oneshot::channel();
    tx.send(Bomb(Arc::clone(&drops))).unwrap();
    assert!(catch_unwind(AssertUnwindSafe(|| drop(rx))).is_err());
    assert_eq!(drops.load(SeqCst), 1);
}

#[test]
fn a_waker_may_poll_inside_wake() {
    type Polled = (oneshot::Receiver<u8>, Poll<Result<u8, RecvError>>);
    struct Inline(std::sync::Mutex<Option<Polled>>);
    impl Wake for Inline {
        fn wake(self: Arc<Self>) {
            let mut place = self.0.lock().unwrap();
            let (rx, result) = place.as_mut().unwrap();
            *result = Pin::new(rx).poll(&mut Context::from_waker(Waker::noop()));
        }
    }
    let (tx, rx) = oneshot::channel();
    let inline = Arc::new(Inline(std::sync::Mutex::new(Some((rx, Poll::Pending)))));
    {
        let waker = Waker::from(Arc::clone(&inline));
        let mut place = inline.0.lock().unwrap();
        let (rx, _) = place.as_mut().unwrap();
        assert!(Pin::new(rx).poll(&mut Context::from_waker(&waker)).is_pending());
    }
    tx.send(5).unwrap();
    assert_eq!(inline.0.lock().unwrap().take().unwrap().1, Poll::Ready(Ok(5)));
}

#[test]
fn a_waker_that_panics_has_not_undone_the_send() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("the waker panics");
        }
    }
    let (tx, mut rx) = oneshot::channel();
    let waker = Waker::from(Arc::new(Panics));
    assert!(Pin::new(&mut rx).poll(&mut Context::from_waker(&waker)).is_pending());
    assert!(catch_unwind(AssertUnwindSafe(|| tx.send(1))).is_err());
    assert_eq!(rx.try_recv(), Ok(1));
}

#[test]
fn requests_and_answers() {
    // Tasks of ours, of tokio's, and threads, each with each.
    let ours = annulus::Builder::new().worker_threads(2).build().unwrap();
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    for n in 0..600 {
        let (tx, rx) = oneshot::channel();
        let (back, answer) = oneshot::channel();
        let serve = async move { back.send(rx.await.unwrap() + 1).unwrap() };
        match n % 3 {
            0 => drop(ours.spawn(serve)),
            1 => drop(tokio.spawn(serve)),
            _ => drop(thread::spawn(move || ours_block_on(serve))),
        }
        tx.send(n).unwrap();
        let got = match n / 3 % 3 {
            0 => ours.block_on(answer),
            1 => tokio.block_on(answer),
            _ => answer.recv_blocking(),
        };
        assert_eq!(got, Ok(n + 1));
    }
}

fn ours_block_on(future: impl Future<Output = ()>) {
    annulus::block_on(future);
}

#[test]
fn debug_and_display_say_what_is_there() {
    let (tx, rx) = oneshot::channel();
    assert_eq!(
        format!("{tx:?} {rx:?}"),
        "Sender { closed: false } Receiver { ready: false, closed: false }"
    );
    tx.send(1).unwrap();
    assert_eq!(format!("{rx:?}"), "Receiver { ready: true, closed: true }");
    assert!(RecvError.to_string().starts_with("the sender went without sending;"));
}
