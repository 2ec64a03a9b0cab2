//! What sockets have beside reading and writing: halves, options, conversions, paths.
#![cfg(all(feature = "net", unix))]

use std::future::{Future, poll_fn};
use std::io::{ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::net::{Ipv4Addr, Shutdown};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net as std_net;
use std::path::{Path, PathBuf};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, Wake, Waker};

use annulus::net::{TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixListener, UnixStream};
use annulus::time::{Duration, timeout};
use annulus::{Builder, Runtime, spawn};
use futures_lite::future::poll_once;
use futures_lite::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

fn runtime(workers: usize) -> Runtime {
    Builder::new().worker_threads(workers).build().unwrap()
}

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    (client, listener.accept().await.unwrap().0)
}

/// A path for a socket, which is short, as the system wants it.
fn path(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("annulus-{}-{name}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    path
}

#[test]
fn borrowed_halves_go_both_ways_at_once() {
    runtime(2).block_on(async {
        let (mut client, server) = pair().await;
        let echo = spawn(async move {
            let mut buf = [0; 4096];
            while let count @ 1.. = server.read(&mut buf).await.unwrap() {
                server.write_all(&buf[..count]).await.unwrap();
            }
        });
        let bytes: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 251) as u8).collect();
        let mut back = Vec::new();
        {
            let (mut read, mut write) = client.split();
            let writes = async {
                AsyncWriteExt::write_all(&mut write, &bytes).await.unwrap();
                write.shutdown(Shutdown::Write).unwrap();
            };
            let reads = AsyncReadExt::read_to_end(&mut read, &mut back);
            annulus::join!(async { reads.await.unwrap() }, writes);
        }
        assert!(back == bytes);
        echo.await.unwrap();
        // The stream is whole again, and at its end.
        assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
    });
}

#[test]
fn owned_halves_are_one_stream_again() {
    runtime(1).block_on(async {
        let (client, server) = pair().await;
        let (read, write) = client.into_split();
        let (other_read, other_write) = server.into_split();
        let error = read.reunite(other_write).unwrap_err();
        assert!(error.to_string().contains("two streams"), "{error}");
        let (read, other_write) = (error.0, error.1);
        let client = read.reunite(write).unwrap();
        let server = other_read.reunite(other_write).unwrap();
        // Nothing was ended by that.
        client.write_all(b"whole").await.unwrap();
        let mut buf = [0; 5];
        server.read_exact(&mut buf).await.unwrap();
        assert_eq!(&buf, b"whole");
    });
}

#[test]
fn peeks_and_several_buffers() {
    runtime(1).block_on(async {
        let (client, server) = pair().await;
        let parts = [IoSlice::new(b"hel"), IoSlice::new(b"lo")];
        assert_eq!(client.write_vectored(&parts).await.unwrap(), 5);
        let mut buf = [0; 8];
        for _ in 0..2 {
            assert_eq!(server.peek(&mut buf).await.unwrap(), 5);
            assert_eq!(&buf[..5], b"hello");
        }
        let (mut one, mut other) = ([0; 2], [0; 8]);
        let mut parts = [IoSliceMut::new(&mut one), IoSliceMut::new(&mut other)];
        assert_eq!(server.read_vectored(&mut parts).await.unwrap(), 5);
        assert_eq!((&one, &other[..3]), (b"he", &b"llo"[..]));
        drop(client);
        assert_eq!(server.peek(&mut buf).await.unwrap(), 0);
    });
}

/// Few bytes are joined before they are written, many are not.
#[test]
fn buffers_arrive_in_their_order() {
    runtime(1).block_on(async {
        let (client, server) = pair().await;
        for size in [1, 2, 510, 511, 512, 513, 2000] {
            let bytes: Vec<u8> = (0..size).map(|n| (n % 251) as u8).collect();
            for cut in [0, size / 3, size] {
                let (one, other) = bytes.split_at(cut);
                let parts = [IoSlice::new(&[]), IoSlice::new(one), IoSlice::new(other)];
                assert_eq!(client.write_vectored(&parts).await.unwrap(), size);
                let mut back = vec![0; size];
                server.read_exact(&mut back).await.unwrap();
                assert!(back == bytes, "{cut} of {size}");
            }
        }
        assert_eq!(client.write_vectored(&[]).await.unwrap(), 0);
        assert_eq!(client.write_vectored(&[IoSlice::new(&[]); 2]).await.unwrap(), 0);
    });
}

