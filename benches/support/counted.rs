//! Channels that count how often their futures say Pending.
//!
//! Counting costs nanoseconds for each message, so it is not done while times are taken.

use std::future::{Future, poll_fn};
use std::marker::PhantomData;
use std::ops::Range;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};

use super::api::{Channels, Message, Rx, Tx};

/// What the handles that are gone have counted.
static PENDINGS: AtomicU64 = AtomicU64::new(0);

pub(crate) fn pendings() -> u64 {
    // Ordering: who counted has sent a result since, and dropped its handle before.
    PENDINGS.load(Ordering::Relaxed)
}

/// The channels `C`, counted.
pub(crate) struct Counted<C>(PhantomData<C>);

impl<C: Channels> Channels for Counted<C> {
    fn spsc<M: Message>(capacity: usize) -> (impl Tx<M>, impl Rx<M>) {
        let (tx, rx) = C::spsc(capacity);
        (Handle::new(tx), Handle::new(rx))
    }

    fn mpsc<M: Message>(capacity: usize) -> (impl Tx<M> + Clone, impl Rx<M>) {
        let (tx, rx) = C::mpsc(capacity);
        (Handle::new(tx), Handle::new(rx))
    }

    fn spmc<M: Message>(capacity: usize) -> (impl Tx<M>, impl Rx<M> + Clone) {
        let (tx, rx) = C::spmc(capacity);
        (Handle::new(tx), Handle::new(rx))
    }

    fn mpmc<M: Message>(capacity: usize) -> (impl Tx<M> + Clone, impl Rx<M> + Clone) {
        let (tx, rx) = C::mpmc(capacity);
        (Handle::new(tx), Handle::new(rx))
    }
}

/// A sender or a receiver, and what it has counted.
struct Handle<H> {
    handle: H,
    pendings: u64,
}

impl<H> Handle<H> {
    fn new(handle: H) -> Self {
        Self { handle, pendings: 0 }
    }
}

impl<H: Clone> Clone for Handle<H> {
    fn clone(&self) -> Self {
        Self::new(self.handle.clone())
    }
}

impl<H> Drop for Handle<H> {
    fn drop(&mut self) {
        PENDINGS.fetch_add(self.pendings, Ordering::Relaxed);
    }
}

impl<M: Message, H: Tx<M>> Tx<M> for Handle<H> {
    async fn send(&mut self, message: M) {
        count(&mut self.pendings, self.handle.send(message)).await;
    }

    async fn send_all(&mut self, numbers: Range<u64>) {
        count(&mut self.pendings, self.handle.send_all(numbers)).await;
    }
}

impl<M: Message, H: Rx<M>> Rx<M> for Handle<H> {
    async fn recv(&mut self) -> Option<M> {
        count(&mut self.pendings, self.handle.recv()).await
    }

    async fn recv_batch(&mut self, out: &mut Vec<M>) -> bool {
        count(&mut self.pendings, self.handle.recv_batch(out)).await
    }
}

async fn count<F: Future>(pendings: &mut u64, future: F) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|cx| {
        let poll = future.as_mut().poll(cx);
        *pendings += u64::from(poll.is_pending());
        poll
    })
    .await
}
