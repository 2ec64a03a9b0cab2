//! Which public types may cross threads, and which may not, checked when this compiles.

use std::marker::PhantomPinned;
use std::rc::Rc;
use std::sync::MutexGuard;

use annulus::channel::{
    Closing, Iter, Mpmc, Mpsc, OwnedPermit, Permit, Receiver, RecvCase, RecvFuture, RecvManyFuture,
    RecvRef, RecvRefFuture, ReserveFuture, ReserveOwnedFuture, Select, SelectTimeoutError,
    SelectedOperation, SendCase, SendError, SendFuture, SendManyFuture, Sender, Spmc, Spsc,
    TryIter, TryRecvError, TrySelectError, TrySendError, WeakReceiver, WeakSender, broadcast,
    oneshot, rendezvous, watch,
};
use annulus::ring::{Consumer, Multi, Producer, RingBuffer, Single};
use annulus::sync::{
    self, Acquire, AcquireOwned, Barrier, BarrierWait, CancellationToken, Cancelled,
    CancelledOwned, Lock, LockOwned, Mutex, Notified, Notify, OnceCell, OwnedMutexGuard,
    OwnedSemaphorePermit, Read, RwLock, RwLockReadGuard, RwLockWriteGuard, Semaphore,
    SemaphorePermit, Write,
};
use annulus::task::{self, AbortHandle};
use annulus::time::{
    Advance, Elapsed, Interval, MissedTickBehavior, RecvTimeoutFuture, SendTimeoutFuture, Sleep,
    Tick, Timeout,
};
use annulus::{
    Builder, EnterGuard, Handle, JoinError, JoinHandle, Runtime, Scope, ScopedJoinHandle, YieldNow,
};

/// `Cell` is Send and not Sync: what a message has to be, and no more.
type Message = std::cell::Cell<u8>;

fn all<T: Send + Sync + Unpin>() {}
fn unpin<T: Unpin>() {}

