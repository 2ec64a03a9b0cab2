//! What a row may use of a runtime and of its channels, so that each row is written once for all.
//!
//! Everything is resolved at compile time: a row calls the runtimes' and channels' own functions.

use std::fmt::Debug;
use std::future::Future;
use std::ops::Range;
use std::sync::Arc;

use annulus::channel::{self, Mpmc, Mpsc, Receiver, Sender, Spmc, Spsc};
use tokio::sync::{Mutex, mpsc};

/// What is sent: a number, and as much beside it as the row wants.
pub(crate) trait Message: Debug + Send + Unpin + 'static {
    fn new(number: u64) -> Self;
    fn number(&self) -> u64;
}

impl Message for u64 {
    fn new(number: u64) -> Self {
        number
    }

    fn number(&self) -> u64 {
        *self
    }
}

impl<const WORDS: usize> Message for [u64; WORDS] {
    fn new(number: u64) -> Self {
        [number; WORDS]
    }

    fn number(&self) -> u64 {
        self[0]
    }
}

/// A runtime. Call these functions from its tasks.
pub(crate) trait Spawn: 'static {
    /// Starts a task; what is returned waits for its result.
    fn spawn<F>(future: F) -> impl Future<Output = F::Output> + Send + 'static
    where
        F: Future<Output: Send + 'static> + Send + 'static;

    /// Starts a task that nobody waits for.
    fn spawn_detached<F>(future: F)
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        drop(Self::spawn(future));
    }

    fn yield_now() -> impl Future<Output = ()> + Send;
}

/// Bounded channels for tasks.
pub(crate) trait Channels: 'static {
    fn spsc<M: Message>(capacity: usize) -> (impl Tx<M>, impl Rx<M>);
    fn mpsc<M: Message>(capacity: usize) -> (impl Tx<M> + Clone, impl Rx<M>);
    fn spmc<M: Message>(capacity: usize) -> (impl Tx<M>, impl Rx<M> + Clone);
    fn mpmc<M: Message>(capacity: usize) -> (impl Tx<M> + Clone, impl Rx<M> + Clone);
}

/// A runtime and the channels that its tasks use.
pub(crate) trait Api: Spawn + Channels {}

impl<A: Spawn + Channels> Api for A {}

/// A sender. By `&mut`, because that is what a sender of which there is one may ask for.
pub(crate) trait Tx<M>: Send + 'static {
    fn send(&mut self, message: M) -> impl Future<Output = ()> + Send;

    /// Sends the numbers, in batches if the channel has such.
    fn send_all(&mut self, numbers: Range<u64>) -> impl Future<Output = ()> + Send
    where
        M: Message,
    {
        async move {
            for n in numbers {
                self.send(M::new(n)).await;
            }
        }
    }
}

/// A receiver; `None` ends the stream.
pub(crate) trait Rx<M>: Send + 'static {
    fn recv(&mut self) -> impl Future<Output = Option<M>> + Send;

    /// Waits for a message and receives what else is there, up to [`BATCH`] in all if the channel
    /// can stop there, into `out`, which is empty; or one message if the channel has no such call.
    /// False ends the stream.
    fn recv_batch(&mut self, out: &mut Vec<M>) -> impl Future<Output = bool> + Send
    where
        M: Message,
    {
        async move {
            out.extend(self.recv().await);
            !out.is_empty()
        }
    }
}

/// Messages that are received at once.
pub(crate) const BATCH: usize = 64;

pub(crate) enum Annulus {}

impl Spawn for Annulus {
    fn spawn<F>(future: F) -> impl Future<Output = F::Output> + Send + 'static
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        let task = annulus::spawn(future);
        async move { task.await.expect("a task of the row panicked") }
    }

    fn yield_now() -> impl Future<Output = ()> + Send {
        annulus::yield_now()
    }
}

impl Channels for Annulus {
    fn spsc<M: Message>(capacity: usize) -> (impl Tx<M>, impl Rx<M>) {
        channel::spsc(capacity)
    }

