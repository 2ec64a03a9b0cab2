//! Counts the words of text files with a pipeline: one task reads, several parse, one merges.
//!
//! `cargo run --release --example word_count [FILE OR DIRECTORY]...`
//!
//! ```text
//!                                +--> parse --+
//!   read --chunks (at most 64)---+--> parse --+---tallies---> merge
//!                                +--> parse --+
//! ```
//!
//! **Words.** A word is a longest run of letters and digits (Unicode's alphanumeric characters)
//! and apostrophes (`'` or `’`), without the apostrophes at its ends. Upper and lower case count
//! as the same, and so do the two apostrophes. All else stands between words.
//!
//! **Input.** A directory stands for the regular files in it and below it, in the order of their
//! names. Symbolic links inside it are passed over, so none leads in a circle. Without arguments
//! the novel in `examples/data` is counted. The files must not change meanwhile.
//!
//! **Memory.** The channel of chunks is bounded, so a reader that is too fast waits, and a file
//! of any size needs the space of its different words and some 70 chunks of 4 KiB. A chunk ends
//! after the last character that is not part of a word: neither a word nor a character is cut
//! in two, with line breaks or without. A word longer than a chunk stays whole in a larger one.
//!
//! **Errors.** What cannot be read is named on stderr, everything else is counted, and the exit
//! status is 1. Bytes that are not UTF-8 are no error: each such sequence stands between words,
//! and a warning names the file.
//!
//! Last, the same is counted again without tasks, line by line (a file that is one long line is
//! held whole for that), and the two must agree.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use annulus::channel::{Mpsc, Receiver, Sender, Spmc, mpsc, spmc};
use annulus::{JoinError, block_on, spawn};

/// How many bytes the reader takes at a time, and how many chunks may wait for a parser.
const CHUNK: usize = 4 << 10;
const CAPACITY: usize = 64;

/// The text to count when none is named.
const NOVEL: &str = "examples/data/pride_and_prejudice.txt";

/// How often each word occurs.
type Tally = HashMap<String, u64>;

fn main() -> ExitCode {
    let mut roots: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    if roots.is_empty() {
        roots.push(Path::new(env!("CARGO_MANIFEST_DIR")).join(NOVEL));
    }
    let parsers = available_parallelism().map_or(1, usize::from);

    let start = Instant::now();
    let (input, tally) = block_on(count(roots, parsers)).expect("no task panics or is aborted");
    let together = start.elapsed();

    let start = Instant::now();
    let again = count_sequentially(&input.files).expect("the files can be read a second time");
    let alone = start.elapsed();
    assert!(tally == again, "one thread should count the same; did a file change?");

    match print(&input, &tally, parsers, [together, alone]) {
        // Whoever reads our output may have seen enough of it.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            report(Path::new("stdout"), error);
            ExitCode::FAILURE
        }
        _ if input.problems > 0 => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    }
}

/// Prints the ten most frequent words and the totals.
fn print(input: &Input, tally: &Tally, parsers: usize, times: [Duration; 2]) -> io::Result<()> {
    let mut by_frequency: Vec<_> = tally.iter().collect();
    by_frequency.sort_unstable_by_key(|&(word, n)| (Reverse(n), word));
    let words: u64 = tally.values().sum();
    let bytes: u64 = input.files.iter().map(|file| file.bytes).sum();
    let messages = input.chunks + parsers as u64; // each parser sends one tally
    let [together, alone] = times;
    let rate = |n: u64| n as f64 / together.as_secs_f64();

    let mut out = io::stdout().lock();
    for (word, n) in by_frequency.iter().take(10) {
        writeln!(out, "{n:>8} {word}")?;
    }
    writeln!(out, "words: {words}, of which different: {}", tally.len())?;
    writeln!(out, "files: {}, bytes: {bytes}, messages: {messages}", input.files.len())?;
    writeln!(out, "time: {together:.1?} with {parsers} parsers, {alone:.1?} without tasks")?;
    writeln!(out, "per second: {:.0} words, {:.0} messages", rate(words), rate(messages))?;
    match input.problems {
        0 => writeln!(out, "ok"),
        n => writeln!(out, "incomplete: see stderr for what could not be read ({n})"),
    }
}

/// Names what went wrong. That stderr is gone, too, is no reason to stop.
fn report(path: &Path, what: impl Display) {
    let _ = writeln!(io::stderr(), "word_count: {}: {what}", path.display());
}

/// Sets up the pipeline and waits for its end.
async fn count(roots: Vec<PathBuf>, parsers: usize) -> Result<(Input, Tally), JoinError> {
    let (to_parsers, chunks) = spmc(CAPACITY);
    let (to_merger, tallies) = mpsc(parsers);

    let reader = spawn(read(roots, to_parsers));
    let start_parser = |_| spawn(parse(chunks.clone(), to_merger.clone()));
    let pool: Vec<_> = (0..parsers).map(start_parser).collect();
    let merger = spawn(merge(tallies));
    drop((chunks, to_merger)); // the parsers hold the others

    // Each stage ends when the one before it has: the channel between them closes.
    let input = reader.await?;
    for parser in pool {
        parser.await?;
    }
    Ok((input, merger.await?))
}

/// What the first stage has read.
#[derive(Default)]
struct Input {
    files: Vec<Source>,
    chunks: u64,
    problems: usize,
}

