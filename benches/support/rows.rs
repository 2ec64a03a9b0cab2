//! The rows: what is done, how many times, and how it is checked.

use std::fmt;
use std::hint::black_box;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use super::api::{Api, Rx, Tx};
use super::contender::Case;
use super::stream::{stream, sum_up};

/// Messages through the channels of one run.
const MESSAGES: u64 = 16_000;
/// Round trips of one ping-pong.
const ROUND_TRIPS: u64 = 4_000;
/// Tasks one after the other, or each from the one before it.
const CHAIN: u64 = 1_000;
/// Tasks at once.
const CROWD: u64 = 10_000;
/// Tasks that yield, and how often each does.
const YIELDERS: u64 = 200;
const YIELDS: u64 = 1_000;
/// Tasks that work on messages, how long on each, and the room in each channel there.
const HANDS: usize = 8;
const WORK: Duration = Duration::from_nanos(200);
const ROOM: usize = 64;

/// One line of the report.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Row {
    /// Two tasks, two channels of capacity 1; an element is a round trip.
    PingPong,
    /// An element is a message.
    Spsc {
        capacity: usize,
    },
    Mpsc {
        senders: usize,
        capacity: usize,
    },
    Mpmc {
        senders: usize,
        receivers: usize,
        capacity: usize,
    },
    /// Spawn a task and wait for it, again and again; an element is a task.
    SpawnOne,
    /// Spawn all tasks, then wait for all.
    SpawnMany,
    /// Each task spawns the next, and the last reports.
    SpawnChain,
    /// An element is one `yield_now`.
    Yield,
    /// Out through one channel for all hands, back through another; an element is a message.
    FanOutShared,
    /// The same with a channel out for each hand, in turn: a shape that tokio has channels for.
    FanOutEach,
}

impl Row {
    pub(crate) fn all() -> Vec<Self> {
        const CAPACITIES: [usize; 3] = [1, 64, 1024];
        let mut rows = vec![Self::PingPong];
        rows.extend(CAPACITIES.map(|capacity| Self::Spsc { capacity }));
        rows.extend(CAPACITIES.map(|capacity| Self::Mpsc { senders: 4, capacity }));
        rows.extend(CAPACITIES.map(|capacity| Self::Mpsc { senders: 16, capacity }));
        rows.extend(CAPACITIES.map(|capacity| Self::Mpmc { senders: 4, receivers: 4, capacity }));
        rows.extend([Self::FanOutShared, Self::FanOutEach]);
        rows.extend([Self::SpawnOne, Self::SpawnMany, Self::SpawnChain, Self::Yield]);
        rows
    }

    /// Runs the row so many times, as one task of the runtime `A`.
    pub(crate) async fn time<A: Api>(self, runs: u64) -> Duration {
        let start = Instant::now();
        for _ in 0..runs {
            self.run::<A>().await;
        }
        start.elapsed()
    }

    async fn run<A: Api>(self) {
        let sum = match self {
            Self::PingPong => ping_pong::<A>().await,
            Self::Spsc { capacity } => {
                let (tx, rx) = A::spsc(capacity);
                stream::<A, u64>(MESSAGES, vec![tx], vec![rx]).await
            }
            Self::Mpsc { senders, capacity } => {
                let (tx, rx) = A::mpsc(capacity);
                stream::<A, u64>(MESSAGES, vec![tx; senders], vec![rx]).await
            }
            Self::Mpmc { senders, receivers, capacity } => {
                let (tx, rx) = A::mpmc(capacity);
                stream::<A, u64>(MESSAGES, vec![tx; senders], vec![rx; receivers]).await
            }
            Self::FanOutShared => {
                let (tx, rx) = A::spmc(ROOM);
                fan_out::<A>(vec![tx], vec![rx; HANDS]).await
            }
            Self::FanOutEach => {
                let (txs, rxs) = (0..HANDS).map(|_| A::spsc(ROOM)).unzip();
                fan_out::<A>(txs, rxs).await
            }
            Self::SpawnOne => spawn_one::<A>().await,
            Self::SpawnMany => spawn_many::<A>().await,
            Self::SpawnChain => spawn_chain::<A>().await,
            Self::Yield => yield_all::<A>().await,
        };
        let elements = self.elements();
        assert_eq!(sum, elements * (elements - 1) / 2, "{self} lost or invented something");
    }
}

impl Case for Row {
    fn elements(self) -> u64 {
        match self {
            Self::PingPong => ROUND_TRIPS,
            Self::SpawnOne | Self::SpawnChain => CHAIN,
            Self::SpawnMany => CROWD,
            Self::Yield => YIELDERS * YIELDS,
            _ => MESSAGES,
        }
    }
}

