//! Sockets whose peer takes little, late or nothing.
#![cfg(all(feature = "net", unix))]

mod support;

use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;

use annulus::net::{TcpListener, TcpStream, UnixStream};
use annulus::{Builder, Runtime, spawn};
use support::{Count, poll};

fn runtime(workers: usize) -> Runtime {
    Builder::new().worker_threads(workers).build().unwrap()
}

/// Asks for a buffer as small as the system allows.
fn make_tiny(socket: impl AsFd) {
    for option in [libc::SO_SNDBUF, libc::SO_RCVBUF] {
        let size: libc::c_int = 1;
        // SAFETY: the value is there through the call, and has the size that is said.
        let done = unsafe {
            let (value, len) = ((&raw const size).cast(), size_of_val(&size) as libc::socklen_t);
            libc::setsockopt(socket.as_fd().as_raw_fd(), libc::SOL_SOCKET, option, value, len)
        };
        assert_eq!(done, 0);
    }
}

/// Two ends that hold a few thousand bytes.
async fn narrow() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    make_tiny(&listener);
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    make_tiny(&client);
    (client, listener.accept().await.unwrap().0)
}

fn bytes(count: usize) -> Arc<[u8]> {
    (0..count).map(|n| (n % 251) as u8).collect()
}

macro_rules! carries {
    ($pair:expr) => {{
        let (client, server) = $pair;
        let all = bytes(300_000);
        let sent = Arc::clone(&all);
        let writer = spawn(async move {
            let (mut done, mut parts) = (0, 0);
            while done < sent.len() {
                let rest = &sent[done..];
                // By turns from one buffer and from two.
                let count = if parts % 2 == 0 {
                    client.write(rest).await.unwrap()
                } else {
                    let (one, two) = rest.split_at(rest.len() / 3);
                    let bufs = [IoSlice::new(one), IoSlice::new(two)];
                    client.write_vectored(&bufs).await.unwrap()
                };
                assert!(count > 0);
                (done, parts) = (done + count, parts + 1);
            }
            parts
        });
        let (mut got, mut buf) = (Vec::new(), [0; 777]);
        while let count @ 1.. = server.read(&mut buf).await.unwrap() {
            got.extend_from_slice(&buf[..count]);
        }
        assert!(got[..] == all[..], "what came is not what was sent");
        assert!(writer.await.unwrap() > 10, "no write was partial");
    }};
}

#[test]
fn partial_writes_lose_nothing() {
    for workers in [1, 2] {
        runtime(workers).block_on(async {
            carries!(narrow().await);
            let (one, other) = UnixStream::pair().unwrap();
            make_tiny(&one);
            carries!((one, other));
        });
    }
}

/// What the writer is told was written is in the system's buffers, and nothing is in ours: it is
/// bounded, the peer reads exactly that, and the wait in between wakes nobody.
#[test]
fn a_peer_that_stops_reading_holds_a_bounded_amount() {
    runtime(2).block_on(async {
        let (client, server) = narrow().await;
        let chunk = bytes(4096);
        let mut written = 0;
        let count = Count::new();
        // Edges of the connection itself may still come: it holds when nothing does.
        loop {
            let mut write = Box::pin(client.write(&chunk));
            match poll(write.as_mut(), &count) {
                std::task::Poll::Ready(n) => written += n.unwrap(),
                std::task::Poll::Pending => break,
            }
        }
        assert!(written < 1 << 20, "{written} bytes are somewhere");
        let mut write = Box::pin(client.write_all(&chunk));
        assert!(poll(write.as_mut(), &count).is_pending());
        // Room is made, and the writer goes on to the end.
        let reader = spawn(async move {
            let mut got = 0;
            let mut buf = [0; 1000];
            while let n @ 1.. = server.read(&mut buf).await.unwrap() {
                got += n;
            }
            got
        });
        write.await.unwrap();
        drop(client);
        assert_eq!(reader.await.unwrap(), written + chunk.len());
    });
}

/// Many writers on one socket, none of whom is forgotten when there is room for some.
#[test]
fn several_writers_of_one_socket_all_get_on() {
    for workers in [1, 2, 4] {
        runtime(workers).block_on(async {
            let (client, server) = narrow().await;
            let client = Arc::new(client);
            let writers: Vec<_> = (0..8_u8)
                .map(|n| {
                    let client = Arc::clone(&client);
                    spawn(async move { client.write_all(&[n; 20_000]).await.unwrap() })
                })
                .collect();
            drop(client);
            let (mut counts, mut buf) = ([0; 8], [0; 3000]);
            while let n @ 1.. = server.read(&mut buf).await.unwrap() {
                buf[..n].iter().for_each(|&byte| counts[usize::from(byte)] += 1);
            }
            assert_eq!(counts, [20_000; 8]);
            for writer in writers {
                writer.await.unwrap();
            }
        });
    }
}
