//! Tasks whose polls take long leave the others their turns.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use annulus::{Builder, channel, yield_now};

/// Far more than the others need to get their turns.
const MESSAGES: u32 = 5_000;

fn compute() {
    let start = Instant::now();
    while start.elapsed() < Duration::from_micros(30) {
        std::hint::spin_loop();
    }
}

/// Two tasks that wake each other and compute in between stay in the slot, by turns. They must not do
/// so for ever.
#[test]
fn those_in_the_slot_leave_the_ring_its_turns() {
    let runtime = Builder::new().worker_threads(1).build().unwrap();
    let done = Arc::new(AtomicBool::new(false));
    let (mut to_other, mut at_other) = channel::spsc::<u32>(1);
    let (mut to_us, mut at_us) = channel::spsc::<u32>(1);
    let other = runtime.spawn(async move {
        while let Some(message) = at_other.recv().await {
            compute();
            if to_us.send(message).await.is_err() {
                break;
            }
        }
    });
    let pair = runtime.spawn({
        let done = Arc::clone(&done);
        async move {
            for message in 0..MESSAGES {
                if done.load(Relaxed) {
                    return true;
                }
                to_other.send(message).await.unwrap();
                compute();
                assert_eq!(at_us.recv().await, Some(message));
            }
            false
        }
    });
    let waits = runtime.spawn(async move {
        for _ in 0..20 {
            yield_now().await;
        }
        done.store(true, Relaxed);
    });
    runtime.block_on(async {
        assert!(pair.await.unwrap(), "a task in the ring has had no turn");
        waits.await.unwrap();
        other.await.unwrap();
    });
}