/// A file, and how much of it was sent to the parsers.
struct Source {
    path: PathBuf,
    bytes: u64,
}

/// The first stage: finds the files and sends their text in chunks.
///
/// Reading blocks the worker under it. With files that is short, and the other workers go on.
async fn read(roots: Vec<PathBuf>, mut chunks: Sender<String, Spmc>) -> Input {
    let mut input = Input::default();
    for root in roots {
        let before = (input.files.len(), input.problems);
        let mut todo = vec![root.clone()];
        while let Some(path) = todo.pop() {
            let done = match fs::metadata(&path) {
                Ok(meta) if meta.is_dir() => list(&path).map(|inside| todo.extend(inside)),
                Ok(meta) if meta.is_file() => read_file(&path, &mut input, &mut chunks).await,
                Ok(_) => Err(io::Error::other("neither a regular file nor a directory")),
                Err(error) => Err(error),
            };
            if let Err(error) = done {
                report(&path, error);
                input.problems += 1;
            }
        }
        if before == (input.files.len(), input.problems) {
            report(&root, "a directory without files");
            input.problems += 1;
        }
    }
    input
}

/// The files and directories in a directory, the last name first.
fn list(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut inside = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let kind = entry.file_type()?; // that of a link itself, not of what it leads to
        if kind.is_file() || kind.is_dir() {
            inside.push(entry.path());
        }
    }
    inside.sort_unstable_by(|a, b| b.cmp(a));
    Ok(inside)
}

/// Sends the text of a file, up to its end or the first error.
async fn read_file(
    path: &Path,
    input: &mut Input,
    chunks: &mut Sender<String, Spmc>,
) -> io::Result<()> {
    let file = File::open(path)?;
    let (mut bytes, mut ill_formed) = (0, 0);
    let mut buffer = Vec::with_capacity(CHUNK);
    loop {
        // As much again when a word fills the buffer.
        let wanted = CHUNK.max(2 * buffer.len()) - buffer.len();
        let read = (&file).take(wanted as u64).read_to_end(&mut buffer);
        let more = matches!(read, Ok(n) if n == wanted);
        let end = if more { end_of_last_gap(&buffer) } else { buffer.len() };
        if end > 0 {
            let parts = buffer[..end].utf8_chunks();
            ill_formed += parts.filter(|part| !part.invalid().is_empty()).count();
            let text = String::from_utf8_lossy(&buffer[..end]).into_owned();
            chunks.send(text).await.expect("the parsers stay until we close");
            buffer.drain(..end);
            bytes += end as u64;
            input.chunks += 1;
        }
        if !more {
            if ill_formed > 0 {
                report(path, format_args!("warning: not UTF-8 in {ill_formed} places"));
            }
            input.files.push(Source { path: path.into(), bytes });
            return read.map(drop);
        }
    }
}

/// Where the last character that is not part of a word ends; 0 if there is none.
fn end_of_last_gap(bytes: &[u8]) -> usize {
    let (mut at, mut end) = (0, 0);
    for part in bytes.utf8_chunks() {
        let gap = part.valid().char_indices().rfind(|&(_, c)| !is_of_word(c));
        if let Some((i, c)) = gap {
            end = at + i + c.len_utf8();
        }
        at += part.valid().len() + part.invalid().len();
        // At the very end it may be the first half of a character.
        if !part.invalid().is_empty() && at < bytes.len() {
            end = at;
        }
    }
    end
}

/// The second stage, of which there are several: counts the words of some of the chunks.
async fn parse(chunks: Receiver<String, Spmc>, tallies: Sender<Tally, Mpsc>) {
    let mut tally = Tally::new();
    while let Some(text) = chunks.recv().await {
        add_words(&mut tally, &text);
    }
    tallies.send(tally).await.expect("the merger stays until we close");
}

/// The last stage: adds the tallies up.
async fn merge(mut tallies: Receiver<Tally, Mpsc>) -> Tally {
    let mut sum = Tally::new();
    while let Some(tally) = tallies.recv().await {
        for (word, n) in tally {
            *sum.entry(word).or_default() += n;
        }
    }
    sum
}

/// The same count without tasks, of those parts of the files that were read.
fn count_sequentially(files: &[Source]) -> io::Result<Tally> {
    let mut tally = Tally::new();
    let mut line = Vec::new();
    for Source { path, bytes } in files {
        let mut file = BufReader::new(File::open(path)?.take(*bytes));
        while file.read_until(b'\n', &mut line)? > 0 {
            add_words(&mut tally, &String::from_utf8_lossy(&line));
            line.clear();
        }
    }
    Ok(tally)
}

/// Counts the words of a text.
fn add_words(tally: &mut Tally, text: &str) {
    let mut word = String::new();
    for run in text.split(|c| !is_of_word(c)) {
        let run = run.trim_matches(is_apostrophe);
        if run.is_empty() {
            continue;
        }
        word.clear();
        let plain = |c| if is_apostrophe(c) { '\'' } else { c };
        word.extend(run.chars().flat_map(char::to_lowercase).map(plain));
        match tally.get_mut(&word) {
            Some(n) => *n += 1,
            None => _ = tally.insert(word.clone(), 1),
        }
    }
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || is_apostrophe(c)
}

fn is_apostrophe(c: char) -> bool {
    matches!(c, '\'' | '’')
}
