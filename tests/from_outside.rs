//! Timers and sockets of threads without a seat: somebody looks after them, whatever the workers are at
//! just then.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, mpsc};
use std::task::{Context, Wake, Waker};
use std::thread;

use annulus::time::{Duration, Instant, Sleep, sleep};
use annulus::{Builder, Runtime};

use self::support::rounds;

mod support;

const MS: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);

fn runtime(workers: usize) -> Runtime {
    Builder::new().worker_threads(workers).build().unwrap()
}

struct Told(mpsc::SyncSender<()>);

impl Wake for Told {
    fn wake(self: Arc<Self>) {
        let _ = self.0.send(());
    }
}

/// Sets a timer on this thread, which is in a runtime and has no seat.
fn set(time: Duration) -> (Pin<Box<Sleep>>, mpsc::Receiver<()>) {
    let (tx, rx) = mpsc::sync_channel(1);
    let mut sleep = Box::pin(sleep(time));
    let waker = Waker::from(Arc::new(Told(tx)));
    assert!(sleep.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    (sleep, rx)
}

/// The timer is set while a worker is on its way to a task that does not end before the timer has
/// fired. Nobody else is woken while one looks for work; but that one is about to be busy.
#[test]
fn who_is_sent_to_work_has_somebody_else_look_at_the_time() {
    for _ in 0..rounds(10) {
        let runtime = runtime(2);
        let _inside = runtime.enter();
        let (fired, fires) = mpsc::channel();
        let computes = runtime.spawn(async move {
            let start = Instant::now();
            while fires.try_recv().is_err() {
                assert!(start.elapsed() < Duration::from_secs(10), "the timer does not fire");
            }
        });
        let (_sleep, told) = set(MS);
        told.recv().unwrap();
        fired.send(()).unwrap();
        runtime.block_on(computes).unwrap();
    }
}

/// The same with the first socket of the runtime, for which nobody is in the system's poll yet.
#[cfg(feature = "net")]
#[test]
fn who_is_sent_to_work_has_somebody_else_look_at_the_first_socket() {
    for _ in 0..rounds(10) {
        let runtime = runtime(2);
        let _inside = runtime.enter();
        let io = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let addr = io.local_addr().unwrap();
        let (heard, hears) = mpsc::channel();
        let computes = runtime.spawn(async move {
            let start = Instant::now();
            while hears.try_recv().is_err() {
                assert!(start.elapsed() < Duration::from_secs(10), "the socket is not watched");
            }
        });
        let socket = annulus::net::UdpSocket::from_std(io).unwrap();
        let (tx, told) = mpsc::sync_channel(1);
        let waker = Waker::from(Arc::new(Told(tx)));
        let mut buf = [0];
        let mut recv = std::pin::pin!(socket.recv_from(&mut buf));
        assert!(recv.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        std::net::UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"a", addr).unwrap();
        told.recv().unwrap();
        heard.send(()).unwrap();
        runtime.block_on(computes).unwrap();
    }
}

/// The timer is set while a thread goes to sleep in the system's poll, until a later one is due.
#[test]
fn who_goes_to_sleep_in_the_poll_learns_of_an_earlier_timer() {
    let runtime = runtime(1);
    let _inside = runtime.enter();
    // Without it nobody sleeps in the poll.
    #[cfg(feature = "net")]
    let _source = runtime.block_on(annulus::net::UdpSocket::bind("127.0.0.1:0")).unwrap();
    let (_far, _) = set(HOUR);
    let (mut tx, mut rx) = annulus::channel::spsc::<()>(1);
    let polled = AtomicUsize::new(0);
    thread::scope(|s| {
        s.spawn(|| {
            runtime.block_on(async {
                while rx.recv().await.is_some() {
                    polled.fetch_add(1, SeqCst);
                }
            })
        });
        for round in 1..=rounds(1000) {
            tx.try_send(()).unwrap();
            while polled.load(SeqCst) < round {
                std::hint::spin_loop();
            }
            // It is on its way to the poll.
            (0..round * 7 % 1000).for_each(|_| std::hint::spin_loop());
            let (_sleep, told) = set(MS);
            told.recv_timeout(Duration::from_secs(10)).expect("the timer fires");
        }
        drop(tx);
    });
}
