//! A process that runs.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::process::{self as std_process, ExitStatus, Output};
use std::task::Poll;

use super::exit::Process;
use super::pipe::{ChildStderr, ChildStdin, ChildStdout};
use crate::runtime::Handle;

/// A child process; started by [`Command::spawn`](super::Command::spawn).
///
/// Dropped, it goes on running, or is killed, as [`Command::kill_on_drop`] says, and is reaped in
/// either case; see the [module](super).
///
/// [`Command::kill_on_drop`]: super::Command::kill_on_drop
pub struct Child {
    /// Where the child reads, if that was piped.
    pub stdin: Option<ChildStdin>,
    /// What the child writes, if that was piped.
    pub stdout: Option<ChildStdout>,
    /// Where the child complains, if that was piped.
    pub stderr: Option<ChildStderr>,
    /// Until the drop.
    process: Option<Process>,
    kill_on_drop: bool,
}

impl Child {
    pub(super) fn new(mut std: std_process::Child, kill_on_drop: bool) -> io::Result<Self> {
        let pipes = (std.stdin.take(), std.stdout.take(), std.stderr.take());
        let process = Some(Process::new(std));
        // If a pipe cannot be watched, the child is of no use.
        let mut this =
            Self { stdin: None, stdout: None, stderr: None, process, kill_on_drop: true };
        this.stdin = pipes.0.map(ChildStdin::from_std).transpose()?;
        this.stdout = pipes.1.map(ChildStdout::from_std).transpose()?;
        this.stderr = pipes.2.map(ChildStderr::from_std).transpose()?;
        this.kill_on_drop = kill_on_drop;
        Ok(this)
    }

    fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("a child has its process until it drops")
    }

    /// The number of the process; `None` once its end was seen, as others may have the number then.
    pub fn id(&self) -> Option<u32> {
        self.process.as_ref().and_then(Process::id)
    }

    /// Waits for the end of the process.
    ///
    /// It closes [`stdin`](Self::stdin) first, so that the child does not wait for more. Once it has
    /// ended this is ready at once, with the same status.
    ///
    /// # Errors
    ///
    /// If the system does not tell, as when another part of the program has reaped the child; or
    /// if the runtime ends in which it waits: then another may go on.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, it has closed `stdin`, and can be called again.
    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        drop(self.stdin.take());
        self.process().wait().await
    }

    /// The status of the process, if it has ended.
    ///
    /// # Errors
    ///
    /// As `try_wait` of std's child, and the same each time if another part of the program has
    /// reaped it.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.process().try_wait()
    }

    /// Kills the process, and does not wait for its end.
    ///
    /// It does nothing to a process that has ended, whoever has reaped it.
    ///
    /// # Errors
    ///
    /// As `kill` of std's child.
    pub fn start_kill(&mut self) -> io::Result<()> {
        self.process().start_kill()
    }

    /// Kills the process, and waits for its end.
    ///
    /// # Errors
    ///
    /// As [`start_kill`](Self::start_kill) and [`wait`](Self::wait).
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, it has killed the process.
    pub async fn kill(&mut self) -> io::Result<()> {
        self.start_kill()?;
        self.wait().await.map(drop)
    }

    /// Waits for the end, and reads meanwhile what is piped of stdout and stderr.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait), or of a pipe.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, it drops the child and what was read.
    pub async fn wait_with_output(mut self) -> io::Result<Output> {
        drop(self.stdin.take());
        let (stdout, stderr) = (self.stdout.take(), self.stderr.take());
        let stdout = async {
            let mut bytes = Vec::new();
            if let Some(pipe) = stdout {
                pipe.read_to_end(&mut bytes).await?;
            }
            Ok(bytes)
        };
        let stderr = async {
            let mut bytes = Vec::new();
            if let Some(pipe) = stderr {
                pipe.read_to_end(&mut bytes).await?;
            }
            Ok(bytes)
        };
        let (stdout, stderr) = both(stdout, stderr).await?;
        Ok(Output { status: self.wait().await?, stdout, stderr })
    }
}

/// Waits for both futures at once, or for the first error.
async fn both<T>(
    one: impl Future<Output = io::Result<T>>,
    other: impl Future<Output = io::Result<T>>,
) -> io::Result<(T, T)> {
    let (mut one, mut other) = (pin!(one), pin!(other));
    let (mut first, mut second) = (None, None);
    poll_fn(|cx| {
        if first.is_none() {
            if let Poll::Ready(result) = one.as_mut().poll(cx) {
                first = Some(result?);
            }
        }
        if second.is_none() {
            if let Poll::Ready(result) = other.as_mut().poll(cx) {
                second = Some(result?);
            }
        }
        if first.is_none() || second.is_none() {
            return Poll::Pending;
        }
        Poll::Ready(Ok(first.take().zip(second.take()).expect("both are there")))
    })
    .await
}

impl Drop for Child {
    fn drop(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        if self.kill_on_drop {
            // If it cannot be killed, it ends some day.
            let _ = process.start_kill();
        }
        if matches!(process.try_wait(), Ok(None)) {
            if let Some(runtime) = Handle::try_current() {
                // If the runtime ends before the child does, the drop of the process goes on.
                drop(runtime.spawn(async move { process.wait().await }));
            }
        }
    }
}

impl fmt::Debug for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Child")
            .field("id", &self.id())
            .field("stdin", &self.stdin)
            .field("stdout", &self.stdout)
            .field("stderr", &self.stderr)
            .field("kill_on_drop", &self.kill_on_drop)
            .finish()
    }
}
