//! Polls written by hand, and the `Stream` and `Sink` made of them.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use annulus::channel;
use support::{Count, panic_text, poll};

#[macro_use]
mod support;

#[test]
fn hand_written_polls() {
    each!(make => {
        let (mut tx, mut rx) = make(1);
        let (tx_count, rx_count) = (Count::new(), Count::new());
        let (tx_waker, rx_waker) = (Arc::clone(&tx_count).into(), Arc::clone(&rx_count).into());
        let (tx_cx, rx_cx) =
            (&mut Context::from_waker(&tx_waker), &mut Context::from_waker(&rx_waker));

        let text = panic_text(|| tx.send_reserved(0));
        assert!(text.contains("call poll_reserve until it is ready first"), "{text}");
        assert!(rx.poll_recv(rx_cx).is_pending());
        // The room is kept, and asking again does not take more.
        for _ in 0..3 {
            assert_eq!(tx.poll_reserve(tx_cx), Poll::Ready(Ok(())));
        }
        assert!(tx.try_send(0).unwrap_err().is_full());
        tx.send_reserved(1);
        panic_text(|| tx.send_reserved(0));
        assert_eq!(rx_count.wakes(), 1);
        assert!(tx.poll_reserve(tx_cx).is_pending());
        assert_eq!(rx.poll_recv(rx_cx), Poll::Ready(Some(1)));
        assert_eq!(tx_count.wakes(), 1);
        assert_eq!(tx.poll_reserve(tx_cx), Poll::Ready(Ok(())));
        // A sender that drops with room gives it back, and with it the end.
        assert!(rx.poll_recv(rx_cx).is_pending());
        let before = rx_count.wakes();
        drop(tx);
        assert!(rx_count.wakes() > before);
        assert_eq!(rx.poll_recv(rx_cx), Poll::Ready(None));

        let (mut tx, rx) = make(1);
        tx.try_send(1).unwrap();
        assert!(tx.poll_reserve(tx_cx).is_pending());
        let before = tx_count.wakes();
        drop(rx);
        assert!(tx_count.wakes() > before);
        assert!(matches!(tx.poll_reserve(tx_cx), Poll::Ready(Err(_))));
        panic_text(|| tx.send_reserved(2));
    });
}

/// A handle that waits has a place in the queue; dropped, it hands its wake on, and its room.
#[test]
fn waiting_handles_are_dropped() {
    let (tx, mut rx) = channel::mpmc(1);
    let second = rx.clone();
    let (count, noop) = (Count::new(), &mut Context::from_waker(Waker::noop()));
    let mut owner = rx.clone();
    assert!(owner.poll_recv(&mut Context::from_waker(&Arc::clone(&count).into())).is_pending());
    let (_recv, wakes) = waiting!(second.recv());
    tx.try_send(1).unwrap();
    assert_eq!((count.wakes(), wakes.wakes()), (1, 0));
    drop(owner);
    assert_eq!(wakes.wakes(), 1);
    assert_eq!(rx.poll_recv(noop), Poll::Ready(Some(1)));

    let mut owner = tx.clone();
    assert_eq!(owner.poll_reserve(noop), Poll::Ready(Ok(())));
    let mut next = tx.clone();
    assert!(next.poll_reserve(&mut Context::from_waker(&Arc::clone(&count).into())).is_pending());
    let (mut send, wakes) = waiting!(tx.send(2));
    drop(owner);
    assert_eq!((count.wakes(), wakes.wakes()), (2, 0));
    drop(next);
    assert_eq!(wakes.wakes(), 1);
    assert!(poll(send.as_mut(), &wakes).is_ready());
}

#[cfg(feature = "futures-core")]
mod stream {
    use std::pin::Pin;

    use futures_core::Stream;
    use futures_core::stream::FusedStream;

    use super::*;

    #[test]
    fn a_receiver_is_a_stream() {
        each!(make => {
            let (mut tx, mut rx) = make(2);
            let count = Count::new();
            let waker = Waker::from(Arc::clone(&count));
            let cx = &mut Context::from_waker(&waker);
            assert!(Pin::new(&mut rx).poll_next(cx).is_pending());
            tx.try_send(1).unwrap();
            assert_eq!(count.wakes(), 1);
            tx.try_send(2).unwrap();
            drop(tx);
            assert!(!rx.is_terminated());
            assert_eq!(Pin::new(&mut rx).poll_next(cx), Poll::Ready(Some(1)));
            assert_eq!(Pin::new(&mut rx).poll_next(cx), Poll::Ready(Some(2)));
            assert_eq!(Pin::new(&mut rx).poll_next(cx), Poll::Ready(None));
            assert!(rx.is_terminated());
            assert_eq!(Pin::new(&mut rx).poll_next(cx), Poll::Ready(None));
        });
    }
}

#[cfg(feature = "futures-sink")]
mod sink {
    use std::pin::Pin;

    use futures_sink::Sink;

    use super::*;

    #[test]
    fn a_sender_is_a_sink() {
        each!(make => {
            let (mut tx, mut rx) = make(1);
            let count = Count::new();
            let waker = Waker::from(Arc::clone(&count));
            let cx = &mut Context::from_waker(&waker);
            // What was started is there without a flush.
            assert!(Pin::new(&mut tx).poll_ready(cx).is_ready());
            Pin::new(&mut tx).start_send(1).unwrap();
            assert_eq!(rx.len(), 1);
            assert!(Pin::new(&mut tx).poll_flush(cx).is_ready());
            assert!(Pin::new(&mut tx).poll_ready(cx).is_pending());
            assert_eq!(rx.try_recv(), Ok(1));
            assert_eq!(count.wakes(), 1);
            assert!(Pin::new(&mut tx).poll_ready(cx).is_ready());
            // Closing with room that was got: it is given up, and the end can be seen.
            assert!(Pin::new(&mut tx).poll_close(cx).is_ready());
            assert_eq!(rx.try_recv(), Err(channel::TryRecvError::Closed));
            assert!(matches!(Pin::new(&mut tx).poll_ready(cx), Poll::Ready(Err(_))));
        });
    }
}
