//! Which public types may cross threads, and which may not, checked when this compiles.

use std::rc::Rc;

use annulus::channel::{
    Closing, Mpmc, Mpsc, Receiver, RecvFuture, SendError, SendFuture, Sender, Spmc, Spsc,
    TryRecvError, TrySendError, broadcast, oneshot, watch,
};
use annulus::ring::{Consumer, Multi, Producer, RingBuffer, Single};
use annulus::{Builder, JoinError, JoinHandle, Runtime, YieldNow};

/// `Cell` is Send and not Sync: what a message has to be, and no more.
type Message = std::cell::Cell<u8>;

fn all<T: Send + Sync + Unpin>() {}
fn unpin<T: Unpin>() {}

/// Fails to compile, as ambiguous, if the type has the trait.
macro_rules! not_send {
    ($($type:ty),* $(,)?) => {$(
        const _: fn() = || {
            trait Ambiguous<A> {
                fn check() {}
            }
            impl<T: ?Sized> Ambiguous<()> for T {}
            struct HasIt;
            impl<T: ?Sized + Send> Ambiguous<HasIt> for T {}
            let _ = <$type as Ambiguous<_>>::check;
        };
    )*};
}

#[test]
fn handles_cross_threads_if_messages_do() {
    all::<Sender<Message, Spsc>>();
    all::<Sender<Message, Mpsc>>();
    all::<Sender<Message, Spmc>>();
    all::<Sender<Message, Mpmc>>();
    all::<Receiver<Message, Spsc>>();
    all::<Receiver<Message, Mpsc>>();
    all::<Receiver<Message, Spmc>>();
    all::<Receiver<Message, Mpmc, Closing>>();
    all::<RecvFuture<'static, Message, Mpmc>>();
    unpin::<SendFuture<'static, std::marker::PhantomPinned, Spsc>>();
    fn send<T: Send>() {}
    send::<SendFuture<'static, Message, Mpmc>>();
    all::<RingBuffer<Message>>();
    all::<RingBuffer<Message, Single, Single>>();
    all::<Producer<'static, Message, Single, Multi>>();
    all::<Consumer<'static, Message, Multi, Single>>();
    all::<Runtime>();
    all::<Builder>();
    all::<JoinHandle<Message>>();
    all::<JoinError>();
    all::<YieldNow>();
    all::<SendError<u8>>();
    all::<TrySendError<u8>>();
    all::<TryRecvError>();
}

#[test]
fn the_other_kinds_too() {
    all::<oneshot::Sender<Message>>();
    all::<oneshot::Receiver<Message>>();
    all::<oneshot::Closed<'static, Message>>();
    all::<oneshot::RecvError>();
    all::<broadcast::Sender<u8>>();
    all::<broadcast::Receiver<u8>>();
    all::<broadcast::RecvFuture<'static, u8>>();
    all::<broadcast::SendError<u8>>();
    all::<broadcast::RecvError>();
    all::<broadcast::TryRecvError>();
    all::<watch::Sender<u8>>();
    all::<watch::Receiver<u8>>();
    all::<watch::Changed<'static, u8>>();
    all::<watch::Closed<'static, u8>>();
    all::<watch::WaitFor<'static, u8, fn(&u8) -> bool>>();
    all::<watch::RecvError>();
    unpin::<watch::WaitFor<'static, u8, std::marker::PhantomPinned>>();
    unpin::<broadcast::RecvFuture<'static, std::marker::PhantomPinned>>();
    unpin::<oneshot::Receiver<std::marker::PhantomPinned>>();
}

not_send!(
    // Messages are shared: they have to be Sync, too.
    broadcast::Sender<Message>,
    broadcast::Receiver<Message>,
    broadcast::RecvFuture<'static, Message>,
    watch::Sender<Message>,
    watch::Receiver<Message>,
    watch::Changed<'static, Message>,
    // A locked value does not move to another thread.
    watch::Ref<'static, u8>,
    oneshot::Sender<Rc<u8>>,
    oneshot::Receiver<Rc<u8>>,
    oneshot::Closed<'static, Rc<u8>>,
    Sender<Rc<u8>, Spsc>,
    Sender<Rc<u8>, Mpmc>,
    Receiver<Rc<u8>, Spsc>,
    Receiver<Rc<u8>, Mpmc>,
    Receiver<Rc<u8>, Mpsc, Closing>,
    SendFuture<'static, Rc<u8>, Mpmc>,
    RecvFuture<'static, Rc<u8>, Mpmc>,
    RingBuffer<Rc<u8>>,
    Producer<'static, Rc<u8>>,
    Consumer<'static, Rc<u8>>,
    JoinHandle<Rc<u8>>,
);
