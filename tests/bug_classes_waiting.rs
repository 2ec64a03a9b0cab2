//! Classes of bugs that other channels have had, and this one must not: who waits, and who wakes.
//!
//! The numbers are those of `bug_classes.rs`, which has the other classes.

use std::future::Future;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Wake, Waker};
use std::thread;

use annulus::channel::{self, Kind, Sender};
use support::{Count, Fan, block_on, now, poll, poll_with, rounds};

#[macro_use]
mod support;

/// Registering, looking again and notifying race, on both sides: a lost wake hangs this. Proved
/// by the loom models `*_waits_on_both_sides`.
#[test]
fn class_05_no_wake_is_lost_between_looking_and_waiting() {
    each!(make => {
        let (mut ping_tx, mut ping_rx) = make(1);
        let (mut pong_tx, mut pong_rx) = make(1);
        let count = rounds(5_000);
        thread::scope(|s| {
            // One sends into a full channel, the other receives from an empty one, all the time.
            s.spawn(move || {
                for n in 0..count {
                    block_on(async {
                        ping_tx.send(2 * n).await.unwrap();
                        ping_tx.send(2 * n + 1).await.unwrap();
                        assert_eq!(pong_rx.recv().await, Some(n));
                    });
                }
            });
            for n in 0..count {
                assert_eq!(ping_rx.recv_blocking(), Some(2 * n));
                assert_eq!(ping_rx.recv_blocking(), Some(2 * n + 1));
                pong_tx.send_blocking(n).unwrap();
            }
        });
    });
}

/// The same waits also in `cancelled_receiver_hands_its_wake_on` and its twin, under loom.
#[test]
fn class_06_only_a_notified_waiter_hands_on() {
    each!(make in [spmc, mpmc] => {
        let (mut tx, rx) = make(4);
        let (mut out, mut out2) = (Vec::new(), Vec::new());
        let (first, first_wakes) = waiting!(rx.recv());
        let (second, second_wakes) = waiting!(rx.recv_many(&mut out, 9));
        let (third, third_wakes) = waiting!(rx.recv());
        let (mut fourth, fourth_wakes) = waiting!(rx.recv_many(&mut out2, 9));
        let wakes = || [&first_wakes, &second_wakes, &third_wakes, &fourth_wakes].map(|c| c.wakes());
        drop(third);
        assert_eq!(wakes(), [0; 4], "a waiter that was not notified has nothing to hand on");
        tx.try_send(1).unwrap();
        assert_eq!(wakes(), [1, 0, 0, 0]);
        drop(first);
        assert_eq!(wakes(), [1, 1, 0, 0]);
        drop(second);
        assert_eq!(wakes(), [1, 1, 0, 1]);
        assert_eq!(poll(fourth.as_mut(), &fourth_wakes), Poll::Ready(1));
        drop(fourth);
        assert_eq!((out, out2), (vec![], vec![1]));
    });

    each!(make in [mpsc, mpmc] => {
        let (tx, mut rx) = make(1);
        tx.try_send(0).unwrap();
        let (first, first_wakes) = waiting!(tx.send(1));
        let (second, second_wakes) = waiting!(tx.reserve());
        let (third, third_wakes) = waiting!(tx.send_many([3]));
        let (fourth, fourth_wakes) = waiting!(tx.clone().reserve_owned());
        let (mut fifth, fifth_wakes) = waiting!(tx.send(5));
        let wakes = || {
            [&first_wakes, &second_wakes, &third_wakes, &fourth_wakes, &fifth_wakes]
                .map(|c| c.wakes())
        };
        assert_eq!(rx.try_recv(), Ok(0));
        assert_eq!(wakes(), [1, 0, 0, 0, 0]);
        drop(first);
        assert_eq!(wakes(), [1, 1, 0, 0, 0]);
        drop(second);
        assert_eq!(wakes(), [1, 1, 1, 0, 0]);
        drop(third);
        assert_eq!(wakes(), [1, 1, 1, 1, 0]);
        drop(fourth);
        assert_eq!(wakes(), [1, 1, 1, 1, 1]);
        assert!(poll(fifth.as_mut(), &fifth_wakes).is_ready());
        drop(fifth);
        assert_eq!((rx.try_recv(), tx.sender_count()), (Ok(5), 1));
    });
}

