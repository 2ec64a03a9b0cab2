//! Who waits for sockets has its turn: among many others, and beside tasks that compute.
#![cfg(all(feature = "net", not(miri)))]

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use annulus::net::{TcpListener, TcpStream};
use annulus::task::JoinSet;
use annulus::{Builder, spawn, yield_now};

/// So many connections to an echo server, all of them in this runtime.
async fn connections(count: usize) -> io::Result<Vec<TcpStream>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let addr = listener.local_addr()?;
    let mut clients = Vec::new();
    for _ in 0..count {
        clients.push(TcpStream::connect(addr).await?);
        let (stream, _) = listener.accept().await?;
        spawn(async move {
            let mut buf = [0; 64];
            while let Ok(count @ 1..) = stream.read(&mut buf).await {
                stream.write_all(&buf[..count]).await.expect("the client waits for it");
            }
        });
    }
    Ok(clients)
}

async fn round_trip(stream: &TcpStream) -> io::Result<()> {
    stream.write_all(b"over").await?;
    let mut back = [0; 4];
    stream.read_exact(&mut back).await?;
    assert_eq!(&back, b"over");
    Ok(())
}

/// More tasks are ready than fit into the ring of a worker.
#[test]
fn many_connections_make_progress_alike() {
    const CLIENTS: usize = 450;
    const TRIPS: u64 = 40 * CLIENTS as u64;
    let runtime = Builder::new().worker_threads(1).build().unwrap();
    let trips = runtime.block_on(async {
        let all = Arc::new(AtomicU64::new(0));
        let mut clients = JoinSet::new();
        for stream in connections(CLIENTS).await.unwrap() {
            let all = Arc::clone(&all);
            clients.spawn(async move {
                let mut trips = 0;
                while all.fetch_add(1, Relaxed) < TRIPS {
                    round_trip(&stream).await.unwrap();
                    trips += 1;
                }
                trips
            });
        }
        let mut trips = Vec::new();
        while let Some(client) = clients.join_next().await {
            trips.push(client.unwrap());
        }
        trips
    });
    let (least, most) = (trips.iter().min().unwrap(), trips.iter().max().unwrap());
    assert!(4 * least >= 3 * most, "between {least} and {most} round trips, of 40");
}

/// A round trip needs two turns of the sockets, and between two there is one poll of those who
/// compute: not one of each.
#[test]
fn sockets_come_before_those_who_compute() {
    const HOGS: u64 = 16;
    const TRIPS: u64 = 50;
    let runtime = Builder::new().worker_threads(1).build().unwrap();
    let polls = runtime.block_on(async {
        let client = connections(1).await.unwrap().pop().unwrap();
        let (polls, enough) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let hogs: Vec<_> = (0..HOGS)
            .map(|_| {
                let (polls, enough) = (Arc::clone(&polls), Arc::clone(&enough));
                spawn(compute(enough, move || {
                    polls.fetch_add(1, Relaxed);
                }))
            })
            .collect();
        let trips = async {
            for _ in 0..TRIPS {
                round_trip(&client).await.unwrap();
            }
            polls.load(Relaxed)
        };
        let polls = trips.await;
        enough.store(1, Relaxed);
        for hog in hogs {
            hog.await.unwrap();
        }
        polls
    });
    // And in the beginning one or two of each, until it is known that they are such.
    let most = 3 * TRIPS + 2 * HOGS;
    assert!(polls <= most, "{polls} polls, of {most} at the most");
}

fn spin_for(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        std::hint::spin_loop();
    }
}

/// Computes for 500 µs at a time until it is told to stop, and calls `count` before each.
async fn compute(stop: Arc<AtomicU64>, count: impl Fn()) {
    while stop.load(Relaxed) == 0 {
        count();
        spin_for(Duration::from_micros(500));
        yield_now().await;
    }
}

