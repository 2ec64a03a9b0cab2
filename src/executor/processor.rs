//! Which processor a thread is on, and for how long it has waited for one.

#[cfg(all(feature = "net", target_os = "linux", not(miri), not(all(test, annulus_loom))))]
mod system {
    use std::fs::File;
    use std::io::Read;

    /// The number of this thread's processor; none if the system does not say, or not cheaply.
    pub(in super::super) fn current() -> Option<u32> {
        // SAFETY: it takes nothing, and gives a number or an error.
        u32::try_from(unsafe { libc::sched_getcpu() }).ok()
    }

    /// For how long this thread could have run, and others did, in nanoseconds; none if the system
    /// does not say. Takes some microseconds.
    pub(in super::super) fn time_waited() -> Option<u64> {
        let mut numbers = [0; 64];
        let count = File::open("/proc/thread-self/schedstat").ok()?.read(&mut numbers).ok()?;
        let mut numbers = std::str::from_utf8(&numbers[..count]).ok()?.split_ascii_whitespace();
        // The first is the time for which it has run: 0 if the system does not count.
        numbers.next().filter(|&ran| ran != "0")?;
        numbers.next()?.parse().ok()
    }
}

#[cfg(not(all(feature = "net", target_os = "linux", not(miri), not(all(test, annulus_loom)))))]
mod system {
    pub(in super::super) fn current() -> Option<u32> {
        None
    }

    pub(in super::super) fn time_waited() -> Option<u64> {
        None
    }
}

pub(super) use self::system::{current, time_waited};

#[cfg(all(test, feature = "net", target_os = "linux", not(miri), not(annulus_loom)))]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::sync::atomic::Ordering::Relaxed;
    use std::thread;

    /// Too many threads: in the end each has waited.
    #[test]
    fn who_waits_for_a_processor_is_told_so() {
        let Some(start) = super::time_waited() else {
            eprintln!("NOTICE: this system does not say how long threads wait for processors");
            return;
        };
        let (over, others) =
            (AtomicBool::new(false), 2 * thread::available_parallelism().unwrap().get());
        thread::scope(|scope| {
            for _ in 0..others {
                scope.spawn(|| {
                    while !over.load(Relaxed) {
                        std::hint::spin_loop();
                    }
                });
            }
            while super::time_waited().is_some_and(|time| time == start) {}
            over.store(true, Relaxed);
        });
    }
}
