//! How long a wait lasts, wait by wait: what the worst take, which the time of all does not tell.

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use super::api::{Api, Rx, Tx};
use super::contender::{Home, patiently};
use super::work::work;

/// How long a hog keeps its worker.
const POLL: Duration = Duration::from_millis(1);
/// For how long the runtime is left alone before it is woken.
const REST: Duration = Duration::from_millis(1);

/// One whose waits are measured.
pub(crate) struct Waiter {
    pub(crate) name: &'static str,
    pub(crate) workers: usize,
    home: Rc<Home>,
    beside_hogs: fn(&Home, usize, Duration) -> Vec<Duration>,
}

impl Waiter {
    pub(crate) fn new<A: Api>(home: &Rc<Home>) -> Self {
        fn beside_hogs<A: Api>(home: &Home, hogs: usize, time: Duration) -> Vec<Duration> {
            patiently(&home.start(light_pair::<A>(hogs, time))).expect("the pair comes back")
        }
        let team = home.team();
        let (home, beside_hogs) = (Rc::clone(home), beside_hogs::<A> as _);
        Self { name: team.name, workers: team.threads, home, beside_hogs }
    }
}

/// Measures the round trips of a light pair beside two hogs for each worker, in rounds of so long
/// for each waiter, and prints the table.
pub(crate) fn print_beside_hogs(waiters: &[Waiter], rounds: usize, time: Duration) {
    println!("\nRound trips of a pair beside two tasks for each worker that poll for {POLL:?}:");
    print(waiters, rounds, |waiter| (waiter.beside_hogs)(&waiter.home, 2 * waiter.workers, time));
}

/// Measures the wakes of a task by a thread that is no worker, while nobody else is awake.
pub(crate) fn print_foreign_wakes(waiters: &[Waiter], rounds: usize, wakes: usize) {
    println!("\nFrom a wake by a thread that has slept for {REST:?} to the poll of an idle task:");
    print(waiters, rounds, |waiter| foreign_wakes(&waiter.home, wakes));
}

fn print(waiters: &[Waiter], rounds: usize, measure: impl Fn(&Waiter) -> Vec<Duration>) {
    let mut waits = vec![Vec::new(); waiters.len()];
    for round in 0..rounds {
        for turn in 0..waiters.len() {
            let i = (round + turn) % waiters.len();
            waits[i].extend(measure(&waiters[i]));
        }
    }
    println!("\n| µs | times | p50 | p99 | p99.9 | longest |\n|---|--:|--:|--:|--:|--:|");
    for (waiter, waits) in waiters.iter().zip(&mut waits) {
        waits.sort_unstable();
        print!("| {} | {} |", waiter.name, waits.len());
        for permille in [500, 990, 999, 1_000] {
            let wait = waits[((waits.len() - 1) * permille).div_ceil(1_000)];
            print!(" {:.1} |", wait.as_secs_f64() * 1e6);
        }
        println!();
    }
}

/// What each round trip takes.
async fn light_pair<A: Api>(hogs: usize, time: Duration) -> Vec<Duration> {
    let enough = Arc::new(AtomicBool::new(false));
    let hogs = (0..hogs).map(|_| {
        let enough = Arc::clone(&enough);
        A::spawn(async move {
            // Ordering: that it stops is all that it says.
            while !enough.load(Ordering::Relaxed) {
                work(POLL);
                A::yield_now().await;
            }
        })
    });
    let hogs: Vec<_> = hogs.collect();
    let (mut ping, mut pinged) = A::spsc::<u64>(1);
    let (mut pong, mut ponged) = A::spsc::<u64>(1);
    A::spawn_detached(async move {
        while let Some(n) = pinged.recv().await {
            pong.send(n).await;
        }
    });
    let player = A::spawn(async move {
        let mut trips = Vec::new();
        let start = Instant::now();
        let mut last = start;
        while last - start < time {
            let n = trips.len() as u64;
            ping.send(n).await;
            assert_eq!(ponged.recv().await, Some(n), "an echo");
            let now = Instant::now();
            trips.push(now - last);
            last = now;
        }
        trips
    });
    let trips = player.await;
    enough.store(true, Ordering::Relaxed);
    for hog in hogs {
        hog.await;
    }
    trips
}

const ALIVE: &str = "nobody panics at the bell";

/// What is between the thread that wakes and the task that waits.
#[derive(Debug, Default)]
struct Bell {
    waker: Option<Waker>,
    rung: Option<Instant>,
}

fn foreign_wakes(home: &Home, wakes: usize) -> Vec<Duration> {
    let bell = Arc::new(Mutex::new(Bell::default()));
    let shared = Arc::clone(&bell);
    let waits = home.start(async move {
        let mut waits = Vec::with_capacity(wakes);
        for _ in 0..wakes {
            let rung = poll_fn(|cx| {
                let mut bell = shared.lock().expect(ALIVE);
                match bell.rung.take() {
                    Some(rung) => Poll::Ready(rung),
                    None => {
                        bell.waker = Some(cx.waker().clone());
                        Poll::Pending
                    }
                }
            });
            waits.push(rung.await.elapsed());
        }
        waits
    });
    let mut left = wakes;
    while left > 0 {
        thread::sleep(REST);
        let mut bell = bell.lock().expect(ALIVE);
        let Some(waker) = bell.waker.take() else { continue };
        bell.rung = Some(Instant::now());
        drop(bell);
        waker.wake();
        left -= 1;
    }
    patiently(&waits).expect("all wakes arrive")
}
