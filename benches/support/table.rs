//! Tables in markdown: ours beside its rivals, and how many times longer each of them takes.

use super::contender::{Case, Contender};
use super::measure::in_turns;

/// Measures the cases and prints the table. The contenders are in groups of these sizes; in each
/// group ours is the first.
pub(crate) fn print<C: Case>(
    title: &str,
    cases: &[C],
    contenders: &[Contender<C>],
    groups: &[usize],
) {
    println!("\n### {title}\n");
    print!("| ns per element |");
    for (contender, ours) in contenders.iter().zip(is_ours(groups)) {
        print!(" {} |{}", contender.name, if ours { "" } else { " ratio |" });
    }
    println!("\n|---|{}", "--:|".repeat(2 * contenders.len() - groups.len()));
    for &case in cases {
        print!("| {case} |");
        let mut first = f64::NAN;
        for (cost, ours) in in_turns(case, contenders).into_iter().zip(is_ours(groups)) {
            let nanos = cost.map_or(f64::INFINITY, |cost| cost.nanos);
            print!(" {nanos:.1} |");
            if ours {
                first = nanos;
            } else {
                let ratio = nanos / first;
                // A loss is to be seen.
                let mark = if ratio < 1.0 { "**" } else { "" };
                print!(" {mark}{ratio:.2}{mark} |");
            }
        }
        println!();
    }
}

/// For each contender, whether it is the first of its group.
fn is_ours(groups: &[usize]) -> impl Iterator<Item = bool> {
    groups.iter().flat_map(|&size| (0..size).map(|i| i == 0))
}
