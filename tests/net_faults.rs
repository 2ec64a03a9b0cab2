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

#[test]
fn errors_are_those_of_std() {
    runtime(1).block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let std = std::net::TcpListener::bind(addr).unwrap_err();
        let ours = TcpListener::bind(addr).await.unwrap_err();
        assert_eq!((ours.kind(), ours.to_string()), (std.kind(), std.to_string()));
        drop(listener);
        let std = std::net::TcpStream::connect(addr).unwrap_err();
        let ours = TcpStream::connect(addr).await.unwrap_err();
        assert_eq!((ours.kind(), ours.to_string()), (std.kind(), std.to_string()));
        let std = std::net::TcpStream::connect("no colon").unwrap_err();
        let ours = TcpStream::connect("no colon").await.unwrap_err();
        assert_eq!((ours.kind(), ours.to_string()), (std.kind(), std.to_string()));
        let std = std::os::unix::net::UnixStream::connect("no/such/file").unwrap_err();
        let ours = annulus::net::UnixStream::connect("no/such/file").await.unwrap_err();
        assert_eq!((ours.kind(), ours.to_string()), (std.kind(), std.to_string()));
    });
}

/// The waiting thread is on another executor, and so is nobody's worker.
#[test]
fn a_half_that_drops_while_another_thread_waits_on_the_other() {
    runtime(2).block_on(async {
        for _ in 0..100 {
            let (client, server) = pair().await;
            let (read, write) = client.into_split();
            let (polled, started) = std::sync::mpsc::channel();
            let reader = thread::spawn(move || {
                futures_lite::future::block_on(async {
                    let mut buf = [0; 8];
                    let mut first = Box::pin(read.read(&mut buf));
                    assert!(futures_lite::future::poll_once(&mut first).await.is_none());
                    polled.send(()).unwrap();
                    first.await.unwrap()
                })
            });
            started.recv().unwrap();
            thread::spawn(move || drop(write)).join().unwrap();
            // The end comes, the other direction goes on.
            assert_eq!(server.read(&mut [0; 8]).await.unwrap(), 0);
            server.write_all(b"on").await.unwrap();
            assert_eq!(reader.join().unwrap(), 2);
        }
    });
}

/// A read that waits is dropped by another thread while bytes come: it has taken none, and leaves
/// no one waiting in vain.
#[test]
fn a_read_that_another_thread_drops_takes_nothing() {
    runtime(2).block_on(async {
        let (client, server) = pair().await;
        let server = Arc::new(server);
        for round in 0..500_u32 {
            let theirs = Arc::clone(&server);
            let mut read = Box::pin(async move { theirs.read(&mut [0; 4]).await });
            assert!(futures_lite::future::poll_once(&mut read).await.is_none());
            let dropper = thread::spawn(move || drop(read));
            client.write_all(&round.to_le_bytes()).await.unwrap();
            let mut buf = [0; 4];
            server.read_exact(&mut buf).await.unwrap();
            assert_eq!(u32::from_le_bytes(buf), round);
            dropper.join().unwrap();
        }
    });
}

#[test]
fn two_tasks_read_from_one_socket() {
    for workers in [1, 2, 4] {
        runtime(workers).block_on(async {
            let (client, server) = pair().await;
            let server = Arc::new(server);
            let readers: Vec<_> = (0..2)
                .map(|_| {
                    let server = Arc::clone(&server);
                    spawn(async move {
                        let mut sum = 0;
                        let mut byte = [0];
                        while server.read(&mut byte).await.unwrap() == 1 {
                            sum += u32::from(byte[0]);
                        }
                        sum
                    })
                })
                .collect();
            for byte in 0..=255 {
                client.write_all(&[byte]).await.unwrap();
            }
            // The end is for both.
            drop(client);
            let mut sum = 0;
            for reader in readers {
                sum += reader.await.unwrap();
            }
            assert_eq!(sum, 255 * 256 / 2);
        });
    }
}