#[test]
fn class_07_success_without_a_wake_leaves_the_queue() {
    each!(make in [spmc, mpmc] => {
        let (mut tx, rx) = make(4);
        let (mut first, first_wakes) = waiting!(rx.recv());
        let (mut second, second_wakes) = waiting!(rx.recv());
        let (mut third, third_wakes) = waiting!(rx.recv());
        let wakes = || [&first_wakes, &second_wakes, &third_wakes].map(|c| c.wakes());
        tx.try_send(1).unwrap();
        assert_eq!(wakes(), [1, 0, 0]);
        // The second comes by itself, takes the message, and is not in the queue any more.
        assert_eq!(poll(second.as_mut(), &second_wakes), Poll::Ready(Some(1)));
        tx.try_send(2).unwrap();
        assert_eq!(wakes(), [1, 0, 1]);
        // The third spent its wake on this message; the first came too late and keeps its place.
        assert_eq!(poll(third.as_mut(), &third_wakes), Poll::Ready(Some(2)));
        assert!(poll(first.as_mut(), &first_wakes).is_pending());
        let (fourth, fourth_wakes) = waiting!(rx.recv());
        tx.try_send(3).unwrap();
        assert_eq!((wakes(), fourth_wakes.wakes()), ([2, 0, 1], 0));
        // Notified, but another came first; dropped then, it has a wake to hand on or not: the
        // message is gone, and the next one has to wake the fourth in any case.
        assert_eq!(rx.try_recv(), Ok(3));
        drop(first);
        let before = fourth_wakes.wakes();
        tx.try_send(4).unwrap();
        assert!(before == 1 || fourth_wakes.wakes() == 1);
        drop(fourth);
        assert_eq!(rx.try_recv(), Ok(4));
    });

    each!(make in [mpsc, mpmc] => {
        let (tx, mut rx) = make(1);
        tx.try_send(0).unwrap();
        let (mut first, first_wakes) = waiting!(tx.send(1));
        let (mut second, second_wakes) = waiting!(tx.send(2));
        let (_third, third_wakes) = waiting!(tx.send(3));
        rx.try_recv().unwrap();
        assert!(poll(second.as_mut(), &second_wakes).is_ready());
        assert!(poll(first.as_mut(), &first_wakes).is_pending());
        assert_eq!(rx.try_recv(), Ok(2));
        let wakes = [&first_wakes, &second_wakes, &third_wakes].map(|c| c.wakes());
        assert_eq!(wakes, [2, 0, 0], "the first was woken, came too late, and is first again");
        assert!(poll(first.as_mut(), &first_wakes).is_ready());
        assert_eq!(rx.try_recv(), Ok(1));
        assert_eq!(third_wakes.wakes(), 1);
    });
}

/// Under a race: the loom model `changed_waker`.
#[test]
fn class_08_the_waker_of_the_last_poll_is_woken() {
    each!(make => {
        let (mut tx, mut rx) = make(1);
        let last = Count::new();
        let (mut recv, first) = waiting!(rx.recv());
        assert!(poll(recv.as_mut(), &last).is_pending());
        assert_eq!(Arc::strong_count(&first), 1, "the old waker is let go");
        tx.try_send(1).unwrap();
        assert_eq!((first.wakes(), last.wakes()), (0, 1));
        assert_eq!(poll(recv.as_mut(), &last), Poll::Ready(Some(1)));
        drop(recv);

        tx.try_send(2).unwrap();
        let (mut send, first) = waiting!(tx.send(3));
        let last = Count::new();
        assert!(poll(send.as_mut(), &last).is_pending());
        assert_eq!(Arc::strong_count(&first), 1, "the old waker is let go");
        assert_eq!(rx.try_recv(), Ok(2));
        assert_eq!((first.wakes(), last.wakes()), (0, 1));
        assert!(poll(send.as_mut(), &last).is_ready());
    });
}

/// A waker that counts its clones, and may panic in one.
struct Clones {
    count: AtomicUsize,
    panics: bool,
}

