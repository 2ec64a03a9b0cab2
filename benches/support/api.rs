//! What a row may use of a runtime, so that each row is written once for all of them.
//!
//! Everything is resolved at compile time: a row calls the runtimes' own functions.

use std::future::Future;
use std::sync::Arc;

use annulus::channel::{self, Mpmc, Mpsc, Receiver, Sender, Spmc, Spsc};
use tokio::sync::{Mutex, mpsc};

/// A runtime and its bounded channels of numbers. Call these functions from its tasks.
pub(crate) trait Api: 'static {
    /// Starts a task; what is returned waits for its result.
    fn spawn<F>(future: F) -> impl Future<Output = F::Output> + Send + 'static
    where
        F: Future<Output: Send + 'static> + Send + 'static;

    fn yield_now() -> impl Future<Output = ()> + Send;

    fn spsc(capacity: usize) -> (impl Tx, impl Rx);
    fn mpsc(capacity: usize) -> (impl Tx + Clone, impl Rx);
    fn spmc(capacity: usize) -> (impl Tx, impl Rx + Clone);
    fn mpmc(capacity: usize) -> (impl Tx + Clone, impl Rx + Clone);
}

/// A sender. By `&mut`, because that is what a sender of which there is one may ask for.
pub(crate) trait Tx: Send + 'static {
    fn send(&mut self, message: u64) -> impl Future<Output = ()> + Send;
}

/// A receiver; `None` ends the stream.
pub(crate) trait Rx: Send + 'static {
    fn recv(&mut self) -> impl Future<Output = Option<u64>> + Send;
}

pub(crate) enum Annulus {}

impl Api for Annulus {
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

    fn spsc(capacity: usize) -> (impl Tx, impl Rx) {
        channel::spsc(capacity)
    }

    fn mpsc(capacity: usize) -> (impl Tx + Clone, impl Rx) {
        channel::mpsc(capacity)
    }

    fn spmc(capacity: usize) -> (impl Tx, impl Rx + Clone) {
        channel::spmc(capacity)
    }

    fn mpmc(capacity: usize) -> (impl Tx + Clone, impl Rx + Clone) {
        channel::mpmc(capacity)
    }
}

/// The four topologies have one API but four types.
macro_rules! annulus_handles {
    ($($kind:ty),*) => {$(
        impl Tx for Sender<u64, $kind> {
            async fn send(&mut self, message: u64) {
                Sender::<u64, $kind>::send(self, message).await.expect("receivers outlive senders");
            }
        }

        impl Rx for Receiver<u64, $kind> {
            async fn recv(&mut self) -> Option<u64> {
                Receiver::<u64, $kind>::recv(self).await
            }
        }
    )*};
}

annulus_handles!(Spsc, Mpsc, Spmc, Mpmc);

pub(crate) enum Tokio {}

impl Api for Tokio {
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

    fn spsc(capacity: usize) -> (impl Tx, impl Rx) {
        mpsc::channel(capacity)
    }

    fn mpsc(capacity: usize) -> (impl Tx + Clone, impl Rx) {
        mpsc::channel(capacity)
    }

    fn spmc(capacity: usize) -> (impl Tx, impl Rx + Clone) {
        Self::mpmc(capacity)
    }

    fn mpmc(capacity: usize) -> (impl Tx + Clone, impl Rx + Clone) {
        let (tx, rx) = mpsc::channel(capacity);
        (tx, TakeTurns(Arc::new(Mutex::new(rx))))
    }
}

impl Tx for mpsc::Sender<u64> {
    async fn send(&mut self, message: u64) {
        mpsc::Sender::send(self, message).await.expect("receivers outlive senders");
    }
}

impl Rx for mpsc::Receiver<u64> {
    async fn recv(&mut self) -> Option<u64> {
        mpsc::Receiver::recv(self).await
    }
}

/// What users of tokio do for want of a channel with many receivers: they share the one. Who
/// waits for a message keeps the lock, the others wait for the lock.
#[derive(Clone)]
struct TakeTurns(Arc<Mutex<mpsc::Receiver<u64>>>);

impl Rx for TakeTurns {
    async fn recv(&mut self) -> Option<u64> {
        self.0.lock().await.recv().await
    }
}
