//! The rows: what is done, how many times, and how it is checked.

use std::fmt;
use std::time::{Duration, Instant};

use super::api::Api;
use super::contender::Case;
use super::passing::{fan_out, ping_pong, pipeline, ring};
use super::spawning;
use super::stream::stream;

/// Messages through the channels of one run.
const MESSAGES: u64 = 16_000;
/// Round trips of one ping-pong, and of each of many at once.
const ROUND_TRIPS: u64 = 4_000;
const ROUND_TRIPS_EACH: u64 = 50;
/// Tasks in the ring, and how often the token goes from one to the next.
const MEMBERS: usize = 503;
const HOPS: u64 = 100 * MEMBERS as u64;
/// Tasks one after the other, or each from the one before it.
const CHAIN: u64 = 1_000;
/// Tasks at once.
const CROWD: u64 = 10_000;
/// Tasks that yield, and how often each does.
const YIELDERS: u64 = 200;
const YIELDS: u64 = 1_000;
/// Of a tree of tasks where each but the leaves has ten children.
const LEAVES: u64 = 100_000;
const NODES: u64 = 111_111;
/// Tasks that work on messages, and the room in each channel there.
const HANDS: usize = 8;
const ROOM: usize = 64;
/// About the most work of a run: messages that cost more are fewer.
const WORK: Duration = Duration::from_millis(32);

/// One line of the report.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Row {
    /// Two tasks, two channels of capacity 1, or many such pairs; an element is a round trip.
    PingPong {
        pairs: u64,
    },
    /// An element is a hop of the token.
    Ring,
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
    /// Each task but the leaves spawns ten, and sends the sum of theirs up.
    Tree,
    /// An element is one `yield_now`.
    Yield,
    /// Out through one channel for all hands, back through another, and so much work on each
    /// message; an element is a message.
    FanOutShared {
        work: Duration,
    },
    /// The same with a channel out for each hand, in turn: a shape that tokio has channels for.
    FanOutEach {
        work: Duration,
    },
    /// Through so many tasks, so much work in each; an element is a message.
    Pipeline {
        stages: usize,
        work: Duration,
    },
}

impl Row {
    /// What messages, tasks and yields cost.
    pub(crate) fn all() -> Vec<Self> {
        const CAPACITIES: [usize; 3] = [1, 64, 1024];
        const WORK: Duration = Duration::from_nanos(200);
        let mut rows = vec![Self::PingPong { pairs: 1 }];
        rows.extend(CAPACITIES.map(|capacity| Self::Spsc { capacity }));
        rows.extend(CAPACITIES.map(|capacity| Self::Mpsc { senders: 4, capacity }));
        rows.extend(CAPACITIES.map(|capacity| Self::Mpsc { senders: 16, capacity }));
        rows.extend(CAPACITIES.map(|capacity| Self::Mpmc { senders: 4, receivers: 4, capacity }));
        rows.extend([Self::FanOutShared { work: WORK }, Self::FanOutEach { work: WORK }]);
        rows.extend([Self::SpawnOne, Self::SpawnMany, Self::SpawnChain, Self::Yield]);
        rows
    }

    /// What tests the scheduler and no topology of channels.
    pub(crate) fn of_scheduler() -> Vec<Self> {
        vec![
            Self::SpawnOne,
            Self::SpawnMany,
            Self::SpawnChain,
            Self::Yield,
            Self::PingPong { pairs: 1 },
            Self::PingPong { pairs: 1_000 },
            Self::Ring,
            Self::Tree,
        ]
    }

    /// What has work to share between processors.
    pub(crate) fn of_work() -> Vec<Self> {
        let mut rows = Vec::new();
        for work in [0, 200, 2_000, 20_000].map(Duration::from_nanos) {
            rows.extend([Self::FanOutShared { work }, Self::FanOutEach { work }]);
        }
        rows.extend(
            [0, 1, 10]
                .map(|micros| Self::Pipeline { stages: 8, work: Duration::from_micros(micros) }),
        );
        rows.push(Self::Pipeline { stages: 4, work: Duration::from_micros(10) });
        rows
    }

