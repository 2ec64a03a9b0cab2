//! The service of the benchmark in a loop over the system's poll, without a runtime: what is left to
//! hyper and the system, which no runtime of one worker can do without.
//!
//! A connection is hyper's future, and is polled when its socket has something. Nothing else in it
//! waits, so its waker does nothing.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::Future;
use std::io::{self, IoSlice, Read, Write};
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use hyper::rt::{self, ReadBufCursor};
use hyper::server::conn::http1;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Token};

use super::http_server::service;
use super::sockets::ANYWHERE;

const LISTENER: Token = Token(usize::MAX);

/// A stream for hyper.
struct Io {
    stream: TcpStream,
    /// Whether a read may find something.
    readable: Rc<Cell<bool>>,
}

struct Connection {
    future: Pin<Box<dyn Future<Output = hyper::Result<()>>>>,
    readable: Rc<Cell<bool>>,
}

/// Serves; `listens` hears where.
pub(crate) fn serve(listens: impl FnOnce(SocketAddr)) -> io::Result<Infallible> {
    let mut poll = mio::Poll::new()?;
    let mut listener = TcpListener::bind(ANYWHERE.parse().expect("an address"))?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    listens(listener.local_addr()?);
    let mut connections: Vec<Option<Connection>> = Vec::new();
    let mut events = Events::with_capacity(1024);
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            if event.token() == LISTENER {
                accept(&listener, &poll, &mut connections)?;
                continue;
            }
            let Token(number) = event.token();
            let slot = &mut connections[number];
            let Some(Connection { future, readable }) = slot else { continue };
            readable.set(true);
            if future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
                *slot = None;
            }
        }
    }
}

fn accept(
    listener: &TcpListener,
    poll: &mio::Poll,
    connections: &mut Vec<Option<Connection>>,
) -> io::Result<()> {
    loop {
        let mut stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        stream.set_nodelay(true)?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        poll.registry().register(&mut stream, Token(connections.len()), interest)?;
        let readable = Rc::new(Cell::new(true));
        let io = Io { stream, readable: Rc::clone(&readable) };
        let future = Box::pin(http1::Builder::new().serve_connection(io, service()));
        connections.push(Some(Connection { future, readable }));
    }
}

/// What would block is told of when it no longer does.
fn poll_of<T>(result: io::Result<T>) -> Poll<io::Result<T>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
        result => Poll::Ready(result),
    }
}

impl rt::Read for Io {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.readable.get() {
            return Poll::Pending;
        }
        let mut bytes = [0; 2 << 10];
        let room = bytes.len().min(buf.remaining());
        let Self { stream, readable } = self.get_mut();
        let read = stream.read(&mut bytes[..room]);
        // A short read has found all, unless it has found the end.
        let all = read.as_ref().map_or(true, |&count| 0 < count && count < room);
        readable.set(!all);
        poll_of(read).map_ok(|count| buf.put_slice(&bytes[..count]))
    }
}

impl rt::Write for Io {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        poll_of(self.get_mut().stream.write(buf))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.stream.shutdown(std::net::Shutdown::Write))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        poll_of(self.get_mut().stream.write_vectored(bufs))
    }
}