/// The row's name in both reports.
impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::PingPong => write!(f, "ping-pong, round trip"),
            Self::Spsc { capacity } => write!(f, "spsc, capacity {capacity}"),
            Self::Mpsc { senders, capacity } => write!(f, "mpsc {senders}:1, capacity {capacity}"),
            Self::Mpmc { senders, receivers, capacity } => {
                write!(f, "mpmc {senders}:{receivers}, capacity {capacity}")
            }
            Self::FanOutShared => write!(f, "fan-out to {HANDS} and back, one queue"),
            Self::FanOutEach => write!(f, "fan-out to {HANDS} and back, a queue each"),
            Self::SpawnOne => write!(f, "spawn and join one"),
            Self::SpawnMany => write!(f, "spawn {CROWD}, join all"),
            Self::SpawnChain => write!(f, "spawn a chain of {CHAIN}"),
            Self::Yield => write!(f, "yield, {YIELDERS} tasks"),
        }
    }
}

async fn ping_pong<A: Api>() -> u64 {
    let (mut ping, mut pinged) = A::spsc::<u64>(1);
    let (mut pong, mut ponged) = A::spsc::<u64>(1);
    let echo = A::spawn(async move {
        while let Some(n) = pinged.recv().await {
            pong.send(n).await;
        }
    });
    let player = A::spawn(async move {
        let mut sum = 0;
        for n in 0..ROUND_TRIPS {
            ping.send(n).await;
            sum += ponged.recv().await.expect("an echo");
        }
        sum
    });
    let sum = player.await;
    echo.await;
    sum
}

/// One task deals out the numbers to `txs` in turn, a task for each of `rxs` works on them.
async fn fan_out<A: Api>(mut txs: Vec<impl Tx<u64>>, rxs: Vec<impl Rx<u64>>) -> u64 {
    let (back, results) = A::mpsc(ROOM);
    for mut rx in rxs {
        let mut back = back.clone();
        drop(A::spawn(async move {
            while let Some(n) = rx.recv().await {
                work();
                back.send(n).await;
            }
        }));
    }
    drop(back);
    let dealer = A::spawn(async move {
        let ways = txs.len() as u64;
        for n in 0..MESSAGES {
            txs[(n % ways) as usize].send(n).await;
        }
    });
    let sum = A::spawn(sum_up(results)).await;
    dealer.await;
    sum
}

async fn spawn_one<A: Api>() -> u64 {
    let mut sum = 0;
    for n in 0..CHAIN {
        sum += A::spawn(async move { n }).await;
    }
    sum
}

async fn spawn_many<A: Api>() -> u64 {
    let tasks: Vec<_> = (0..CROWD).map(|n| A::spawn(async move { n })).collect();
    let mut sum = 0;
    for task in tasks {
        sum += task.await;
    }
    sum
}

async fn spawn_chain<A: Api>() -> u64 {
    fn link<A: Api>(n: u64, sum: u64, mut report: impl Tx<u64>) {
        drop(A::spawn(async move {
            match n {
                CHAIN => report.send(sum).await,
                _ => link::<A>(n + 1, sum + n, report),
            }
        }));
    }
    let (report, mut reported) = A::spsc::<u64>(1);
    link::<A>(0, 0, report);
    reported.recv().await.expect("the last link reports")
}

async fn yield_all<A: Api>() -> u64 {
    let tasks = (0..YIELDERS).map(|task| {
        A::spawn(async move {
            let mut sum = 0;
            for n in task * YIELDS..(task + 1) * YIELDS {
                A::yield_now().await;
                sum += n;
            }
            sum
        })
    });
    let tasks: Vec<_> = tasks.collect();
    let mut sum = 0;
    for task in tasks {
        sum += task.await;
    }
    sum
}

/// Keeps the processor busy for about `WORK`, by steps of arithmetic counted out beforehand: the
/// clock would take its share.
fn work() {
    static STEPS: LazyLock<u64> = LazyLock::new(|| {
        const SAMPLE: u64 = 100_000;
        let sample = || {
            let start = Instant::now();
            steps(SAMPLE);
            start.elapsed()
        };
        let fastest = (0..20).map(|_| sample()).min().expect("20 samples");
        SAMPLE * WORK.as_nanos() as u64 / fastest.as_nanos().max(1) as u64
    });
    steps(*STEPS);
}

fn steps(count: u64) {
    let mut state = black_box(count);
    for _ in 0..count {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
    }
    black_box(state);
}
