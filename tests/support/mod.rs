//! What the tests of channels share: wakers that count, and the four topologies.
// Each test program uses some of it.
#![allow(dead_code, unreachable_pub, unused_macros, unused_imports)]

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use annulus::channel::{Mpmc, Mpsc, Receiver, Sender, Spmc, Spsc};

/// A waker that counts.
#[derive(Default)]
pub struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

impl Count {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    pub fn wakes(&self) -> usize {
        self.0.load(SeqCst)
    }
}

pub fn poll<F: Future + ?Sized>(future: Pin<&mut F>, count: &Arc<Count>) -> Poll<F::Output> {
    poll_with(future, &Waker::from(Arc::clone(count)))
}

pub fn poll_with<F: Future + ?Sized>(future: Pin<&mut F>, waker: &Waker) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(waker))
}

/// What a future gives in its first poll.
#[track_caller]
pub fn now<F: Future>(future: F) -> F::Output {
    match poll_with(std::pin::pin!(future), Waker::noop()) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("not ready"),
    }
}

/// The smallest executor there is.
pub fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = std::pin::pin!(future);
    loop {
        if let Poll::Ready(output) = poll_with(future.as_mut(), &waker) {
            return output;
        }
        thread::park();
    }
}

/// So many rounds, and a few under Miri, which is slow.
pub const fn rounds(count: usize) -> usize {
    if cfg!(miri) { count.div_ceil(200) } else { count }
}

/// A message that counts its drops.
#[derive(Debug)]
pub struct Counted(pub Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// Handles as many as asked for, or the one that there can be.
pub trait Fan: Sized {
    fn fan(self, count: usize) -> Vec<Self>;
}

macro_rules! fan {
    (many $($many:ty),*; one $($one:ty),*) => {
        $(impl<T> Fan for $many {
            fn fan(self, count: usize) -> Vec<Self> {
                let mut all: Vec<_> = (1..count).map(|_| self.clone()).collect();
                all.push(self);
                all
            }
        })*
        $(impl<T> Fan for $one {
            fn fan(self, _: usize) -> Vec<Self> {
                vec![self]
            }
        })*
    };
}

fan!(
    many Sender<T, Mpsc>, Sender<T, Mpmc>, Receiver<T, Spmc>, Receiver<T, Mpmc>;
    one Sender<T, Spsc>, Sender<T, Spmc>, Receiver<T, Spsc>, Receiver<T, Mpsc>
);

/// The text that a call panics with.
pub fn panic_text<R>(call: impl FnOnce() -> R) -> String {
    let Err(payload) = catch_unwind(AssertUnwindSafe(call)) else { panic!("it did not panic") };
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => (*payload.downcast::<&str>().unwrap()).into(),
    }
}

/// A waiting operation, with the count of its wakes.
macro_rules! waiting {
    ($future:expr) => {{
        let count = crate::support::Count::new();
        let mut future = Box::pin($future);
        assert!(crate::support::poll(future.as_mut(), &count).is_pending());
        (future, count)
    }};
}

/// Runs a block on each topology, or on those named, whose maker has the given name in it.
macro_rules! each {
    ($make:ident => $body:block) => {
        each!($make in [spsc, mpsc, spmc, mpmc] => $body)
    };
    ($make:ident in [$($kind:ident),*] => $body:block) => {
        $(
            #[allow(unused_mut)] // a Single handle needs it, a Multi one does not
            {
                use annulus::channel::$kind as $make;
                $body
            }
        )*
    };
}

/// A future and the count of its wakes.
pub struct Polled<F> {
    future: Pin<Box<F>>,
    count: Arc<Count>,
}

impl<F: Future> Polled<F> {
    pub fn new(future: F) -> Self {
        Self { future: Box::pin(future), count: Count::new() }
    }

    /// A future that has to wait.
    pub fn waiting(future: F) -> Self {
        let mut this = Self::new(future);
        assert!(this.poll().is_pending());
        this
    }

    pub fn poll(&mut self) -> Poll<F::Output> {
        poll(self.future.as_mut(), &self.count)
    }

    /// The output of a future that is ready.
    pub fn ready(&mut self) -> F::Output {
        match self.poll() {
            Poll::Ready(output) => output,
            Poll::Pending => panic!("the future still waits"),
        }
    }

    pub fn wakes(&self) -> usize {
        self.count.wakes()
    }
}
