//! What a row may use of channels in plain threads, ours and those of other crates.

use std::sync::{Arc, Mutex, PoisonError, mpsc as std_mpsc};

use annulus::channel::{self, Mpmc, Mpsc, Receiver, Sender, Spsc};
use async_channel as smol;
use crossbeam_channel as crossbeam;
use crossfire::{MRx, MTx, Rx, Tx};
use tokio::sync::mpsc as tokio_mpsc;

use super::api::{Annulus, Message, Tokio};
use super::rivals::{AsyncChannel, Crossfire, Flume, Kanal};

/// Bounded channels for threads.
pub(crate) trait Threads: 'static {
    fn spsc<M: Message>(capacity: usize) -> (impl ThreadTx<M>, impl ThreadRx<M>);
    fn mpsc<M: Message>(capacity: usize) -> (impl ThreadTx<M> + Clone, impl ThreadRx<M>);
    fn mpmc<M: Message>(capacity: usize) -> (impl ThreadTx<M> + Clone, impl ThreadRx<M> + Clone);
}

/// A sender that makes its thread wait.
pub(crate) trait ThreadTx<M>: Send + 'static {
    fn send(&mut self, message: M);

    /// Panics if there is no room.
    fn try_send(&mut self, message: M);
}

/// A receiver that makes its thread wait; `None` ends the stream.
pub(crate) trait ThreadRx<M>: Send + 'static {
    fn recv(&mut self) -> Option<M>;

    /// Panics if there is no message.
    fn try_recv(&mut self) -> M;
}

pub(crate) enum Crossbeam {}
pub(crate) enum Std {}

/// The makers of the channels for one to one, many to one, many to many.
macro_rules! topologies {
    ($($crate_name:ty: $spsc:path, $mpsc:path, $mpmc:path;)*) => {$(
        impl Threads for $crate_name {
            fn spsc<M: Message>(capacity: usize) -> (impl ThreadTx<M>, impl ThreadRx<M>) {
                $spsc(capacity)
            }

            fn mpsc<M: Message>(capacity: usize) -> (impl ThreadTx<M> + Clone, impl ThreadRx<M>) {
                $mpsc(capacity)
            }

            fn mpmc<M: Message>(
                capacity: usize,
            ) -> (impl ThreadTx<M> + Clone, impl ThreadRx<M> + Clone) {
                $mpmc(capacity)
            }
        }
    )*};
}

topologies! {
    Annulus: channel::spsc, channel::mpsc, channel::mpmc;
    Tokio: tokio_mpsc::channel, tokio_mpsc::channel, tokio_in_turns;
    AsyncChannel: smol::bounded, smol::bounded, smol::bounded;
    Flume: flume::bounded, flume::bounded, flume::bounded;
    Kanal: kanal::bounded, kanal::bounded, kanal::bounded;
    Crossfire:
        crossfire::spsc::bounded_blocking,
        crossfire::mpsc::bounded_blocking,
        crossfire::mpmc::bounded_blocking;
    Crossbeam: crossbeam::bounded, crossbeam::bounded, crossbeam::bounded;
    Std: std_mpsc::sync_channel, std_mpsc::sync_channel, std_in_turns;
}

fn tokio_in_turns<M>(
    capacity: usize,
) -> (tokio_mpsc::Sender<M>, TakeTurns<tokio_mpsc::Receiver<M>>) {
    let (tx, rx) = tokio_mpsc::channel(capacity);
    (tx, TakeTurns(Arc::new(Mutex::new(rx))))
}

fn std_in_turns<M>(capacity: usize) -> (std_mpsc::SyncSender<M>, TakeTurns<std_mpsc::Receiver<M>>) {
    let (tx, rx) = std_mpsc::sync_channel(capacity);
    (tx, TakeTurns(Arc::new(Mutex::new(rx))))
}

