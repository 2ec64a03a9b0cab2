//! The function that names threads is a user's code, which is called wherever a thread is sent for:
//! it may do what it likes with the runtime.

use std::cell::RefCell;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, mpsc};
use std::task::{Context, Waker};

use annulus::time::{Duration, sleep};
use annulus::{Builder, EnterGuard, Handle, block_in_place};

/// It is called by a thread that sets a timer, and has that thread leave the runtime.
#[test]
fn who_names_a_thread_may_leave_the_runtime() {
    thread_local! {
        static INSIDE: RefCell<Option<EnterGuard<'static>>> = const { RefCell::new(None) };
    }
    let left = Arc::new(AtomicBool::new(false));
    let name = {
        let left = Arc::clone(&left);
        move |number| {
            if INSIDE.take().is_some() {
                left.store(true, SeqCst);
            }
            format!("thread {number}")
        }
    };
    let runtime = Builder::new().worker_threads(1).thread_name_fn(name).build().unwrap();
    let (is_away, away) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let blocker = runtime.spawn(async move {
        block_in_place(|| {
            is_away.send(()).unwrap();
            released.recv().unwrap();
        });
    });
    away.recv().unwrap();
    let handle: &Handle = Box::leak(Box::new(runtime.handle()));
    INSIDE.set(Some(handle.enter()));
    let mut timer = pin!(sleep(Duration::from_millis(1)));
    assert!(timer.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert!(left.load(SeqCst), "the seat of who is away is sent for");
    release.send(()).unwrap();
    runtime.block_on(async {
        blocker.await.unwrap();
        timer.await;
    });
}
