//! Who has read all its life one message at a time, each after a wait, and finds two: the second is
//! there before the reader waits for it, and the system does not tell of it again.
#![cfg(all(feature = "net", not(miri)))]

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;

use annulus::net::{TcpListener, TcpStream, UdpSocket};
use annulus::{Builder, Runtime, spawn};
use futures_lite::AsyncReadExt;

/// Asks for one message, or for two.
const ONE: &[u8; 4] = b"one.";
const TWO: &[u8; 4] = b"two.";
/// More than what it takes to know that a read right after another finds nothing, also after an error.
const SINGLES: usize = 30;
const ROUNDS: u64 = 50;

fn runtimes() -> impl Iterator<Item = Runtime> {
    [1, 2].map(|workers| Builder::new().worker_threads(workers).build().unwrap()).into_iter()
}

/// A stream of messages of four bytes, and who answers at its other end.
async fn connection() -> TcpStream {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (server, _) = listener.accept().await.unwrap();
    server.set_nodelay(true).unwrap();
    client.set_nodelay(true).unwrap();
    spawn(async move {
        let mut buf = [0; 4];
        while server.read_exact(&mut buf).await.is_ok() {
            let answer = if &buf == TWO { [&ONE[..], TWO].concat() } else { buf.to_vec() };
            server.write_all(&answer).await.unwrap();
        }
    });
    client
}

/// Talks by `ask` and `read`; at the end of each round two messages come together.
async fn talk<A, R>(ask: impl Fn(&'static [u8; 4]) -> A, read: impl Fn() -> R)
where
    A: Future<Output = io::Result<()>>,
    R: Future<Output = io::Result<[u8; 4]>>,
{
    for _ in 0..ROUNDS {
        for _ in 0..SINGLES {
            ask(ONE).await.unwrap();
            assert_eq!(&read().await.unwrap(), ONE);
        }
        ask(TWO).await.unwrap();
        assert_eq!(&read().await.unwrap(), ONE);
        assert_eq!(&read().await.unwrap(), TWO);
    }
}

async fn read(stream: &TcpStream) -> io::Result<[u8; 4]> {
    let mut buf = [0; 4];
    stream.read_exact(&mut buf).await.map(|()| buf)
}

#[test]
fn the_second_message_is_read() {
    for runtime in runtimes() {
        runtime.block_on(async {
            // In a task, and in `block_on`.
            let stream = connection().await;
            let task = spawn(async move {
                talk(|message| stream.write_all(message), || read(&stream)).await;
            });
            task.await.unwrap();
            let stream = connection().await;
            talk(|message| stream.write_all(message), || read(&stream)).await;
        });
    }
}

#[test]
fn the_second_message_is_read_by_the_traits() {
    for runtime in runtimes() {
        runtime.block_on(async {
            let stream = connection().await;
            let read = || async {
                let mut buf = [0; 4];
                AsyncReadExt::read_exact(&mut &stream, &mut buf).await.map(|_| buf)
            };
            talk(|message| stream.write_all(message), read).await;
        });
    }
}

#[test]
fn the_second_datagram_is_received() {
    for runtime in runtimes() {
        runtime.block_on(async {
            let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            client.connect(server.local_addr().unwrap()).await.unwrap();
            spawn(async move {
                let mut buf = [0; 4];
                while let Ok((_, from)) = server.recv_from(&mut buf).await {
                    server.send_to(if &buf == TWO { ONE } else { &buf }, from).await.unwrap();
                    if &buf == TWO {
                        server.send_to(TWO, from).await.unwrap();
                    }
                }
            });
            let receive = || async {
                let mut buf = [0; 4];
                client.recv(&mut buf).await.map(|_| buf)
            };
            let send = |message: &'static [u8; 4]| {
                let client = &client;
                async move { client.send(message).await.map(drop) }
            };
            talk(send, receive).await;
        });
    }
}

/// Calls `wait` in a task that is told to begin when the first message of two has been read, and ends
/// when the second one has.
fn beside(workers: usize, wait: impl Fn(&dyn Fn() -> bool) + Send + 'static) {
    let runtime = Builder::new().worker_threads(workers).build().unwrap();
    runtime.block_on(async {
        let (mut begin, mut begins) = annulus::channel::spsc(1);
        let done = Arc::new(AtomicU64::new(0));
        let rounds = Arc::clone(&done);
        let other = spawn(async move {
            while let Some(round) = begins.recv().await {
                wait(&|| rounds.load(SeqCst) > round);
            }
        });
        let stream = connection().await;
        let reader = spawn(async move {
            for round in 0..ROUNDS {
                for _ in 0..SINGLES {
                    stream.write_all(ONE).await.unwrap();
                    assert_eq!(&read(&stream).await.unwrap(), ONE);
                }
                stream.write_all(TWO).await.unwrap();
                assert_eq!(&read(&stream).await.unwrap(), ONE);
                begin.send(round).await.unwrap();
                assert_eq!(&read(&stream).await.unwrap(), TWO);
                done.fetch_add(1, SeqCst);
            }
        });
        reader.await.unwrap();
        other.await.unwrap();
    });
}

/// Who runs next where the reader waits does not end before that one has read: another worker comes.
#[test]
fn the_second_message_is_read_beside_a_long_poll() {
    beside(2, |is_over| {
        while !is_over() {
            std::hint::spin_loop();
        }
    });
}

/// As above, and it leaves its seat, with the reader.
#[test]
fn the_second_message_is_read_where_somebody_blocks_in_place() {
    for workers in [1, 2] {
        beside(workers, |is_over| {
            annulus::block_in_place(|| {
                while !is_over() {
                    std::thread::yield_now();
                }
            });
        });
    }
}
