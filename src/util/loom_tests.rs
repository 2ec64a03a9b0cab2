//! The spin lock, in every interleaving.

use loom::thread;

use super::SpinLock;
use crate::primitive::Arc;

/// Nobody is in there with another (loom watches the cell), and nothing done there is lost.
#[test]
fn one_at_a_time() {
    loom::model(|| {
        let lock = Arc::new(SpinLock::new(0));
        let theirs = Arc::clone(&lock);
        let other = thread::spawn(move || *theirs.lock() += 1);
        *lock.lock() += 1;
        other.join().unwrap();
        assert_eq!(*lock.lock(), 2);
    });
}