/// A static, so that it has one address, by which `will_wake` goes.
static CLONES: RawWakerVTable = RawWakerVTable::new(
    |data| {
        // SAFETY: `waker` made it, from a reference that outlives the channel.
        let this = unsafe { &*data.cast::<Clones>() };
        this.count.fetch_add(1, SeqCst);
        assert!(!this.panics, "a waker that cannot be cloned");
        RawWaker::new(data, &CLONES)
    },
    |_| {},
    |_| {},
    |_| {},
);

impl Clones {
    fn new(panics: bool) -> Self {
        Self { count: AtomicUsize::new(0), panics }
    }

    fn waker(&self) -> Waker {
        // SAFETY: the functions above keep the contract, as long as `self` is there: the tests
        // drop their channels first.
        unsafe { Waker::new(std::ptr::from_ref(self).cast(), &CLONES) }
    }
}

#[test]
fn class_09_the_same_waker_again_is_not_cloned() {
    each!(make => {
        let (of_recv, of_send) = (Clones::new(false), Clones::new(false));
        let (mut tx, mut rx) = make(1);
        let waker = of_recv.waker();
        let mut recv = Box::pin(rx.recv());
        for _ in 0..10 {
            assert!(poll_with(recv.as_mut(), &waker).is_pending());
        }
        assert_eq!(of_recv.count.load(SeqCst), 1);
        drop(recv);
        tx.try_send(1).unwrap();
        let waker = of_send.waker();
        let mut send = Box::pin(tx.send(2));
        for _ in 0..10 {
            assert!(poll_with(send.as_mut(), &waker).is_pending());
        }
        assert_eq!(of_send.count.load(SeqCst), 1);
    });

    // And its operation stays where it is in the queue.
    each!(make in [spmc, mpmc] => {
        let (mut tx, rx) = make(4);
        let (mut first, first_wakes) = waiting!(rx.recv());
        let (_second, second_wakes) = waiting!(rx.recv());
        assert!(poll(first.as_mut(), &first_wakes).is_pending());
        tx.try_send(1).unwrap();
        assert_eq!((first_wakes.wakes(), second_wakes.wakes()), (1, 0));
    });
}

#[test]
fn class_10_a_forgotten_waiter_does_not_end_the_channel() {
    each!(make => {
        let (mut tx, mut rx) = make(2);
        // On the stack, so that forgetting leaks no memory.
        let count = Count::new();
        let mut forgotten = ManuallyDrop::new(rx.recv());
        assert!(poll(Pin::new(&mut *forgotten), &count).is_pending());
        let (mut recv, wakes) = waiting!(rx.recv());
        tx.try_send(1).unwrap();
        tx.try_send(2).unwrap();
        assert_eq!(wakes.wakes(), 1, "two messages wake a live receiver beside a forgotten one");
        assert_eq!(poll(recv.as_mut(), &wakes), Poll::Ready(Some(1)));
        drop(recv);

        tx.try_send(3).unwrap();
        let mut forgotten = ManuallyDrop::new(tx.send(4));
        assert!(poll(Pin::new(&mut *forgotten), &count).is_pending());
        let (mut send, wakes) = waiting!(tx.send(5));
        assert_eq!((rx.try_recv(), rx.try_recv()), (Ok(2), Ok(3)));
        assert_eq!(wakes.wakes(), 1, "so does room for two");
        assert!(poll(send.as_mut(), &wakes).is_ready());
        drop(send);
        assert_eq!(rx.try_recv(), Ok(5));
        // Closing reaches those who wait now, whatever else is in the queue.
        let mut forgotten = ManuallyDrop::new(rx.recv());
        assert!(poll(Pin::new(&mut *forgotten), &count).is_pending());
        let (_recv, wakes) = waiting!(rx.recv());
        tx.close();
        assert_eq!(wakes.wakes(), 1);
    });
}

