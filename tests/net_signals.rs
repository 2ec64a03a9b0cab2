//! Signals that interrupt the workers, above all while they wait in the system's poll.
#![cfg(all(feature = "net", target_os = "linux"))]

use std::io::{Read, Write};
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use annulus::net::{TcpListener, TcpStream};
use annulus::{Builder, Runtime, spawn, time};

static HANDLED: AtomicUsize = AtomicUsize::new(0);

extern "C" fn handle(_: libc::c_int) {
    HANDLED.fetch_add(1, SeqCst);
}

/// Has a signal do nothing but interrupt: without SA_RESTART, calls of the system end with EINTR.
/// One test at a time counts.
fn count_signals() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: zero is an action with no flags and an empty mask, and the handler is one that may
    // run at any time: it adds to an atomic.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handle as *const () as usize;
        assert_eq!(libc::sigaction(libc::SIGUSR1, &action, std::ptr::null_mut()), 0);
    }
    one
}

/// Interrupts a thread, and waits until it has handled that.
fn interrupt(thread: libc::pid_t) {
    let before = HANDLED.load(SeqCst);
    // SAFETY: it only sends a signal, which has a handler.
    let sent = unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, libc::SIGUSR1) };
    assert_eq!(sent, 0, "the thread has ended");
    while HANDLED.load(SeqCst) == before {
        thread::yield_now();
    }
}

/// A runtime, and its threads.
fn runtime(workers: usize) -> (Runtime, Vec<libc::pid_t>) {
    static STARTED: Mutex<Vec<libc::pid_t>> = Mutex::new(Vec::new());
    STARTED.lock().unwrap().clear();
    let note = || {
        // SAFETY: it has no conditions.
        let id = unsafe { libc::gettid() };
        STARTED.lock().unwrap().push(id);
    };
    let runtime = Builder::new().worker_threads(workers).on_thread_start(note).build().unwrap();
    while STARTED.lock().unwrap().len() < workers {
        thread::yield_now();
    }
    let started = STARTED.lock().unwrap().clone();
    (runtime, started)
}

async fn echo(stream: TcpStream) {
    let mut buf = [0; 64];
    while let Ok(count @ 1..) = stream.read(&mut buf).await {
        stream.write_all(&buf[..count]).await.unwrap();
    }
}

fn serve(runtime: &Runtime) -> std::net::TcpStream {
    let addr = runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        spawn(async move { echo(listener.accept().await.unwrap().0).await });
        addr
    });
    std::net::TcpStream::connect(addr).unwrap()
}

fn ask(client: &mut std::net::TcpStream, byte: u8) {
    client.write_all(&[byte]).unwrap();
    let mut back = [0];
    client.read_exact(&mut back).unwrap();
    assert_eq!(back, [byte]);
}

#[test]
fn a_wait_that_is_interrupted_goes_on() {
    let _one = count_signals();
    for workers in [1, 2, 4] {
        let (runtime, threads) = runtime(workers);
        let mut client = serve(&runtime);
        for byte in 0..100 {
            // The workers have nothing to do but to wait, one of them in the poll.
            for _ in 0..3 {
                threads.iter().for_each(|&thread| interrupt(thread));
            }
            ask(&mut client, byte);
        }
    }
}

#[test]
fn signals_disturb_neither_sockets_nor_timers() {
    let _one = count_signals();
    let (runtime, threads) = runtime(2);
    let mut client = serve(&runtime);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let storm = scope.spawn(|| {
            while !done.load(SeqCst) {
                threads.iter().for_each(|&thread| interrupt(thread));
            }
        });
        // Not a whole number of milliseconds, so that it waits in `ppoll`.
        let naps = runtime.spawn(async {
            for _ in 0..100 {
                time::sleep(Duration::from_micros(1300)).await;
            }
        });
        (0..=255).for_each(|byte| ask(&mut client, byte));
        runtime.block_on(naps).unwrap();
        done.store(true, SeqCst);
        storm.join().unwrap();
    });
}
