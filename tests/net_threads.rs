//! Who watches the sockets, whatever the workers do: no edge is lost between them.
//!
//! The peer is a thread with a socket of std's, which sends only when it has heard: an edge that
//! nobody fetches leaves it waiting for ever.
#![cfg(feature = "net")]

use std::future::Future;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream as StdStream};
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc;
use std::task::Poll;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use annulus::net::{TcpListener, TcpStream};
use annulus::{Builder, Runtime, block_in_place, spawn, yield_now};

const WORKERS: [usize; 3] = [1, 2, 4];
const ROUNDS: u32 = 200;

fn runtime(workers: usize) -> Runtime {
    Builder::new().worker_threads(workers).build().unwrap()
}

async fn echo(stream: TcpStream) {
    let mut buf = [0; 64];
    while let Ok(count @ 1..) = stream.read(&mut buf).await {
        stream.write_all(&buf[..count]).await.unwrap();
    }
}

/// Accepts and answers, in tasks of the runtime.
async fn serve() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    spawn(async move {
        loop {
            spawn(echo(listener.accept().await.unwrap().0));
        }
    });
    addr
}

/// Asks so many times, and hears each time.
fn ask(addr: SocketAddr, rounds: u32) {
    let mut stream = StdStream::connect(addr).unwrap();
    stream.set_nodelay(true).unwrap();
    for round in 0..rounds {
        stream.write_all(&round.to_le_bytes()).unwrap();
        let mut back = [0; 4];
        stream.read_exact(&mut back).unwrap();
        assert_eq!(u32::from_le_bytes(back), round);
    }
}

/// Peers in threads of their own.
fn peers(count: usize, addr: SocketAddr) -> Vec<JoinHandle<()>> {
    (0..count).map(|_| thread::spawn(move || ask(addr, ROUNDS))).collect()
}

fn join(threads: Vec<JoinHandle<()>>) {
    for thread in threads {
        thread.join().unwrap();
    }
}

/// Ready when the thread has ended, of which it tells.
fn ended(threads: Vec<JoinHandle<()>>) -> impl Future<Output = ()> {
    let (tell, told) = annulus::channel::oneshot::channel();
    thread::spawn(move || {
        join(threads);
        let _ = tell.send(());
    });
    async move { told.await.unwrap() }
}

#[test]
fn workers_alone() {
    for workers in WORKERS {
        let runtime = runtime(workers);
        let addr = runtime.block_on(serve());
        join(peers(4, addr));
    }
}

#[test]
fn workers_and_a_guest() {
    for workers in WORKERS {
        let runtime = runtime(workers);
        runtime.block_on(async {
            let addr = serve().await;
            ended(peers(4, addr)).await;
        });
    }
}

/// Guests come and go, and whoever has waited in the poll leaves it to somebody else.
#[test]
fn guests_that_come_and_go() {
    for workers in WORKERS {
        let runtime = runtime(workers);
        let addr = runtime.block_on(serve());
        let peers = peers(2, addr);
        while !peers.iter().all(JoinHandle::is_finished) {
            runtime.block_on(async {
                let here = TcpStream::connect(addr).await.unwrap();
                here.write_all(b"x").await.unwrap();
                here.read_exact(&mut [0]).await.unwrap();
            });
        }
        join(peers);
    }
}

/// Tasks that are always ready, and are stolen: sockets get their turn, in all of them.
#[test]
fn beside_tasks_that_always_run() {
    for workers in WORKERS {
        let runtime = runtime(workers);
        let addr = runtime.block_on(serve());
        let busy: Vec<_> = (0..2 * workers)
            .map(|_| {
                runtime.spawn(async {
                    loop {
                        yield_now().await;
                    }
                })
            })
            .collect();
        join(peers(3, addr));
        busy.iter().for_each(|task| task.abort());
    }
}

/// All workers but one are busy with one poll that does not end until the peer has heard.
#[test]
fn beside_workers_whose_polls_take_long() {
    for workers in [2, 4] {
        let runtime = runtime(workers);
        let addr = runtime.block_on(serve());
        let mut frees = Vec::new();
        for _ in 1..workers {
            let (begin, begun) = mpsc::channel();
            let (free, freed) = mpsc::channel::<()>();
            runtime.spawn(async move {
                begin.send(()).unwrap();
                // It blocks without a word, which it should not.
                let _ = freed.recv();
            });
            begun.recv().unwrap();
            frees.push(free);
        }
        join(peers(3, addr));
        drop(frees);
    }
}

/// Accepts connections whose messages call `between` before they are answered.
async fn serve_and(between: impl Fn() + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let mut buf = [0; 4];
            while stream.read_exact(&mut buf).await.is_ok() {
                between();
                stream.write_all(&buf).await.unwrap();
            }
        }
    });
    addr
}

/// The task that was woken by a socket blocks in place until another socket is served: on the
/// worker that has just come from the poll.
#[test]
fn who_watched_blocks_in_place() {
    for workers in WORKERS {
        let runtime = runtime(workers);
        let addr = runtime.block_on(serve());
        let blocks = move || block_in_place(|| ask(addr, 3));
        ask(runtime.block_on(serve_and(blocks)), ROUNDS);
    }
}