/// With messages, and with both handles in the waker: law 3.
#[test]
fn class_11_wakers_run_outside_of_locks() {
    /// Uses its channel when it is woken and when it is dropped.
    struct Nosy<K: Kind>(Arc<Sender<u8, K>>);

    impl<K: Kind> Nosy<K> {
        fn look(&self) {
            assert!(self.0.len() <= self.0.capacity());
            let _ = (self.0.state(), self.0.is_full(), format!("{:?}", self.0));
            self.0.close(); // wakes whoever waits
        }
    }

    impl<K: Kind> Wake for Nosy<K> {
        fn wake(self: Arc<Self>) {
            self.look();
        }
    }

    impl<K: Kind> Drop for Nosy<K> {
        fn drop(&mut self) {
            self.look();
        }
    }

    fn nosy<K: Kind>(tx: &Arc<Sender<u8, K>>) -> Waker {
        Waker::from(Arc::new(Nosy(Arc::clone(tx))))
    }

    each!(make => {
        // Woken by a close, whose waker closes again.
        let (tx, mut rx) = make(1);
        let tx = Arc::new(tx);
        let mut recv = Box::pin(rx.recv());
        assert!(poll_with(recv.as_mut(), &nosy(&tx)).is_pending());
        tx.close();
        assert_eq!(poll_with(recv.as_mut(), Waker::noop()), Poll::Ready(None));
        drop(recv);

        // Replaced by another in a poll, which drops it there.
        let (tx, mut rx) = make(1);
        let tx = Arc::new(tx);
        let mut recv = Box::pin(rx.recv());
        assert!(poll_with(recv.as_mut(), &nosy(&tx)).is_pending());
        let _ = poll_with(recv.as_mut(), Waker::noop());
        assert!(tx.is_closed());
        drop(recv);

        // Dropped with its operation, or with the receiver that keeps it.
        let (tx, mut rx) = make(1);
        let tx = Arc::new(tx);
        let mut recv = Box::pin(rx.recv());
        assert!(poll_with(recv.as_mut(), &nosy(&tx)).is_pending());
        drop(recv);
        drop(rx);
        assert!(tx.is_closed());
        assert_eq!(Arc::strong_count(&tx), 1);
    });
}

#[test]
fn class_12_a_waker_may_poll_inside_wake_and_may_panic() {
    type Task = Pin<Box<dyn Future<Output = Vec<u8>> + Send>>;

    /// Polls its task at once; what comes out stays here.
    #[derive(Default)]
    struct Inline(Mutex<Option<Task>>, Mutex<Vec<u8>>);

    impl Wake for Inline {
        fn wake(self: Arc<Self>) {
            let waker = Waker::from(Arc::clone(&self));
            // Taken out, so that no lock of ours is held in the poll.
            let Some(mut task) = self.0.lock().unwrap().take() else { return };
            match poll_with(task.as_mut(), &waker) {
                Poll::Ready(output) => *self.1.lock().unwrap() = output,
                Poll::Pending => *self.0.lock().unwrap() = Some(task),
            }
        }
    }

    each!(make => {
        let (mut tx, mut rx) = make(1);
        let task = Arc::new(Inline::default());
        *task.0.lock().unwrap() = Some(Box::pin(async move {
            let mut all = Vec::new();
            while let Some(n) = rx.recv().await {
                all.push(n);
            }
            all
        }));
        Arc::clone(&task).wake();
        // Each send runs the receiver, which makes room and waits again, before it returns.
        (0..5).for_each(|n| tx.try_send(n).unwrap());
        drop(tx);
        assert_eq!(*task.1.lock().unwrap(), [0, 1, 2, 3, 4]);
    });

    struct Bomb;
    impl Wake for Bomb {
        fn wake(self: Arc<Self>) {
            panic!("a waker that panics");
        }
    }
    let bomb = Waker::from(Arc::new(Bomb));

    each!(make => {
        let (mut tx, mut rx) = make(2);
        let mut recv = Box::pin(rx.recv());
        assert!(poll_with(recv.as_mut(), &bomb).is_pending());
        assert!(catch_unwind(AssertUnwindSafe(|| tx.try_send(1))).is_err());
        // The message is there, and the channel goes on.
        assert_eq!(poll_with(recv.as_mut(), Waker::noop()), Poll::Ready(Some(1)));
        drop(recv);
        tx.try_send(2).unwrap();
        tx.try_send(3).unwrap();
        let mut send = Box::pin(tx.send(4));
        assert!(poll_with(send.as_mut(), &bomb).is_pending());
        assert!(catch_unwind(AssertUnwindSafe(|| rx.try_recv())).is_err());
        // The message that was being received is gone (the core's first invariant); there is room.
        assert!(poll_with(send.as_mut(), Waker::noop()).is_ready());
        drop(send);
        assert_eq!((rx.try_recv(), rx.try_recv()), (Ok(3), Ok(4)));
    });

    // Of many who wait, those after one that panics are woken, too.
    each!(make in [spmc, mpmc] => {
        let (tx, rx) = make::<u8>(1);
        let mut first = Box::pin(rx.recv());
        assert!(poll_with(first.as_mut(), &bomb).is_pending());
        let others: Vec<_> = (0..50).map(|_| waiting!(rx.recv())).collect();
        assert!(catch_unwind(AssertUnwindSafe(|| tx.close())).is_err());
        assert!(others.iter().all(|(_, wakes)| wakes.wakes() == 1));
    });
}

