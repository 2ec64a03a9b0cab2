//! The rows of `channels`: what flows through one channel, between whom, and how it is checked.

use std::fmt;
use std::time::{Duration, Instant};

use super::api::{Api, Message, Rx, Tx};
use super::batches::{Batches, stream_batches};
use super::contender::Case;
use super::counted::Counted;
use super::crew::{Crew, Work};
use super::rivals::On;
use super::stream::stream;
use super::threads::{ThreadRx, ThreadTx, Threads};

/// Messages of one run. A run that is measured so many times is one channel with as many times
/// the messages.
const LAP: u64 = 1_600;

/// The longer message.
type Large = [u64; 32];

/// One line of the report; an element is a message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flow {
    topology: Topology,
    senders: usize,
    receivers: usize,
    capacity: usize,
    /// Whether the messages are `Large`, not a number alone.
    large: bool,
    /// Whether one task or thread sends a message, receives it, sends the next.
    alone: bool,
    batches: Option<Batches>,
    /// Whether Pendings are counted.
    counted: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Topology {
    Spsc,
    Mpsc,
    Spmc,
    Mpmc,
}

impl Flow {
    fn new(senders: usize, receivers: usize, capacity: usize) -> Self {
        let topology = match (senders, receivers) {
            (1, 1) => Topology::Spsc,
            (_, 1) => Topology::Mpsc,
            (1, _) => Topology::Spmc,
            _ => Topology::Mpmc,
        };
        let (large, alone, batches, counted) = (false, false, None, false);
        Self { topology, senders, receivers, capacity, large, alone, batches, counted }
    }

    /// So many senders and receivers with each capacity.
    fn with(ends: &[(usize, usize)]) -> Vec<Self> {
        let each = |&(senders, receivers): &(usize, usize)| {
            [1, 64, 1024].map(|capacity| Self::new(senders, receivers, capacity))
        };
        ends.iter().flat_map(each).collect()
    }

    fn alone() -> [Self; 3] {
        [Topology::Spsc, Topology::Mpsc, Topology::Mpmc].map(|topology| Self {
            topology,
            alone: true,
            ..Self::new(1, 1, 64)
        })
    }

    /// The same, with Pendings counted if there are tasks.
    pub(crate) fn counted(self) -> Self {
        Self { counted: true, ..self }
    }

    /// What tasks do.
    pub(crate) fn of_tasks() -> Vec<Self> {
        let mut flows = Self::with(&[(1, 1), (4, 1), (16, 1), (1, 4), (4, 4), (16, 16)]);
        flows.extend([1, 4].map(|senders| Self { large: true, ..Self::new(senders, 1, 64) }));
        for batches in [Batches::Received, Batches::Both].map(Some) {
            flows.extend([1, 4].map(|senders| Self { batches, ..Self::new(senders, 1, 1024) }));
        }
        flows.extend(Self::alone());
        flows
    }

    /// What threads do.
    pub(crate) fn of_threads() -> Vec<Self> {
        let mut flows = Self::with(&[(1, 1), (2, 1), (2, 2)]);
        flows.extend(Self::alone());
        flows
    }

    /// One channel, so many times as many messages, in tasks of `A`.
    pub(crate) async fn in_tasks<A: Api>(self, runs: u64) -> Duration {
        let messages = runs * LAP;
        let start = Instant::now();
        let sum = match (self.large, self.counted) {
            (false, false) => self.tasks::<A, u64>(messages).await,
            (true, false) => self.tasks::<A, Large>(messages).await,
            (false, true) => self.tasks::<On<A, Counted<A>>, u64>(messages).await,
            (true, true) => self.tasks::<On<A, Counted<A>>, Large>(messages).await,
        };
        let time = start.elapsed();
        self.check(messages, sum);
        time
    }

    async fn tasks<A: Api, M: Message>(self, messages: u64) -> u64 {
        let Self { topology, senders, receivers, capacity, alone, batches, .. } = self;
        match topology {
            Topology::Spsc => {
                let (tx, rx) = A::spsc::<M>(capacity);
                match (alone, batches) {
                    (true, _) => alone_in_task(messages, tx, rx).await,
                    (_, None) => stream::<A, M>(messages, vec![tx], vec![rx]).await,
                    (_, Some(what)) => stream_batches::<A, M>(messages, vec![tx], rx, what).await,
                }
            }
            Topology::Mpsc => {
                let (tx, rx) = A::mpsc::<M>(capacity);
                match (alone, batches) {
                    (true, _) => alone_in_task(messages, tx, rx).await,
                    (_, None) => stream::<A, M>(messages, vec![tx; senders], vec![rx]).await,
                    (_, Some(what)) => {
                        stream_batches::<A, M>(messages, vec![tx; senders], rx, what).await
                    }
                }
            }
            Topology::Spmc => {
                let (tx, rx) = A::spmc::<M>(capacity);
                stream::<A, M>(messages, vec![tx], vec![rx; receivers]).await
            }
            Topology::Mpmc => {
                let (tx, rx) = A::mpmc::<M>(capacity);
                match alone {
                    false => stream::<A, M>(messages, vec![tx; senders], vec![rx; receivers]).await,
                    true => alone_in_task(messages, tx, rx).await,
                }
            }
        }
    }

