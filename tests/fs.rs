//! Files: the same bytes as std's, whatever is given up half way, and what the end leaves.
#![cfg(feature = "fs")]

mod support;

use std::fs as std_fs;
use std::future::Future;
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::{Arc, mpsc};
use std::task::{Context, Waker};
use std::thread;

use annulus::fs::{self, File, OpenOptions};
use annulus::{Builder, Runtime};
use futures_lite::future::poll_once;
use futures_lite::io::{AsyncBufReadExt, AsyncReadExt, AsyncSeekExt, AsyncWriteExt, BufReader};
use futures_lite::stream::StreamExt;

/// A directory that is there as long as this.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fs-{name}"));
        let _ = std_fs::remove_dir_all(&path);
        std_fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std_fs::remove_dir_all(&self.0);
    }
}

fn runtime(workers: usize) -> Runtime {
    Builder::new().worker_threads(workers).build().unwrap()
}

/// Polls once and gives up.
fn give_up(future: impl Future) {
    let _ = pin!(future).poll(&mut Context::from_waker(Waker::noop()));
}

/// Begins a read and gives up before it is ready.
async fn give_up_read(file: &mut File, most: usize) {
    let mut buf = vec![0; most];
    while let Some(read) = poll_once(file.read(&mut buf)).await {
        // It was too fast.
        file.seek(SeekFrom::Current(-(read.unwrap() as i64))).await.unwrap();
    }
}

fn numbers(count: usize) -> Vec<u8> {
    (0..count).map(|n| (n % 251) as u8).collect()
}

#[test]
fn the_functions_do_what_those_of_std_do() {
    let dir = Dir::new("functions");
    let (one, other, deep) = (dir.join("one"), dir.join("other"), dir.join("a/b/c"));
    runtime(2).block_on(async {
        fs::write(&one, "text").await.unwrap();
        assert_eq!(fs::read(&one).await.unwrap(), b"text");
        assert_eq!(fs::read_to_string(&one).await.unwrap(), "text");
        assert_eq!(fs::copy(&one, &other).await.unwrap(), 4);
        assert_eq!(fs::metadata(&other).await.unwrap().len(), 4);
        fs::remove_file(&one).await.unwrap();
        assert!(!fs::try_exists(&one).await.unwrap());
        fs::rename(&other, &one).await.unwrap();
        assert!(fs::try_exists(&one).await.unwrap() && !fs::try_exists(&other).await.unwrap());
        fs::hard_link(&one, &other).await.unwrap();
        fs::write(&one, "more").await.unwrap();
        assert_eq!(fs::read(&other).await.unwrap(), b"more");
        fs::create_dir_all(&deep).await.unwrap();
        fs::create_dir(deep.join("d")).await.unwrap();
        fs::remove_dir(deep.join("d")).await.unwrap();
        assert_eq!(fs::remove_dir(dir.join("a")).await.unwrap_err().kind(), std_kind(&dir));
        let way = fs::canonicalize(deep.join("../../../one")).await.unwrap();
        assert_eq!(way, std_fs::canonicalize(&one).unwrap());
        fs::remove_dir_all(dir.join("a")).await.unwrap();
        let mut permissions = fs::metadata(&one).await.unwrap().permissions();
        permissions.set_readonly(true);
        fs::set_permissions(&one, permissions).await.unwrap();
        assert!(std_fs::metadata(&one).unwrap().permissions().readonly());
        #[cfg(unix)]
        {
            let link = dir.join("link");
            fs::symlink(&one, &link).await.unwrap();
            assert_eq!(fs::read_link(&link).await.unwrap(), one);
            assert!(fs::symlink_metadata(&link).await.unwrap().is_symlink());
            assert!(!fs::metadata(&link).await.unwrap().is_symlink());
        }
        let ours = fs::read(dir.join("none")).await.unwrap_err();
        let theirs = std_fs::read(dir.join("none")).unwrap_err();
        assert_eq!((ours.kind(), ours.to_string()), (theirs.kind(), theirs.to_string()));
    });
}

/// What std says of the removal of a directory that is not empty.
fn std_kind(dir: &Dir) -> ErrorKind {
    std_fs::remove_dir(&dir.0).unwrap_err().kind()
}

