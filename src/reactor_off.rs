//! In place of `reactor/` without the feature `net`: there is no reactor.

use std::thread::ThreadId;
use std::time::Duration;

#[derive(Debug, Default)]
pub(crate) struct Reactor(());

#[derive(Debug, Default)]
pub(crate) struct Ready(());

impl Reactor {
    #[inline]
    pub(crate) fn exists(&self) -> bool {
        false
    }

    pub(crate) fn kick(&self, _: ThreadId) {}

    pub(crate) fn lacks_watcher(&self) -> bool {
        false
    }

    pub(crate) fn look(&self, _: &mut Ready) -> bool {
        false
    }

    pub(crate) fn looks(&self) -> u32 {
        0
    }

    pub(crate) fn wait(
        &self,
        _: Option<Duration>,
        _: &mut Ready,
        _: impl FnOnce() -> bool,
    ) -> bool {
        false
    }

    pub(crate) fn close(&self) {}
}

impl Ready {
    pub(crate) fn is_empty(&self) -> bool {
        true
    }

    pub(crate) fn fire(&mut self, _: usize) {}
}
