//! Children that are dropped while they run, until they are reaped.
//!
//! Whoever comes next reaps them, so nothing else may start a child here meanwhile.
#![cfg(all(unix, feature = "process"))]

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use annulus::process::Command;
use annulus::{Builder, Runtime, time};

static ALONE: Mutex<()> = Mutex::new(());

fn runtime(workers: usize) -> Runtime {
    Builder::new().worker_threads(workers).build().unwrap()
}

/// A child that runs until it is killed.
fn endless() -> Command {
    let mut command = Command::new("sleep");
    command.arg("600");
    command
}

/// Whether there is a process of that number, also one that has ended and is not reaped.
fn is_there(pid: u32) -> bool {
    // SAFETY: signal 0 is none.
    unsafe { libc::kill(pid as libc::pid_t, 0) == 0 }
}

fn kill(pid: u32) {
    // SAFETY: the process is a child of this test.
    assert_eq!(unsafe { libc::kill(pid as libc::pid_t, libc::SIGKILL) }, 0);
}

/// Waits until a child that was killed has ended, and leaves it to be reaped.
fn ended(pid: u32) {
    // SAFETY: zeros are a value of the struct.
    let done = unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        libc::waitid(libc::P_PID, pid, &mut info, libc::WEXITED | libc::WNOWAIT)
    };
    assert_eq!(done, 0, "it is reaped already");
}

/// Inside a runtime, a task waits for it.
#[test]
fn a_dropped_child_is_reaped_when_it_ends() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    runtime(2).block_on(async {
        for kills in [true, false] {
            let child = endless().kill_on_drop(kills).spawn().unwrap();
            let pid = child.id().unwrap();
            drop(child);
            if !kills {
                assert!(is_there(pid));
                kill(pid);
            }
            while is_there(pid) {
                time::sleep(Duration::from_millis(1)).await;
            }
        }
    });
}

/// Outside, and after the end of the runtime that has looked after it, the next one reaps.
#[test]
fn orphans_are_reaped_by_who_comes_next() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let outside = endless().spawn().unwrap();
    let outside_pid = outside.id().unwrap();
    drop(outside);
    let first = runtime(1);
    let inside_pid = first.block_on(async {
        let child = endless().spawn().unwrap();
        child.id().unwrap()
    });
    drop(first);
    for pid in [outside_pid, inside_pid] {
        kill(pid);
        ended(pid);
        assert!(is_there(pid));
        // Whatever it is that comes next.
        if pid == outside_pid {
            annulus::block_on(Command::new("true").status()).unwrap();
        } else {
            drop(Command::new("true").spawn().unwrap());
        }
        assert!(!is_there(pid));
    }
}