/// Fails to compile, as ambiguous, if the type has the trait.
macro_rules! lacks {
    ($missing:ident: $($type:ty),* $(,)?) => {$(
        const _: fn() = || {
            trait Ambiguous<A> {
                fn check() {}
            }
            impl<T: ?Sized> Ambiguous<()> for T {}
            struct HasIt;
            impl<T: ?Sized + $missing> Ambiguous<HasIt> for T {}
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
    unpin::<SendFuture<'static, PhantomPinned, Spsc>>();
    fn send<T: Send>() {}
    send::<SendFuture<'static, Message, Mpmc>>();
    all::<RingBuffer<Message>>();
    all::<RingBuffer<Message, Single, Single>>();
    all::<Producer<'static, Message, Single, Multi>>();
    all::<Consumer<'static, Message, Multi, Single>>();
    all::<Runtime>();
    all::<Builder>();
    all::<Handle>();
    all::<JoinHandle<Message>>();
    all::<JoinError>();
    all::<Scope<'static, 'static>>();
    all::<ScopedJoinHandle<'static, Message>>();
    all::<AbortHandle>();
    all::<task::Id>();
    all::<task::Builder>();
    unpin::<task::LocalSet>();
    unpin::<task::RunUntil<'static, std::future::Ready<u8>>>();
    all::<task::LocalKey<Rc<u8>>>();
    all::<task::LocalScope<u8, std::future::Ready<u8>>>();
    all::<task::AccessError>();
    all::<task::ConsumeBudget>();
    all::<task::Unconstrained<std::future::Ready<u8>>>();
    all::<task::JoinSet<Message>>();
    all::<task::JoinNext<'static, Message>>();
    all::<YieldNow>();
    all::<SendError<u8>>();
    all::<TrySendError<u8>>();
    all::<TryRecvError>();
}

#[test]
fn what_handles_make_crosses_threads_too() {
    type Items = std::ops::Range<u8>;
    all::<WeakSender<Message, Single>>();
    all::<WeakReceiver<Message, Multi>>();
    all::<Permit<'static, Message, Spsc>>();
    all::<OwnedPermit<Message, Mpmc>>();
    all::<ReserveFuture<'static, Message, Spmc>>();
    all::<ReserveOwnedFuture<Message, Mpsc>>();
    all::<SendManyFuture<'static, u8, Spsc, Items>>();
    all::<RecvManyFuture<'static, u8, Mpmc>>();
    all::<RecvRefFuture<'static, Message, Multi>>();
    all::<TryIter<'static, Message, Spsc>>();
    all::<Iter<'static, Message, Mpmc>>();
    unpin::<SendManyFuture<'static, PhantomPinned, Mpmc, std::option::IntoIter<PhantomPinned>>>();
    // Who shares it shares the message.
    all::<RecvRef<'static, u8, Single>>();
    fn send<T: Send>() {}
    send::<RecvRef<'static, Message, Single>>();
}

#[test]
fn the_other_kinds_too() {
    all::<oneshot::Sender<Message>>();
    all::<oneshot::Receiver<Message>>();
    all::<oneshot::Closed<'static, Message>>();
    all::<oneshot::RecvError>();
    all::<rendezvous::Sender<Message>>();
    all::<rendezvous::Receiver<Message>>();
    all::<rendezvous::RecvFuture<'static, Message>>();
    unpin::<rendezvous::SendFuture<'static, PhantomPinned>>();
    fn send<T: Send>() {}
    send::<rendezvous::SendFuture<'static, Message>>();
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
    all::<TrySelectError>();
    all::<SelectTimeoutError>();
    unpin::<Select<'static>>();
    unpin::<RecvCase<'static, PhantomPinned>>();
    unpin::<SendCase<'static, PhantomPinned>>();
    unpin::<watch::WaitFor<'static, u8, PhantomPinned>>();
    unpin::<broadcast::RecvFuture<'static, PhantomPinned>>();
    unpin::<oneshot::Receiver<PhantomPinned>>();
}

#[test]
fn locks_and_signals_too() {
    fn send<T: Send + Unpin>() {}
    fn is_send<T: Send>(_: T) {}
    // A mutex needs its value to be Send, and no more.
    all::<Mutex<Message>>();
    all::<Lock<'static, Message>>();
    all::<LockOwned<Message>>();
    send::<sync::MutexGuard<'static, Message>>();
    send::<OwnedMutexGuard<Message>>();
    all::<sync::MutexGuard<'static, u8>>();
    all::<OwnedMutexGuard<u8>>();
    all::<RwLock<u8>>();
    all::<RwLockReadGuard<'static, u8>>();
    all::<RwLockWriteGuard<'static, u8>>();
    all::<Read<'static, u8>>();
    all::<Write<'static, u8>>();
    send::<RwLock<Message>>();
    all::<OnceCell<u8>>();
    send::<OnceCell<Message>>();
    unpin::<OnceCell<u8>>();
    let cell = OnceCell::new();
    is_send(cell.get_or_init(async || 1));
    is_send(cell.get_or_try_init(async || Ok::<_, Message>(1)));
    all::<Semaphore>();
    all::<SemaphorePermit<'static>>();
    all::<OwnedSemaphorePermit>();
    all::<Acquire<'static>>();
    all::<AcquireOwned>();
    all::<Notify>();
    all::<Notified<'static>>();
    all::<Barrier>();
    all::<BarrierWait<'static>>();
    all::<sync::BarrierWaitResult>();
    all::<CancellationToken>();
    all::<Cancelled<'static>>();
    all::<CancelledOwned>();
    all::<sync::DropGuard>();
    is_send(CancellationToken::new().run_until_cancelled(async {}));
    all::<sync::AcquireError>();
    all::<sync::TryAcquireError>();
    all::<sync::TryLockError>();
    all::<sync::SetError<u8>>();
    // What a future borrows or a guard points to may be pinned elsewhere.
    unpin::<sync::MutexGuard<'static, PhantomPinned>>();
    unpin::<OwnedMutexGuard<PhantomPinned>>();
    unpin::<LockOwned<PhantomPinned>>();
    unpin::<Write<'static, PhantomPinned>>();
}

#[test]
fn timers_too() {
    all::<Sleep>();
    all::<Timeout<std::future::Ready<u8>>>();
    all::<Elapsed>();
    all::<Interval>();
    all::<Tick<'static>>();
    all::<MissedTickBehavior>();
    all::<Advance>();
    all::<RecvTimeoutFuture<'static, Message, Mpsc>>();
    unpin::<SendTimeoutFuture<'static, PhantomPinned, Spsc>>();
    fn send<T: Send>() {}
    send::<SendTimeoutFuture<'static, Message, Mpmc>>();
    send::<Timeout<Message>>();
}

lacks!(
    Unpin:
    // It polls the future in its place.
    Timeout<PhantomPinned>,
    task::LocalScope<u8, PhantomPinned>,
    task::Unconstrained<PhantomPinned>,
);

lacks!(
    Send:
    Mutex<Rc<u8>>,
    sync::MutexGuard<'static, Rc<u8>>,
    OwnedMutexGuard<Rc<u8>>,
    Lock<'static, Rc<u8>>,
    LockOwned<Rc<u8>>,
    RwLock<Rc<u8>>,
    RwLockReadGuard<'static, Rc<u8>>,
    // Who reads it somewhere else shares it.
    RwLockReadGuard<'static, Message>,
    RwLockWriteGuard<'static, Message>,
    OnceCell<Rc<u8>>,
    Timeout<Rc<u8>>,
    SendTimeoutFuture<'static, Rc<u8>, Mpmc>,
    RecvTimeoutFuture<'static, Rc<u8>, Spsc>,
    // Messages are shared: they have to be Sync, too.
    broadcast::Sender<Message>,
    broadcast::Receiver<Message>,
    broadcast::RecvFuture<'static, Message>,
    watch::Sender<Message>,
    watch::Receiver<Message>,
    watch::Changed<'static, Message>,
    // A locked value does not move to another thread.
    watch::Ref<'static, u8>,
    rendezvous::Sender<Rc<u8>>,
    rendezvous::Receiver<Rc<u8>>,
    rendezvous::SendFuture<'static, Rc<u8>>,
    rendezvous::RecvFuture<'static, Rc<u8>>,
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
    // What they lock stays with its thread.
    Sender<MutexGuard<'static, u8>, Mpmc>,
    Receiver<MutexGuard<'static, u8>, Spsc>,
    WeakSender<Rc<u8>, Single>,
    WeakReceiver<Rc<u8>, Multi>,
    Permit<'static, Rc<u8>, Spsc>,
    Permit<'static, Rc<u8>, Mpmc>,
    OwnedPermit<Rc<u8>, Spsc>,
    OwnedPermit<Rc<u8>, Mpmc>,
    ReserveFuture<'static, Rc<u8>, Mpmc>,
    ReserveOwnedFuture<Rc<u8>, Spsc>,
    SendManyFuture<'static, Rc<u8>, Mpmc, std::vec::IntoIter<Rc<u8>>>,
    // The messages may cross, and their iterator may not.
    SendManyFuture<'static, u8, Mpmc, std::rc::Weak<u8>>,
    RecvManyFuture<'static, Rc<u8>, Spsc>,
    RecvRef<'static, Rc<u8>, Single>,
    RecvRefFuture<'static, Rc<u8>, Single>,
    TryIter<'static, Rc<u8>, Mpmc>,
    Iter<'static, Rc<u8>, Mpmc>,
    RingBuffer<Rc<u8>>,
    Producer<'static, Rc<u8>>,
    Consumer<'static, Rc<u8>>,
    JoinHandle<Rc<u8>>,
    // What it has entered is its own thread's.
    EnterGuard<'static>,
    // It waits on the thread that made it.
    Select<'static>,
    RecvCase<'static, u8>,
    SendCase<'static, u8>,
    SelectedOperation<'static, 'static>,
    ScopedJoinHandle<'static, Rc<u8>>,
    // The value goes where the task goes.
    task::LocalScope<Rc<u8>, std::future::Ready<u8>>,
    task::LocalScope<u8, Rc<u8>>,
    task::JoinSet<Rc<u8>>,
    task::JoinNext<'static, Rc<u8>>,
);

lacks!(
    Send:
    // It stays on its thread.
    task::LocalSet,
    task::RunUntil<'static, std::future::Ready<u8>>,
);

lacks!(
    Sync:
    task::LocalSet,
    Mutex<Rc<u8>>,
    // Who shares the guard shares the value.
    sync::MutexGuard<'static, Message>,
    OwnedMutexGuard<Message>,
    RwLock<Message>,
    RwLockWriteGuard<'static, Message>,
    OnceCell<Message>,
    // Another thread may set it, and this one drop it.
    OnceCell<MutexGuard<'static, u8>>,
    // Who shares it shares the message.
    RecvRef<'static, Message, Single>,
    RecvRef<'static, Message, Multi>,
    Select<'static>,
    RecvCase<'static, u8>,
    SendCase<'static, u8>,
    SelectedOperation<'static, 'static>,
    EnterGuard<'static>,
);

#[cfg(feature = "hyper")]
#[test]
fn adapters_are_what_streams_are() {
    use annulus::hyper::{Executor, Io, Timer};
    fn send<T: Send>() {}
    send::<Io<Message>>();
    all::<Io<u8>>();
    all::<Executor>();
    all::<Timer>();
}

#[cfg(feature = "hyper")]
lacks!(Unpin: annulus::hyper::Io<PhantomPinned>);

#[cfg(feature = "signal")]
#[test]
fn ctrl_c_goes_anywhere() {
    all::<annulus::signal::CtrlC>();
}

#[cfg(feature = "fs")]
#[test]
fn files_go_anywhere() {
    use annulus::fs::{DirEntry, File, OpenOptions, ReadDir, copy, read_dir};
    fn send<T: Send>(_: fn() -> T) {}
    all::<File>();
    all::<OpenOptions>();
    all::<ReadDir>();
    all::<DirEntry>();
    send(|| copy("", ""));
    send(|| read_dir(""));
    send(|| async { File::open("").await?.sync_all().await });
    send(|| async { File::open("").await?.into_std().await });
}

#[cfg(all(unix, feature = "process"))]
#[test]
fn children_go_anywhere() {
    use annulus::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
    fn send<T: Send>(_: fn() -> T) {}
    all::<Command>();
    all::<Child>();
    all::<ChildStdin>();
    all::<ChildStdout>();
    all::<ChildStderr>();
    send(|| async { Command::new("").spawn()?.wait().await });
    send(|| async { Command::new("").spawn()?.wait_with_output().await });
}

#[cfg(all(unix, feature = "net"))]
#[test]
fn descriptors_are_what_they_are_of() {
    use annulus::net::{AsyncFd, UnixDatagram, UnixListener, UnixStream};
    all::<AsyncFd<std::os::fd::OwnedFd>>();
    all::<UnixDatagram>();
    all::<UnixListener>();
    all::<UnixStream>();
}

#[cfg(feature = "net")]
#[test]
fn sockets_go_anywhere() {
    use annulus::net::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, WriteHalf};
    use annulus::net::{TcpListener, TcpStream, UdpSocket, lookup_host};
    fn send<T: Send>(_: fn() -> T) {}
    all::<TcpListener>();
    all::<TcpStream>();
    all::<UdpSocket>();
    all::<ReadHalf<'static, TcpStream>>();
    all::<WriteHalf<'static, TcpStream>>();
    all::<OwnedReadHalf<TcpStream>>();
    all::<OwnedWriteHalf<TcpStream>>();
    all::<ReuniteError<TcpStream>>();
    send(|| TcpStream::connect("a:1"));
    send(|| lookup_host("a:1"));
    send(|| async { TcpStream::connect("a:1").await?.write_all(b"x").await });
}
