//! Sending in place of the oldest message.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread;

use annulus::channel;
use support::{Count, Fan, now, poll, rounds};

#[macro_use]
mod support;

#[test]
fn force_send_takes_the_place_of_the_oldest() {
    each!(make in [spmc, mpmc] => {
        let (mut tx, rx) = make(2);
        assert_eq!(tx.force_send(1), Ok(None));
        assert_eq!(tx.force_send(2), Ok(None));
        assert_eq!(tx.force_send(3), Ok(Some(1)));
        assert_eq!(tx.force_send(4), Ok(Some(2)));
        assert_eq!(rx.drain().collect::<Vec<_>>(), [3, 4]);
        // It wakes a receiver, as every send does.
        let (mut recv, wakes) = waiting!(rx.recv());
        assert_eq!(tx.force_send(5), Ok(None));
        assert_eq!(wakes.wakes(), 1);
        assert_eq!(poll(recv.as_mut(), &wakes), Poll::Ready(Some(5)));
        drop(recv);
        // Permits: their room is no one else's.
        let permit = now(tx.reserve_owned()).unwrap();
        let mut tx = permit.send(6);
        assert_eq!(tx.force_send(7), Ok(None));
        assert_eq!(tx.force_send(8), Ok(Some(6)));
        assert_eq!(rx.drain().collect::<Vec<_>>(), [7, 8]);
    });

    let (tx, rx) = channel::mpmc(2);
    let mut forcer = tx.clone();
    let first = now(tx.reserve()).unwrap();
    assert_eq!(forcer.force_send(1), Ok(None));
    assert_eq!(forcer.force_send(2), Ok(Some(1)), "the one slot that is not promised");
    assert_eq!(rx.len(), 1);
    assert_eq!(rx.try_recv(), Ok(2));
    let second = now(tx.reserve()).unwrap();
    let refused = forcer.force_send(3).unwrap_err();
    assert!(refused.is_full() && refused.into_inner() == 3, "all room is promised");
    // Waiting senders stay where they are: there is no room for them.
    let (mut send, wakes) = waiting!(tx.send(9));
    first.send(4);
    assert_eq!(forcer.force_send(5), Ok(Some(4)));
    assert_eq!(wakes.wakes(), 0);
    second.send(6);
    assert_eq!(rx.try_recv(), Ok(5));
    assert_eq!(wakes.wakes(), 1);
    assert!(poll(send.as_mut(), &wakes).is_ready());
    drop(send);
    assert_eq!(rx.drain().collect::<Vec<_>>(), [6, 9]);
}

#[test]
fn force_send_beside_a_waiting_poll_reserve() {
    each!(make in [spmc, mpmc] => {
        let (mut tx, rx) = make(1);
        tx.try_send(1).unwrap();
        let count = Count::new();
        let waker = Waker::from(Arc::clone(&count));
        assert!(tx.poll_reserve(&mut Context::from_waker(&waker)).is_pending());
        // The room that this makes is full again; the handle still waits for some.
        assert_eq!(tx.force_send(2), Ok(Some(1)));
        assert_eq!(count.wakes(), 0);
        assert_eq!(rx.try_recv(), Ok(2));
        assert_eq!(count.wakes(), 1);
        assert!(tx.poll_reserve(&mut Context::from_waker(&waker)).is_ready());
        tx.send_reserved(3);
        assert_eq!(rx.try_recv(), Ok(3));
    });
}

#[test]
fn force_send_loses_nothing_under_stress() {
    each!(make in [spmc, mpmc] => {
        for capacity in [1, 3] {
            let each = rounds(8_000);
            let (tx, rx) = make(capacity);
            let txs = tx.fan(2);
            let count = txs.len() * each;
            let mut all: Vec<usize> = thread::scope(|s| {
                let receivers: Vec<_> = rx.fan(2).into_iter().map(|rx| {
                    s.spawn(move || std::iter::from_fn(|| rx.recv_blocking()).collect::<Vec<_>>())
                }).collect();
                let senders: Vec<_> = txs.into_iter().enumerate().map(|(i, mut tx)| {
                    s.spawn(move || {
                        let mut pushed_out = Vec::new();
                        for n in i * each..(i + 1) * each {
                            match n % 4 {
                                0 => tx.send_blocking(n).unwrap(),
                                1 => now_or_later(&mut tx, n, |tx, n| match tx.try_reserve() {
                                    Ok(permit) => { permit.send(n); Ok(()) }
                                    Err(_) => Err(n),
                                }),
                                _ => now_or_later(&mut tx, n, |tx, n| {
                                    pushed_out.extend(tx.force_send(n).map_err(|e| e.into_inner())?);
                                    Ok(())
                                }),
                            }
                        }
                        pushed_out
                    })
                }).collect();
                let all = senders.into_iter().chain(receivers);
                all.flat_map(|thread| thread.join().unwrap()).collect()
            });
            all.sort_unstable();
            assert!(all.into_iter().eq(0..count), "each is received or pushed out, once");
        }
    });
}

/// Tries until it works.
fn now_or_later<H>(
    handle: &mut H,
    n: usize,
    mut send: impl FnMut(&mut H, usize) -> Result<(), usize>,
) {
    while send(handle, n).is_err() {
        thread::yield_now();
    }
}
