//! Descriptors of others, with which tasks wait.
#![cfg(all(unix, feature = "net"))]

mod support;

use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use annulus::net::{AsyncFd, UnixDatagram};
use annulus::{Builder, Runtime, spawn};
use futures_lite::future::poll_once;

fn runtime(workers: usize) -> Runtime {
    Builder::new().worker_threads(workers).build().unwrap()
}

fn pair() -> (UnixStream, UnixStream) {
    let (one, other) = UnixStream::pair().unwrap();
    one.set_nonblocking(true).unwrap();
    other.set_nonblocking(true).unwrap();
    (one, other)
}

#[test]
fn operations_wait_both_ways() {
    for workers in [1, 2] {
        runtime(workers).block_on(async {
            let (one, other) = pair();
            let (one, other) = (AsyncFd::new(one).unwrap(), AsyncFd::new(other).unwrap());
            // Far more than there is room for.
            let bytes: Vec<u8> = (0..2_000_000_u32).map(|n| (n % 251) as u8).collect();
            let sent = bytes.clone();
            let writer = spawn(async move {
                let mut done = 0;
                while done < sent.len() {
                    done += one.write_with(|mut io| io.write(&sent[done..])).await.unwrap();
                }
                one.writable().await.unwrap();
            });
            let mut got = Vec::new();
            let mut buf = [0; 5000];
            loop {
                other.readable().await.unwrap();
                // It may be ready in vain, and then not be the second time.
                match other.try_read_with(|mut io| io.read(&mut buf)) {
                    Ok(0) => break,
                    Ok(count) => got.extend_from_slice(&buf[..count]),
                    Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
                }
            }
            assert!(got == bytes);
            writer.await.unwrap();
        });
    }
}

#[test]
fn what_is_given_up_has_taken_nothing() {
    runtime(2).block_on(async {
        let (one, mut other) = pair();
        let one = AsyncFd::new(one).unwrap();
        let mut buf = [0; 8];
        assert_eq!(
            one.try_read_with(|mut io| io.read(&mut buf)).unwrap_err().kind(),
            ErrorKind::WouldBlock
        );
        for round in 0..100 {
            assert!(poll_once(one.read_with(|mut io| io.read(&mut buf))).await.is_none());
            other.write_all(&[round]).unwrap();
            assert_eq!(one.read_with(|mut io| io.read(&mut buf)).await.unwrap(), 1);
            assert_eq!(buf[0], round);
        }
        assert_eq!(one.try_write_with(|mut io| io.write(b"back")).unwrap(), 4);
        assert_eq!(other.read(&mut buf).unwrap(), 4);
        // Errors of the operation are its own.
        let error = one.read_with(|_| Err::<(), _>(ErrorKind::AddrInUse.into())).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
    });
}

#[test]
fn it_goes_in_and_out() {
    runtime(1).block_on(async {
        let (one, mut other) = pair();
        let number = one.as_raw_fd();
        let mut one = AsyncFd::new(one).unwrap();
        for _ in 0..10 {
            assert_eq!(one.as_fd().as_raw_fd(), number);
            assert_eq!(one.inner().as_raw_fd(), number);
            other.write_all(b"x").unwrap();
            assert_eq!(one.read_with(|mut io| io.read(&mut [0; 4])).await.unwrap(), 1);
            one = AsyncFd::new(one.into_inner()).unwrap();
        }
    });
}

#[test]
fn what_cannot_be_watched_is_refused() {
    let file = std::fs::File::open(std::env::current_exe().unwrap()).unwrap();
    let first = runtime(1);
    first.block_on(async {
        // Linux has no readiness for files of a disk; others say that they are always ready.
        if let Ok(file) = AsyncFd::new(file) {
            file.readable().await.unwrap();
        }
    });
    let (one, _other) = pair();
    let one = first.block_on(async { AsyncFd::new(one).unwrap() });
    drop(first);
    let error = support::block_on(one.readable()).unwrap_err();
    assert!(error.to_string().contains("has ended"), "{error}");
}

/// What says which descriptor it is may do anything, and here makes a socket in the same runtime.
#[test]
fn code_of_others_runs_under_no_lock() {
    struct Busy(UnixStream);
    impl AsFd for Busy {
        fn as_fd(&self) -> BorrowedFd<'_> {
            drop(UnixDatagram::unbound().unwrap());
            self.0.as_fd()
        }
    }
    runtime(1).block_on(async {
        let (one, mut other) = pair();
        let one = AsyncFd::new(Busy(one)).unwrap();
        other.write_all(b"hello").unwrap();
        let mut buf = [0; 8];
        assert_eq!(one.read_with(|io| (&io.0).read(&mut buf)).await.unwrap(), 5);
        drop(one.into_inner());
    });
}