/// The same operations on a file of ours and one of std's; each of ours may be given up first.
#[test]
fn any_mixture_of_operations_is_what_std_does() {
    let dir = Dir::new("mixture");
    runtime(2).block_on(async {
        for round in 0..100_u64 {
            let mut random = round + 1;
            let mut below = |most: usize| {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                (random % most as u64) as usize
            };
            let paths = [dir.join("ours"), dir.join("theirs")];
            for path in &paths {
                std_fs::write(path, numbers(1000)).unwrap();
            }
            let mut options = std_fs::File::options();
            let mut theirs = options.read(true).write(true).open(&paths[1]).unwrap();
            let mut ours = OpenOptions::from(options).open(&paths[0]).await.unwrap();
            for _ in 0..40 {
                let count = 1 + below(100);
                match below(5) {
                    0 | 1 => {
                        let (mut here, mut there) = (vec![0; count], vec![0; count]);
                        if below(2) == 0 {
                            give_up_read(&mut ours, 1 + below(150)).await;
                        }
                        let mut have = 0;
                        while have < count {
                            match ours.read(&mut here[have..]).await.unwrap() {
                                // A read that was given up may have found this end, and more may
                                // have been written since; it is asked again.
                                0 if ours.read(&mut here[have..have + 1]).await.unwrap() == 0 => {
                                    break;
                                }
                                0 => have += 1,
                                some => have += some,
                            }
                        }
                        let want = read_full(&mut theirs, &mut there);
                        assert_eq!(here[..have], there[..want]);
                    }
                    2 => {
                        if below(2) == 0 {
                            give_up_read(&mut ours, 1 + below(150)).await;
                        }
                        let bytes = vec![below(256) as u8; count];
                        ours.write_all(&bytes).await.unwrap();
                        theirs.write_all(&bytes).unwrap();
                    }
                    3 => {
                        if below(2) == 0 {
                            give_up_read(&mut ours, 1 + below(150)).await;
                        }
                        let to = match below(3) {
                            0 => SeekFrom::Start(below(1200) as u64),
                            1 => SeekFrom::Current(below(50) as i64),
                            _ => SeekFrom::End(-(below(900) as i64)),
                        };
                        assert_eq!(ours.seek(to).await.unwrap(), theirs.seek(to).unwrap());
                    }
                    _ => {
                        let len = ours.metadata().await.unwrap().len();
                        assert_eq!(len, theirs.metadata().unwrap().len());
                    }
                }
            }
            ours.flush().await.unwrap();
            assert_eq!(std_fs::read(&paths[0]).unwrap(), std_fs::read(&paths[1]).unwrap());
            give_up_read(&mut ours, 7).await;
            let mut ours = ours.into_std().await.unwrap();
            assert_eq!(ours.stream_position().unwrap(), theirs.stream_position().unwrap());
        }
    });
}

fn read_full(file: &mut std_fs::File, buf: &mut [u8]) -> usize {
    let mut have = 0;
    while have < buf.len() {
        match file.read(&mut buf[have..]).unwrap() {
            0 => break,
            some => have += some,
        }
    }
    have
}

#[test]
fn reads_that_are_given_up_lose_no_bytes() {
    let dir = Dir::new("given-up");
    std_fs::write(dir.join("file"), numbers(100_000)).unwrap();
    for workers in [1, 2] {
        runtime(workers).block_on(async {
            let mut file = File::open(dir.join("file")).await.unwrap();
            let mut all = Vec::new();
            loop {
                give_up_read(&mut file, 1234).await;
                if all.len() % 2 == 0 {
                    // Time for it to be over, or not.
                    annulus::spawn_blocking(|| ()).await.unwrap();
                }
                let mut buf = [0; 777];
                match file.read(&mut buf).await.unwrap() {
                    0 => break,
                    count => all.extend_from_slice(&buf[..count]),
                }
            }
            assert!(all == numbers(100_000));
        });
    }
}

#[test]
fn the_traits_of_futures_io_work() {
    let dir = Dir::new("traits");
    runtime(2).block_on(async {
        let mut file = File::create_new(dir.join("file")).await.unwrap();
        assert_eq!(
            File::create_new(dir.join("file")).await.unwrap_err().kind(),
            ErrorKind::AlreadyExists
        );
        // More than goes at once.
        let bytes = numbers(1_000_000);
        AsyncWriteExt::write_all(&mut file, &bytes).await.unwrap();
        AsyncWriteExt::close(&mut file).await.unwrap();
        assert!(std_fs::read(dir.join("file")).unwrap() == bytes);
        let mut file = File::open(dir.join("file")).await.unwrap();
        let mut read = Vec::new();
        AsyncReadExt::read_to_end(&mut file, &mut read).await.unwrap();
        assert!(read == bytes);
        assert_eq!(AsyncSeekExt::seek(&mut file, SeekFrom::End(-1)).await.unwrap(), 999_999);
        let mut last = [0; 1];
        file.read_exact(&mut last).await.unwrap();
        assert_eq!(last[0], bytes[999_999]);
        assert_eq!(file.read(&mut last).await.unwrap(), 0);
        assert_eq!(file.read_exact(&mut last).await.unwrap_err().kind(), ErrorKind::UnexpectedEof);

        let mut log = File::options().append(true).open(dir.join("file")).await.unwrap();
        log.set_len(0).await.unwrap();
        let parts = [std::io::IoSlice::new(b"one\nt"), std::io::IoSlice::new(b"wo\n")];
        assert_eq!(AsyncWriteExt::write_vectored(&mut log, &parts).await.unwrap(), 8);
        log.sync_all().await.unwrap();
        let lines = BufReader::new(File::open(dir.join("file")).await.unwrap()).lines();
        let lines: Vec<_> = lines.map(Result::unwrap).collect().await;
        assert_eq!(lines, ["one", "two"]);
    });
}