#[test]
fn options_are_those_of_the_system() {
    runtime(1).block_on(async {
        let (client, server) = pair().await;
        for on in [true, false] {
            client.set_nodelay(on).unwrap();
            assert_eq!(client.nodelay().unwrap(), on);
        }
        client.set_ttl(33).unwrap();
        assert_eq!(client.ttl().unwrap(), 33);
        assert_eq!(client.peer_addr().unwrap(), server.local_addr().unwrap());
        assert_eq!(server.peer_addr().unwrap(), client.local_addr().unwrap());
        assert!(client.take_error().unwrap().is_none());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.set_ttl(34).unwrap();
        assert_eq!(listener.ttl().unwrap(), 34);
        let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        udp.set_broadcast(true).unwrap();
        assert!(udp.broadcast().unwrap());
        udp.set_ttl(35).unwrap();
        assert_eq!(udp.ttl().unwrap(), 35);
        let group = Ipv4Addr::new(224, 0, 0, 123);
        udp.join_multicast_v4(&group, &Ipv4Addr::LOCALHOST).unwrap();
        udp.leave_multicast_v4(&group, &Ipv4Addr::LOCALHOST).unwrap();
        udp.writable().await.unwrap();
        assert_eq!(udp.try_send_to(b"x", udp.local_addr().unwrap()).unwrap(), 1);
        assert_eq!(udp.recv(&mut [0; 8]).await.unwrap(), 1);
    });
}

/// To std and back, by method and by trait, and always the same descriptor.
#[test]
fn every_socket_goes_to_std_and_back() {
    macro_rules! there_and_back {
        ($ours:ty, $std:ty, $socket:expr) => {{
            let socket: $ours = $socket;
            let number = socket.as_raw_fd();
            let std: $std = socket.into_std().unwrap();
            let socket = <$ours>::from_std(std).unwrap();
            let std = <$std>::try_from(socket).unwrap();
            let socket = <$ours>::try_from(std).unwrap();
            assert_eq!(socket.as_fd().as_raw_fd(), number);
            assert!(!format!("{socket:?}").is_empty());
            socket
        }};
    }
    use std::os::unix::net as unix;
    runtime(1).block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let listener = there_and_back!(TcpListener, std::net::TcpListener, listener);
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let client = there_and_back!(TcpStream, std::net::TcpStream, client);
        let (server, _) = listener.accept().await.unwrap();
        client.write_all(b"x").await.unwrap();
        assert_eq!(server.read(&mut [0; 8]).await.unwrap(), 1);
        let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let udp = there_and_back!(UdpSocket, std::net::UdpSocket, udp);
        udp.send_to(b"x", udp.local_addr().unwrap()).await.unwrap();
        assert_eq!(udp.recv(&mut [0; 8]).await.unwrap(), 1);

        let path = path("convert");
        let listener = UnixListener::bind(&path).unwrap();
        let listener = there_and_back!(UnixListener, unix::UnixListener, listener);
        let client = UnixStream::connect(&path).await.unwrap();
        let client = there_and_back!(UnixStream, unix::UnixStream, client);
        let (server, _) = listener.accept().await.unwrap();
        client.write_all(b"x").await.unwrap();
        assert_eq!(server.read(&mut [0; 8]).await.unwrap(), 1);
        let (one, other) = UnixDatagram::pair().unwrap();
        let one = there_and_back!(UnixDatagram, unix::UnixDatagram, one);
        one.send(b"x").await.unwrap();
        assert_eq!(other.recv(&mut [0; 8]).await.unwrap(), 1);
        std::fs::remove_file(path).unwrap();
    });
}

#[test]
fn unix_listeners_accept_at_their_path() {
    runtime(2).block_on(async {
        let path = path("listener");
        let listener = UnixListener::bind(&path).unwrap();
        assert_eq!(listener.local_addr().unwrap().as_pathname(), Some(Path::new(&path)));
        let error = UnixListener::bind(&path).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
        let server = spawn(async move {
            for _ in 0..50 {
                let (stream, _) = listener.accept().await.unwrap();
                spawn(async move {
                    let mut buf = [0; 4];
                    stream.read_exact(&mut buf).await.unwrap();
                    stream.write_all(&buf).await.unwrap();
                });
            }
        });
        for round in 0..50_u32 {
            let client = UnixStream::connect(&path).await.unwrap();
            assert_eq!(client.peer_addr().unwrap().as_pathname(), Some(Path::new(&path)));
            let (mut read, mut write) = client.into_split();
            write.write_all(&round.to_le_bytes()).await.unwrap();
            let mut back = [0; 4];
            read.read_exact(&mut back).await.unwrap();
            assert_eq!(back, round.to_le_bytes());
        }
        server.await.unwrap();
        std::fs::remove_file(path).unwrap();
    });
}

