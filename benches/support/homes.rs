//! annulus and tokio with a worker for each processor, then both with one, for what needs tokio's
//! drivers.

use std::rc::Rc;
use std::sync::mpsc;
use std::thread;

use tokio::runtime::Builder;

use super::contender::{Home, Job, processors};

/// `enable` has tokio's runtimes start the driver that is measured, and no other.
pub(crate) fn homes(enable: fn(&mut Builder) -> &mut Builder) -> [Rc<Home>; 4] {
    let workers = processors().len();
    [
        Home::annulus("annulus-mt", workers),
        tokio_multi_thread("tokio-mt", workers, enable),
        Home::annulus("annulus-1w", 1),
        tokio_current_thread("tokio-ct", enable),
    ]
}

fn tokio_multi_thread(
    name: &'static str,
    workers: usize,
    enable: fn(&mut Builder) -> &mut Builder,
) -> Rc<Home> {
    let runtime = enable(Builder::new_multi_thread().worker_threads(workers)).build();
    let runtime = runtime.expect("the system lets us start threads");
    Home::new(name, workers, move |job| drop(runtime.spawn(job)))
}

fn tokio_current_thread(name: &'static str, enable: fn(&mut Builder) -> &mut Builder) -> Rc<Home> {
    let (jobs, todo) = mpsc::channel::<Job>();
    thread::spawn(move || {
        let runtime = enable(&mut Builder::new_current_thread()).build();
        let runtime = runtime.expect("a runtime without a thread");
        for job in todo {
            runtime.block_on(runtime.spawn(job)).expect("the row panicked");
        }
    });
    Home::new(name, 1, move |job| jobs.send(job).expect("no row panicked"))
}
