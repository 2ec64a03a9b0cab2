//! What rows do with tasks and channels: messages to and fro, round, out and back, and down. The
//! result of each is the sum of the numbers that went all the way.

use std::time::Duration;

use super::api::{Api, Rx, Tx};
use super::spawning::sum_of;
use super::stream::sum_up;
use super::work::work;

/// Pairs of tasks with a channel of capacity 1 each way; every pair makes so many round trips.
pub(crate) async fn ping_pong<A: Api>(pairs: u64, trips: u64) -> u64 {
    let players = (0..pairs).map(|pair| {
        let (mut ping, mut pinged) = A::spsc::<u64>(1);
        let (mut pong, mut ponged) = A::spsc::<u64>(1);
        A::spawn_detached(async move {
            while let Some(n) = pinged.recv().await {
                pong.send(n).await;
            }
        });
        A::spawn(async move {
            let mut sum = 0;
            for n in pair * trips..(pair + 1) * trips {
                ping.send(n).await;
                sum += ponged.recv().await.expect("an echo");
            }
            sum
        })
    });
    sum_of(players.collect()).await
}

/// Tasks in a ring pass on one token, which counts its hops.
pub(crate) async fn ring<A: Api>(tasks: usize, hops: u64) -> u64 {
    let (mut txs, rxs): (Vec<_>, Vec<_>) = (0..tasks).map(|_| A::spsc::<u64>(1)).unzip();
    txs[0].send(0).await;
    // Each receives from its own channel, and sends into the next one's.
    txs.rotate_left(1);
    let members = txs.into_iter().zip(rxs).map(|(mut tx, mut rx)| {
        A::spawn(async move {
            let mut sum = 0;
            while let Some(token) = rx.recv().await {
                sum += token;
                if token + 1 == hops {
                    break;
                }
                tx.send(token + 1).await;
            }
            // Who leaves drops its sender, so that the next one leaves.
            sum
        })
    });
    sum_of(members.collect()).await
}

/// One task deals out the numbers below `messages` to `txs` in turn; a task for each of `rxs`
/// works on them, and sends them back through one channel with this capacity.
pub(crate) async fn fan_out<A: Api>(
    messages: u64,
    time: Duration,
    capacity: usize,
    mut txs: Vec<impl Tx<u64>>,
    rxs: Vec<impl Rx<u64>>,
) -> u64 {
    let (back, results) = A::mpsc(capacity);
    for mut rx in rxs {
        let mut back = back.clone();
        A::spawn_detached(async move {
            while let Some(n) = rx.recv().await {
                work(time);
                back.send(n).await;
            }
        });
    }
    drop(back);
    let dealer = A::spawn(async move {
        let ways = txs.len() as u64;
        for n in 0..messages {
            txs[(n % ways) as usize].send(n).await;
        }
    });
    let sum = A::spawn(sum_up(results)).await;
    dealer.await;
    sum
}

/// A source, stages that work on each message, and a sink; between two of them a channel with
/// this capacity.
pub(crate) async fn pipeline<A: Api>(
    messages: u64,
    time: Duration,
    capacity: usize,
    stages: usize,
) -> u64 {
    let (mut source, mut end) = A::spsc::<u64>(capacity);
    A::spawn_detached(async move {
        for n in 0..messages {
            source.send(n).await;
        }
    });
    for _ in 0..stages {
        let (mut tx, rx) = A::spsc::<u64>(capacity);
        let mut from = std::mem::replace(&mut end, rx);
        A::spawn_detached(async move {
            while let Some(n) = from.recv().await {
                work(time);
                tx.send(n).await;
            }
        });
    }
    A::spawn(sum_up(end)).await
}