#[test]
fn class_13_spurious_polls_register_once() {
    each!(make in [spmc, mpmc] => {
        let (mut tx, rx) = make(8);
        let (mut first, wakes) = waiting!(rx.recv());
        let wakers: Vec<_> = (0..10).map(|_| Count::new()).collect();
        wakers.iter().chain(&wakers).for_each(|w| assert!(poll(first.as_mut(), w).is_pending()));
        let (_second, second_wakes) = waiting!(rx.recv());
        tx.try_send(1).unwrap();
        tx.try_send(2).unwrap();
        let of_first = || wakers.iter().map(|w| w.wakes()).sum::<usize>() + wakes.wakes();
        assert_eq!((of_first(), second_wakes.wakes()), (1, 1));
        drop(first); // what it was woken for goes on, but nobody is left to wake
        tx.try_send(3).unwrap();
        assert_eq!((of_first(), second_wakes.wakes()), (1, 1));
    });

    each!(make in [mpsc, mpmc] => {
        let (tx, mut rx) = make(2);
        (0..2).for_each(|n| tx.try_send(n).unwrap());
        let (mut first, wakes) = waiting!(tx.send(2));
        (0..10).for_each(|_| assert!(poll(first.as_mut(), &Count::new()).is_pending()));
        assert!(poll(first.as_mut(), &wakes).is_pending());
        let (_second, second_wakes) = waiting!(tx.send(3));
        assert_eq!((rx.try_recv(), rx.try_recv()), (Ok(0), Ok(1)));
        assert_eq!((wakes.wakes(), second_wakes.wakes()), (1, 1));
    });

    // Where one waits, a cancelled wait leaves nothing that would be woken.
    each!(make => {
        let (mut tx, mut rx) = make(1);
        let (mut recv, wakes) = waiting!(rx.recv());
        assert!(poll(recv.as_mut(), &wakes).is_pending());
        drop(recv);
        tx.try_send(1).unwrap();
        let (send, send_wakes) = waiting!(tx.send(2));
        drop(send);
        assert_eq!(rx.try_recv(), Ok(1));
        assert_eq!((wakes.wakes(), send_wakes.wakes()), (0, 0));
    });
}

