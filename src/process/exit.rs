//! A process until it is reaped, and how its end becomes known.
//!
//! # Invariants
//!
//! 1. The process is reaped by `try_wait` under `&mut`, and by nothing else here. So its number
//!    stays its own until then, and no signal goes to another.
//! 2. A watch only tells; it outlives a wait that is given up. The next wait takes it up.
//! 3. Who drops an unreaped process hands it to the orphans.
//!
//! Why not SIGCHLD: its handler is the program's, and tells of all children alike.

use std::io;
use std::os::fd::OwnedFd;
use std::process::{Child, ExitStatus};
use std::thread;

use super::{orphans, pidfd};
use crate::channel::oneshot;
use crate::net::AsyncFd;

/// See the module's page.
#[derive(Debug)]
pub(super) struct Process {
    /// Until the drop.
    std: Option<Child>,
    watch: Option<Watch>,
    reaped: bool,
}

/// Who tells of the end.
#[derive(Debug)]
enum Watch {
    /// The reactor.
    Pidfd(AsyncFd<OwnedFd>),
    /// A thread that waits for it.
    Thread(oneshot::Receiver<()>),
}

impl Process {
    pub(super) fn new(std: Child) -> Self {
        Self { std: Some(std), watch: None, reaped: false }
    }

    fn std(&mut self) -> &mut Child {
        self.std.as_mut().expect("a process has its child until it drops")
    }

    /// Its number, as long as it is its own.
    pub(super) fn id(&self) -> Option<u32> {
        self.std.as_ref().filter(|_| !self.reaped).map(Child::id)
    }

    pub(super) fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        orphans::reap();
        let status = self.std().try_wait()?;
        self.reaped = status.is_some();
        Ok(status)
    }

    pub(super) fn start_kill(&mut self) -> io::Result<()> {
        self.std().kill()
    }

    /// Waits for the end. Dropped before it is ready, it has changed nothing.
    pub(super) async fn wait(&mut self) -> io::Result<ExitStatus> {
        if let Some(status) = self.try_wait()? {
            return Ok(status);
        }
        let Self { std: Some(std), watch, .. } = self else { unreachable!("not dropped yet") };
        if watch.is_none() {
            *watch = Some(Watch::new(std.id())?);
        }
        let status = match watch.as_mut().expect("it was just made") {
            Watch::Pidfd(fd) => {
                let ended = |_: &OwnedFd| {
                    let status = std.try_wait()?;
                    status.ok_or_else(|| io::ErrorKind::WouldBlock.into())
                };
                fd.read_with(ended).await
            }
            Watch::Thread(ended) => {
                // The thread is gone in either case.
                let _ = ended.await;
                let lost = || io::Error::other("the system does not tell of the end of the child");
                std.try_wait().and_then(|status| status.ok_or_else(lost))
            }
        };
        self.reaped = status.is_ok();
        // It has told, or never will, as when its runtime has ended.
        self.watch = None;
        status
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The watch leaves first, while the number is its child's.
        self.watch = None;
        if let (Some(std), false) = (self.std.take(), self.reaped) {
            orphans::adopt(std);
        }
        orphans::reap();
    }
}

impl Watch {
    fn new(pid: u32) -> io::Result<Self> {
        // Without descriptors, or outside of a runtime that lives, a thread will do.
        let watched = pidfd::open(pid).and_then(AsyncFd::new).map(Self::Pidfd);
        watched.or_else(|_| Self::thread(pid))
    }

    /// A thread of its own, since those of the pool would keep the runtime's end waiting.
    fn thread(pid: u32) -> io::Result<Self> {
        let (tx, rx) = oneshot::channel();
        let wait = move || {
            await_end(pid);
            // Perhaps nobody waits any more.
            let _ = tx.send(());
        };
        thread::Builder::new().name(format!("child {pid}")).stack_size(64 << 10).spawn(wait)?;
        Ok(Self::Thread(rx))
    }
}

/// Waits until a child has ended, and leaves it to be reaped.
fn await_end(pid: u32) {
    loop {
        // SAFETY: zeros are a value of the struct, which is there through the call.
        let done = unsafe {
            let mut info: libc::siginfo_t = std::mem::zeroed();
            libc::waitid(libc::P_PID, pid as libc::id_t, &mut info, libc::WEXITED | libc::WNOWAIT)
        };
        // Of any other error `try_wait` will tell.
        if done == 0 || io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
            return;
        }
    }
}
