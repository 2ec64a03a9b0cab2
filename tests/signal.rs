//! Ctrl-C, as the user's shell would send it: by the system's `kill`, to this process.
#![cfg(all(feature = "signal", unix))]

mod support;

use std::process::Command;
use std::time::Duration;

use annulus::signal::ctrl_c;
use annulus::{Builder, time};
use support::{Polled, block_on};

fn interrupt() {
    let pid = std::process::id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
}

// Signals are the whole process's, so all that is about them is one test.
#[test]
fn a_signal_is_told_to_all_who_wait() {
    // Made before the signal: one that waits, one that was never polled, one that is dropped.
    let mut waits = ctrl_c();
    let mut unpolled = Polled::new(ctrl_c());
    let mut dropped = Polled::waiting(ctrl_c());
    assert!(dropped.poll().is_pending());
    drop(dropped);
    assert_eq!(format!("{waits:?}"), "CtrlC { ready: false }");

    let runtime = Builder::new().worker_threads(2).build().unwrap();
    let tasks = [(); 10].map(|()| runtime.spawn(ctrl_c()));
    runtime.block_on(async {
        // In rounds of a `select!` with something else.
        let mut ticks = time::interval(Duration::from_micros(100));
        let mut rounds = 0;
        loop {
            annulus::select! {
                biased;
                result = &mut waits => break result.unwrap(),
                _ = ticks.tick() => rounds += 1,
            }
            if rounds == 10 {
                interrupt();
            }
        }
        for task in tasks {
            task.await.unwrap().unwrap();
        }
    });
    unpolled.ready().unwrap();

    // One that is made later, and one that was told, wait for the next, on any executor.
    let mut late = Polled::waiting(ctrl_c());
    let mut again = Polled::waiting(waits);
    let next = ctrl_c();
    interrupt();
    block_on(next).unwrap();
    late.ready().unwrap();
    again.ready().unwrap();
}
