//! A system that gives no more threads: nobody waits for one that never comes.
//!
//! A program of its own with one test, since the limit is the whole program's.
#![cfg(all(target_os = "linux", feature = "fs", not(miri)))]

mod support;

use std::io;
use std::sync::{Arc, Mutex, mpsc};

use annulus::fs::File;
use annulus::{Builder, Handle, JoinHandle, block_in_place, spawn_blocking};

/// More than is left under the limit.
const STACK: usize = 1 << 30;

/// As much as there is and a bit, so that no stack finds room, until this drops.
struct Full(libc::rlimit);

impl Full {
    fn new() -> Self {
        let mut before = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        let pages: u64 = {
            let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
            statm.split(' ').next().unwrap().parse().unwrap()
        };
        // SAFETY: the structs are there through the calls.
        unsafe {
            let page = libc::sysconf(libc::_SC_PAGESIZE) as u64;
            assert_eq!(libc::getrlimit(libc::RLIMIT_AS, &mut before), 0);
            let limit = libc::rlimit { rlim_cur: pages * page + STACK as u64 / 2, ..before };
            assert_eq!(libc::setrlimit(libc::RLIMIT_AS, &limit), 0);
        }
        Self(before)
    }
}

impl Drop for Full {
    fn drop(&mut self) {
        // SAFETY: the struct is there through the call.
        unsafe { libc::setrlimit(libc::RLIMIT_AS, &self.0) };
    }
}

/// What was begun while the first thread of the pool was being made, which then was not to be had.
#[derive(Default)]
struct Begun(Option<(JoinHandle<()>, File)>);

#[test]
fn what_relied_on_a_thread_that_does_not_start_is_cancelled() {
    let begun = Arc::new(Mutex::new(Begun::default()));
    let theirs = Arc::clone(&begun);
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("no-threads");
    let std = std::fs::File::create(&path).unwrap();
    let std = Mutex::new(Some(std));
    let (tell, told) = mpsc::channel::<Handle>();
    let told = Mutex::new(told);
    // The second thread is to sit on the seat of the first. What is begun while it is counted and
    // not there yet is left to it, as there is no other.
    let name = move |number| {
        if number == 1 {
            let handle = told.lock().unwrap().recv().unwrap();
            let _inside = handle.enter();
            let closure = spawn_blocking(|| ());
            let mut file = File::from_std(std.lock().unwrap().take().unwrap());
            let write = support::now(file.write(b"promised"));
            assert_eq!(write.unwrap(), 8);
            theirs.lock().unwrap().0 = Some((closure, file));
        }
        format!("thread {number}")
    };
    let runtime = Builder::new()
        .worker_threads(1)
        .thread_stack_size(STACK)
        .thread_name_fn(name)
        .build()
        .unwrap();
    tell.send(runtime.handle()).unwrap();

    let (release, released) = mpsc::channel::<()>();
    let (is_away, away) = mpsc::channel();
    let blocker = runtime.spawn(async move {
        block_in_place(|| {
            is_away.send(()).unwrap();
            released.recv().unwrap();
        });
    });
    away.recv().unwrap();
    let full = Full::new();
    // Its seat is claimed for this one.
    let task = runtime.spawn(async {});
    let (closure, mut file) = begun.lock().unwrap().0.take().expect("a thread was asked for");
    assert!(support::block_on(closure).unwrap_err().is_cancelled());
    let error: io::Error = support::block_on(file.flush()).unwrap_err();
    assert!(error.to_string().contains("has ended"), "{error}");

    // The seat waits for its own thread, and all goes on.
    release.send(()).unwrap();
    support::block_on(async {
        blocker.await.unwrap();
        task.await.unwrap();
    });
    drop(full);
    assert_eq!(runtime.block_on(runtime.spawn_blocking(|| 5)).unwrap(), 5);
    std::fs::remove_file(path).unwrap();
}