#[test]
fn unix_datagrams_go_by_path() {
    runtime(1).block_on(async {
        let (here, there) = (path("here"), path("there"));
        let one = UnixDatagram::bind(&here).unwrap();
        let other = UnixDatagram::bind(&there).unwrap();
        assert_eq!(one.send_to(b"ping", &there).await.unwrap(), 4);
        let mut buf = [0; 8];
        let (count, from) = other.recv_from(&mut buf).await.unwrap();
        assert_eq!((&buf[..count], from.as_pathname()), (&b"ping"[..], Some(&*here)));
        other.connect(&here).unwrap();
        assert_eq!(other.peer_addr().unwrap().as_pathname(), Some(&*here));
        assert_eq!(other.local_addr().unwrap().as_pathname(), Some(&*there));
        other.send(b"pong").await.unwrap();
        one.readable().await.unwrap();
        let (count, from) = one.try_recv_from(&mut buf).unwrap();
        assert_eq!((&buf[..count], from.as_pathname()), (&b"pong"[..], Some(&*there)));
        let would_block = one.try_recv(&mut buf).unwrap_err();
        assert_eq!(would_block.kind(), std::io::ErrorKind::WouldBlock);
        // Nobody can answer this one.
        let nameless = UnixDatagram::unbound().unwrap();
        nameless.writable().await.unwrap();
        assert_eq!(nameless.try_send_to(b"psst", &here).unwrap(), 4);
        let (_, from) = one.recv_from(&mut buf).await.unwrap();
        assert!(from.is_unnamed());
        // Nor this one hear.
        let (one, other) = UnixDatagram::pair().unwrap();
        other.shutdown(Shutdown::Both).unwrap();
        assert!(one.try_send(b"x").is_err());
        for path in [here, there] {
            std::fs::remove_file(path).unwrap();
        }
    });
}

/// It is not ready, and not polled again and again.
async fn waits_calmly<F: Future>(mut future: Pin<&mut F>) {
    let mut polls = 0;
    let counted = poll_fn(|cx| {
        polls += 1;
        future.as_mut().poll(cx)
    });
    assert!(timeout(Duration::from_millis(50), counted).await.is_err());
    // An attempt frees what it had taken of the sender's buffer, which the system tells as room.
    assert!(polls < 10, "{polls} polls while nothing could be sent");
}

