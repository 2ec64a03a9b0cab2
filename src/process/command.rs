//! What to start, and how.

use std::ffi::OsStr;
use std::future::Future;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{self as std_process, ExitStatus, Output, Stdio};

use super::Child;
use super::orphans;
use crate::executor;

/// A program to start: [`std::process::Command`], with what waits.
///
/// What has no method here is reached by [`as_std_mut`](Self::as_std_mut).
///
/// # Examples
///
/// ```
/// use annulus::process::Command;
///
/// let status = annulus::block_on(Command::new("test").args(["1", "-lt", "2"]).status())?;
/// assert!(status.success());
/// # Ok::<_, std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Command {
    std: std_process::Command,
    kill_on_drop: bool,
    /// Of stdin, stdout and stderr.
    set: [Set; 3],
}

/// Who has said where a stream goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Set {
    /// Nobody, or std's command has been told.
    Std,
    User,
    /// We, for an earlier `output`.
    Output,
}

/// The setters of the three.
type SetStream = fn(&mut std_process::Command, Stdio) -> &mut std_process::Command;
const STREAMS: [SetStream; 3] =
    [std_process::Command::stdin, std_process::Command::stdout, std_process::Command::stderr];

impl Command {
    /// Of the program at that path, or of that name where the system looks for programs.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self::from(std_process::Command::new(program))
    }

    /// Adds an argument.
    pub fn arg(&mut self, arg: impl AsRef<OsStr>) -> &mut Self {
        self.std.arg(arg);
        self
    }

    /// Adds several arguments.
    pub fn args(&mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> &mut Self {
        self.std.args(args);
        self
    }

    /// Sets a variable of the environment.
    pub fn env(&mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> &mut Self {
        self.std.env(key, value);
        self
    }

    /// Sets several variables of the environment.
    pub fn envs(
        &mut self,
        vars: impl IntoIterator<Item = (impl AsRef<OsStr>, impl AsRef<OsStr>)>,
    ) -> &mut Self {
        self.std.envs(vars);
        self
    }

    /// Removes a variable of the environment.
    pub fn env_remove(&mut self, key: impl AsRef<OsStr>) -> &mut Self {
        self.std.env_remove(key);
        self
    }

    /// Removes all variables of the environment.
    pub fn env_clear(&mut self) -> &mut Self {
        self.std.env_clear();
        self
    }

    /// Sets the directory in which it starts.
    pub fn current_dir(&mut self, dir: impl AsRef<Path>) -> &mut Self {
        self.std.current_dir(dir);
        self
    }

    /// Sets where it reads: as this program, unless it is said here.
    pub fn stdin(&mut self, stdio: impl Into<Stdio>) -> &mut Self {
        self.std.stdin(stdio);
        self.set[0] = Set::User;
        self
    }

    /// Sets where it writes: as this program, unless it is said here.
    pub fn stdout(&mut self, stdio: impl Into<Stdio>) -> &mut Self {
        self.std.stdout(stdio);
        self.set[1] = Set::User;
        self
    }

    /// Sets where it complains: as this program, unless it is said here.
    pub fn stderr(&mut self, stdio: impl Into<Stdio>) -> &mut Self {
        self.std.stderr(stdio);
        self.set[2] = Set::User;
        self
    }

    /// Sets whose rights it has.
    pub fn uid(&mut self, id: u32) -> &mut Self {
        self.std.uid(id);
        self
    }

    /// Sets which group's rights it has.
    pub fn gid(&mut self, id: u32) -> &mut Self {
        self.std.gid(id);
        self
    }

    /// Sets the name under which it is started.
    pub fn arg0(&mut self, arg: impl AsRef<OsStr>) -> &mut Self {
        self.std.arg0(arg);
        self
    }

    /// Sets its group of processes; 0 is one of its own.
    pub fn process_group(&mut self, group: i32) -> &mut Self {
        self.std.process_group(group);
        self
    }

    /// Whether the drop of a [`Child`] kills it; it does not at first.
    ///
    /// So does the drop of a future of [`status`](Self::status) or [`output`](Self::output).
    pub fn kill_on_drop(&mut self, kill: bool) -> &mut Self {
        self.kill_on_drop = kill;
        self
    }

    /// Std's command.
    pub fn as_std(&self) -> &std_process::Command {
        &self.std
    }

    /// Std's command, for what it has more.
    ///
    /// Set streams by the methods here, since [`output`](Self::output) pipes what these have not
    /// set.
    pub fn as_std_mut(&mut self) -> &mut std_process::Command {
        &mut self.std
    }

    /// Std's command.
    pub fn into_std(self) -> std_process::Command {
        self.std
    }

    /// Starts the program, which takes as long as the system needs for it.
    ///
    /// Its pipes belong to the runtime that this thread is in, or to the global one.
    ///
    /// # Errors
    ///
    /// As [`std::process::Command::spawn`]; or if the runtime has ended and cannot watch the pipes,
    /// in which case the child is killed.
    pub fn spawn(&mut self) -> io::Result<Child> {
        for (stream, set) in STREAMS.into_iter().zip(self.set) {
            if set == Set::Output {
                stream(&mut self.std, Stdio::inherit());
            }
        }
        self.start()
    }

    fn start(&mut self) -> io::Result<Child> {
        orphans::reap();
        Child::new(executor::usually(|| self.std.spawn())?, self.kill_on_drop)
    }

    /// Starts the program now, and waits for its end.
    ///
    /// # Errors
    ///
    /// As [`spawn`](Self::spawn) and [`Child::wait`].
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, it drops the [`Child`].
    pub fn status(&mut self) -> impl Future<Output = io::Result<ExitStatus>> + use<> {
        let child = self.spawn();
        async {
            let mut child = child?;
            // Nobody will read them, and a pipe that is full would hold the child for ever.
            drop((child.stdout.take(), child.stderr.take()));
            child.wait().await
        }
    }

    /// Starts the program now, waits for its end, and gives all that it has written.
    ///
    /// What was not set otherwise is piped, and stdin is empty.
    ///
    /// # Errors
    ///
    /// As [`spawn`](Self::spawn) and [`Child::wait_with_output`].
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, it drops the [`Child`].
    pub fn output(&mut self) -> impl Future<Output = io::Result<Output>> + use<> {
        let wanted = [Stdio::null(), Stdio::piped(), Stdio::piped()];
        for ((stream, set), wanted) in STREAMS.into_iter().zip(&mut self.set).zip(wanted) {
            if *set != Set::User {
                stream(&mut self.std, wanted);
                *set = Set::Output;
            }
        }
        let child = self.start();
        async { child?.wait_with_output().await }
    }
}

impl From<std_process::Command> for Command {
    fn from(std: std_process::Command) -> Self {
        Self { std, kill_on_drop: false, set: [Set::Std; 3] }
    }
}