    /// What suffers if workers get into each other's way.
    pub(crate) fn of_crowd() -> Vec<Self> {
        let work = Duration::from_nanos(200);
        let mut rows = Self::of_scheduler();
        rows.push(Self::Mpmc { senders: 4, receivers: 4, capacity: 64 });
        rows.extend([Self::FanOutShared { work }, Self::FanOutEach { work }]);
        rows.push(Self::Pipeline { stages: 8, work: Duration::ZERO });
        rows.push(Self::Pipeline { stages: 8, work: Duration::from_micros(10) });
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
        let elements = self.elements();
        let sum = match self {
            Self::PingPong { pairs } => ping_pong::<A>(pairs, elements / pairs).await,
            Self::Ring => ring::<A>(MEMBERS, elements).await,
            Self::Spsc { capacity } => {
                let (tx, rx) = A::spsc(capacity);
                stream::<A, u64>(elements, vec![tx], vec![rx]).await
            }
            Self::Mpsc { senders, capacity } => {
                let (tx, rx) = A::mpsc(capacity);
                stream::<A, u64>(elements, vec![tx; senders], vec![rx]).await
            }
            Self::Mpmc { senders, receivers, capacity } => {
                let (tx, rx) = A::mpmc(capacity);
                stream::<A, u64>(elements, vec![tx; senders], vec![rx; receivers]).await
            }
            Self::SpawnOne => spawning::one_by_one::<A>(elements).await,
            Self::SpawnMany => spawning::at_once::<A>(elements).await,
            Self::SpawnChain => spawning::chain::<A>(elements).await,
            Self::Tree => spawning::tree::<A>(LEAVES).await,
            Self::Yield => spawning::yielding::<A>(YIELDERS, YIELDS).await,
            Self::FanOutShared { work } => {
                let (tx, rx) = A::spmc(ROOM);
                fan_out::<A>(elements, work, ROOM, vec![tx], vec![rx; HANDS]).await
            }
            Self::FanOutEach { work } => {
                let (txs, rxs) = (0..HANDS).map(|_| A::spsc(ROOM)).unzip();
                fan_out::<A>(elements, work, ROOM, txs, rxs).await
            }
            Self::Pipeline { stages, work } => pipeline::<A>(elements, work, ROOM, stages).await,
        };
        let numbers = if let Self::Tree = self { LEAVES } else { elements };
        assert_eq!(sum, numbers * (numbers - 1) / 2, "{self} lost or invented something");
    }
}

impl Case for Row {
    fn elements(self) -> u64 {
        match self {
            Self::PingPong { pairs: 1 } => ROUND_TRIPS,
            Self::PingPong { pairs } => pairs * ROUND_TRIPS_EACH,
            Self::Ring => HOPS,
            Self::SpawnOne | Self::SpawnChain => CHAIN,
            Self::SpawnMany => CROWD,
            Self::Tree => NODES,
            Self::Yield => YIELDERS * YIELDS,
            Self::FanOutShared { work } | Self::FanOutEach { work } => messages(work),
            Self::Pipeline { stages, work } => messages(work * stages as u32),
            Self::Spsc { .. } | Self::Mpsc { .. } | Self::Mpmc { .. } => MESSAGES,
        }
    }
}

/// How many messages there are with so much work on each.
fn messages(work: Duration) -> u64 {
    MESSAGES.min((WORK.as_nanos() / work.as_nanos().max(1)) as u64)
}

/// The row's name in both reports.
impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::PingPong { pairs: 1 } => write!(f, "ping-pong, round trip"),
            Self::PingPong { pairs } => write!(f, "ping-pong of {pairs} pairs, round trip"),
            Self::Ring => write!(f, "ring of {MEMBERS}, hop"),
            Self::Spsc { capacity } => write!(f, "spsc, capacity {capacity}"),
            Self::Mpsc { senders, capacity } => write!(f, "mpsc {senders}:1, capacity {capacity}"),
            Self::Mpmc { senders, receivers, capacity } => {
                write!(f, "mpmc {senders}:{receivers}, capacity {capacity}")
            }
            Self::SpawnOne => write!(f, "spawn and join one"),
            Self::SpawnMany => write!(f, "spawn {CROWD}, join all"),
            Self::SpawnChain => write!(f, "spawn a chain of {CHAIN}"),
            Self::Tree => write!(f, "tree of {NODES} tasks"),
            Self::Yield => write!(f, "yield, {YIELDERS} tasks"),
            Self::FanOutShared { work } => {
                write!(f, "fan-out to {HANDS} and back, one queue, {work:?} of work")
            }
            Self::FanOutEach { work } => {
                write!(f, "fan-out to {HANDS} and back, a queue each, {work:?} of work")
            }
            Self::Pipeline { stages, work } => {
                write!(f, "pipeline of {stages} stages, {work:?} of work in each")
            }
        }
    }
}
