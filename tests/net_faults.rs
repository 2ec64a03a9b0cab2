//! Sockets when something goes wrong.
#![cfg(all(feature = "net", unix))]

use std::io::ErrorKind;
use std::net::Shutdown;
use std::sync::Arc;
use std::thread;

use annulus::net::{TcpListener, TcpStream};
use annulus::{Builder, Runtime, spawn};

fn runtime(workers: usize) -> Runtime {
    Builder::new().worker_threads(workers).build().unwrap()
}

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    (client, listener.accept().await.unwrap().0)
}

#[test]
fn nobody_listens() {
    runtime(1).block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        drop(listener);
        let error = TcpStream::connect(addr).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn a_reset_reaches_who_waits() {
    runtime(2).block_on(async {
        let (client, server) = pair().await;
        // Bytes that were not read make a close a reset.
        server.write_all(b"unread").await.unwrap();
        client.readable().await.unwrap();
        let waits = spawn(async move { server.read(&mut [0; 8]).await });
        drop(client);
        assert_eq!(waits.await.unwrap().unwrap_err().kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn a_half_closed_peer_still_reads() {
    runtime(2).block_on(async {
        let (client, server) = pair().await;
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(server.read(&mut [0; 8]).await.unwrap(), 0);
        server.write_all(b"late").await.unwrap();
        let mut buf = [0; 4];
        client.read_exact(&mut buf).await.unwrap();
        assert_eq!(&buf, b"late");
    });
}

#[test]
fn a_runtime_that_ends_leaves_errors_and_no_waits() {
    let first = runtime(2);
    let (client, server) = first.block_on(pair());
    let client = Arc::new(client);
    let waits = Arc::clone(&client);
    let (polled, started) = std::sync::mpsc::channel();
    let thread = thread::spawn(move || {
        futures_lite::future::block_on(async {
            let mut buf = [0; 8];
            let mut read = Box::pin(waits.read(&mut buf));
            assert!(futures_lite::future::poll_once(&mut read).await.is_none());
            polled.send(()).unwrap();
            read.await.unwrap_err()
        })
    });
    started.recv().unwrap();
    drop(first);
    assert!(thread.join().unwrap().to_string().contains("has ended"));
    let error = futures_lite::future::block_on(server.write(b"x")).unwrap_err();
    assert!(error.to_string().contains("has ended"));
}

#[test]
fn two_runtimes_watch_their_own() {
    let (one, other) = (runtime(1), runtime(1));
    let (client, server) = one.block_on(pair());
    let reader = other.spawn(async move {
        let (here, there) = pair().await;
        let mut buf = [0; 1];
        // A socket of the other runtime, and one of this.
        server.read_exact(&mut buf).await.unwrap();
        here.write_all(&buf).await.unwrap();
        there.read_exact(&mut buf).await.unwrap();
        buf
    });
    one.block_on(async {
        client.write_all(b"z").await.unwrap();
        assert_eq!(&reader.await.unwrap(), b"z");
    });
}

#[test]
fn a_half_that_drops_leaves_the_other_waiting() {
    runtime(2).block_on(async {
        for _ in 0..100 {
            let (client, server) = pair().await;
            let (read, write) = client.into_split();
            let reader = spawn(async move { read.read(&mut [0; 8]).await.unwrap() });
            thread::scope(|scope| drop(scope.spawn(move || drop(write))));
            assert_eq!(server.read(&mut [0; 8]).await.unwrap(), 0);
            server.write_all(b"on").await.unwrap();
            assert_eq!(reader.await.unwrap(), 2);
        }
    });
}

/// The same with a runtime that had no reactor when it ended.
#[test]
fn a_runtime_that_has_ended_takes_no_sockets() {
    for starts in [false, true] {
        let first = runtime(2);
        let handle = first.handle();
        if starts {
            drop(first.block_on(pair()));
        }
        drop(first);
        handle.block_on(async {
            let error = TcpListener::bind("127.0.0.1:0").await.unwrap_err();
            assert!(error.to_string().contains("has ended"), "{error}");
        });
        let _inside = handle.enter();
        let std = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let error = TcpListener::from_std(std).unwrap_err();
        assert!(error.to_string().contains("has ended"), "{error}");
    }
}

#[test]
fn tasks_that_wait_end_with_their_runtime() {
    for workers in [1, 2, 4] {
        let first = runtime(workers);
        let (client, server) = first.block_on(pair());
        let (client, server) = (Arc::new(client), Arc::new(server));
        let tasks: Vec<_> = (0..20)
            .map(|n| {
                let stream = Arc::clone(if n % 2 == 0 { &client } else { &server });
                first.spawn(async move { stream.read(&mut [0; 8]).await.map(drop) })
            })
            .collect();
        drop(first);
        for task in tasks {
            assert!(annulus::block_on(task).unwrap_err().is_cancelled());
        }
        // The tasks' references are gone with them.
        assert!(Arc::into_inner(client).is_some() && Arc::into_inner(server).is_some());
    }
}