/// Room for a datagram is in the sender's buffer and in the receiver's queue.
#[test]
fn unix_datagrams_wait_for_whoever_has_no_room() {
    runtime(1).block_on(async {
        let (full, empty) = (path("full"), path("empty"));
        let receiver = UnixDatagram::bind(&full).unwrap();
        let other = UnixDatagram::bind(&empty).unwrap();
        let mut buf = vec![0; 100_000];
        // The queue is full of what another has sent, of which nobody tells the third.
        let first = UnixDatagram::unbound().unwrap();
        first.writable().await.unwrap();
        let mut sent = 0;
        while first.try_send_to(b"first", &full).is_ok() {
            sent += 1;
        }
        let third = UnixDatagram::unbound().unwrap();
        third.writable().await.unwrap();
        let mut send = pin!(third.send_to(b"third", &full));
        waits_calmly(send.as_mut()).await;
        let connected = UnixDatagram::unbound().unwrap();
        connected.connect(&full).unwrap();
        let mut next = pin!(connected.send(b"next"));
        waits_calmly(next.as_mut()).await;
        assert_eq!(third.try_send_to(b"x", &full).unwrap_err().kind(), ErrorKind::WouldBlock);
        // That is nothing to others.
        third.send_to(b"for another", &empty).await.unwrap();
        assert_eq!(other.recv(&mut buf).await.unwrap(), 11);
        let receives = spawn(async move {
            for _ in 0..sent {
                assert_eq!(receiver.recv(&mut buf).await.unwrap(), 5);
            }
            let mut last = Vec::new();
            for _ in 0..2 {
                let count = receiver.recv(&mut buf).await.unwrap();
                last.push(String::from_utf8(buf[..count].to_vec()).unwrap());
            }
            last.sort();
            assert_eq!(last, ["next", "third"]);
            receiver
        });
        assert_eq!(next.await.unwrap(), 4);
        assert_eq!(send.await.unwrap(), 5);
        let receiver = receives.await.unwrap();

        // The buffer is full, and the queue is not.
        let large = vec![1; 100_000];
        let mut sent = 0;
        while third.try_send_to(&large, &full).is_ok() {
            sent += 1;
        }
        let mut send = pin!(third.send_to(&large, &empty));
        assert!(poll_once(send.as_mut()).await.is_none());
        let receives = spawn(async move {
            let mut buf = vec![0; 100_000];
            for _ in 0..sent {
                assert_eq!(receiver.recv(&mut buf).await.unwrap(), 100_000);
            }
        });
        assert_eq!(send.await.unwrap(), 100_000);
        receives.await.unwrap();

        // Who has gone takes nothing.
        while first.try_send_to(b"first", &empty).is_ok() {}
        let mut send = pin!(third.send_to(b"third", &empty));
        assert!(poll_once(send.as_mut()).await.is_none());
        drop(other);
        assert_eq!(send.await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
        for path in [&full, &empty] {
            std::fs::remove_file(path).unwrap();
        }
    });
}

/// The queue of the peer is nothing to who sends to another.
#[test]
fn unix_datagrams_wait_for_whom_they_go_to() {
    runtime(1).block_on(async {
        let (peer, another) = (path("peer"), path("another"));
        let _receiver = UnixDatagram::bind(&peer).unwrap();
        let other = UnixDatagram::bind(&another).unwrap();
        let first = UnixDatagram::unbound().unwrap();
        for full in [&peer, &another] {
            while first.try_send_to(b"first", full).is_ok() {}
        }
        let second = UnixDatagram::unbound().unwrap();
        second.connect(&peer).unwrap();
        let mut send = pin!(second.send_to(b"second", &another));
        waits_calmly(send.as_mut()).await;
        other.recv(&mut [0; 8]).await.unwrap();
        let sent = timeout(Duration::from_secs(20), send).await;
        assert_eq!(sent.expect("there is room").unwrap(), 6);
        for path in [&peer, &another] {
            std::fs::remove_file(path).unwrap();
        }
    });
}

/// Writes a byte, by the trait, when it is woken.
struct Writes(UnixStream);

impl Wake for Writes {
    fn wake(self: Arc<Self>) {
        let written =
            Pin::new(&mut &self.0).poll_write(&mut Context::from_waker(Waker::noop()), b"x");
        assert!(matches!(written, Poll::Ready(Ok(1))));
    }
}

/// One that polls by the traits while another waits, and need not wait, does not take its place.
#[test]
fn who_does_not_wait_leaves_the_waiter_in_its_place() {
    runtime(1).block_on(async {
        let (stream, mut peer) = std_net::UnixStream::pair().unwrap();
        let stream = Arc::new(Writes(UnixStream::from_std(stream).unwrap()));
        stream.0.writable().await.unwrap();
        let waiter = Arc::new(Flag(AtomicBool::new(false)));
        let waker = Waker::from(Arc::clone(&waiter));
        let mut sent = 0;
        let zeros = [0; 4096];
        while let Poll::Ready(count) =
            Pin::new(&mut &stream.0).poll_write(&mut Context::from_waker(&waker), &zeros)
        {
            sent += count.unwrap();
        }
        let reader = Waker::from(Arc::clone(&stream));
        let mut buf = [0];
        let read = Pin::new(&mut &stream.0).poll_read(&mut Context::from_waker(&reader), &mut buf);
        assert!(read.is_pending());
        // Both directions are told at once, of the reader first.
        peer.read_exact(&mut vec![0; sent]).unwrap();
        peer.write_all(b"x").unwrap();
        stream.0.readable().await.unwrap();
        peer.read_exact(&mut buf).unwrap();
        assert!(waiter.0.load(Relaxed), "who waited to write was not told");
    });
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Relaxed);
    }
}
