//! Sending and receiving with a limit of time loses nothing.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;

use annulus::channel::{RecvTimeoutError, SendTimeoutError};
use annulus::time::{self, Duration, timeout};
use annulus::{Builder, Runtime};

use self::support::{Counted, Polled, panic_text, rounds};

#[macro_use]
mod support;

const MS: Duration = Duration::from_millis(1);

fn paused() -> Runtime {
    Builder::new().worker_threads(1).start_paused(true).build().unwrap()
}

#[test]
fn in_time_too_late_and_closed() {
    paused().block_on(async {
        each!(channel => {
            let start = time::now();
            let (mut tx, mut rx) = channel(1);
            assert_eq!(rx.recv_timeout(MS).await, Err(RecvTimeoutError::Timeout));
            assert_eq!(rx.recv_deadline(start + MS * 2).await, Err(RecvTimeoutError::Timeout));
            assert_eq!(time::now(), start + MS * 2);
            tx.send_timeout("first", MS).await.unwrap();
            let full = tx.send_timeout("second", MS).await.unwrap_err();
            assert!(full.is_timeout());
            assert_eq!(full.into_inner(), "second");
            let full = tx.send_deadline("third", start + MS * 5).await.unwrap_err();
            assert!(matches!(full, SendTimeoutError::Timeout("third")));
            assert_eq!(time::now(), start + MS * 5);
            // What is over tries once.
            assert_eq!(rx.recv_timeout(Duration::ZERO).await, Ok("first"));
            assert_eq!(rx.recv_timeout(Duration::ZERO).await, Err(RecvTimeoutError::Timeout));
            tx.send_deadline("fourth", start).await.unwrap();
            assert!(tx.send_deadline("fifth", start).await.unwrap_err().is_timeout());
            assert_eq!(rx.recv_deadline(start).await, Ok("fourth"));
            // Without an end.
            tx.send_timeout("sixth", Duration::MAX).await.unwrap();
            assert_eq!(rx.recv_timeout(Duration::MAX).await, Ok("sixth"));
            tx.send_timeout("last", MS).await.unwrap();
            tx.close();
            assert!(tx.send_timeout("no", MS).await.unwrap_err().is_closed());
            assert_eq!(rx.recv_timeout(MS).await, Ok("last"));
            assert_eq!(rx.recv_timeout(MS).await, Err(RecvTimeoutError::Closed));
        });
    });
}

/// They wait in the queue like others, and are woken by a message before the time.
#[test]
fn woken_by_the_other_side() {
    paused().block_on(async {
        each!(channel => {
            let start = time::now();
            let (mut tx, mut rx) = channel(1);
            let task = annulus::spawn(async move {
                let first = rx.recv_timeout(MS * 10).await;
                time::sleep(MS).await;
                (first, rx.recv_timeout(MS).await, rx.recv_timeout(MS).await)
            });
            time::sleep(MS).await;
            tx.send(1).await.unwrap();
            tx.send(2).await.unwrap();
            tx.send_timeout(3, MS * 10).await.unwrap();
            assert_eq!(time::now(), start + MS * 2);
            assert_eq!(task.await.unwrap(), (Ok(1), Ok(2), Ok(3)));
        });
    });
}

/// When it is too late the place in the queue is given up at once, and a wake handed on.
#[test]
fn a_late_receiver_hands_its_wake_on() {
    paused().block_on(async {
        let (tx, rx) = annulus::channel::mpmc(1);
        let mut late = Polled::waiting(rx.recv_timeout(MS));
        let mut other = Polled::waiting(rx.recv());
        // Both happen before it is polled: the message is for it, and its time is over.
        time::advance(MS).await;
        tx.try_send(1).unwrap();
        let message = late.ready();
        assert_eq!(message, Ok(1), "what is there counts");
        tx.try_send(2).unwrap();
        assert_eq!(other.ready(), Some(2));

        let mut late = Polled::waiting(rx.recv_timeout(MS));
        let mut other = Polled::waiting(rx.recv());
        tx.try_send(3).unwrap();
        assert_eq!((late.wakes(), other.wakes()), (1, 0));
        // Somebody takes the message away from it.
        assert_eq!(rx.try_recv(), Ok(3));
        time::advance(MS).await;
        assert_eq!(late.ready(), Err(RecvTimeoutError::Timeout));
        tx.try_send(4).unwrap();
        assert_eq!(other.wakes(), 1, "the late one is in nobody's way, though it still lives");
        assert_eq!(other.ready(), Some(4));
        let text = panic_text(|| late.poll());
        assert!(text.contains("has completed"), "{text}");
    });
}

/// Every message that was sent is received, or comes back, whatever is over first.
#[test]
fn nothing_is_lost_and_nothing_twice() {
    for workers in [1, 2] {
        let runtime = Builder::new().worker_threads(workers).build().unwrap();
        let drops = Arc::new(AtomicUsize::new(0));
        let count = rounds(3000);
        each!(channel => {
            drops.store(0, SeqCst);
            let (mut tx, mut rx) = channel(2);
            let made = Arc::clone(&drops);
            let sender = runtime.spawn(async move {
                let mut late = 0;
                for n in 0..count {
                    let mut message = Counted(Arc::clone(&made));
                    let limit = Duration::from_micros(n as u64 % 7 * 3);
                    while let Err(error) = tx.send_timeout(message, limit).await {
                        assert!(error.is_timeout());
                        late += 1;
                        message = error.into_inner();
                        annulus::yield_now().await;
                    }
                }
                late
            });
            let receiver = runtime.spawn(async move {
                let mut received = 0;
                for n in 0.. {
                    let limit = Duration::from_micros(n % 5 * 5);
                    // In turns by the method, and by a limit around the plain receive.
                    let message = match n % 2 {
                        0 => rx.recv_timeout(limit).await,
                        _ => match timeout(limit, rx.recv()).await {
                            Ok(message) => message.ok_or(RecvTimeoutError::Closed),
                            Err(_) => Err(RecvTimeoutError::Timeout),
                        },
                    };
                    match message {
                        Ok(_) => received += 1,
                        Err(RecvTimeoutError::Timeout) => annulus::yield_now().await,
                        Err(RecvTimeoutError::Closed) => break,
                    }
                }
                received
            });
            runtime.block_on(sender).unwrap();
            assert_eq!(runtime.block_on(receiver).unwrap(), count);
            assert_eq!(drops.load(SeqCst), count);
        });
    }
}