#[test]
fn class_14_after_completion_and_before_the_first_poll() {
    each!(make => {
        let (mut tx, mut rx) = make(1);
        let message = Arc::new(());
        let mut send = Box::pin(tx.send(Arc::clone(&message)));
        assert!(poll(send.as_mut(), &Count::new()).is_ready());
        let again = catch_unwind(AssertUnwindSafe(|| poll(send.as_mut(), &Count::new())));
        let text = *again.unwrap_err().downcast::<&str>().unwrap();
        assert!(text.contains("has completed"), "{text}");
        drop(send);
        assert_eq!(rx.len(), 1, "the second poll has sent nothing");
        // A receive that is polled again receives again.
        let mut recv = Box::pin(rx.recv());
        assert!(poll(recv.as_mut(), &Count::new()).is_ready());
        assert!(poll(recv.as_mut(), &Count::new()).is_pending());
        drop(recv);

        let mut many = Box::pin(tx.send_many([Arc::clone(&message)]));
        assert_eq!(poll(many.as_mut(), &Count::new()).map(Result::unwrap), Poll::Ready(1));
        assert!(catch_unwind(AssertUnwindSafe(|| poll(many.as_mut(), &Count::new()))).is_err());
        drop(many);
        drop(rx.try_recv());

        // Dropped without a poll.
        drop(tx.send(Arc::clone(&message)));
        drop(tx.send_many([Arc::clone(&message)]));
        drop(tx.reserve());
        drop(rx.recv());
        assert_eq!(Arc::strong_count(&message), 1);
        let mut owned = Box::pin(tx.reserve_owned());
        let permit = poll(owned.as_mut(), &Count::new());
        assert!(catch_unwind(AssertUnwindSafe(|| poll(owned.as_mut(), &Count::new()))).is_err());
        drop((permit, owned));
        assert_eq!(now(rx.recv()), None);
    });
}

/// The loom models `permit_against_close_*` and `unused_permit_ends_the_wait`; more in `permits.rs`.
#[test]
fn class_15_a_permit_dropped_after_the_end_wakes_the_receivers() {
    each!(make => {
        let (mut tx, mut rx) = make(2);
        tx.try_send(1).unwrap();
        let permit = tx.try_reserve_owned().unwrap();
        let rx = &mut rx;
        assert_eq!(rx.try_recv(), Ok(1));
        let (mut recv, wakes) = waiting!(rx.recv());
        drop(permit); // and with it the last sender
        assert!(wakes.wakes() >= 1);
        assert_eq!(poll(recv.as_mut(), &wakes), Poll::Ready(None));
    });

    // The channel was closed before, so that the permit alone is what they wait for.
    each!(make in [mpsc, mpmc] => {
        let (tx, rx) = make::<u8>(2);
        let mut rxs = rx.fan(3);
        let permit = tx.try_reserve().unwrap();
        tx.close();
        let waiting: Vec<_> = rxs.iter_mut().map(|rx| waiting!(rx.recv())).collect();
        drop(permit);
        for (mut recv, wakes) in waiting {
            assert_eq!(wakes.wakes(), 1);
            assert_eq!(poll(recv.as_mut(), &wakes), Poll::Ready(None));
        }
    });

    // A permit that is forgotten costs its room and nothing else.
    each!(make => {
        let (mut tx, mut rx) = make(2);
        std::mem::forget(tx.try_reserve().unwrap());
        tx.try_send(1).unwrap();
        assert!(tx.try_send(2).unwrap_err().is_full());
        let (send, wakes) = waiting!(tx.send(2));
        assert_eq!(rx.try_recv(), Ok(1));
        assert_eq!(wakes.wakes(), 1);
        drop(send);
        tx.try_send(3).unwrap();
        assert_eq!(now(rx.recv()), Some(3));
    });
}

/// The loom model `wake_during_run`: a wake of a task that is queued already publishes, too.
#[cfg(not(miri))]
#[test]
fn class_16_a_wake_publishes_what_was_done_before_it() {
    const LAST: usize = 50_000;
    let value = Arc::new(AtomicUsize::new(0));
    let runtime = annulus::Builder::new().worker_threads(2).build().unwrap();
    let (waker_tx, waker_rx) = std::sync::mpsc::channel();
    let seen = Arc::clone(&value);
    let task = runtime.spawn(std::future::poll_fn(move |cx: &mut Context<'_>| {
        let _ = waker_tx.send(cx.waker().clone());
        // Relaxed: the wake alone has to make the last value seen, else this waits for ever.
        if seen.load(Relaxed) == LAST { Poll::Ready(()) } else { Poll::Pending }
    }));
    let waker = waker_rx.recv().unwrap();
    for n in 1..=LAST {
        value.store(n, Relaxed);
        waker.wake_by_ref();
    }
    runtime.block_on(task).unwrap();
}

