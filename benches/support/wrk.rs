//! `wrk`, the client of the benchmark: how it is called, and what it says.

use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};
use std::{fs, io};

use super::pace::Pace;

/// Connections of the client.
const CONNECTIONS: u32 = 64;

/// Whether it is there.
pub(crate) fn is_here() -> bool {
    // Without arguments it explains itself, and fails.
    Command::new("wrk").arg("--version").output().is_ok()
}

/// Asks the server again and again for so many seconds; and for what share of them `wrk` had a
/// processor, if the system says so.
///
/// # Errors
///
/// If `wrk` cannot run, or says something else than rates and waits.
pub(crate) fn ask(addr: SocketAddr, seconds: u32) -> io::Result<(Pace, Option<f64>)> {
    let mut command = Command::new("wrk");
    command.args(["-t1", &format!("-c{CONNECTIONS}"), &format!("-d{seconds}s"), "--latency"]);
    let (start, before) = (Instant::now(), time_of_children());
    let output = command.arg(format!("http://{addr}/")).output()?;
    let spent = time_of_children().zip(before).map(|(after, before)| after - before);
    let busy = spent.map(|spent| spent.as_secs_f64() / start.elapsed().as_secs_f64());
    let text = String::from_utf8_lossy(&output.stdout);
    let pace = parse(&text).ok_or_else(|| io::Error::other(format!("wrk said: {text}")))?;
    Ok((pace, busy))
}

/// The processors' time of the children that have ended.
fn time_of_children() -> Option<Duration> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // After the program's name, which may have spaces; in hundredths of a second.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(13);
    let mut next = || fields.next()?.parse::<u64>().ok();
    Some(Duration::from_millis(10 * (next()? + next()?)))
}

/// None if a figure is missing, or requests failed.
fn parse(text: &str) -> Option<Pace> {
    let after = |name: &str| {
        let line = text.lines().map(str::trim).find(|line| line.starts_with(name))?;
        Some(line[name.len()..].trim())
    };
    if after("Socket errors:").is_some() || after("Non-2xx").is_some() {
        return None;
    }
    Some(Pace {
        per_second: after("Requests/sec:")?.parse().ok()?,
        p50: micros(after("50%")?)?,
        p99: micros(after("99%")?)?,
        // It does not say.
        p999: f64::NAN,
    })
}

/// A time as `wrk` writes it: `1.23ms`.
fn micros(text: &str) -> Option<f64> {
    let unit = text.find(|c: char| c.is_ascii_alphabetic())?;
    let factor = match &text[unit..] {
        "us" => Duration::from_micros(1),
        "ms" => Duration::from_millis(1),
        "s" => Duration::from_secs(1),
        _ => return None,
    };
    Some(text[..unit].parse::<f64>().ok()? * factor.as_micros() as f64)
}
