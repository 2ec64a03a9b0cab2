//! Messages through one channel, many at a time where the channel has calls for that.

use super::api::{Api, BATCH, Message, Rx, Tx};

/// As [`stream`](super::stream::stream), with as many batches as the channel has.
pub(crate) async fn stream_batches<A: Api, M: Message>(
    messages: u64,
    senders: Vec<impl Tx<M>>,
    mut rx: impl Rx<M>,
    batches: Batches,
) -> u64 {
    let share = messages / senders.len() as u64;
    let senders = senders.into_iter().zip(0..).map(|(mut tx, sender)| {
        let numbers = sender * share..(sender + 1) * share;
        A::spawn(async move {
            match batches {
                Batches::Received => {
                    for n in numbers {
                        tx.send(M::new(n)).await;
                    }
                }
                Batches::Both => tx.send_all(numbers).await,
            }
        })
    });
    let senders: Vec<_> = senders.collect();
    let receiver = A::spawn(async move {
        let (mut sum, mut batch) = (0, Vec::with_capacity(BATCH));
        while rx.recv_batch(&mut batch).await {
            sum += batch.drain(..).map(|message| message.number()).sum::<u64>();
        }
        sum
    });
    for sender in senders {
        sender.await;
    }
    receiver.await
}

/// What comes in batches.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Batches {
    /// Messages are sent one by one.
    Received,
    Both,
}
