//! The threads of a runtime: how they are made, and how their end is awaited.
//!
//! Each is counted from its start until it has nothing left to do, so that a wait for the last of
//! them can have a limit, which a join cannot. Who has seen the count at zero joins them: what
//! is left for them to do is to drop their thread-locals.

use std::fmt;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle, Thread};
use std::time::Instant;

use slab::Slab;

use super::Shared;
use crate::task::catch_quietly;

/// What is called in each thread when it starts or stops.
pub(crate) type Hook = Arc<dyn Fn() + Send + Sync>;

/// How threads are made.
#[derive(Clone)]
pub(crate) struct ThreadSettings {
    /// The name of the thread with that number.
    pub(crate) name: Arc<dyn Fn(usize) -> String + Send + Sync>,
    pub(crate) stack_size: Option<usize>,
    pub(crate) on_start: Option<Hook>,
    pub(crate) on_stop: Option<Hook>,
}

impl fmt::Debug for ThreadSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadSettings")
            .field("first_name", &(self.name)(0))
            .field("stack_size", &self.stack_size)
            .field("on_start", &self.on_start.is_some())
            .field("on_stop", &self.on_stop.is_some())
            .finish()
    }
}

/// See the module's page.
#[derive(Debug)]
pub(super) struct Threads {
    settings: ThreadSettings,
    state: Mutex<State>,
    /// Told when `alive` is 0.
    all_gone: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Threads that still have something to do.
    alive: usize,
    /// Threads started so far, which gives each its number.
    started: usize,
    handles: Slab<JoinHandle<()>>,
    /// Somebody waits for the end, and will join: handles are left to him.
    ending: bool,
}

impl Threads {
    pub(super) fn new(settings: ThreadSettings) -> Self {
        Self { settings, state: Mutex::default(), all_gone: Condvar::new() }
    }

    /// No code of a user's runs under the lock.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a thread that runs `life`.
    pub(super) fn start(
        shared: &Arc<Shared>,
        life: impl FnOnce(&Arc<Shared>) + Send + 'static,
    ) -> io::Result<Thread> {
        let this = &shared.crew;
        let number = {
            let mut state = this.lock();
            state.started += 1;
            state.started - 1
        };
        let mut builder = thread::Builder::new().name((this.settings.name)(number));
        if let Some(size) = this.settings.stack_size {
            builder = builder.stack_size(size);
        }
        // Held until the handle is in its place, so that the thread finds it there at its end.
        let mut state = this.lock();
        let place = state.handles.vacant_entry();
        let (key, theirs) = (place.key(), Arc::clone(shared));
        let handle = builder.spawn(move || {
            let crew = &theirs.crew;
            call(&crew.settings.on_start);
            life(&theirs);
            call(&crew.settings.on_stop);
            crew.leave(key);
        })?;
        let thread = handle.thread().clone();
        place.insert(handle);
        state.alive += 1;
        Ok(thread)
    }

    fn leave(&self, key: usize) {
        let mut state = self.lock();
        state.alive -= 1;
        if !state.ending {
            // Detached: nobody waits for this one.
            drop(state.handles.remove(key));
        }
        if state.alive == 0 {
            self.all_gone.notify_all();
        }
    }

    /// Waits for the end of all threads; false if the deadline came first. No thread is started
    /// meanwhile.
    pub(super) fn wait(&self, deadline: Option<Instant>) -> bool {
        let mut state = self.lock();
        state.ending = true;
        while state.alive > 0 {
            let Some(deadline) = deadline else {
                state = self.all_gone.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.all_gone.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let handles = std::mem::take(&mut state.handles);
        drop(state);
        for (_, handle) in handles {
            handle.join().expect("the threads of a runtime catch what users panic with");
        }
        true
    }
}

/// Calls a hook. Its panic is reported by the panic hook, and changes nothing else.
fn call(hook: &Option<Hook>) {
    if let Some(hook) = hook {
        catch_quietly(|| hook());
    }
}