    fn mpsc<M: Message>(capacity: usize) -> (impl Tx<M> + Clone, impl Rx<M>) {
        channel::mpsc(capacity)
    }

    fn spmc<M: Message>(capacity: usize) -> (impl Tx<M>, impl Rx<M> + Clone) {
        channel::spmc(capacity)
    }

    fn mpmc<M: Message>(capacity: usize) -> (impl Tx<M> + Clone, impl Rx<M> + Clone) {
        channel::mpmc(capacity)
    }
}

/// The four topologies have one API but four types.
macro_rules! annulus_handles {
    ($($kind:ty),*) => {$(
        impl<M: Message> Tx<M> for Sender<M, $kind> {
            async fn send(&mut self, message: M) {
                Sender::<M, $kind>::send(self, message).await.expect("receivers outlive senders");
            }

            async fn send_all(&mut self, numbers: Range<u64>) {
                let sent = self.send_many(numbers.map(M::new)).await;
                sent.expect("receivers outlive senders");
            }
        }

        impl<M: Message> Rx<M> for Receiver<M, $kind> {
            async fn recv(&mut self) -> Option<M> {
                Receiver::<M, $kind>::recv(self).await
            }

            async fn recv_batch(&mut self, out: &mut Vec<M>) -> bool {
                self.recv_many(out, BATCH).await > 0
            }
        }
    )*};
}

annulus_handles!(Spsc, Mpsc, Spmc, Mpmc);

pub(crate) enum Tokio {}

impl Spawn for Tokio {
    fn spawn<F>(future: F) -> impl Future<Output = F::Output> + Send + 'static
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        let task = tokio::spawn(future);
        async move { task.await.expect("a task of the row panicked") }
    }

    fn yield_now() -> impl Future<Output = ()> + Send {
        tokio::task::yield_now()
    }
}

impl Channels for Tokio {
    fn spsc<M: Message>(capacity: usize) -> (impl Tx<M>, impl Rx<M>) {
        mpsc::channel(capacity)
    }

    fn mpsc<M: Message>(capacity: usize) -> (impl Tx<M> + Clone, impl Rx<M>) {
        mpsc::channel(capacity)
    }

    fn spmc<M: Message>(capacity: usize) -> (impl Tx<M>, impl Rx<M> + Clone) {
        Self::mpmc(capacity)
    }

    fn mpmc<M: Message>(capacity: usize) -> (impl Tx<M> + Clone, impl Rx<M> + Clone) {
        let (tx, rx) = mpsc::channel(capacity);
        (tx, TakeTurns::new(rx))
    }
}

impl<M: Message> Tx<M> for mpsc::Sender<M> {
    async fn send(&mut self, message: M) {
        mpsc::Sender::send(self, message).await.expect("receivers outlive senders");
    }

    async fn send_all(&mut self, mut numbers: Range<u64>) {
        while !numbers.is_empty() {
            let left = (numbers.end - numbers.start) as usize;
            let permits = self.reserve_many(left.min(BATCH)).await;
            for permit in permits.expect("receivers outlive senders") {
                permit.send(M::new(numbers.next().expect("as many as permits")));
            }
        }
    }
}

impl<M: Message> Rx<M> for mpsc::Receiver<M> {
    async fn recv(&mut self) -> Option<M> {
        mpsc::Receiver::recv(self).await
    }

    async fn recv_batch(&mut self, out: &mut Vec<M>) -> bool {
        self.recv_many(out, BATCH).await > 0
    }
}

/// What users of a channel with one receiver do for want of more: they share the one. Who waits
/// for a message keeps the lock, the others wait for the lock.
pub(crate) struct TakeTurns<R>(Arc<Mutex<R>>);

impl<R> TakeTurns<R> {
    pub(crate) fn new(receiver: R) -> Self {
        Self(Arc::new(Mutex::new(receiver)))
    }
}

impl<R> Clone for TakeTurns<R> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<M: Message, R: Rx<M>> Rx<M> for TakeTurns<R> {
    async fn recv(&mut self) -> Option<M> {
        self.0.lock().await.recv().await
    }
}
