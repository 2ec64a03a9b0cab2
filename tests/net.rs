//! Sockets on loopback: what they carry, and what else goes on meanwhile.
#![cfg(feature = "net")]

use std::future::Future;
use std::io;
use std::net::Shutdown;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use annulus::net::{TcpListener, TcpStream, UdpSocket};
use annulus::{Builder, Runtime, spawn};

fn runtime(workers: usize) -> Runtime {
    Builder::new().worker_threads(workers).build().unwrap()
}

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    (client, listener.accept().await.unwrap().0)
}

async fn echo(stream: TcpStream) {
    let mut buf = [0; 4096];
    while let Ok(count @ 1..) = stream.read(&mut buf).await {
        stream.write_all(&buf[..count]).await.unwrap();
    }
}

#[test]
fn bytes_come_back() {
    for workers in [1, 2, 4] {
        runtime(workers).block_on(async {
            let (client, server) = pair().await;
            spawn(echo(server));
            for round in 0..1000_u32 {
                client.write_all(&round.to_le_bytes()).await.unwrap();
                let mut back = [0; 4];
                client.read_exact(&mut back).await.unwrap();
                assert_eq!(u32::from_le_bytes(back), round);
            }
        });
    }
}

#[test]
fn tasks_without_block_on_are_served() {
    let runtime = runtime(2);
    let addr = runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        spawn(async move {
            loop {
                spawn(echo(listener.accept().await.unwrap().0));
            }
        });
        addr
    });
    // Nobody but the workers is there now, and the client is std's.
    let mut client = std::net::TcpStream::connect(addr).unwrap();
    for byte in 0..100 {
        io::Write::write_all(&mut client, &[byte]).unwrap();
        let mut back = [0];
        io::Read::read_exact(&mut client, &mut back).unwrap();
        assert_eq!(back, [byte]);
    }
}

#[test]
fn many_connections_at_once() {
    runtime(2).block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                spawn(echo(stream));
            }
        });
        let client = |n: u64| async move {
            let stream = TcpStream::connect(addr).await.unwrap();
            for round in 0..50 {
                let sent = (n << 32 | round).to_le_bytes();
                stream.write_all(&sent).await.unwrap();
                let mut back = [0; 8];
                stream.read_exact(&mut back).await.unwrap();
                assert_eq!(back, sent);
            }
        };
        let clients: Vec<_> = (0..200).map(|n| spawn(client(n))).collect();
        for client in clients {
            client.await.unwrap();
        }
    });
}

#[test]
fn a_peer_that_does_not_read_holds_the_writer_back() {
    runtime(1).block_on(async {
        let (client, server) = pair().await;
        let total = 8 << 20;
        let bytes: Arc<[u8]> = (0..total).map(|n: usize| (n % 251) as u8).collect();
        let sent = Arc::clone(&bytes);
        let done = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&done);
        let writer = spawn(async move {
            client.write_all(&sent).await.unwrap();
            told.store(true, SeqCst);
            client.shutdown(Shutdown::Write).unwrap();
        });
        // The system's buffers are full when the peer has room for no byte.
        server.readable().await.unwrap();
        for _ in 0..1000 {
            annulus::yield_now().await;
        }
        assert!(!done.load(SeqCst), "8 MiB went nowhere");
        let mut read = Vec::new();
        let mut buf = vec![0; 60_000];
        while let count @ 1.. = server.read(&mut buf).await.unwrap() {
            read.extend_from_slice(&buf[..count]);
        }
        assert!(read == *bytes);
        writer.await.unwrap();
    });
}

#[test]
fn the_end_that_comes_with_the_last_bytes_is_seen() {
    // A short read clears what is known, but not the end, which the system tells only once.
    runtime(2).block_on(async {
        for _ in 0..200 {
            let (client, server) = pair().await;
            let writer = spawn(async move {
                client.write_all(b"last").await.unwrap();
            });
            writer.await.unwrap();
            let mut buf = [0; 100];
            assert_eq!(server.read(&mut buf).await.unwrap(), 4);
            assert_eq!(server.read(&mut buf).await.unwrap(), 0);
        }
    });
}