#[test]
fn class_21_a_panic_leaves_no_lock_behind() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("a message whose drop panics");
        }
    }
    let fails = |f: &mut dyn FnMut()| assert!(catch_unwind(AssertUnwindSafe(f)).is_err());
    let clones = Clones::new(true);

    each!(make => {
        let (mut tx, mut rx) = make(2);
        // A message that drops in every place where one can.
        tx.try_send(Some(Bomb)).unwrap();
        fails(&mut || drop(rx.try_recv()));
        fails(&mut || drop(tx.send(Some(Bomb))));
        // An iterator in the middle of a batch.
        fails(&mut || _ = tx.try_send_many(&mut (0..2).map(|n| if n == 0 { None } else { panic!() })));
        assert_eq!(rx.len(), 1, "what the iterator gave is sent");
        drop(rx.try_recv());
        // A waker that cannot be cloned.
        fails(&mut || drop(poll_with(Box::pin(rx.recv()).as_mut(), &clones.waker())));
        tx.try_send(None).unwrap();
        tx.try_send(None).unwrap();
        fails(&mut || drop(poll_with(Box::pin(tx.send(None)).as_mut(), &clones.waker())));
        // After all that both sides work and wait as before.
        let (mut send, wakes) = waiting!(tx.send(None));
        assert!(rx.try_recv().is_ok());
        assert_eq!(wakes.wakes(), 1);
        assert!(poll(send.as_mut(), &wakes).is_ready());
        drop(send);
        rx.try_iter().for_each(drop);
        let (_recv, wakes) = waiting!(rx.recv());
        tx.try_send(None).unwrap();
        assert_eq!(wakes.wakes(), 1);
    });
}

#[test]
fn class_23_blocking_and_async_on_both_sides() {
    each!(make => {
        for capacity in [1, 3] {
            let each = rounds(2_000);
            let (tx, rx) = make(capacity);
            let (txs, rxs) = (tx.fan(3), rx.fan(3));
            let senders = txs.len();
            let sum: usize = thread::scope(|s| {
                for (i, mut tx) in txs.into_iter().enumerate() {
                    s.spawn(move || {
                        for n in 0..each {
                            match (i + n / 7) % 3 {
                                0 => tx.send_blocking(n).unwrap(),
                                1 => block_on(tx.send(n)).unwrap(),
                                _ => block_on(tx.reserve()).unwrap().send(n),
                            }
                        }
                    });
                }
                let receivers: Vec<_> = rxs.into_iter().enumerate().map(|(i, mut rx)| {
                    s.spawn(move || {
                        let mut sum = 0;
                        for n in i.. {
                            let next = match n % 2 {
                                0 => rx.recv_blocking(),
                                _ => block_on(rx.recv()),
                            };
                            let Some(next) = next else { break };
                            sum += next;
                        }
                        sum
                    })
                }).collect();
                receivers.into_iter().map(|r| r.join().unwrap()).sum()
            });
            assert_eq!(sum, senders * each * (each - 1) / 2);
        }
    });
}

/// Many more threads than processors, and a channel of one: nobody may depend on being scheduled
/// together with somebody else.
#[test]
fn class_24_many_threads_on_few_processors() {
    each!(make => {
        let (half, each) = if cfg!(miri) { (3, 5) } else { (32, 100) };
        let (tx, rx) = make(1);
        let (txs, rxs) = (tx.fan(half), rx.fan(half));
        let expected = txs.len() * each;
        let received = AtomicUsize::new(0);
        thread::scope(|s| {
            for mut tx in txs {
                s.spawn(move || (0..each).for_each(|n| tx.send_blocking(n).unwrap()));
            }
            for mut rx in rxs {
                let received = &received;
                s.spawn(move || {
                    while rx.recv_blocking().is_some() {
                        received.fetch_add(1, Relaxed);
                    }
                });
            }
        });
        assert_eq!(received.into_inner(), expected);
    });
    // One that is never closed by anybody but its receiver.
    let (tx, rx) = channel::mpmc(1);
    thread::scope(|s| {
        for _ in 0..if cfg!(miri) { 3 } else { 63 } {
            let tx = tx.clone();
            s.spawn(move || while tx.send_blocking(()).is_ok() {});
        }
        (0..rounds(1_000)).for_each(|_| assert_eq!(rx.recv_blocking(), Some(())));
        drop(rx);
    });
}
