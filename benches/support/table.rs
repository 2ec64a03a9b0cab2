//! The table of `versus_tokio` in markdown: ours beside its rival, and how many times longer the
//! rival takes.

use super::contender::Contender;
use super::measure::in_turns;
use super::rows::Row;

/// Measures all rows and prints the table. Of `contenders`, each of ours is before its rival.
pub(crate) fn print(title: &str, contenders: &[Contender<Row>; 4]) {
    println!("\n### {title}\n");
    print!("| ns per element |");
    for pair in contenders.chunks(2) {
        print!(" {} | {} | ratio |", pair[0].name, pair[1].name);
    }
    println!("\n|---|{}", "--:|".repeat(6));
    for row in Row::all() {
        print!("| {row} |");
        let costs = in_turns(row, contenders);
        let nanos: Vec<_> = costs.into_iter().map(|cost| cost.expect("none hangs").nanos).collect();
        for pair in nanos.chunks(2) {
            let ratio = pair[1] / pair[0];
            // A loss is to be seen.
            let mark = if ratio < 1.0 { "**" } else { "" };
            print!(" {:.1} | {:.1} | {mark}{ratio:.2}{mark} |", pair[0], pair[1]);
        }
        println!();
    }
}
