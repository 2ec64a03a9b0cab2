//! Messages through one channel, and how often its ends had to wait.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};

use super::api::{Api, Message, Rx, Tx};

/// How often a future of a channel said Pending, in all streams that have ended.
static PENDINGS: AtomicU64 = AtomicU64::new(0);

pub(crate) fn pendings() -> u64 {
    // Ordering: the count is read after the sums of the stream, which come through channels.
    PENDINGS.load(Ordering::Relaxed)
}

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
            let mut pendings = 0;
            for n in sender * share..(sender + 1) * share {
                let mut send = pin!(tx.send(M::new(n)));
                poll_fn(|cx| {
                    let poll = send.as_mut().poll(cx);
                    pendings += u64::from(poll.is_pending());
                    poll
                })
                .await;
            }
            PENDINGS.fetch_add(pendings, Ordering::Relaxed);
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
    let mut pendings = 0;
    loop {
        let mut recv = pin!(rx.recv());
        let message = poll_fn(|cx| {
            let poll = recv.as_mut().poll(cx);
            pendings += u64::from(poll.is_pending());
            poll
        });
        match message.await {
            Some(message) => sum += message.number(),
            None => break,
        }
    }
    PENDINGS.fetch_add(pendings, Ordering::Relaxed);
    sum
}
