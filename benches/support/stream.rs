//! Messages through one channel, from one set of tasks to another.

use super::api::{Api, Message, Rx, Tx};

/// A task for each handle. The senders share the numbers below `messages`; the receivers add up
/// what they get, and their sum is the result.
pub(crate) async fn stream<A: Api, M: Message>(
    messages: u64,
    senders: Vec<impl Tx<M>>,
    receivers: Vec<impl Rx<M>>,
) -> u64 {
    let share = messages / senders.len() as u64;
    let senders = senders.into_iter().zip(0..).map(|(mut tx, sender)| {
        A::spawn(async move {
            for n in sender * share..(sender + 1) * share {
                tx.send(M::new(n)).await;
            }
        })
    });
    let senders: Vec<_> = senders.collect();
    let receivers = receivers.into_iter().map(|rx| A::spawn(sum_up(rx)));
    let receivers: Vec<_> = receivers.collect();
    for sender in senders {
        sender.await;
    }
    let mut sum = 0;
    for receiver in receivers {
        sum += receiver.await;
    }
    sum
}

/// Receives to the end.
pub(crate) async fn sum_up<M: Message>(mut rx: impl Rx<M>) -> u64 {
    let mut sum = 0;
    while let Some(message) = rx.recv().await {
        sum += message.number();
    }
    sum
}