#[test]
fn the_error_of_a_write_comes_with_what_is_next() {
    let dir = Dir::new("errors");
    std_fs::write(dir.join("file"), "text").unwrap();
    runtime(1).block_on(async {
        let mut file = File::open(dir.join("file")).await.unwrap();
        let refusal = || (&std_fs::File::open(dir.join("file")).unwrap()).write(b"x").unwrap_err();
        let same = |error: std::io::Error| assert_eq!(error.to_string(), refusal().to_string());
        // It may not be written; the write itself does not know.
        assert_eq!(file.write(b"x").await.unwrap(), 1);
        same(file.flush().await.unwrap_err());
        // Once told, it is over.
        file.flush().await.unwrap();
        file.write_all(b"x").await.unwrap();
        same(file.write(b"y").await.unwrap_err());
        file.write_all(b"x").await.unwrap();
        // A read has nothing to do with it.
        let mut buf = [0; 4];
        file.read_exact(&mut buf).await.unwrap();
        assert_eq!(&buf, b"text");
        same(file.sync_data().await.unwrap_err());
        file.write_all(b"x").await.unwrap();
        same(file.into_std().await.unwrap_err());
    });
}

#[test]
fn clones_and_std_go_on_where_this_was() {
    let dir = Dir::new("clones");
    std_fs::write(dir.join("file"), "0123456789").unwrap();
    runtime(2).block_on(async {
        let mut file = File::open(dir.join("file")).await.unwrap();
        let mut buf = [0; 2];
        file.read_exact(&mut buf).await.unwrap();
        give_up_read(&mut file, 5).await;
        let mut clone = file.try_clone().await.unwrap();
        clone.read_exact(&mut buf).await.unwrap();
        assert_eq!(&buf, b"23");
        give_up_read(&mut clone, 3).await;
        // An operation that was given up still has the file.
        give_up(clone.sync_all());
        let mut std = clone.into_std().await.unwrap();
        std.read_exact(&mut buf).unwrap();
        assert_eq!(&buf, b"45");
        let mut again = File::from(std);
        again.read_exact(&mut buf).await.unwrap();
        assert_eq!(&buf, b"67");
    });
}

/// What has no position keeps what was read, whatever is written in between.
#[cfg(unix)]
#[test]
fn a_stream_as_a_file_loses_nothing() {
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;
    runtime(2).block_on(async {
        let (mut one, other) = UnixStream::pair().unwrap();
        let mut file = File::from(std_fs::File::from(OwnedFd::from(other)));
        assert!(poll_once(file.read(&mut [0; 5])).await.is_none());
        one.write_all(b"question").unwrap();
        file.try_clone().await.unwrap();
        file.write_all(b"answer").await.unwrap();
        file.flush().await.unwrap();
        let mut buf = [0; 8];
        file.read_exact(&mut buf).await.unwrap();
        assert_eq!(&buf, b"question");
        one.read_exact(&mut buf[..6]).unwrap();
        assert_eq!(&buf[..6], b"answer");
        assert_eq!(file.seek(SeekFrom::Start(0)).await.unwrap_err().kind(), ErrorKind::NotSeekable);
    });
}

