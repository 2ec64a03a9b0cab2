//! Sorts files by child processes: each file is written to a `sort`, and read back sorted.
//!
//! `cargo run --release --example sort_files`
//!
//! ```text
//!   file --read--> stdin  [ sort -n ]  stdout --write--> file.sorted
//! ```
//!
//! There is a task for each file, and a semaphore lets so many children run at once as there are
//! processors. Each task reads and writes at the same time: a child whose output nobody takes stops
//! reading its input. The files are in a directory for this run, which is removed at the end. Last,
//! every file is read again, and must be what sorting in memory gives. Child processes are for Unix.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::available_parallelism;

use annulus::fs::{self, File};
use annulus::process::{Command, Stdio};
use annulus::sync::Semaphore;

/// How many files, and how many numbers in each.
const FILES: u64 = 12;
const LINES: usize = 20_000;

fn main() -> io::Result<()> {
    let dir = std::env::temp_dir().join(format!("annulus-sort-{}", std::process::id()));
    let sorted = annulus::block_on(async {
        fs::create_dir_all(&dir).await?;
        let result = sort_all(&dir).await;
        fs::remove_dir_all(&dir).await?;
        result
    })?;
    println!("{FILES} files with {sorted} numbers are sorted");
    println!("ok");
    Ok(())
}

/// Makes the files, sorts them, and says how many numbers there were.
async fn sort_all(dir: &Path) -> io::Result<usize> {
    for file in 0..FILES {
        fs::write(dir.join(file.to_string()), text(&numbers(file))).await?;
    }
    let children = Arc::new(Semaphore::new(available_parallelism().map_or(1, usize::from)));
    let mut tasks = Vec::new();
    let mut entries = fs::read_dir(dir).await?;
    while let Some(entry) = entries.next_entry().await? {
        let (path, children) = (entry.path(), Arc::clone(&children));
        tasks.push(annulus::spawn(async move {
            let _permit = children.acquire().await;
            sort(path).await
        }));
    }
    for task in tasks {
        task.await.expect("no task panics or is aborted")?;
    }
    let mut count = 0;
    for file in 0..FILES {
        let mut expected = numbers(file);
        expected.sort();
        let sorted = fs::read_to_string(dir.join(format!("{file}.sorted"))).await?;
        assert!(sorted == text(&expected), "file {file} should be sorted");
        count += expected.len();
    }
    Ok(count)
}

/// Sorts one file, by a child.
async fn sort(path: PathBuf) -> io::Result<()> {
    let mut input = File::open(&path).await?;
    let mut output = File::create(path.with_extension("sorted")).await?;
    let mut sort = Command::new("sort")
        .arg("-n")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let stdin = sort.stdin.take().expect("it is piped");
    let stdout = sort.stdout.take().expect("it is piped");
    let feed = async move {
        let mut chunk = vec![0; 64 << 10];
        while let count @ 1.. = input.read(&mut chunk).await? {
            stdin.write_all(&chunk[..count]).await?;
        }
        Ok(()) // and `stdin` is closed, so that the child sees the end
    };
    let drain = async {
        let mut chunk = vec![0; 64 << 10];
        while let count @ 1.. = stdout.read(&mut chunk).await? {
            output.write_all(&chunk[..count]).await?;
        }
        output.flush().await
    };
    annulus::try_join!(feed, drain)?;
    let status = sort.wait().await?;
    assert!(status.success(), "sort should succeed: {status}");
    Ok(())
}

/// Numbers without any order, the same for the same seed.
fn numbers(seed: u64) -> Vec<u64> {
    let mut state = seed + 1;
    let next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    std::iter::repeat_with(next).take(LINES).collect()
}

/// A number a line.
fn text(numbers: &[u64]) -> String {
    numbers.iter().map(|n| format!("{n}\n")).collect()
}
