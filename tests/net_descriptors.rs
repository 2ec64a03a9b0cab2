//! Sockets and the process's descriptors: none left, and none lost.
//!
//! Each test has a process of its own, since others would open and close descriptors meanwhile.
#![cfg(all(feature = "net", target_os = "linux"))]

use std::alloc::{GlobalAlloc, Layout, System};
use std::fs;
use std::io;
use std::process::Command;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;

use annulus::net::{TcpListener, TcpStream, UdpSocket, UnixStream};
use annulus::{Builder, Runtime, spawn};

const INSIDE: &str = "ANNULUS_TEST_ALONE";

/// Runs `test`, which is the test of this name, in a process of its own.
fn alone(name: &str, test: impl FnOnce()) {
    if std::env::var_os(INSIDE).is_some() {
        return test();
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    let output = command.args(["--exact", name, "--nocapture"]).env(INSIDE, "1").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

/// Counts what is allocated and not freed yet.
struct Live;

static LIVE: AtomicUsize = AtomicUsize::new(0);

// SAFETY: the system's allocator does it, and this counts.
unsafe impl GlobalAlloc for Live {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size(), SeqCst);
        // SAFETY: the contract is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), SeqCst);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Live = Live;

fn runtime(workers: usize) -> Runtime {
    Builder::new().worker_threads(workers).build().unwrap()
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Takes all descriptors that the process may have, of `limit`.
fn take_all(limit: u64) -> Vec<fs::File> {
    let limit = libc::rlimit { rlim_cur: limit, rlim_max: limit };
    // SAFETY: the limit is a valid one, and lives through the call.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) }, 0);
    let mut files = Vec::new();
    while let Ok(file) = fs::File::open("/dev/null") {
        files.push(file);
    }
    files
}

#[track_caller]
fn assert_no_descriptor<T: std::fmt::Debug>(result: io::Result<T>) {
    assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::EMFILE));
}

#[test]
fn a_listener_outlives_the_lack_of_descriptors() {
    alone("a_listener_outlives_the_lack_of_descriptors", || {
        runtime(2).block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let addr = listener.local_addr().unwrap();
            let mut taken = take_all(64);
            // The client gets the last one.
            drop(taken.pop());
            let client = TcpStream::connect(addr).await.unwrap();
            // Each call says so, and none waits for an edge that has been already.
            for _ in 0..3 {
                assert_no_descriptor(listener.accept().await);
            }
            // Nor does a wait that begins before there is a connection.
            drop(taken.pop());
            let (server, _) = listener.accept().await.unwrap();
            client.write_all(b"x").await.unwrap();
            server.read_exact(&mut [0]).await.unwrap();
            // And with an edge that finds no descriptor, while a task waits for it.
            let waits = spawn(async move { (listener.accept().await.map(drop), listener) });
            drop(taken.pop());
            let other = TcpStream::connect(addr).await.unwrap();
            let (result, listener) = waits.await.unwrap();
            assert_no_descriptor(result);
            drop(taken);
            listener.accept().await.unwrap();
            drop(other);
        });
    });
}

/// A server that says so and tries again when another connection ends does not spin: it has as
/// many failures as connections that came too early.
#[test]
fn a_server_without_descriptors_waits_for_one() {
    alone("a_server_without_descriptors_waits_for_one", || {
        runtime(2).block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let addr = listener.local_addr().unwrap();
            // A send ends when the server, which has failed, takes it.
            let (freed, wait) = annulus::channel::rendezvous::channel::<()>();
            let server = spawn(async move {
                let (wait, mut failures) = (wait, 0);
                loop {
                    match listener.accept().await {
                        Ok((stream, _)) => {
                            stream.write_all(b"!").await.unwrap();
                            return failures;
                        }
                        Err(error) => {
                            assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
                            failures += 1;
                            wait.recv().await.unwrap();
                        }
                    }
                }
            });
            let mut taken = take_all(64);
            drop(taken.pop());
            let client = TcpStream::connect(addr).await.unwrap();
            for _ in 0..3 {
                freed.send(()).await.unwrap();
            }
            drop(taken);
            // The server may have been late after the third, and be gone.
            let _ = freed.send(()).await;
            client.read_exact(&mut [0]).await.unwrap();
            assert!(server.await.unwrap() >= 3);
        });
    });
}

#[test]
fn what_finds_no_descriptor_says_so() {
    alone("what_finds_no_descriptor_says_so", || {
        let runtime = runtime(1);
        let taken = take_all(64);
        runtime.block_on(async {
            // The reactor cannot start; it does when there are descriptors.
            assert_no_descriptor(TcpListener::bind("127.0.0.1:0").await);
            assert_no_descriptor(UdpSocket::bind("127.0.0.1:0").await);
            assert_no_descriptor(UnixStream::pair());
            drop(taken);
            let (one, other) = UnixStream::pair().unwrap();
            one.write_all(b"x").await.unwrap();
            other.read_exact(&mut [0]).await.unwrap();
        });
    });
}

