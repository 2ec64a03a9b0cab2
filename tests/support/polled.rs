//! Polling by hand, with a waker that counts.

#![allow(dead_code, unreachable_pub)] // each test program uses some of it

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Context, Poll, Wake, Waker};

/// A waker that counts.
#[derive(Default)]
pub struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

impl Count {
    pub fn wakes(&self) -> usize {
        self.0.load(SeqCst)
    }
}

/// A future and the count of its wakes.
pub struct Polled<F> {
    future: Pin<Box<F>>,
    pub count: Arc<Count>,
}

impl<F: Future> Polled<F> {
    pub fn new(future: F) -> Self {
        Self { future: Box::pin(future), count: Arc::default() }
    }

    /// A future that has to wait.
    pub fn waiting(future: F) -> Self {
        let mut this = Self::new(future);
        assert!(this.poll().is_pending());
        this
    }

    pub fn poll(&mut self) -> Poll<F::Output> {
        let waker = Waker::from(Arc::clone(&self.count));
        self.future.as_mut().poll(&mut Context::from_waker(&waker))
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
