//! hyper's client and server, one against the other, on this crate's sockets, tasks and clock.
#![cfg(all(feature = "hyper", feature = "net"))]

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use annulus::hyper::{Executor, Io, Timer};
use annulus::net::{TcpListener, TcpStream};
use annulus::{Builder, Runtime, spawn, time};
use futures_lite::io::{AsyncRead, AsyncWrite};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::client::conn::http1::SendRequest;
use hyper::rt::{Executor as _, Read, ReadBuf, Timer as _, Write};
use hyper::service::service_fn;
use hyper::{Request, Response, client, header, server};

fn runtime() -> Runtime {
    Builder::new().worker_threads(2).build().unwrap()
}

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    (client, listener.accept().await.unwrap().0)
}

/// A client whose connection goes on in a task.
async fn client<B>(stream: TcpStream) -> SendRequest<B>
where
    B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
{
    let (sender, connection) = client::conn::http1::handshake(Io::new(stream)).await.unwrap();
    spawn(connection);
    sender
}

#[test]
fn a_connection_carries_many_requests() {
    runtime().block_on(async {
        let (near, far) = pair().await;
        let path = |request: Request<Incoming>| async move {
            Ok::<_, Infallible>(Response::new(request.uri().path().to_owned()))
        };
        let server = server::conn::http1::Builder::new()
            .timer(Timer)
            .serve_connection(Io::new(far), service_fn(path));
        let server = spawn(server);
        let mut client = client::<Empty<Bytes>>(near).await;
        for n in 0..100 {
            let request = Request::get(format!("/{n}")).body(Empty::new()).unwrap();
            let response = client.send_request(request).await.unwrap();
            let body = response.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(body, format!("/{n}"));
            client.ready().await.unwrap();
        }
        drop(client); // closes the connection, and that is no error
        server.await.unwrap().unwrap();
    });
}

/// A body whose size nobody knows before its end.
struct Chunks(VecDeque<Bytes>);

impl Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|chunk| Ok(Frame::data(chunk))))
    }
}

#[test]
fn a_chunked_body_comes_back() {
    runtime().block_on(async {
        let (near, far) = pair().await;
        let echo = |request: Request<Incoming>| async move {
            assert_eq!(request.headers()[header::TRANSFER_ENCODING], "chunked");
            Ok::<_, Infallible>(Response::new(request.into_body()))
        };
        spawn(server::conn::http1::Builder::new().serve_connection(Io::new(far), service_fn(echo)));
        // More than the sockets' and hyper's buffers hold, and of uneven parts.
        let chunk = |n: usize| Bytes::from_iter((0..n * 37).map(|i| ((i * n) % 251) as u8));
        let chunks: VecDeque<_> = (1..700).map(chunk).collect();
        let all = chunks.iter().flatten().copied().collect::<Vec<u8>>();
        let request = Request::post("/").body(Chunks(chunks)).unwrap();
        let response = client(near).await.send_request(request).await.unwrap();
        let back = response.into_body().collect().await.unwrap().to_bytes();
        assert!(back == all, "{} bytes came back as {} others", all.len(), back.len());
    });
}

#[test]
fn a_slow_header_times_out_by_our_clock() {
    let runtime = Builder::new().worker_threads(1).start_paused(true).build().unwrap();
    runtime.block_on(async {
        let (near, far) = pair().await;
        let limit = Duration::from_secs(3600);
        let never =
            |_: Request<Incoming>| std::future::pending::<Result<Response<String>, String>>();
        let server = server::conn::http1::Builder::new()
            .timer(Timer)
            .header_read_timeout(limit)
            .serve_connection(Io::new(far), service_fn(never));
        let start = time::now();
        near.write_all(b"GET / HTTP/1.1\r\nhost: he").await.unwrap();
        let error = server.await.unwrap_err();
        assert!(error.is_timeout(), "{error}");
        assert_eq!(time::now() - start, limit);
    });
}

#[test]
fn a_sleep_can_be_reset() {
    let runtime = Builder::new().worker_threads(1).start_paused(true).build().unwrap();
    runtime.block_on(async {
        let start = Timer.now();
        assert_eq!(start, time::now());
        let [short, long] = [10, 20].map(Duration::from_secs);
        for (before, after) in [(short, long), (long, short)] {
            let mut sleep = Timer.sleep(before);
            let inside = &raw const *sleep;
            Timer.reset(&mut sleep, Timer.now() + after);
            assert!(std::ptr::addr_eq(inside, &raw const *sleep), "it was made anew");
            let start = time::now();
            sleep.await;
            assert_eq!(time::now() - start, after);
        }
        // And one of somebody else's.
        struct Foreign;
        impl Future for Foreign {
            type Output = ();
            fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
                Poll::Ready(())
            }
        }
        impl hyper::rt::Sleep for Foreign {}
        let mut sleep: Pin<Box<dyn hyper::rt::Sleep>> = Box::pin(Foreign);
        let start = time::now();
        Timer.reset(&mut sleep, start + short);
        sleep.await;
        assert_eq!(time::now() - start, short);
    });
}

#[test]
fn the_executor_spawns() {
    runtime().block_on(async {
        let (tx, rx) = annulus::channel::oneshot::channel();
        Executor.execute(async { tx.send(annulus::task::try_id()) });
        assert!(rx.await.unwrap().is_some(), "it ran, and not in a task");
    });
}

fn cx() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

#[test]
fn a_read_fills_what_there_is_room_for() {
    let mut io = Io::new(&b"abcdefg"[..]);
    for expected in ["abc", "def", "g", ""] {
        let mut memory = [std::mem::MaybeUninit::uninit(); 3];
        let mut buf = ReadBuf::uninit(&mut memory);
        assert!(matches!(
            Pin::new(&mut io).poll_read(&mut cx(), buf.unfilled()),
            Poll::Ready(Ok(()))
        ));
        assert_eq!(buf.filled(), expected.as_bytes());
    }
}

/// Reads more than there is room for, if one believes it; takes all buffers at once.
#[derive(Default)]
struct Odd(Vec<usize>);

impl AsyncRead for Odd {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        b: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(b.len() + 1))
    }
}

impl AsyncWrite for Odd {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        unreachable!("the buffers are to be written at once")
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.extend(bufs.iter().map(|buf| buf.len()));
        Poll::Ready(Ok(bufs.iter().map(|buf| buf.len()).sum()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
    }
}

#[test]
#[should_panic = "a stream has read 5 bytes into a buffer of 4"]
fn a_stream_that_lies_is_found_out() {
    let mut memory = [0; 4];
    let mut buf = ReadBuf::new(&mut memory);
    let _ = Pin::new(&mut Io::new(Odd::default())).poll_read(&mut cx(), buf.unfilled());
}

#[test]
fn buffers_are_written_at_once() {
    let mut io = Io::new(Odd::default());
    assert!(io.is_write_vectored());
    let bufs = [IoSlice::new(b"head"), IoSlice::new(b"er")];
    let written = Pin::new(&mut io).poll_write_vectored(&mut cx(), &bufs);
    assert!(matches!(written, Poll::Ready(Ok(6))));
    assert!(Pin::new(&mut io).poll_flush(&mut cx()).is_pending());
    let end = Pin::new(&mut io).poll_shutdown(&mut cx());
    assert!(matches!(end, Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::BrokenPipe));
    assert_eq!(io.into_inner().0, [4, 2]);
}