#[test]
fn ten_thousand_connections_leave_nothing() {
    alone("ten_thousand_connections_leave_nothing", || {
        let empty = descriptors();
        let runtime = runtime(2);
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let addr = listener.local_addr().unwrap();
            let before = descriptors();
            let mut live = 0;
            for round in 0..100 {
                if round == 10 {
                    live = LIVE.load(SeqCst);
                }
                let mut open = Vec::new();
                for _ in 0..100 {
                    let client = TcpStream::connect(addr).await.unwrap();
                    open.push((client, listener.accept().await.unwrap().0));
                }
                assert_eq!(descriptors(), before + 200, "in round {round}");
                // Some with a wait under way, which ends before its socket.
                for (client, server) in open.drain(..20) {
                    let read = spawn(async move { server.read(&mut [0]).await });
                    if round % 2 == 0 {
                        drop(client);
                        assert_eq!(read.await.unwrap().unwrap(), 0);
                    } else {
                        read.abort();
                        assert!(read.await.unwrap_err().is_cancelled());
                    }
                }
            }
            assert_eq!(descriptors(), before);
            // Nothing of the other nine thousand; an entry has more than ten bytes.
            let grown = LIVE.load(SeqCst).saturating_sub(live);
            assert!(grown < 90_000, "{grown} bytes are left");
        });
        drop(runtime);
        assert_eq!(descriptors(), empty, "the reactor's own");
    });
}

#[test]
fn a_runtime_that_ends_with_sockets_leaves_no_descriptor() {
    alone("a_runtime_that_ends_with_sockets_leaves_no_descriptor", || {
        let empty = descriptors();
        for workers in [1, 2, 4] {
            let runtime = runtime(workers);
            let outlives = runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let addr = listener.local_addr().unwrap();
                let client = TcpStream::connect(addr).await.unwrap();
                let server = listener.accept().await.unwrap().0;
                // Tasks that wait for ever, with their sockets.
                spawn(async move { listener.accept().await.map(drop) });
                spawn(async move { server.read(&mut [0]).await.map(drop) });
                client
            });
            drop(runtime);
            drop(outlives);
            assert_eq!(descriptors(), empty, "with {workers} workers");
        }
    });
}

/// A descriptor goes to std and back, and to other sockets of the same number: what was told of
/// the old ones is not told to the new ones.
#[test]
fn a_number_that_is_used_again_is_another_socket() {
    alone("a_number_that_is_used_again_is_another_socket", || {
        use std::os::fd::AsRawFd;
        runtime(2).block_on(async {
            let mut numbers = Vec::new();
            for _ in 0..500 {
                let (one, other) = UnixStream::pair().unwrap();
                numbers.push(one.as_raw_fd());
                // An edge is under way when it leaves.
                other.write_all(b"old").await.unwrap();
                let std = one.into_std().unwrap();
                let again = UnixStream::from_std(std).unwrap();
                again.read_exact(&mut [0; 3]).await.unwrap();
                other.write_all(b"old").await.unwrap();
                drop((again, other));
                let (one, other) = UnixStream::pair().unwrap();
                assert_eq!(one.try_read(&mut [0]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
                let read = spawn(async move {
                    let mut buf = [0; 3];
                    one.read_exact(&mut buf).await.map(|()| buf)
                });
                let writes = thread::spawn(move || {
                    annulus::block_on(other.write_all(b"new")).map(|()| other)
                });
                assert_eq!(&read.await.unwrap().unwrap(), b"new");
                drop(writes.join().unwrap().unwrap());
            }
            numbers.dedup();
            assert!(numbers.len() < 250, "the numbers are not used again");
        });
    });
}

#[cfg(feature = "process")]
#[test]
fn children_leave_nothing() {
    use annulus::process::{Command, Stdio};
    alone("children_leave_nothing", || {
        let runtime = runtime(2);
        let children = |count| async move {
            for _ in 0..count {
                let output = Command::new("echo").output().await.unwrap();
                assert_eq!(output.stdout, b"\n");
                let mut cat = Command::new("cat");
                cat.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
                let mut child = cat.spawn().unwrap();
                // It is watched, and then dropped.
                let given_up = futures_lite::future::poll_once(child.wait()).await;
                drop((child, given_up));
            }
        };
        // The reactor is there, and all threads.
        runtime.block_on(children(2));
        let settle = || {
            // What was dropped is reaped in a moment, and its descriptors with it.
            let mut now = descriptors();
            for _ in 0..200 {
                thread::sleep(std::time::Duration::from_millis(1));
                now = now.min(descriptors());
            }
            now
        };
        let before = settle();
        runtime.block_on(children(100));
        // A task that reaps one may not have run yet, and have no descriptor for it.
        while descriptors() > before || has_children() {
            thread::yield_now();
        }
    });
}

/// Whether this process has children: such that run, and such that nobody has reaped.
#[cfg(feature = "process")]
fn has_children() -> bool {
    let is_ours = |stat: String| {
        let parent = stat.rsplit(") ").next()?.split(' ').nth(1)?.parse::<u32>().ok()?;
        (parent == std::process::id()).then_some(())
    };
    fs::read_dir("/proc").unwrap().any(|entry| {
        let stat = fs::read_to_string(entry.unwrap().path().join("stat"));
        stat.ok().and_then(is_ours).is_some()
    })
}
