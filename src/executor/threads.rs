//! The threads of a runtime: how they are made, and how their end is awaited.
//!
//! Each is counted from before its start until it has nothing left to do, so that a wait for the
//! last of them can have a limit, which a join cannot. Who has seen the count at zero joins them:
//! what is left for them to do is to drop their thread-locals. Nobody is counted after that.

use std::fmt;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle, Thread};
use std::time::Instant;

use slab::Slab;

use super::context::{Context, Role};
use super::{Shared, slack};
use crate::task::catch_quietly;

/// A thread that is counted and not started: its number. It has to be started.
#[must_use]
pub(super) struct Number(usize);

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
    /// Threads that still have something to do, and those about to start.
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

    /// Counts a thread that is about to start, and gives its number; `None` if the last thread has
    /// gone.
    pub(super) fn announce(&self) -> Option<Number> {
        let mut state = self.lock();
        if state.started > 0 && state.alive == 0 {
            return None;
        }
        state.alive += 1;
        state.started += 1;
        Some(Number(state.started - 1))
    }

    /// Starts a thread that runs `life`.
    pub(super) fn start(
        shared: &Arc<Shared>,
        Number(number): Number,
        life: impl FnOnce(&Arc<Shared>) + Send + 'static,
    ) -> io::Result<Thread> {
        let this = &shared.crew;
        let mut builder = thread::Builder::new();
        // Whose name cannot be told starts without one: whatever it is for has to be done.
        let mut name = None;
        catch_quietly(|| name = Some((this.settings.name)(number)));
        if let Some(name) = name.filter(|name| !name.contains('\0')) {
            builder = builder.name(name);
        }
        if let Some(size) = this.settings.stack_size {
            builder = builder.stack_size(size);
        }
        // Held until the handle is in its place, so that the thread finds it there at its end.
        let mut state = this.lock();
        let place = state.handles.vacant_entry();
        let (key, theirs) = (place.key(), Arc::clone(shared));
        let run = move || {
            let crew = &theirs.crew;
            call(&theirs, &crew.settings.on_start);
            life(&theirs);
            call(&theirs, &crew.settings.on_stop);
            crew.leave(key);
        };
        match slack::usually(|| builder.spawn(run)) {
            Ok(handle) => {
                let thread = handle.thread().clone();
                place.insert(handle);
                Ok(thread)
            }
            Err(error) => {
                this.one_less(state);
                Err(error)
            }
        }
    }

    fn leave(&self, key: usize) {
        let mut state = self.lock();
        if !state.ending {
            // Detached: nobody waits for this one.
            drop(state.handles.remove(key));
        }
        self.one_less(state);
    }

    fn one_less(&self, mut state: MutexGuard<'_, State>) {
        state.alive -= 1;
        if state.alive == 0 {
            self.all_gone.notify_all();
        }
    }

    /// Waits for the end of all threads; false if the deadline came first.
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

/// Calls a hook, in the runtime. Its panic is reported by the panic hook, and changes nothing else.
fn call(shared: &Arc<Shared>, hook: &Option<Hook>) {
    if let Some(hook) = hook {
        let context = Context::new(shared, Role::Blocking);
        let _inside = context.enter();
        catch_quietly(|| hook());
    }
}
