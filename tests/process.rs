//! Child processes: what they read and write, how their end is known, and that none is left.
#![cfg(all(unix, feature = "process"))]

mod support;

use std::future::Future;
use std::os::unix::process::ExitStatusExt;
use std::pin::pin;
use std::process::Command as StdCommand;
use std::sync::{Arc, mpsc};
use std::task::{Wake, Waker};
use std::thread;
use std::time::Duration;

use annulus::process::{Child, Command, Stdio};
use annulus::{Builder, Runtime, spawn, time};
use futures_lite::future::poll_once;
use futures_lite::io::{AsyncReadExt, AsyncWriteExt};

fn runtime(workers: usize) -> Runtime {
    Builder::new().worker_threads(workers).build().unwrap()
}

fn sh(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

/// A child that runs until it is killed.
fn endless() -> Command {
    let mut command = Command::new("sleep");
    command.arg("600");
    command
}

/// Whether there is a process of that number, also one that has ended and is not reaped.
fn is_there(pid: u32) -> bool {
    // SAFETY: signal 0 is none.
    unsafe { libc::kill(pid as libc::pid_t, 0) == 0 }
}

fn kill(pid: u32) {
    // SAFETY: the process is a child of this test.
    assert_eq!(unsafe { libc::kill(pid as libc::pid_t, libc::SIGKILL) }, 0);
}

#[test]
fn programs_start_and_end() {
    for workers in [1, 2] {
        runtime(workers).block_on(async {
            let output = sh("echo out; echo err >&2; exit 3").output().await.unwrap();
            assert_eq!(output.status.code(), Some(3));
            assert_eq!((&output.stdout[..], &output.stderr[..]), (&b"out\n"[..], &b"err\n"[..]));
            assert!(sh("exit 0").status().await.unwrap().success());
            let mut set = sh("test \"$ONE$TWO$THREE\" = 12 && test \"$PWD\" = / && cat");
            set.env("ONE", "1").envs([("TWO", "2"), ("THREE", "3")]).env_remove("THREE");
            assert!(set.current_dir("/").output().await.unwrap().status.success());
            let theirs = StdCommand::new("no/such/program").spawn().unwrap_err();
            let ours = Command::new("no/such/program").spawn().unwrap_err();
            assert_eq!((ours.kind(), ours.to_string()), (theirs.kind(), theirs.to_string()));
            let error = Command::new("no/such/program").status().await.unwrap_err();
            assert_eq!(error.to_string(), theirs.to_string());
        });
    }
}

#[test]
fn megabytes_on_both_streams() {
    runtime(2).block_on(async {
        // Whoever read one to its end before the other would wait for ever, one way or the other.
        for (first, second) in [("", ">&2"), (">&2", "")] {
            let script =
                format!("head -c 3000000 /dev/zero {first}; head -c 4000000 /dev/zero {second}");
            let output = sh(&script).output().await.unwrap();
            let mut lengths = [output.stdout.len(), output.stderr.len()];
            lengths.sort();
            assert_eq!(lengths, [3_000_000, 4_000_000]);
        }
    });
}

#[test]
fn megabytes_through_a_child_and_back() {
    for workers in [1, 2] {
        runtime(workers).block_on(async {
            let mut cat = Command::new("cat");
            let mut child = cat.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
            let bytes: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
            let mut stdin = child.stdin.take().unwrap();
            let sent = bytes.clone();
            let writer = spawn(async move {
                AsyncWriteExt::write_all(&mut stdin, &sent).await.unwrap();
                stdin.close().await.unwrap();
                // Closed is closed.
                let error = stdin.write(b"x").await.unwrap_err();
                assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
            });
            let mut back = Vec::new();
            let mut stdout = child.stdout.take().unwrap();
            AsyncReadExt::read_to_end(&mut stdout, &mut back).await.unwrap();
            assert!(back == bytes);
            writer.await.unwrap();
            assert!(child.wait().await.unwrap().success());
        });
    }
}

#[test]
fn a_child_that_reads_no_more() {
    runtime(1).block_on(async {
        let mut child = sh("exec true").stdin(Stdio::piped()).spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        child.wait().await.unwrap();
        // The children of other tests have the pipe's other end until they execute something.
        let error = loop {
            if let Err(error) = stdin.write_all(b"x").await {
                break error;
            }
            annulus::yield_now().await;
        };
        assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
        // What waits for more input ends when it is waited for.
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        assert!(child.wait().await.unwrap().success());
    });
}

#[test]
fn a_wait_that_is_given_up_changes_nothing() {
    runtime(2).block_on(async {
        let mut child = endless().spawn().unwrap();
        let pid = child.id().unwrap();
        for _ in 0..100 {
            assert!(poll_once(child.wait()).await.is_none());
        }
        assert!(time::timeout(Duration::from_millis(1), child.wait()).await.is_err());
        assert_eq!(child.try_wait().unwrap(), None);
        assert_eq!(child.id(), Some(pid));
        kill(pid);
        assert_eq!(child.wait().await.unwrap().signal(), Some(libc::SIGKILL));
        // Once known, it stays known.
        assert_eq!(child.wait().await.unwrap().signal(), Some(libc::SIGKILL));
        assert_eq!(child.try_wait().unwrap().unwrap().signal(), Some(libc::SIGKILL));
        assert_eq!(child.id(), None);
        child.start_kill().unwrap();
        assert!(!is_there(pid));
    });
}

#[test]
fn a_kill_waits_for_the_end() {
    runtime(1).block_on(async {
        let mut child = endless().spawn().unwrap();
        let pid = child.id().unwrap();
        child.kill().await.unwrap();
        assert!(!is_there(pid));
        assert_eq!(child.wait().await.unwrap().signal(), Some(libc::SIGKILL));
    });
}

#[test]
fn many_children_at_once() {
    runtime(2).block_on(async {
        let children: Vec<_> = (0..50)
            .map(|n| {
                spawn(async move {
                    let output = sh(&format!("echo {n}; exit {n}")).output().await.unwrap();
                    assert_eq!(output.stdout, format!("{n}\n").into_bytes());
                    output.status.code().unwrap()
                })
            })
            .collect();
        for (n, child) in children.into_iter().enumerate() {
            assert_eq!(child.await.unwrap(), n as i32);
        }
    });
}

#[test]
fn children_write_to_each_other() {
    runtime(2).block_on(async {
        // Late, so that the reader has to wait.
        let script = "sleep 0.1; printf 'b\\na\\n'; echo none >&2";
        let mut one = sh(script).stdout(Stdio::piped()).spawn_quiet();
        let between = Stdio::try_from(one.stdout.take().unwrap()).unwrap();
        let sort = Command::new("sort").stdin(between).output().await.unwrap();
        assert_eq!(sort.stdout, b"a\nb\n");
        assert_eq!(one.wait_with_output().await.unwrap().stderr, b"none\n");
        // The other way: the first writes where the second reads.
        let mut cat = Command::new("cat");
        let mut two = cat.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let between = Stdio::try_from(two.stdin.take().unwrap()).unwrap();
        assert!(sh("echo there").stdout(between).status().await.unwrap().success());
        assert_eq!(two.wait_with_output().await.unwrap().stdout, b"there\n");
    });
}

/// A start with stderr piped.
trait SpawnQuiet {
    fn spawn_quiet(&mut self) -> Child;
}

impl SpawnQuiet for Command {
    fn spawn_quiet(&mut self) -> Child {
        self.stderr(Stdio::piped()).spawn().unwrap()
    }
}

#[test]
fn an_output_sets_nothing_for_later() {
    runtime(1).block_on(async {
        let mut command = sh("cat; exit 7");
        assert_eq!(command.output().await.unwrap().status.code(), Some(7));
        let mut child = command.stdin(Stdio::null()).spawn().unwrap();
        assert!(child.stdin.is_none() && child.stdout.is_none() && child.stderr.is_none());
        assert_eq!(child.wait().await.unwrap().code(), Some(7));
        // What the user has set stays, and what std's command has, for a start.
        let output = command.stdout(Stdio::null()).output().await.unwrap();
        assert!(output.stdout.is_empty());
        let mut std = StdCommand::new("echo");
        std.arg("x").stdout(Stdio::piped());
        let child = Command::from(std).spawn().unwrap();
        assert_eq!(child.wait_with_output().await.unwrap().stdout, b"x\n");
        let mut command = sh("test $0 = name");
        command.as_std_mut().arg("name");
        assert!(command.status().await.unwrap().success());
        assert_eq!(command.as_std().get_program(), "sh");
        assert!(command.into_std().status().unwrap().success());
    });
}

#[test]
fn a_drop_kills_if_it_was_told_to() {
    runtime(2).block_on(async {
        let mut command = endless();
        let mut child = command.kill_on_drop(true).stdout(Stdio::piped()).spawn().unwrap();
        let stdout = child.stdout.take().unwrap();
        drop(child);
        // The end comes when nobody has the other end any more.
        assert_eq!(stdout.read(&mut [0]).await.unwrap(), 0);
        // So does the drop of a future that has the child.
        let mut command = sh("echo begun >&2; exec sleep 600");
        let output = command.kill_on_drop(true).stderr(Stdio::null()).output();
        assert!(time::timeout(Duration::from_millis(1), output).await.is_err());
    });
}

#[test]
fn a_child_that_is_dropped_goes_on() {
    runtime(2).block_on(async {
        let mut cat = Command::new("cat");
        let mut child = cat.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        drop(child);
        stdin.write_all(b"still there").await.unwrap();
        drop(stdin);
        let mut back = Vec::new();
        stdout.read_to_end(&mut back).await.unwrap();
        assert_eq!(back, b"still there");
    });
}

/// Where the reactor cannot tell, as here where the runtime is gone, a thread does.
#[test]
fn without_a_reactor_a_thread_waits() {
    let first = runtime(1);
    let handle = first.handle();
    let mut child = first.block_on(async { endless().spawn().unwrap() });
    drop(first);
    let pid = child.id().unwrap();
    handle.block_on(async {
        for _ in 0..3 {
            assert!(poll_once(child.wait()).await.is_none());
        }
    });
    let killer = thread::spawn(move || kill(pid));
    // Also on any other executor.
    assert_eq!(support::block_on(child.wait()).unwrap().signal(), Some(libc::SIGKILL));
    killer.join().unwrap();
    // There, pipes cannot be watched, and the child is killed.
    handle.block_on(async {
        let error = endless().stdout(Stdio::piped()).spawn().unwrap_err();
        assert!(error.to_string().contains("has ended"), "{error}");
    });
}

/// Wakers are code of others, which may take its room on the stack.
#[test]
fn who_is_told_by_a_thread_has_room() {
    struct Deep(mpsc::Sender<()>);
    impl Wake for Deep {
        fn wake(self: Arc<Self>) {
            std::hint::black_box([0_u8; 512 << 10]);
            self.0.send(()).unwrap();
        }
    }
    let first = runtime(1);
    let handle = first.handle();
    let mut child = first.block_on(async { endless().spawn().unwrap() });
    drop(first);
    let _inside = handle.enter();
    let (tx, woken) = mpsc::channel();
    let pid = child.id().unwrap();
    let mut wait = pin!(child.wait());
    let waker = Waker::from(Arc::new(Deep(tx)));
    assert!(support::poll_with(wait.as_mut(), &waker).is_pending());
    kill(pid);
    woken.recv().unwrap();
    assert_eq!(support::now(wait).unwrap().signal(), Some(libc::SIGKILL));
}

#[test]
fn a_wait_outlives_its_runtime() {
    let first = runtime(1);
    let mut child = endless().spawn().unwrap();
    let pid = child.id().unwrap();
    {
        let mut wait = pin!(child.wait());
        // It begins in the first runtime.
        assert!(first.block_on(poll_once(wait.as_mut())).is_none());
        drop(first);
        let error = support::block_on(wait).unwrap_err();
        assert!(error.to_string().contains("has ended"), "{error}");
    }
    assert_eq!(child.try_wait().unwrap(), None);
    runtime(1).block_on(async {
        assert!(poll_once(child.wait()).await.is_none());
        kill(pid);
        assert_eq!(child.wait().await.unwrap().signal(), Some(libc::SIGKILL));
    });
}

#[test]
fn a_wait_goes_on_in_another_runtime() {
    let first = runtime(1);
    // If this fails, no process is left.
    let mut child = endless().kill_on_drop(true).spawn().unwrap();
    let pid = child.id().unwrap();
    assert!(first.block_on(poll_once(child.wait())).is_none());
    drop(first);
    runtime(1).block_on(async {
        let mut wait = pin!(child.wait());
        assert!(poll_once(wait.as_mut()).await.is_none());
        kill(pid);
        assert_eq!(wait.await.unwrap().signal(), Some(libc::SIGKILL));
    });
}

/// Its number may be another's, so nothing is done to that.
#[test]
fn a_child_that_others_have_reaped_has_no_number() {
    runtime(1).block_on(async {
        let mut child = endless().kill_on_drop(true).spawn().unwrap();
        let pid = child.id().unwrap();
        kill(pid);
        // SAFETY: the status is not asked for.
        let reaped = unsafe { libc::waitpid(pid as libc::pid_t, std::ptr::null_mut(), 0) };
        assert_eq!(reaped, pid as libc::pid_t);
        // It would be an error to signal a process that is not there.
        child.start_kill().unwrap();
        assert_eq!(child.id(), None);
        assert_eq!(child.try_wait().unwrap_err().raw_os_error(), Some(libc::ECHILD));
        assert_eq!(child.wait().await.unwrap_err().raw_os_error(), Some(libc::ECHILD));
    });
}

/// Threads that run tasks are woken on time, which others are not to be.
#[cfg(target_os = "linux")]
#[test]
fn children_and_what_blocks_have_the_usual_slack() {
    const SLACK: &str = "/proc/self/timerslack_ns";
    let std = || std::process::Command::new("cat").arg(SLACK).output().unwrap().stdout;
    let ours = || async { Command::new("cat").arg(SLACK).output().await.unwrap().stdout };
    let usual = std();
    assert_ne!(usual, b"1\n", "this thread is punctual");
    let runtime = runtime(1);
    runtime.block_on(async {
        // A sleep makes this thread punctual.
        time::sleep(Duration::from_millis(1)).await;
        assert_eq!(ours().await, usual, "in block_on");
        assert_eq!(annulus::spawn(async move { ours().await }).await.unwrap(), usual, "in a task");
        // The thread is started by this one, or was by a worker.
        assert_eq!(annulus::spawn_blocking(std).await.unwrap(), usual, "on the pool");
        // It goes on as before.
        assert_eq!(std(), b"1\n");
    });
    assert_eq!(std(), usual);
}

#[test]
fn futures_of_a_command_own_what_they_need() {
    fn goes_anywhere<F: Future + Send + 'static>(future: F) -> F {
        future
    }
    let status = goes_anywhere(sh("exit 2").status());
    let output = goes_anywhere(sh("exit 4").output());
    assert_eq!(support::block_on(status).unwrap().code(), Some(2));
    assert_eq!(support::block_on(output).unwrap().status.code(), Some(4));
}