#[test]
fn a_cancelled_read_loses_no_bytes() {
    runtime(2).block_on(async {
        let (client, server) = pair().await;
        for round in 0..200_u8 {
            let mut gone = [0; 8];
            {
                let mut read = pin!(server.read(&mut gone));
                assert!(read.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
                client.write_all(&[round]).await.unwrap();
            }
            let mut buf = [0; 8];
            assert_eq!(server.read(&mut buf).await.unwrap(), 1);
            assert_eq!(buf[0], round);
        }
    });
}

#[test]
fn halves_work_in_two_tasks() {
    runtime(2).block_on(async {
        let (client, server) = pair().await;
        spawn(echo(server));
        let (read, write) = client.into_split();
        let writer = spawn(async move {
            for _ in 0..100 {
                write.write_all(&[7; 1000]).await.unwrap();
            }
            // The drop ends writing, and the echo ends with it.
        });
        let mut total = 0;
        let mut buf = [0; 777];
        while let count @ 1.. = read.read(&mut buf).await.unwrap() {
            total += count;
        }
        assert_eq!(total, 100_000);
        writer.await.unwrap();
    });
}

#[test]
fn the_traits_of_futures_io_work() {
    use futures_lite::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    runtime(2).block_on(async {
        let (mut client, server) = pair().await;
        AsyncWriteExt::write_all(&mut client, b"one\ntwo\n").await.unwrap();
        client.close().await.unwrap();
        let mut lines = BufReader::new(&server);
        for expected in ["one\n", "two\n", ""] {
            let mut line = String::new();
            lines.read_line(&mut line).await.unwrap();
            assert_eq!(line, expected);
        }
    });
}

#[test]
fn computing_tasks_and_sockets_share_the_workers() {
    runtime(2).block_on(async {
        let stop = Arc::new(AtomicBool::new(false));
        let compute = |stop: Arc<AtomicBool>| async move {
            let mut turns = 0_u64;
            while !stop.load(SeqCst) {
                let start = Instant::now();
                while start.elapsed() < Duration::from_micros(200) {
                    std::hint::spin_loop();
                }
                turns += 1;
                annulus::yield_now().await;
            }
            turns
        };
        let busy: Vec<_> = (0..4).map(|_| spawn(compute(Arc::clone(&stop)))).collect();
        let (client, server) = pair().await;
        spawn(echo(server));
        let client = spawn(async move {
            for round in 0..100_u8 {
                client.write_all(&[round]).await.unwrap();
                let mut back = [0];
                client.read_exact(&mut back).await.unwrap();
                assert_eq!(back, [round]);
            }
        });
        client.await.unwrap();
        stop.store(true, SeqCst);
        for task in busy {
            assert!(task.await.unwrap() > 0);
        }
    });
}

#[test]
fn datagrams_arrive() {
    runtime(2).block_on(async {
        let one = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let other = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let addr = other.local_addr().unwrap();
        assert_eq!(one.send_to(b"ping", addr).await.unwrap(), 4);
        let mut buf = [0; 16];
        let (count, from) = other.recv_from(&mut buf).await.unwrap();
        assert_eq!((&buf[..count], from), (&b"ping"[..], one.local_addr().unwrap()));
        other.connect(from).await.unwrap();
        one.connect(addr).await.unwrap();
        other.send(b"pong").await.unwrap();
        let count = one.recv(&mut buf).await.unwrap();
        assert_eq!(&buf[..count], b"pong");
    });
}

#[cfg(unix)]
#[test]
fn unix_streams_carry_bytes() {
    use annulus::net::{UnixDatagram, UnixStream};
    runtime(2).block_on(async {
        let (one, other) = UnixStream::pair().unwrap();
        let mut buf = [0; 5];
        let reader = spawn(async move {
            other.read_exact(&mut buf).await.unwrap();
            buf
        });
        one.write_all(b"hello").await.unwrap();
        assert_eq!(&reader.await.unwrap(), b"hello");
        let (one, other) = UnixDatagram::pair().unwrap();
        one.send(b"hello").await.unwrap();
        let mut buf = [0; 16];
        assert_eq!(other.recv(&mut buf).await.unwrap(), 5);
    });
}

#[test]
fn sockets_go_to_std_and_back() {
    runtime(1).block_on(async {
        let (client, server) = pair().await;
        let mut client = client.into_std().unwrap();
        let server = TcpStream::from_std(server.into_std().unwrap()).unwrap();
        io::Write::write_all(&mut client, b"x").unwrap();
        let mut buf = [0; 2];
        assert_eq!(server.read(&mut buf).await.unwrap(), 1);
        server.write_all(b"y").await.unwrap();
        // It blocks again.
        io::Read::read_exact(&mut client, &mut buf[..1]).unwrap();
        assert_eq!(buf[0], b'y');
    });
}

#[test]
fn a_foreign_executor_can_wait_for_sockets() {
    futures_lite::future::block_on(async {
        let (client, server) = pair().await;
        client.write_all(b"x").await.unwrap();
        assert_eq!(server.read(&mut [0; 4]).await.unwrap(), 1);
    });
}

#[test]
fn names_and_addresses_lead_to_the_same_place() {
    runtime(2).block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let port = addr.port();
        let text = addr.to_string();
        TcpStream::connect(text.as_str()).await.unwrap();
        TcpStream::connect(&text).await.unwrap();
        TcpStream::connect((addr.ip(), port)).await.unwrap();
        TcpStream::connect((String::from("127.0.0.1"), port)).await.unwrap();
        // The first that answers: nobody is at the other end of a port that was just left.
        let left = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        TcpStream::connect(&[left, addr][..]).await.unwrap();
        let local = annulus::net::lookup_host(("localhost", port)).await.unwrap();
        assert!(local.into_iter().all(|found| found.ip().is_loopback() && found.port() == port));
        let error = TcpStream::connect("no port here").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    });
}

#[test]
fn a_peek_leaves_the_datagram() {
    runtime(1).block_on(async {
        let one = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let other = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        one.connect(other.local_addr().unwrap()).await.unwrap();
        let mut buf = [0; 8];
        assert_eq!(other.try_recv(&mut buf).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        one.send(b"once").await.unwrap();
        let from = one.local_addr().unwrap();
        assert_eq!(other.peek_from(&mut buf).await.unwrap(), (4, from));
        other.readable().await.unwrap();
        assert_eq!(other.try_recv_from(&mut buf).unwrap(), (4, from));
        assert_eq!(other.try_recv(&mut buf).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert_eq!(one.peer_addr().unwrap(), other.local_addr().unwrap());
    });
}

/// With a paused clock, time does not move past what is there, however often only timers had anything to
/// do before.
#[test]
fn a_paused_clock_waits_for_sockets_that_are_ready() {
    let runtime = Builder::new().worker_threads(1).start_paused(true).build().unwrap();
    let task = async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (far, _) = listener.accept().await.unwrap();
        let second = Duration::from_secs(1);
        for n in 0..40 {
            for _ in 0..6 {
                annulus::time::sleep(second).await;
            }
            let read = annulus::time::timeout(second, async {
                far.read(&mut [0; 8]).await.unwrap();
            });
            let (read, _) = annulus::join!(read, async { near.write_all(b"x").await.unwrap() });
            assert!(read.is_ok(), "the byte of turn {n} was there");
        }
    };
    runtime.block_on(async { spawn(task).await.unwrap() });
}
