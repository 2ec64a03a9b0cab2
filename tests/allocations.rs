//! A channel allocates when it is made, and then no more, waits and cancellations included.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::pin::pin;
use std::task::{Poll, Waker};
use std::time::Duration;

use support::{Count, Fan, poll_with, rounds};

#[macro_use]
mod support;

/// Counts what each thread allocates.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: the system's allocator does it all.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's contract is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) };
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// How often this thread allocates in the call.
fn allocations<R>(call: impl FnOnce() -> R) -> (R, usize) {
    let before = ALLOCATIONS.get();
    let result = call();
    (result, ALLOCATIONS.get() - before)
}

#[test]
fn this_counts() {
    assert_eq!(allocations(|| drop(Box::new(1))).1, 1);
    let mut all = vec![1];
    assert_eq!(allocations(|| all.reserve(1000)).1, 1);
}

#[test]
fn making_a_channel_allocates_and_using_it_does_not() {
    each!(make => {
        let ((mut tx, mut rx), made) = allocations(|| make(64));
        assert!((1..=2).contains(&made), "{made}: the slots, and what the handles share");
        let mut out = Vec::with_capacity(64);
        let ((), used) = allocations(|| {
            for n in 0..rounds(2_000) {
                tx.try_send(n).unwrap();
                tx.try_reserve().unwrap().send(n);
                drop(tx.try_reserve());
                assert_eq!(rx.try_recv(), Ok(n));
                assert_eq!(tx.try_send_many(&mut (0..100)), Ok(63));
                assert!(tx.try_send(0).is_err());
                assert_eq!(rx.try_iter().take(20).count(), 20);
                assert_eq!(rx.try_recv_many(&mut out, 64), Ok(44));
                assert!(rx.try_recv().is_err());
                out.clear();
            }
        });
        assert_eq!(used, 0);
    });
}

#[test]
fn waiting_does_not_allocate() {
    each!(make => {
        let (mut tx, mut rx) = make(2);
        let wakers = [Waker::from(Count::new()), Waker::from(Count::new())];
        let mut out = Vec::with_capacity(2);
        let mut round = |n: usize| {
            let waker = &wakers[n % 2];
            let waits = |poll: Poll<_>| assert!(poll.is_pending());
            {
                let mut recv = pin!(rx.recv());
                waits(poll_with(recv.as_mut(), waker).map(|_| ()));
                tx.try_send(n).unwrap();
                assert_eq!(poll_with(recv, waker), Poll::Ready(Some(n)));
            }
            {
                let mut recv = pin!(rx.recv_many(&mut out, 2));
                waits(poll_with(recv.as_mut(), waker).map(|_| ()));
                tx.try_reserve().unwrap().send(n);
                assert_eq!(poll_with(recv, waker), Poll::Ready(1));
            }
            out.clear();
            assert_eq!(tx.try_send_many(&mut (0..9)), Ok(2));
            {
                let mut send = pin!(tx.send(n));
                waits(poll_with(send.as_mut(), waker).map(|_| ()));
                assert_eq!(rx.try_recv(), Ok(0));
                assert!(poll_with(send, waker).is_ready());
            }
            {
                let mut reserve = pin!(tx.reserve());
                waits(poll_with(reserve.as_mut(), waker).map(|_| ()));
                assert_eq!(rx.try_recv(), Ok(1));
                let Poll::Ready(Ok(permit)) = poll_with(reserve, waker) else { panic!() };
                permit.send(n + 1);
            }
            {
                let mut send = pin!(tx.send_many(n..n + 2));
                waits(poll_with(send.as_mut(), waker).map(|_| ()));
                assert_eq!((rx.try_recv(), rx.try_recv()), (Ok(n), Ok(n + 1)));
                assert!(poll_with(send, waker).is_ready());
            }
            assert_eq!((rx.try_recv(), rx.try_recv()), (Ok(n), Ok(n + 1)));
        };
        round(0); // the queue of waiters grows to what it needs
        let ((), used) = allocations(|| (1..rounds(3_000)).for_each(round));
        assert_eq!(used, 0);
    });
}

