//! Threads in `block_on`, and others from outside: sockets are watched meanwhile, and after.
#![cfg(all(feature = "net", not(miri)))]

mod support;

use std::io::Write;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use annulus::Builder;
use annulus::net::{TcpListener, UdpSocket};

/// How long something may take that takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);

fn run_a_task(runtime: &annulus::Runtime) {
    let (tell, told) = mpsc::channel();
    drop(runtime.spawn(async move { tell.send(()) }));
    told.recv_timeout(PATIENCE).expect("a task runs");
}

#[test]
fn a_long_first_poll_leaves_sockets_to_somebody() {
    let runtime = Builder::new().worker_threads(2).build().unwrap();
    let (bound, addr) = mpsc::channel();
    let (heard, hears) = mpsc::channel();
    drop(runtime.spawn(async move {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        bound.send(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let mut byte = [0; 1];
        while stream.read(&mut byte).await.unwrap() > 0 {
            heard.send(byte[0]).unwrap();
        }
    }));
    let mut peer = std::net::TcpStream::connect(addr.recv_timeout(PATIENCE).unwrap()).unwrap();
    peer.set_nodelay(true).unwrap();
    for round in 0..120_u8 {
        // Sooner or later either worker is the one that waits in the system's poll, and the other one
        // has just been awake, or sleeps for long: which of these it is, is not to be had at will.
        if round % 3 == 0 {
            run_a_task(&runtime);
        }
        thread::sleep(Duration::from_millis(u64::from(round % 5) * 4));
        let is_heard = runtime.block_on(async {
            // Until the others sleep, perhaps, and until the task has heard: without an await.
            let start = Instant::now();
            while start.elapsed() < Duration::from_millis(u64::from(round % 4)) {
                std::hint::spin_loop();
            }
            peer.write_all(&[round]).unwrap();
            hears.recv_timeout(PATIENCE)
        });
        assert_eq!(is_heard, Ok(round), "nobody watches the sockets");
    }
}

/// A thread that sits nowhere makes a socket after the guest has left, and nobody has had one since.
#[test]
fn a_socket_from_outside_is_watched() {
    for workers in [1, 2] {
        let runtime = Builder::new().worker_threads(workers).build().unwrap();
        // The reactor is there, the guest sits on the seat, and leaves it with nothing to watch.
        runtime.block_on(async { drop(UdpSocket::bind("127.0.0.1:0").await.unwrap()) });
        let (handle, (tell, told)) = (runtime.handle(), mpsc::channel());
        let (bound, addr) = mpsc::channel();
        let receiver = thread::spawn(move || {
            let _inside = handle.enter();
            support::block_on(async {
                let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
                bound.send(socket.local_addr().unwrap()).unwrap();
                let mut byte = [0; 1];
                // If the runtime ends first, that is an error.
                tell.send(socket.recv_from(&mut byte).await.map(|_| byte[0]).ok()).unwrap();
            });
        });
        let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        // Whether it waits already: that this is so, is not to be seen from outside.
        let addr = addr.recv_timeout(PATIENCE).unwrap();
        peer.send_to(&[7], addr).unwrap();
        let heard = told.recv_timeout(PATIENCE);
        drop(runtime);
        receiver.join().unwrap();
        assert_eq!(heard, Ok(Some(7)), "nobody watches the sockets");
    }
}
