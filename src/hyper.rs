//! Adapters with which hyper 1.x runs here: sockets, tasks and time by its traits.
//!
//! | hyper asks for | and gets |
//! |---|---|
//! | [`Read`], [`Write`] | [`Io`] around a stream of `annulus::net`, or any other of `futures-io` |
//! | [`Executor`](rt::Executor) | [`Executor`], which spawns tasks |
//! | [`Timer`](rt::Timer) | [`Timer`], which sleeps by this crate's clock |
//!
//! Nothing of hyper is in the way: its connection is a future, for [`spawn`], a
//! [`JoinSet`](crate::task::JoinSet) or [`select!`](crate::select).
//!
//! # Cancel safety
//!
//! A read that is dropped has taken no bytes. What a connection had read and not handed out drops
//! with the connection.
//!
//! # Examples
//!
//! A server with a limit on how long a client may take to send its headers:
//!
//! ```
//! # #[cfg(feature = "net")] {
//! use std::convert::Infallible;
//!
//! use annulus::hyper::{Io, Timer};
//! use annulus::net::TcpListener;
//! use annulus::time::Duration;
//! use hyper::server::conn::http1;
//! use hyper::service::service_fn;
//! use hyper::{Request, Response, body::Incoming};
//!
//! async fn hello(_: Request<Incoming>) -> Result<Response<String>, Infallible> {
//!     Ok(Response::new("hello".to_string()))
//! }
//!
//! async fn serve(listener: TcpListener) -> std::io::Result<()> {
//!     loop {
//!         let (stream, _) = listener.accept().await?;
//!         let connection = http1::Builder::new()
//!             .timer(Timer)
//!             .header_read_timeout(Duration::from_secs(10))
//!             .serve_connection(Io::new(stream), service_fn(hello));
//!         annulus::spawn(connection);
//!     }
//! }
//! # }
//! ```

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use futures_io::{AsyncRead, AsyncWrite};
use hyper::rt::{self, Read, ReadBufCursor, Write};

use crate::runtime::spawn;
use crate::time;

/// A stream for hyper: `futures-io`'s traits on the inside, hyper's on the outside.
///
/// Its end of writing is the stream's `close`. It lets hyper write several buffers at once; for a
/// stream that always takes the first one alone, such as one over TLS, hyper's builders have
/// `writev(false)`, which joins them before.
#[derive(Debug, Clone, Copy, Default)]
pub struct Io<S> {
    stream: S,
    /// What the next read asks for, within limits.
    most: usize,
}

impl<S> Io<S> {
    /// Wraps a stream.
    pub fn new(stream: S) -> Self {
        Self { stream, most: FIRST }
    }

    /// The stream.
    pub fn get_ref(&self) -> &S {
        &self.stream
    }

    /// The stream, to use it.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.stream
    }

    /// Gives the stream back, as after an upgrade.
    pub fn into_inner(self) -> S {
        self.stream
    }
}

/// What a read asks for at first, at least, and at most.
///
/// A stream may look at the memory that it reads into, so that is zeroed first, also when there
/// is nothing to read. hyper's buffer has 8 KiB and grows to 400 KiB. So a read asks for twice what
/// the last one has got.
///
/// Perf: `benches/http.rs`, one worker: zeroing 8 KiB twice a request took 4 % of the time, 2 KiB 1 %.
const FIRST: usize = 2 << 10;
const LEAST: usize = 512;
const MOST: usize = 32 << 10;

impl<S: AsyncRead + Unpin> Read for Io<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { stream, most } = self.get_mut();
        let room = buf.remaining().min((*most).clamp(LEAST, MOST));
        let bytes = buf.initialize_unfilled_to(room);
        let count = ready!(Pin::new(stream).poll_read(cx, bytes))?;
        assert!(count <= room, "a stream has read {count} bytes into a buffer of {room}");
        // SAFETY: these bytes are among those that have just been initialized.
        unsafe { buf.advance(count) };
        *most = 2 * count;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> Write for Io<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_close(cx)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, bufs)
    }
}

/// Spawns hyper's own tasks in the runtime of the task that needs them.
///
/// HTTP/2 has such; HTTP/1 does without.
#[derive(Debug, Clone, Copy, Default)]
pub struct Executor;

impl<F> rt::Executor<F> for Executor
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        drop(spawn(future));
    }
}

/// Sleeps for hyper, by the clock that [`time`] has.
///
/// So a test that pauses the clock moves hyper's limits of time, too.
#[derive(Debug, Clone, Copy, Default)]
pub struct Timer;

impl rt::Timer for Timer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn rt::Sleep>> {
        Box::pin(time::sleep(duration))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn rt::Sleep>> {
        Box::pin(time::sleep_until(deadline))
    }

    fn now(&self) -> Instant {
        time::now()
    }

    fn reset(&self, sleep: &mut Pin<Box<dyn rt::Sleep>>, deadline: Instant) {
        match sleep.as_mut().downcast_mut_pin::<time::Sleep>() {
            Some(sleep) => sleep.reset(deadline),
            None => *sleep = self.sleep_until(deadline),
        }
    }
}

impl rt::Sleep for time::Sleep {}
