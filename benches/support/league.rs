//! The tables of `channels` in markdown: ours beside all rivals, and the best of them.

use super::allocations::allocations;
use super::contender::{Case, Contender};
use super::counted::pendings;
use super::flows::Flow;
use super::measure::{Cost, in_turns};

/// Some who do the same; the first is ours.
pub(crate) struct League {
    pub(crate) title: &'static str,
    pub(crate) flows: Vec<Flow>,
    pub(crate) contenders: Vec<Contender<Flow>>,
    /// Whether there are tasks, which may be Pending.
    pub(crate) tasks: bool,
}

/// What a contender pays for a message.
type Cell = Option<(Cost, Counts)>;

/// What is counted, for each message.
#[derive(Debug, Clone, Copy)]
struct Counts {
    pendings: f64,
    allocations: f64,
}

impl League {
    /// Measures the flows with the filter in their name, or in the title, and prints two tables;
    /// `threads` says where the threads are.
    pub(crate) fn print(&self, threads: &str, filter: &str) {
        let whole = self.title.contains(filter);
        let wanted = self.flows.iter().filter(|flow| whole || flow.to_string().contains(filter));
        let measured: Vec<_> = wanted.map(|&flow| (flow, self.measure(flow))).collect();
        if measured.is_empty() {
            return;
        }

        println!("\n### {}, {threads}\n", self.title);
        self.head("ns per message", " best rival | ratio |");
        for (flow, cells) in &measured {
            print!("| {flow} |");
            for cell in cells {
                show(cell, |(cost, _)| format!("{:.1}", cost.nanos));
            }
            println!("{}", self.verdict(cells));
        }

        let pendings = if self.tasks { " / Pendings" } else { "" };
        println!("\nns of CPU time{pendings} / allocations per message:\n");
        self.head("", "");
        for (flow, cells) in &measured {
            print!("| {flow} |");
            for cell in cells {
                show(cell, |&(Cost { cpu, .. }, Counts { pendings, allocations })| {
                    match self.tasks {
                        true => format!("{cpu:.0} / {pendings:.2} / {allocations:.2}"),
                        false => format!("{cpu:.0} / {allocations:.2}"),
                    }
                });
            }
            println!();
        }
    }

    fn head(&self, what: &str, more: &str) {
        print!("| {what} |");
        for contender in &self.contenders {
            print!(" {} |", contender.name);
        }
        println!("{more}");
        let columns = self.contenders.len() + more.matches('|').count();
        println!("|---|{}", "--:|".repeat(columns));
    }

    fn measure(&self, flow: Flow) -> Vec<Cell> {
        let costs = in_turns(flow, &self.contenders);
        let cell = |(contender, cost): (&Contender<Flow>, Option<Cost>)| {
            let cost = cost?;
            Some((cost, counts(flow, contender, cost.nanos)?))
        };
        self.contenders.iter().zip(costs).map(cell).collect()
    }

    /// The best rival, and how many times longer it takes than we do.
    fn verdict(&self, cells: &[Cell]) -> String {
        let nanos = |cell: &Cell| cell.map(|(cost, _)| cost.nanos);
        let rivals = self.contenders.iter().zip(cells).skip(1);
        let rivals = rivals.filter_map(|(rival, cell)| Some((rival.name, nanos(cell)?)));
        let best = rivals.min_by(|a, b| a.1.total_cmp(&b.1));
        match (nanos(&cells[0]), best) {
            (Some(ours), Some((name, best))) => {
                let ratio = best / ours;
                // A loss is to be seen.
                let mark = if ratio < 1.0 { "**" } else { "" };
                let digits = if ratio < 0.1 { 4 } else { 2 };
                format!(" {name} | {mark}{ratio:.digits$}{mark} |")
            }
            _ => String::from(" | |"),
        }
    }
}

fn show(cell: &Cell, text: impl FnOnce(&(Cost, Counts)) -> String) {
    print!(" {} |", cell.as_ref().map_or_else(|| String::from("hangs"), text));
}

/// Of two runs, one twice as long: what is counted more in the longer one, so that making the
/// channel and the tasks does not count. None if it hangs. A message takes so many nanoseconds.
fn counts(flow: Flow, contender: &Contender<Flow>, nanos: f64) -> Option<Counts> {
    /// About the time of the shorter run.
    const SAMPLE_NANOS: f64 = 20e6;
    let runs = (SAMPLE_NANOS / nanos / flow.elements() as f64).ceil() as u64;
    let count = |runs| {
        let before = pendings();
        let (allocations, time) = allocations(|| (contender.time)(flow.counted(), runs));
        time.map(|_| (pendings() - before, allocations))
    };
    let (once, twice) = (count(runs)?, count(2 * runs)?);
    let per_message =
        |once, twice: u64| twice.saturating_sub(once) as f64 / (runs * flow.elements()) as f64;
    Some(Counts {
        pendings: per_message(once.0, twice.0),
        allocations: per_message(once.1, twice.1),
    })
}