#[test]
fn a_directory_is_listed_once_whatever_is_given_up() {
    let dir = Dir::new("listing");
    for n in 0..100 {
        std_fs::write(dir.join(&n.to_string()), "").unwrap();
    }
    runtime(2).block_on(async {
        let mut entries = fs::read_dir(&dir.0).await.unwrap();
        let mut names = Vec::new();
        loop {
            // One that is ready is taken, since it is no dropped future's.
            if let Some(ready) = poll_once(entries.next_entry()).await {
                let Some(entry) = ready.unwrap() else { break };
                names.push(entry);
            }
            let Some(entry) = entries.next_entry().await.unwrap() else { break };
            assert_eq!(entry.path().parent().unwrap(), dir.0);
            assert!(entry.file_type().await.unwrap().is_file());
            assert_eq!(entry.metadata().await.unwrap().len(), 0);
            names.push(entry);
        }
        assert!(entries.next_entry().await.unwrap().is_none());
        let numbers = names.iter().map(|entry| entry.file_name().into_string().unwrap());
        let mut numbers: Vec<u32> = numbers.map(|name| name.parse().unwrap()).collect();
        numbers.sort();
        assert!(numbers.into_iter().eq(0..100));
    });
}

#[test]
fn any_executor_can_use_files() {
    let dir = Dir::new("foreign");
    support::block_on(async {
        let mut file = File::create(dir.join("file")).await.unwrap();
        file.write_all(b"text").await.unwrap();
        file.flush().await.unwrap();
        assert_eq!(fs::read_to_string(dir.join("file")).await.unwrap(), "text");
    });
}

/// One thread, which is at work: what has not begun waits.
#[test]
fn a_full_pool_keeps_operations_waiting() {
    let dir = Dir::new("full");
    let runtime = Builder::new().worker_threads(1).max_blocking_threads(1).build().unwrap();
    let (release, released) = mpsc::channel::<()>();
    let blocked = runtime.spawn_blocking(move || released.recv().unwrap());
    runtime.block_on(async {
        let path = dir.join("file");
        let mut write = pin!(fs::write(&path, "text"));
        for _ in 0..100 {
            assert!(poll_once(&mut write).await.is_none());
            annulus::yield_now().await;
        }
        assert!(!path.exists());
        // An operation that was given up and waits comes before what is done with std's file.
        let file = File::from_std(std_fs::File::create(dir.join("other")).unwrap());
        give_up(file.set_len(0));
        let mut into_std = pin!(file.into_std());
        assert!(poll_once(&mut into_std).await.is_none());
        release.send(()).unwrap();
        into_std.await.unwrap();
        write.await.unwrap();
        assert_eq!(std_fs::read(&path).unwrap(), b"text");
        blocked.await.unwrap();
    });
}

/// A pool runs what writes before all else, but not before what its file had begun earlier.
#[test]
fn what_was_given_up_comes_before_what_is_begun_later() {
    let dir = Dir::new("order");
    let path = dir.join("file");
    let runtime = Builder::new().worker_threads(1).max_blocking_threads(1).build().unwrap();
    runtime.block_on(async {
        let mut file = File::create(&path).await.unwrap();
        let (free, freed) = mpsc::channel::<()>();
        let blocker = annulus::spawn_blocking(move || freed.recv());
        give_up(file.set_len(0));
        let mut write = pin!(async {
            file.write_all(b"text").await.unwrap();
            file.flush().await.unwrap();
        });
        assert!(poll_once(&mut write).await.is_none());
        free.send(()).unwrap();
        write.await;
        // It takes its turn after all that was begun before.
        assert_eq!(fs::read(&path).await.unwrap(), b"text");
        blocker.await.unwrap().unwrap();
    });
}

/// One that is begun and not polled keeps no other waiting, nor does one that waits for its turn.
#[test]
fn operations_do_not_wait_for_a_caller_who_looks_away() {
    let dir = Dir::new("away");
    let runtime = Builder::new().worker_threads(1).max_blocking_threads(1).build().unwrap();
    runtime.block_on(async {
        let mut file = File::create(dir.join("file")).await.unwrap();
        let (free, freed) = mpsc::channel::<()>();
        let (begin, begun) = mpsc::channel();
        let blocker = annulus::spawn_blocking(move || {
            begin.send(()).unwrap();
            freed.recv()
        });
        // Else the write might come before it.
        begun.recv().unwrap();
        file.write_all(b"text").await.unwrap();
        let mut waits = pin!(file.metadata());
        assert!(poll_once(&mut waits).await.is_none());
        let mut clone = pin!(file.try_clone());
        assert!(poll_once(&mut clone).await.is_none());
        let mut begins = pin!(file.set_len(5));
        assert!(poll_once(&mut begins).await.is_none());
        free.send(()).unwrap();
        begins.as_mut().await.unwrap();
        assert_eq!(file.metadata().await.unwrap().len(), 5);
        assert_eq!(waits.await.unwrap().len(), 5);
        clone.await.unwrap();
        blocker.await.unwrap().unwrap();
    });
}