#[test]
fn giving_up_does_not_allocate() {
    each!(make => {
        let (mut tx, mut rx) = make(1);
        let waker = Waker::from(Count::new());
        let mut out = Vec::with_capacity(1);
        let mut round = |woken: bool| {
            {
                let mut recv = pin!(rx.recv());
                assert!(poll_with(recv.as_mut(), &waker).is_pending());
                if woken {
                    tx.try_send(1).unwrap();
                }
            }
            let _ = rx.try_recv();
            assert!(poll_with(pin!(rx.recv_many(&mut out, 1)), &waker).is_pending());
            assert!(rx.recv_timeout_blocking(Duration::ZERO).is_err());
            tx.try_send(2).unwrap();
            {
                let mut send = pin!(tx.send(3));
                assert!(poll_with(send.as_mut(), &waker).is_pending());
                if woken {
                    rx.try_recv().unwrap();
                }
            }
            let _ = tx.try_send(4);
            assert!(poll_with(pin!(tx.reserve()), &waker).is_pending());
            assert!(poll_with(pin!(tx.send_many([5])), &waker).is_pending());
            assert!(tx.send_timeout_blocking(6, Duration::ZERO).is_err());
            rx.try_recv().unwrap();
        };
        round(true);
        round(false);
        let ((), used) = allocations(|| (0..rounds(3_000)).for_each(|n| round(n % 2 == 0)));
        assert_eq!(used, 0);
    });
}

/// Many at once: the queue has grown to the most that ever waited, and stays there.
#[test]
fn a_queue_of_waiters_reuses_its_places() {
    each!(make in [spmc, mpmc] => {
        let (mut tx, rx) = make(4);
        let rxs = rx.fan(16);
        let mut round = |n: usize| {
            // An array, so that the test itself allocates nothing.
            let mut waiting: [_; 16] = std::array::from_fn(|i| {
                let mut recv = rxs[i].recv();
                assert!(poll_with(pin!(&mut recv), Waker::noop()).is_pending());
                Some(recv)
            });
            // Some are cancelled, from the middle; some are woken.
            waiting[n % 16] = None;
            waiting[(n + 7) % 16] = None;
            assert_eq!(tx.try_send_many(&mut (0..4)), Ok(4));
            waiting[(n + 3) % 16] = None;
            drop(waiting);
            assert_eq!(rxs[0].try_iter().count(), 4);
        };
        round(0);
        let ((), used) = allocations(|| (1..rounds(500)).for_each(round));
        assert_eq!(used, 0);
    });
}

#[test]
fn locks_and_signals_allocate_for_the_first_who_wait_at_most() {
    use annulus::sync::{CancellationToken, Mutex, Notify, Semaphore};
    let (mutex, semaphore, notify) = (Mutex::new(0), Semaphore::new(1), Notify::new());
    let waker = Waker::from(Count::new());
    let round = || {
        let held = (mutex.try_lock().unwrap(), semaphore.try_acquire().unwrap());
        let mut lock = pin!(mutex.lock());
        let mut permits = pin!(semaphore.acquire());
        let mut gives_up = Some(mutex.lock());
        let mut notified = pin!(notify.notified());
        assert!(poll_with(lock.as_mut(), &waker).is_pending());
        assert!(poll_with(pin!(gives_up.as_mut().unwrap()), &waker).is_pending());
        assert!(poll_with(permits.as_mut(), &waker).is_pending());
        assert!(poll_with(notified.as_mut(), &waker).is_pending());
        drop(held);
        drop(gives_up);
        notify.notify_one();
        assert!(poll_with(lock, &waker).is_ready());
        assert!(poll_with(permits, &waker).is_ready());
        assert!(poll_with(notified, &waker).is_ready());
    };
    round();
    assert_eq!(allocations(|| (0..9).for_each(|_| round())).1, 0);

    // A token's list of children does not grow with those that are gone.
    let token = CancellationToken::new();
    drop([token.child_token(), token.child_token()]);
    let children = || drop([token.child_token(), token.child_token()]);
    assert_eq!(allocations(|| (0..100).for_each(|_| children())).1, 200);
}

#[test]
fn meeting_and_giving_up_do_not_allocate() {
    let (tx, rx) = annulus::channel::rendezvous::channel();
    let waker = Waker::from(Count::new());
    let round = |n: usize| {
        let mut sends: [_; 4] = std::array::from_fn(|i| {
            let mut send = tx.send(n + i);
            assert!(poll_with(pin!(&mut send), &waker).is_pending());
            Some(send)
        });
        sends[n % 4] = None;
        let left = (0..4).filter(|i| *i != n % 4);
        left.for_each(|i| assert_eq!(rx.try_recv(), Ok(n + i)));
        let mut recv = pin!(rx.recv());
        assert!(poll_with(recv.as_mut(), &waker).is_pending());
        tx.try_send(n).unwrap();
        assert_eq!(poll_with(recv, &waker), Poll::Ready(Some(n)));
        assert!(tx.send_timeout_blocking(n, Duration::ZERO).is_err());
    };
    round(0);
    let ((), used) = allocations(|| (1..rounds(3_000)).for_each(round));
    assert_eq!(used, 0);
}
