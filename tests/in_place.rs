//! Looking at a message where it lies, in the slot.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::task::Poll;

use annulus::channel::TryRecvError;
use support::{Count, Counted, now, panic_text, poll};

#[macro_use]
mod support;

#[test]
fn receiving_in_place() {
    each!(make in [spsc, mpsc] => {
        let drops = Arc::new(AtomicUsize::new(0));
        let (mut tx, mut rx) = make(2);
        assert_eq!(rx.try_recv_ref().unwrap_err(), TryRecvError::Empty);
        let (mut recv, wakes) = waiting!(rx.recv_ref());
        tx.try_send((1, Counted(Arc::clone(&drops)))).unwrap();
        assert_eq!(wakes.wakes(), 1);
        let Poll::Ready(Some(mut message)) = poll(recv.as_mut(), &wakes) else { panic!() };
        assert_eq!(message.0, 1);
        message.0 = 2;
        // It is in its slot until then, and then a sender hears of it.
        tx.try_send((3, Counted(Arc::clone(&drops)))).unwrap();
        let (mut send, send_wakes) = waiting!(tx.send((4, Counted(Arc::clone(&drops)))));
        assert_eq!((drops.load(SeqCst), message.0), (0, 2));
        drop((message, recv));
        assert_eq!((drops.load(SeqCst), send_wakes.wakes()), (1, 1));
        assert!(poll(send.as_mut(), &send_wakes).is_ready());
        drop(send);

        // Forgotten, it is received again; taken out, it is not dropped here.
        std::mem::forget(rx.try_recv_ref().unwrap());
        assert_eq!(rx.len(), 2);
        let (n, counted) = rx.try_recv_ref().unwrap().into_inner();
        assert_eq!((n, drops.load(SeqCst), rx.len()), (3, 1, 1));
        drop(counted);
        assert_eq!(now(rx.recv_ref()).unwrap().0, 4);
        assert_eq!(drops.load(SeqCst), 3);
        drop(tx);
        assert!(now(rx.recv_ref()).is_none());
        assert_eq!(rx.try_recv_ref().unwrap_err(), TryRecvError::Closed);
        assert_eq!(drops.load(SeqCst), 3);
    });
}

#[test]
fn one_look_at_a_time() {
    each!(make in [spsc, mpsc] => {
        let (mut tx, mut rx) = make(2);
        tx.try_send("one".to_string()).unwrap();
        let mut recv = Box::pin(rx.recv_ref());
        let first = poll(recv.as_mut(), &Count::new());
        // A second would be of the same message, which would then be dropped twice.
        let text = panic_text(|| poll(recv.as_mut(), &Count::new()).map(|_| ()));
        assert!(text.contains("has completed"), "{text}");
        drop(recv);
        assert!(first.map(|message| assert_eq!(message.unwrap().into_inner(), "one")).is_ready());
        assert_eq!(rx.len(), 0);
    });
}

#[test]
fn a_drop_in_place_that_panics_happens_once() {
    struct Bomb(Arc<AtomicUsize>);
    impl Drop for Bomb {
        fn drop(&mut self) {
            assert!(self.0.fetch_add(1, SeqCst) > 0, "the first drop panics");
        }
    }
    each!(make in [spsc, mpsc] => {
        let drops = Arc::new(AtomicUsize::new(0));
        let (mut tx, mut rx) = make(2);
        (0..2).for_each(|_| tx.try_send(Bomb(Arc::clone(&drops))).map_err(|_| ()).unwrap());
        let (mut send, wakes) = waiting!(tx.send(Bomb(Arc::clone(&drops))));
        panic_text(|| drop(rx.try_recv_ref()));
        assert_eq!((drops.load(SeqCst), rx.len(), wakes.wakes()), (1, 1, 1));
        assert!(poll(send.as_mut(), &wakes).is_ready());
        drop(send);
        drop((tx, rx));
        assert_eq!(drops.load(SeqCst), 3);
    });
}