#[test]
fn a_foreign_waker_that_panics_harms_nobody_else() {
    struct Panics;
    impl std::task::Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("this waker panics");
        }
    }
    for workers in [1, 2] {
        let runtime = runtime(workers);
        let (client, server) = runtime.block_on(pair());
        let server = Arc::new(server);
        let (bad, good) = (Arc::clone(&server), Arc::clone(&server));
        let mut bad = Box::pin(async move { bad.readable().await });
        let waker = std::task::Waker::from(Arc::new(Panics));
        let mut cx = std::task::Context::from_waker(&waker);
        assert!(bad.as_mut().poll(&mut cx).is_pending());
        let good = runtime.spawn(async move { good.readable().await });
        // Std's, so that the workers are alone with it.
        let mut client = client.into_std().unwrap();
        std::io::Write::write_all(&mut client, b"x").unwrap();
        annulus::block_on(good).unwrap().unwrap();
        drop(bad);
        // The workers are still there.
        let reads = runtime.spawn(async move { server.read(&mut [0; 8]).await.unwrap() });
        assert_eq!(annulus::block_on(reads).unwrap(), 1);
    }
}

/// The peer is gone before anybody accepts: a connection, and then its error.
#[test]
fn a_connection_that_is_reset_in_the_queue() {
    runtime(2).block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        for _ in 0..50 {
            let client = TcpStream::connect(addr).await.unwrap();
            let linger = libc::linger { l_onoff: 1, l_linger: 0 };
            // SAFETY: the value is there through the call, and has the size that is said.
            unsafe {
                let (value, len) = ((&raw const linger).cast(), size_of_val(&linger) as u32);
                let fd = std::os::fd::AsRawFd::as_raw_fd(&client);
                assert_eq!(libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_LINGER, value, len), 0);
            }
            drop(client);
            let (server, _) = listener.accept().await.unwrap();
            let error = server.read(&mut [0]).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        }
        // The listener is as good as new.
        let client = TcpStream::connect(addr).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        client.write_all(b"x").await.unwrap();
        assert_eq!(server.read(&mut [0]).await.unwrap(), 1);
    });
}

/// Urgent data stops a read short of what else is there, and no edge tells of that again.
#[test]
fn urgent_bytes_hold_up_no_others() {
    runtime(1).block_on(async {
        for _ in 0..50 {
            let (client, server) = pair().await;
            let fd = std::os::fd::AsRawFd::as_raw_fd(&client);
            for (bytes, flags) in [("ab", 0), ("!", libc::MSG_OOB), ("cd", 0)] {
                // SAFETY: the bytes are there through the call.
                let sent = unsafe { libc::send(fd, bytes.as_ptr().cast(), bytes.len(), flags) };
                assert_eq!(sent, bytes.len() as isize);
            }
            let mut got = Vec::new();
            let mut buf = [0; 64];
            while got.len() < 4 {
                let count = server.read(&mut buf).await.unwrap();
                got.extend_from_slice(&buf[..count]);
            }
            assert_eq!(got, b"abcd");
        }
    });
}

/// So does a descriptor that comes with the bytes of a Unix socket.
#[test]
fn bytes_with_a_descriptor_hold_up_no_others() {
    use std::os::fd::AsRawFd;
    runtime(1).block_on(async {
        let (client, server) = annulus::net::UnixStream::pair().unwrap();
        let send = |text: &str| {
            let mut bytes = libc::iovec { iov_base: text.as_ptr() as *mut _, iov_len: text.len() };
            let mut control = [0_u64; 8];
            let size = size_of::<libc::c_int>() as u32;
            // SAFETY: the message's parts are there through the call, and the control's buffer has
            // room for one header and one descriptor, as CMSG_SPACE says.
            let sent = unsafe {
                let mut message: libc::msghdr = std::mem::zeroed();
                message.msg_iov = &mut bytes;
                message.msg_iovlen = 1;
                message.msg_control = control.as_mut_ptr().cast();
                message.msg_controllen = libc::CMSG_SPACE(size) as _;
                let header = libc::CMSG_FIRSTHDR(&message);
                (*header).cmsg_level = libc::SOL_SOCKET;
                (*header).cmsg_type = libc::SCM_RIGHTS;
                (*header).cmsg_len = libc::CMSG_LEN(size) as _;
                libc::CMSG_DATA(header).cast::<libc::c_int>().write_unaligned(client.as_raw_fd());
                libc::sendmsg(client.as_raw_fd(), &message, 0)
            };
            assert_eq!(sent, text.len() as isize);
        };
        for _ in 0..50 {
            send("ab");
            send("cd");
            let mut got = Vec::new();
            let mut buf = [0; 64];
            while got.len() < 4 {
                let count = server.read(&mut buf).await.unwrap();
                got.extend_from_slice(&buf[..count]);
            }
            assert_eq!(got, b"abcd");
        }
    });
}
