//! `select!`, `join!` and `try_join!`.

use std::future::{Future, pending, poll_fn, ready};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Context, Poll, Waker};

use annulus::{block_on, channel, join, select, spawn, try_join, yield_now};

/// Counts its drops.
struct Guard<'a>(&'a AtomicUsize);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

#[test]
fn every_arm_comes_first_at_times_and_with_biased_always_the_first() {
    block_on(async {
        let mut wins = [0; 3];
        for _ in 0..3000 {
            let winner = select! {
                n = ready(0) => n,
                n = ready(1) => n,
                n = ready(2) => n,
            };
            wins[winner] += 1;
        }
        assert!(wins.iter().all(|&n| n > 600), "{wins:?}");
        for _ in 0..100 {
            select! {
                biased;
                () = pending() => unreachable!(),
                () = ready(()) => {}
                () = ready(()) => unreachable!(),
            }
        }
    });
}

#[test]
fn arms_go_out_and_else_runs_when_all_are() {
    block_on(async {
        let polled = AtomicUsize::new(0);
        let count = || poll_fn(|_| Poll::Ready(polled.fetch_add(1, SeqCst)));
        // A false condition: not polled. A pattern that does not match: out.
        let value = select! {
            _ = count(), if false => "disabled",
            Some(()) = ready(None::<()>) => "mismatch",
            else => "else",
        };
        assert_eq!((value, polled.load(SeqCst)), ("else", 0));
        let value = select! {
            Some(n) = ready(None::<i32>) => n,
            n = async { yield_now().await; 5 }, if 1 + 1 == 2 => n,
        };
        assert_eq!(value, 5);
    });
    let nothing = std::panic::catch_unwind(|| {
        block_on(async {
            select! { () = ready(()), if false => {} }
        });
    });
    let text = *nothing.unwrap_err().downcast::<&str>().unwrap();
    assert!(text.contains("no else arm"), "{text}");
}

#[test]
fn losers_are_dropped_before_the_handler_which_may_use_what_they_borrowed() {
    block_on(async {
        let drops = AtomicUsize::new(0);
        let (mut tx, mut rx) = channel::spsc(2);
        tx.try_send(1).unwrap();
        tx.try_send(2).unwrap();
        let lost = async {
            let _guard = Guard(&drops);
            pending::<()>().await;
        };
        // Polled first, so that it has begun.
        let second = select! {
            biased;
            () = lost => unreachable!(),
            Some(first) = rx.recv() => {
                assert_eq!((first, drops.load(SeqCst)), (1, 1));
                rx.recv().await
            }
        };
        assert_eq!(second, Some(2));
    });
}

#[test]
fn handlers_may_leave_loops_and_functions() {
    async fn sum(mut rx: channel::Receiver<i32, channel::Spsc>) -> Result<i32, &'static str> {
        let mut sum = 0;
        loop {
            select! {
                n = rx.recv() => match n {
                    Some(0) => continue,
                    Some(-1) => return Ok(-1),
                    Some(-2) => Err("asked to fail")?,
                    Some(n) => {
                        yield_now().await;
                        sum += n;
                    }
                    None => break,
                },
                () = pending() => unreachable!(),
            }
        }
        Ok(sum)
    }
    for (messages, result) in
        [(&[1, 0, 2][..], Ok(3)), (&[1, -1], Ok(-1)), (&[-2], Err("asked to fail"))]
    {
        let (mut tx, rx) = channel::spsc(4);
        messages.iter().for_each(|&n| tx.try_send(n).unwrap());
        drop(tx);
        assert_eq!(block_on(sum(rx)), result);
    }
}

#[test]
fn forty_arms() {
    macro_rules! arms {
        ($($n:literal)*) => { select! { biased; $(n = ready($n), if $n == 39 => n + 1,)* } };
    }
    let value = block_on(async {
        arms!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29
            30 31 32 33 34 35 36 37 38 39)
    });
    assert_eq!(value, 40);
}

/// What a losing arm had waited for is still there: every message arrives once.
#[test]
fn losing_arms_lose_nothing() {
    const EACH: usize = 3000;
    async fn two<F: Future<Output = ()> + Send + 'static>(
        send: impl Fn(channel::Sender<usize>, usize) -> F,
    ) {
        let (txs, rxs): (Vec<_>, Vec<_>) = [(); 2].map(|()| channel::mpmc(1)).into_iter().unzip();
        let senders: Vec<_> = (0..4).map(|i| spawn(send(txs[i % 2].clone(), i * EACH))).collect();
        drop(txs);
        let mut seen = vec![0; 4 * EACH];
        loop {
            let n = select! {
                Some(n) = rxs[0].recv() => n,
                Some(n) = rxs[1].recv() => n,
                else => break,
            };
            seen[n] += 1;
        }
        for sender in senders {
            sender.await.unwrap();
        }
        assert!(seen.iter().all(|&n| n == 1));
    }
    block_on(two(|tx, first| async move {
        for n in first..first + EACH {
            // A reservation that loses is made again; the message was never in it.
            loop {
                select! {
                    permit = tx.reserve() => {
                        permit.unwrap().send(n);
                        break;
                    }
                    () = yield_now() => {}
                }
            }
        }
    }));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(async {
        let (tx, mut rx) = channel::mpsc(1);
        for _ in 0..2 {
            let tx = tx.clone();
            drop(tokio::spawn(async move {
                for n in 0..EACH {
                    tx.send(n).await.unwrap()
                }
            }));
        }
        drop(tx);
        let mut sum = 0;
        loop {
            select! {
                n = rx.recv() => match n { Some(n) => sum += n, None => break },
                () = tokio::task::yield_now() => {}
            }
        }
        assert_eq!(sum, EACH * (EACH - 1));
    });
}

#[test]
fn join_polls_each_until_it_is_done_and_no_further() {
    let polls = [const { AtomicUsize::new(0) }; 2];
    let after = |index: usize, times| {
        let polls = &polls[index];
        // Not Unpin, and panics when polled after its end.
        async move {
            for _ in 0..times {
                polls.fetch_add(1, SeqCst);
                yield_now().await;
            }
            times
        }
    };
    let (a, b, (c,)) =
        block_on(async { join!(after(0, 2), after(1, 5), async { join!(ready(7)) }) });
    assert_eq!((a, b, c), (2, 5, 7));
    assert_eq!(polls.map(|n| n.load(SeqCst)), [2, 5]);
}

#[test]
fn try_join_ends_with_the_first_error_and_drops_the_rest() {
    let drops = Arc::new(AtomicUsize::new(0));
    let kept = async {
        let _guard = Guard(&drops);
        pending::<Result<(), &str>>().await
    };
    let failing = async {
        yield_now().await;
        Err::<i32, _>("failed")
    };
    assert_eq!(block_on(async { try_join!(kept, failing) }), Err("failed"));
    assert_eq!(drops.load(SeqCst), 1);
    let all = block_on(async { try_join!(ready(Ok::<_, String>(1)), async { Ok("two") }) });
    assert_eq!(all, Ok((1, "two")));
}

/// No runtime is needed, nor anything else than polls.
#[test]
fn polled_by_hand() {
    let (mut tx, mut rx) = channel::spsc(1);
    let mut future = pin!(async {
        select! {
            n = rx.recv() => n,
            () = pending() => None,
        }
    });
    let mut cx = Context::from_waker(Waker::noop());
    assert!(future.as_mut().poll(&mut cx).is_pending());
    tx.try_send(3).unwrap();
    assert_eq!(future.as_mut().poll(&mut cx), Poll::Ready(Some(3)));
}