/// `ok` makes an option of what the waiting receive returns.
macro_rules! handles {
    ($(
        $tx:ty: $send:path, $try_send:path;
        $rx:ty: $recv:path $([$ok:ident])?, $try_recv:path;
    )*) => {$(
        impl<M: Message> ThreadTx<M> for $tx {
            fn send(&mut self, message: M) {
                $send(self, message).expect("receivers outlive senders");
            }

            fn try_send(&mut self, message: M) {
                $try_send(self, message).expect("room");
            }
        }

        impl<M: Message> ThreadRx<M> for $rx {
            fn recv(&mut self) -> Option<M> {
                $recv(self)$(.$ok())?
            }

            fn try_recv(&mut self) -> M {
                $try_recv(self).expect("a message")
            }
        }
    )*};
}

handles! {
    Sender<M, Spsc>: Sender::<M, Spsc>::send_blocking, Sender::<M, Spsc>::try_send;
    Receiver<M, Spsc>: Receiver::<M, Spsc>::recv_blocking, Receiver::<M, Spsc>::try_recv;

    Sender<M, Mpsc>: Sender::<M, Mpsc>::send_blocking, Sender::<M, Mpsc>::try_send;
    Receiver<M, Mpsc>: Receiver::<M, Mpsc>::recv_blocking, Receiver::<M, Mpsc>::try_recv;

    Sender<M, Mpmc>: Sender::<M, Mpmc>::send_blocking, Sender::<M, Mpmc>::try_send;
    Receiver<M, Mpmc>: Receiver::<M, Mpmc>::recv_blocking, Receiver::<M, Mpmc>::try_recv;

    tokio_mpsc::Sender<M>: tokio_mpsc::Sender::blocking_send, tokio_mpsc::Sender::try_send;
    tokio_mpsc::Receiver<M>: tokio_mpsc::Receiver::blocking_recv, tokio_mpsc::Receiver::try_recv;

    smol::Sender<M>: smol::Sender::send_blocking, smol::Sender::try_send;
    smol::Receiver<M>: smol::Receiver::recv_blocking [ok], smol::Receiver::try_recv;

    flume::Sender<M>: flume::Sender::send, flume::Sender::try_send;
    flume::Receiver<M>: flume::Receiver::recv [ok], flume::Receiver::try_recv;

    crossbeam::Sender<M>: crossbeam::Sender::send, crossbeam::Sender::try_send;
    crossbeam::Receiver<M>: crossbeam::Receiver::recv [ok], crossbeam::Receiver::try_recv;

    std_mpsc::SyncSender<M>: std_mpsc::SyncSender::send, std_mpsc::SyncSender::try_send;
    std_mpsc::Receiver<M>: std_mpsc::Receiver::recv [ok], std_mpsc::Receiver::try_recv;

    Tx<crossfire::spsc::Array<M>>: Tx::send, Tx::try_send;
    Rx<crossfire::spsc::Array<M>>: Rx::recv [ok], Rx::try_recv;

    MTx<crossfire::mpsc::Array<M>>: Tx::send, Tx::try_send;
    Rx<crossfire::mpsc::Array<M>>: Rx::recv [ok], Rx::try_recv;

    MTx<crossfire::mpmc::Array<M>>: Tx::send, Tx::try_send;
    MRx<crossfire::mpmc::Array<M>>: Rx::recv [ok], Rx::try_recv;
}

/// It says by a value, not by an error, that there was no room or no message.
impl<M: Message> ThreadTx<M> for kanal::Sender<M> {
    fn send(&mut self, message: M) {
        kanal::Sender::send(self, message).expect("receivers outlive senders");
    }

    fn try_send(&mut self, message: M) {
        assert_eq!(kanal::Sender::try_send(self, message), Ok(true), "room");
    }
}

impl<M: Message> ThreadRx<M> for kanal::Receiver<M> {
    fn recv(&mut self) -> Option<M> {
        kanal::Receiver::recv(self).ok()
    }

    fn try_recv(&mut self) -> M {
        kanal::Receiver::try_recv(self).expect("an open channel").expect("a message")
    }
}

/// What users of a channel with one receiver do for want of more, as with tasks.
pub(crate) struct TakeTurns<R>(Arc<Mutex<R>>);

impl<R> Clone for TakeTurns<R> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<M: Message, R: ThreadRx<M>> ThreadRx<M> for TakeTurns<R> {
    fn recv(&mut self) -> Option<M> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).recv()
    }

    fn try_recv(&mut self) -> M {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).try_recv()
    }
}
