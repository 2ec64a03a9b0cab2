//! A process until it is reaped, and how its end becomes known.
//!
//! # Invariants
//!
//! 1. The process is reaped by `look` under `&mut`, and by nothing else here. So its number stays
//!    its own until then, and no signal goes to another. If another part of the program reaps it,
//!    the next look finds that out, and the number is not used again; a signal looks first.
//! 2. A watch only tells; it outlives a wait that is given up. The next wait takes up a thread, but
//!    not a descriptor, whose runtime may be another and at its end.
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
    end: End,
}

/// What is known of its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Unseen,
    Reaped(ExitStatus),
    /// Reaped by somebody else: the number may be another's.
    Lost,
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
        Self { std: Some(std), watch: None, end: End::Unseen }
    }

    /// Its number, as long as it is its own.
    pub(super) fn id(&self) -> Option<u32> {
        self.std.as_ref().filter(|_| self.end == End::Unseen).map(Child::id)
    }

    pub(super) fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        orphans::reap();
        self.end.look(self.std.as_mut().expect("a process has its child until it drops"))
    }

    pub(super) fn start_kill(&mut self) -> io::Result<()> {
        // Of an error that leaves it unseen, the kill will tell.
        let _ = self.try_wait();
        match (self.end, &mut self.std) {
            (End::Unseen, Some(std)) => std.kill(),
            // As std's says of a child that has ended.
            _ => Ok(()),
        }
    }

    /// Waits for the end. Dropped before it is ready, it has changed nothing.
    pub(super) async fn wait(&mut self) -> io::Result<ExitStatus> {
        if let Some(status) = self.try_wait()? {
            return Ok(status);
        }
        let Self { std: Some(std), watch, end } = self else { unreachable!("not dropped yet") };
        if !matches!(watch, Some(Watch::Thread(_))) {
            *watch = None;
            *watch = Some(Watch::new(std.id())?);
        }
        let status = match watch.as_mut().expect("it was just made") {
            Watch::Pidfd(fd) => {
                let ended = |_: &OwnedFd| {
                    let status = end.look(std)?;
                    status.ok_or_else(|| io::ErrorKind::WouldBlock.into())
                };
                fd.read_with(ended).await
            }
            Watch::Thread(ended) => {
                // The thread is gone in either case.
                let _ = ended.await;
                let lost = || io::Error::other("the system does not tell of the end of the child");
                end.look(std).and_then(|status| status.ok_or_else(lost))
            }
        };
        // It has told, or never will, as when its runtime has ended.
        self.watch = None;
        status
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The watch leaves first, while the number is its child's.
        self.watch = None;
        if let (Some(std), End::Unseen) = (self.std.take(), self.end) {
            orphans::adopt(std);
        }
        orphans::reap();
    }
}

impl End {
    /// Reaps the child if it has ended.
    fn look(&mut self, child: &mut Child) -> io::Result<Option<ExitStatus>> {
        if *self == Self::Unseen {
            match child.try_wait() {
                Ok(None) => {}
                Ok(Some(status)) => *self = Self::Reaped(status),
                Err(error) if error.raw_os_error() == Some(libc::ECHILD) => *self = Self::Lost,
                Err(error) => return Err(error),
            }
        }
        match *self {
            Self::Unseen => Ok(None),
            Self::Reaped(status) => Ok(Some(status)),
            Self::Lost => Err(io::Error::from_raw_os_error(libc::ECHILD)),
        }
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
        // With the usual stack, of which the waker of who waits may need as much as any code.
        thread::Builder::new().name(format!("child {pid}")).spawn(wait)?;
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
