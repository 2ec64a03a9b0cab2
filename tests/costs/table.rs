//! The table in ARCHITECTURE.md.

use super::operations;
use super::stepper::Cost;

const TEXT: &str = include_str!("../../ARCHITECTURE.md");
const TITLE: &str = "## What an operation costs\n";

/// Which part the instructions may differ by, between compilers that are a little apart.
const TOLERANCE: f64 = 0.15;

/// How much counts may differ, an operation.
const SELDOM: f64 = 0.25;

/// The lines of the table: name, locked, calls, allocations, shared lines, instructions.
fn lines() -> impl Iterator<Item = Vec<&'static str>> {
    let text = TEXT.split_once(TITLE).expect("the table is there").1;
    let text = text.split("\n## ").next().unwrap();
    let lines = text.lines().filter(|line| line.starts_with('|')).skip(2);
    lines.map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
}

fn line(name: &str) -> Option<Vec<&'static str>> {
    lines().find(|line| line[0] == name)
}

/// To a tenth: what happens every now and then is no part of the operation.
fn tenths(number: f64) -> String {
    let rounded = (number * 10.0).round() / 10.0;
    // No negative zero.
    format!("{}", rounded + 0.0)
}

/// The line that would be true; the lines that are shared are not counted, but thought about.
pub(crate) fn row(name: &str, cost: &Cost) -> String {
    let shared = line(name).map_or("?", |line| line[4]);
    let [locked, calls, allocations] = [cost.locked, cost.calls, cost.allocations].map(tenths);
    let instructions = cost.instructions;
    format!("| {name} | {locked} | {calls} | {allocations} | {shared} | {instructions:.0} |")
}

pub(crate) fn says(name: &str, cost: &Cost) -> bool {
    let Some(line) = line(name) else { return false };
    let told = |column: usize| line[column].parse().unwrap_or(f64::NAN);
    let counted = [cost.locked, cost.calls, cost.allocations];
    // What happens once in many operations, when a thread sleeps or looks, may be in the count or not.
    let same = (1..).zip(counted).all(|(column, cost)| (told(column) - cost).abs() < SELDOM);
    same && (told(5) / cost.instructions - 1.0).abs() < TOLERANCE
}

pub(crate) fn has_no_others() {
    for line in lines() {
        let known = operations::ALL.iter().any(|(name, _)| *name == line[0]);
        assert!(known, "nobody measures `{}`", line[0]);
    }
}