/// Many at once by one reference, from several threads: each has its turn, and is told of it.
#[test]
fn one_file_serves_many_tasks() {
    let dir = Dir::new("many");
    let runtime = runtime(2);
    let file = Arc::new(runtime.block_on(File::create(dir.join("file"))).unwrap());
    runtime.block_on(async {
        let tasks: Vec<_> = (0..8)
            .map(|n| {
                let file = Arc::clone(&file);
                annulus::spawn(async move {
                    for round in 0..50 {
                        file.set_len(n * 100 + round).await.unwrap();
                        give_up(file.sync_data());
                        assert!(file.metadata().await.unwrap().len() < 800);
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
}

/// What was the end for a call that was given up is not the end for the next.
#[test]
fn a_file_that_grows_has_a_new_end() {
    let dir = Dir::new("grows");
    let path = dir.join("file");
    std_fs::write(&path, "").unwrap();
    let runtime = Builder::new().worker_threads(1).max_blocking_threads(1).build().unwrap();
    runtime.block_on(async {
        let mut file = File::open(&path).await.unwrap();
        let mut buf = [0; 8];
        let hold = || {
            let (free, freed) = mpsc::channel::<()>();
            drop(annulus::spawn_blocking(move || freed.recv()));
            free
        };
        let grow = |text| {
            let path = path.clone();
            // The only thread of the pool has done before what was given up.
            annulus::spawn_blocking(move || {
                let mut file = std_fs::File::options().append(true).open(path).unwrap();
                file.write_all(text).unwrap();
            })
        };
        let held = hold();
        give_up(file.read(&mut buf));
        drop(held);
        grow(b"one").await.unwrap();
        assert_eq!(file.read(&mut buf).await.unwrap(), 3);
        assert_eq!(file.read(&mut buf).await.unwrap(), 0);

        let held = hold();
        give_up(file.seek(SeekFrom::End(0)));
        drop(held);
        grow(b"two").await.unwrap();
        assert_eq!(file.seek(SeekFrom::End(0)).await.unwrap(), 6);

        // By the traits, too, after one call in vain.
        let held = hold();
        give_up(AsyncReadExt::read(&mut file, &mut buf));
        drop(held);
        grow(b"three").await.unwrap();
        assert_eq!(AsyncReadExt::read(&mut file, &mut buf).await.unwrap(), 0);
        assert_eq!(AsyncReadExt::read(&mut file, &mut buf).await.unwrap(), 5);
    });
}

/// The end comes while a write of a file's and other operations wait for a thread: the write
/// happens, the rest does not.
#[test]
fn what_a_file_has_taken_on_is_written_at_the_end() {
    let dir = Dir::new("end");
    let runtime = Builder::new().worker_threads(1).max_blocking_threads(1).build().unwrap();
    let mut file = runtime.block_on(File::create(dir.join("file"))).unwrap();
    let mut reads = runtime.block_on(File::create_new(dir.join("empty"))).unwrap();
    let (release, released) = mpsc::channel::<()>();
    let (begun, has_begun) = mpsc::channel();
    drop(runtime.spawn_blocking(move || {
        begun.send(()).unwrap();
        released.recv().unwrap();
    }));
    has_begun.recv().unwrap();
    runtime.block_on(async {
        file.write_all(b"promised").await.unwrap();
        give_up(fs::write(dir.join("other"), "not promised"));
        give_up(reads.read(&mut [0; 4]));
    });
    let handle = runtime.handle();
    let queued = runtime.spawn_blocking(|| ());
    let end = thread::spawn(move || drop(runtime));
    // The end has begun when it has dropped the closure.
    assert!(support::block_on(queued).unwrap_err().is_cancelled());
    let ended = |error: std::io::Error| assert!(error.to_string().contains("has ended"), "{error}");
    // Nothing new begins, and no write is taken on.
    ended(handle.block_on(fs::read(dir.join("file"))).unwrap_err());
    ended(support::block_on(async { reads.read(&mut [0; 4]).await }).unwrap_err());
    release.send(()).unwrap();
    end.join().unwrap();
    assert_eq!(std_fs::read(dir.join("file")).unwrap(), b"promised");
    assert!(!dir.join("other").exists());
    handle.block_on(async {
        ended(fs::metadata(&dir.0).await.unwrap_err());
        // It knows that its write has succeeded.
        file.flush().await.unwrap();
        ended(file.write(b"more").await.unwrap_err());
    });
    // In another runtime it goes on.
    support::block_on(async {
        file.write_all(b", kept").await.unwrap();
        file.sync_all().await.unwrap();
    });
    assert_eq!(std_fs::read(dir.join("file")).unwrap(), b"promised, kept");
}