/// The same without a word: one of the others sees that nobody watches, whatever it was doing
/// when the worker came from the poll. Between long polls there are short ones.
#[test]
fn who_watched_polls_for_long() {
    for workers in [2, 4] {
        let runtime = runtime(workers);
        let addr = runtime.block_on(serve());
        let count = AtomicU32::new(0);
        let blocks = move || {
            if count.fetch_add(1, Relaxed) % 7 == 0 {
                ask(addr, 1);
            }
        };
        ask(runtime.block_on(serve_and(blocks)), 3 * ROUNDS);
    }
}

/// Every worker, and a guest, blocks in place at once until a socket is served.
#[test]
fn all_block_in_place() {
    for workers in WORKERS {
        for guest in [false, true] {
            let runtime = runtime(workers);
            let addr = runtime.block_on(serve());
            let tasks: Vec<_> = (0..2 * workers)
                .map(|_| runtime.spawn(async move { block_in_place(|| ask(addr, ROUNDS)) }))
                .collect();
            if guest {
                runtime.block_on(async { block_in_place(|| ask(addr, ROUNDS)) });
            }
            for task in tasks {
                annulus::block_on(task).unwrap();
            }
        }
    }
}

/// The first source comes from a thread that is no worker, while all workers sleep.
#[test]
fn a_first_source_from_outside() {
    for workers in WORKERS {
        for _ in 0..20 {
            let runtime = runtime(workers);
            let handle = runtime.handle();
            let std = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let addr = std.local_addr().unwrap();
            let inside = handle.enter();
            let listener = TcpListener::from_std(std).unwrap();
            drop(inside);
            // Accepted on another executor, answered by this thread.
            let peer = thread::spawn(move || ask(addr, 5));
            let stream = futures_lite::future::block_on(listener.accept()).unwrap().0;
            // It is of the runtime that this thread is in: none, so the global one.
            futures_lite::future::block_on(echo(stream));
            peer.join().unwrap();
        }
    }
}

/// Sources come and go on all workers while others wait in the poll.
#[test]
fn connections_that_come_and_go_on_all_workers() {
    for workers in WORKERS {
        let runtime = runtime(workers);
        runtime.block_on(async {
            let addr = serve().await;
            let tasks: Vec<_> = (0..16)
                .map(|_| {
                    spawn(async move {
                        for round in 0..30_u8 {
                            let stream = TcpStream::connect(addr).await.unwrap();
                            stream.write_all(&[round]).await.unwrap();
                            let mut back = [0];
                            stream.read_exact(&mut back).await.unwrap();
                            assert_eq!(back, [round]);
                        }
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
        });
    }
}

/// A task that is woken by a socket and by others at once is polled for each.
#[test]
fn wakes_of_sockets_and_of_channels_mix() {
    for workers in WORKERS {
        let runtime = runtime(workers);
        runtime.block_on(async {
            let addr = serve().await;
            let (send, mut receive) = annulus::channel::mpsc(4);
            let task = spawn(async move {
                let stream = TcpStream::connect(addr).await.unwrap();
                let mut sum = 0;
                for _ in 0..ROUNDS {
                    stream.write_all(b"x").await.unwrap();
                    let mut buf = [0];
                    let mut read = std::pin::pin!(stream.read_exact(&mut buf));
                    let mut message = std::pin::pin!(receive.recv());
                    let (mut here, mut there) = (false, false);
                    std::future::poll_fn(|cx| {
                        here = here || read.as_mut().poll(cx).is_ready();
                        if !there {
                            if let Poll::Ready(number) = message.as_mut().poll(cx) {
                                sum += number.unwrap();
                                there = true;
                            }
                        }
                        if here && there { Poll::Ready(()) } else { Poll::Pending }
                    })
                    .await;
                }
                sum
            });
            for number in 0..ROUNDS {
                send.send(number).await.unwrap();
            }
            assert_eq!(task.await.unwrap(), (0..ROUNDS).sum::<u32>());
        });
    }
}

/// A guest finds the seat's own thread still in the poll, which it was told to leave to the guest.
#[test]
fn a_guest_takes_the_poll_over() {
    let runtime = runtime(1);
    let (server, mut peer) = runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = StdStream::connect(listener.local_addr().unwrap()).unwrap();
        (listener.accept().await.unwrap().0, peer)
    });
    let (tell, told) = mpsc::channel();
    let writer = thread::spawn(move || {
        while let Ok(byte) = told.recv() {
            // Long enough for the guest to fall asleep.
            thread::sleep(Duration::from_micros(300));
            peer.write_all(&[byte]).unwrap();
        }
    });
    for round in 0..1000 {
        // Time for the seat's own thread to wait in the poll.
        thread::sleep(Duration::from_micros(300));
        let byte = round as u8;
        tell.send(byte).unwrap();
        let mut got = [0];
        runtime.block_on(server.read_exact(&mut got)).unwrap();
        assert_eq!(got, [byte]);
    }
    drop(tell);
    writer.join().unwrap();
}
