//! The channels for tasks that other crates have, each as its documentation says to use it.

use std::future::Future;
use std::marker::PhantomData;

use async_channel as smol;
use crossfire::{AsyncRx, AsyncTx, MAsyncRx, MAsyncTx};

use super::api::{Channels, Message, Rx, Spawn, TakeTurns, Tx};

/// The tasks of one crate with the channels of another.
pub(crate) struct On<S, C>(PhantomData<(S, C)>);

impl<S: Spawn, C: 'static> Spawn for On<S, C> {
    fn spawn<F>(future: F) -> impl Future<Output = F::Output> + Send + 'static
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        S::spawn(future)
    }

    fn spawn_detached<F>(future: F)
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        S::spawn_detached(future);
    }

    fn yield_now() -> impl Future<Output = ()> + Send {
        S::yield_now()
    }
}

impl<S: 'static, C: Channels> Channels for On<S, C> {
    fn spsc<M: Message>(capacity: usize) -> (impl Tx<M>, impl Rx<M>) {
        C::spsc(capacity)
    }

    fn mpsc<M: Message>(capacity: usize) -> (impl Tx<M> + Clone, impl Rx<M>) {
        C::mpsc(capacity)
    }

    fn spmc<M: Message>(capacity: usize) -> (impl Tx<M>, impl Rx<M> + Clone) {
        C::spmc(capacity)
    }

    fn mpmc<M: Message>(capacity: usize) -> (impl Tx<M> + Clone, impl Rx<M> + Clone) {
        C::mpmc(capacity)
    }
}

pub(crate) enum AsyncChannel {}
pub(crate) enum Flume {}
pub(crate) enum Kanal {}
pub(crate) enum Crossfire {}
pub(crate) enum Tachyonix {}

/// Crates that have the one channel for many senders and many receivers.
macro_rules! many_to_many {
    ($($crate_name:ty: $make:path),* $(,)?) => {$(
        impl Channels for $crate_name {
            fn spsc<M: Message>(capacity: usize) -> (impl Tx<M>, impl Rx<M>) {
                $make(capacity)
            }

            fn mpsc<M: Message>(capacity: usize) -> (impl Tx<M> + Clone, impl Rx<M>) {
                $make(capacity)
            }

            fn spmc<M: Message>(capacity: usize) -> (impl Tx<M>, impl Rx<M> + Clone) {
                $make(capacity)
            }

            fn mpmc<M: Message>(capacity: usize) -> (impl Tx<M> + Clone, impl Rx<M> + Clone) {
                $make(capacity)
            }
        }
    )*};
}

many_to_many! {
    AsyncChannel: smol::bounded,
    Flume: flume::bounded,
    Kanal: kanal::bounded_async,
}

/// It has no channel for one sender and many receivers; the one for many of both serves.
impl Channels for Crossfire {
    fn spsc<M: Message>(capacity: usize) -> (impl Tx<M>, impl Rx<M>) {
        crossfire::spsc::bounded_async(capacity)
    }

    fn mpsc<M: Message>(capacity: usize) -> (impl Tx<M> + Clone, impl Rx<M>) {
        crossfire::mpsc::bounded_async(capacity)
    }

    fn spmc<M: Message>(capacity: usize) -> (impl Tx<M>, impl Rx<M> + Clone) {
        crossfire::mpmc::bounded_async(capacity)
    }

    fn mpmc<M: Message>(capacity: usize) -> (impl Tx<M> + Clone, impl Rx<M> + Clone) {
        crossfire::mpmc::bounded_async(capacity)
    }
}

impl Channels for Tachyonix {
    fn spsc<M: Message>(capacity: usize) -> (impl Tx<M>, impl Rx<M>) {
        tachyonix::channel(capacity)
    }

    fn mpsc<M: Message>(capacity: usize) -> (impl Tx<M> + Clone, impl Rx<M>) {
        tachyonix::channel(capacity)
    }

    fn spmc<M: Message>(capacity: usize) -> (impl Tx<M>, impl Rx<M> + Clone) {
        Self::mpmc(capacity)
    }

    fn mpmc<M: Message>(capacity: usize) -> (impl Tx<M> + Clone, impl Rx<M> + Clone) {
        let (tx, rx) = tachyonix::channel(capacity);
        (tx, TakeTurns::new(rx))
    }
}

/// Their receivers say by an error that the stream ended.
macro_rules! handles {
    ($($tx:ty: $send:path, $rx:ty: $recv:path $(, then $batch:expr)?;)*) => {$(
        impl<M: Message> Tx<M> for $tx {
            async fn send(&mut self, message: M) {
                $send(self, message).await.expect("receivers outlive senders");
            }
        }

        impl<M: Message> Rx<M> for $rx {
            async fn recv(&mut self) -> Option<M> {
                $recv(self).await.ok()
            }
            $(
                async fn recv_batch(&mut self, out: &mut Vec<M>) -> bool {
                    out.extend($recv(self).await.ok());
                    $batch(self, out);
                    !out.is_empty()
                }
            )?
        }
    )*};
}

handles! {
    smol::Sender<M>: smol::Sender::send, smol::Receiver<M>: smol::Receiver::recv;
    flume::Sender<M>: flume::Sender::send_async,
    flume::Receiver<M>: flume::Receiver::recv_async,
        then |rx: &Self, out: &mut Vec<M>| out.extend(rx.drain());
    kanal::AsyncSender<M>: kanal::AsyncSender::send,
    kanal::AsyncReceiver<M>: kanal::AsyncReceiver::recv,
        then |rx: &Self, out: &mut Vec<M>| drop(rx.drain_into(out));
    tachyonix::Sender<M>: tachyonix::Sender::send,
    tachyonix::Receiver<M>: tachyonix::Receiver::recv;
    AsyncTx<crossfire::spsc::Array<M>>: AsyncTx::send,
    AsyncRx<crossfire::spsc::Array<M>>: AsyncRx::recv;
    MAsyncTx<crossfire::mpsc::Array<M>>: AsyncTx::send,
    AsyncRx<crossfire::mpsc::Array<M>>: AsyncRx::recv;
    MAsyncTx<crossfire::mpmc::Array<M>>: AsyncTx::send,
    MAsyncRx<crossfire::mpmc::Array<M>>: AsyncRx::recv;
}