    /// One channel, so many times as many messages, in plain threads; none if it hangs.
    pub(crate) fn in_threads<T: Threads>(self, crew: &Crew, runs: u64) -> Option<Duration> {
        let messages = runs * LAP;
        let Self { topology, senders, receivers, capacity, alone, .. } = self;
        let work = match topology {
            Topology::Spsc => {
                let (tx, rx) = T::spsc::<u64>(capacity);
                match alone {
                    false => thread_each(messages, vec![tx], vec![rx]),
                    true => alone_in_thread(messages, tx, rx),
                }
            }
            Topology::Mpsc => {
                let (tx, rx) = T::mpsc::<u64>(capacity);
                match alone {
                    false => thread_each(messages, vec![tx; senders], vec![rx]),
                    true => alone_in_thread(messages, tx, rx),
                }
            }
            Topology::Spmc | Topology::Mpmc => {
                let (tx, rx) = T::mpmc::<u64>(capacity);
                match alone {
                    false => thread_each(messages, vec![tx; senders], vec![rx; receivers]),
                    true => alone_in_thread(messages, tx, rx),
                }
            }
        };
        let (time, sum) = crew.together(work)?;
        self.check(messages, sum);
        Some(time)
    }

    fn check(self, messages: u64, sum: u64) {
        assert_eq!(sum, messages * (messages - 1) / 2, "{self} lost or invented something");
    }
}

impl Case for Flow {
    fn elements(self) -> u64 {
        LAP
    }
}

/// The row's name in both reports.
impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { topology, senders, receivers, capacity, large, alone, batches, .. } = self;
        let name = match topology {
            Topology::Spsc => "spsc",
            Topology::Mpsc => "mpsc",
            Topology::Spmc => "spmc",
            Topology::Mpmc => "mpmc",
        };
        match (alone, topology) {
            (true, _) => write!(f, "uncontended {name}")?,
            (false, Topology::Spsc) => write!(f, "{name}, capacity {capacity}")?,
            (false, _) => write!(f, "{name} {senders}:{receivers}, capacity {capacity}")?,
        }
        if *large {
            write!(f, ", {} bytes", size_of::<Large>())?;
        }
        match batches {
            None => {}
            Some(Batches::Received) => write!(f, ", received in batches")?,
            Some(Batches::Both) => write!(f, ", in batches")?,
        }
        Ok(())
    }
}

/// One task sends a message, receives it, sends the next; nobody ever waits.
async fn alone_in_task<M: Message>(messages: u64, mut tx: impl Tx<M>, mut rx: impl Rx<M>) -> u64 {
    let mut sum = 0;
    for n in 0..messages {
        tx.send(M::new(n)).await;
        sum += rx.recv().await.expect("the sender is here").number();
    }
    sum
}

/// A thread for each handle: of senders and of receivers the first, then the second of each, so
/// that with two processors the senders are on one, and the receivers on the other.
fn thread_each(
    messages: u64,
    senders: Vec<impl ThreadTx<u64>>,
    receivers: Vec<impl ThreadRx<u64>>,
) -> Vec<Work> {
    let share = messages / senders.len() as u64;
    let senders = senders.into_iter().zip(0..).map(|(mut tx, sender)| -> Work {
        Box::new(move || {
            for n in sender * share..(sender + 1) * share {
                tx.send(n);
            }
            0
        })
    });
    let mut receivers = receivers.into_iter().map(|mut rx| -> Work {
        Box::new(move || {
            let mut sum = 0;
            while let Some(n) = rx.recv() {
                sum += n;
            }
            sum
        })
    });
    senders.flat_map(|sender| [Some(sender), receivers.next()]).flatten().collect()
}

/// One thread tries to send a message, tries to receive it, sends the next; it always succeeds.
fn alone_in_thread(
    messages: u64,
    mut tx: impl ThreadTx<u64>,
    mut rx: impl ThreadRx<u64>,
) -> Vec<Work> {
    let work = move || {
        let mut sum = 0;
        for n in 0..messages {
            tx.try_send(n);
            sum += rx.try_recv();
        }
        sum
    };
    vec![Box::new(work)]
}