/// The worker is never without a task that sockets have woken. Those who compute have their turns
/// all the same, one at a time: between two of them are the sockets'.
#[test]
fn those_who_compute_have_their_turns_beside_busy_sockets() {
    const POLLS: u64 = 240;
    // In the beginning it is not known that they are such: after short polls the clock is looked at
    // again after 32.
    const UNKNOWN: u64 = 40;
    let runtime = Builder::new().worker_threads(1).build().unwrap();
    let in_a_row = runtime.block_on(async {
        let (trips, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let mut clients = JoinSet::new();
        for stream in connections(16).await.unwrap() {
            let (trips, stop) = (Arc::clone(&trips), Arc::clone(&stop));
            clients.spawn(async move {
                while stop.load(Relaxed) == 0 {
                    round_trip(&stream).await.unwrap();
                    trips.fetch_add(1, Relaxed);
                }
            });
        }
        // The trips at the last poll; the polls; those since whose predecessor there was no trip.
        let counts = Arc::new([const { AtomicU64::new(0) }; 3]);
        let hogs = [(); 2].map(|()| {
            let (counts, trips, told) =
                (Arc::clone(&counts), Arc::clone(&trips), Arc::clone(&stop));
            spawn(compute(Arc::clone(&stop), move || {
                let [last, polls, in_a_row] = &*counts;
                let now = trips.load(Relaxed);
                let poll = polls.fetch_add(1, Relaxed);
                if last.swap(now, Relaxed) == now && poll >= UNKNOWN {
                    in_a_row.fetch_add(1, Relaxed);
                }
                if poll == UNKNOWN + POLLS {
                    told.store(1, Relaxed);
                }
            }))
        });
        for hog in hogs {
            hog.await.unwrap();
        }
        while clients.join_next().await.is_some() {}
        counts[2].load(Relaxed)
    });
    assert!(in_a_row <= 12, "{in_a_row} of {POLLS} polls had no round trip before them");
}

/// A task from outside has its turn, although the ring never runs empty, and who computes is always due.
#[test]
fn the_injector_has_its_turns_beside_one_who_computes() {
    let runtime = Builder::new().worker_threads(1).build().unwrap();
    let stop = Arc::new(AtomicU64::new(0));
    let polls = Arc::new(AtomicU64::new(0));
    let busy: Vec<_> = (0..5)
        .map(|task| {
            let (stop, polls) = (Arc::clone(&stop), Arc::clone(&polls));
            runtime.spawn(async move {
                let _reactor = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let computes = task == 0;
                let time = Duration::from_micros(if computes { 400 } else { 30 });
                // The end of this, if nobody else brings it.
                while stop.load(Relaxed) == 0 && polls.load(Relaxed) < 250 {
                    polls.fetch_add(u64::from(computes), Relaxed);
                    spin_for(time);
                    yield_now().await;
                }
            })
        })
        .collect();
    while polls.load(Relaxed) < 50 {
        std::thread::yield_now();
    }
    let outside = runtime.spawn(async move { stop.store(1, Relaxed) });
    // Who waits in `block_on` would have a turn on the seat.
    while !busy.iter().all(|task| task.is_finished()) {
        std::thread::yield_now();
    }
    assert!(polls.load(Relaxed) < 250, "the task from outside has had no turn");
    runtime.block_on(outside).unwrap();
}

/// Others compute as long, and then wait for a message. What they take is not held against who
/// goes on at once.
#[test]
fn who_computes_has_turns_beside_others_who_compute_and_wait() {
    const MOST: u64 = 3000;
    let runtime = Builder::new().worker_threads(1).build().unwrap();
    let (polls, messages) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    runtime.block_on(async {
        let _reactor = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut all = JoinSet::new();
        for _ in 0..3 {
            let (mut to, from) = annulus::channel::spsc::<()>(4);
            let (back_to, back) = annulus::channel::spsc::<()>(4);
            to.send(()).await.unwrap();
            for (mut to, mut from) in [(to, back), (back_to, from)] {
                let (polls, messages) = (Arc::clone(&polls), Arc::clone(&messages));
                all.spawn(async move {
                    while let Some(()) = from.recv().await {
                        spin_for(Duration::from_micros(300));
                        let enough = messages.fetch_add(1, Relaxed) >= MOST;
                        if enough || polls.load(Relaxed) >= 20 || to.send(()).await.is_err() {
                            break;
                        }
                    }
                });
            }
        }
        let (polls, messages) = (Arc::clone(&polls), Arc::clone(&messages));
        all.spawn(async move {
            while polls.fetch_add(1, Relaxed) < 20 && messages.load(Relaxed) < MOST {
                spin_for(Duration::from_micros(300));
                yield_now().await;
            }
        });
        while all.join_next().await.is_some() {}
    });
    assert!(polls.load(Relaxed) >= 20, "who computes has had no turn");
}
