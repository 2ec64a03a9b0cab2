//! What a runtime takes when it does nothing, and what a task takes that does nothing.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use super::allocations::{allocations, live_bytes};
use super::api::Spawn;
use super::contender::{Home, Team, patiently};
use super::measure::cpu_time_of;

/// Tasks that are counted.
const CROWD: u64 = 10_000;

/// Prints what the teams use of processors in so long, while nobody asks anything of them.
pub(crate) fn print_idle(teams: &[Team], time: Duration) {
    let used = || -> Vec<_> { teams.iter().map(|team| cpu_time_of(team.name)).collect() };
    // What they do as they come to rest does not count.
    thread::sleep(time / 4);
    let before = used();
    thread::sleep(time);
    let after = used();
    println!("\n| idle | ms of CPU time per second |\n|---|--:|");
    for (team, (before, after)) in teams.iter().zip(before.into_iter().zip(after)) {
        let nanos = after.zip(before).map_or(f64::NAN, |(after, before)| (after - before) as f64);
        println!("| {} | {:.3} |", team.name, nanos / 1e6 / time.as_secs_f64());
    }
}

pub(crate) fn print_tasks_head() {
    println!("\n| a task | bytes while it waits | allocations to spawn and join it |");
    println!("|---|--:|--:|");
}

/// Prints what a task takes whose future is empty, in a runtime that has had none before.
pub(crate) fn print_task<A: Spawn>(fresh: &Home) {
    let (_, bytes) = allocations(|| run(fresh, waiting::<A>()));
    let joined = |tasks| allocations(|| run(fresh, joined::<A>(tasks))).0;
    // Of two runs, what the longer one has more.
    let (once, twice) = (joined(CROWD), joined(2 * CROWD));
    let bytes = bytes as f64 / CROWD as f64;
    let allocations = twice.saturating_sub(once) as f64 / CROWD as f64;
    println!("| {} | {bytes:.1} | {allocations:.2} |", fresh.team().name);
}

fn run<T: Send + 'static>(home: &Home, task: impl Future<Output = T> + Send + 'static) -> T {
    patiently(&home.start(task)).expect("the tasks come back")
}

async fn joined<A: Spawn>(tasks: u64) {
    for _ in 0..tasks {
        A::spawn(async {}).await;
    }
}

/// Who waits; the room for it is not counted.
static WAITING: Mutex<Vec<Waker>> = Mutex::new(Vec::new());
static RELEASED: AtomicBool = AtomicBool::new(false);

fn waiting_tasks() -> MutexGuard<'static, Vec<Waker>> {
    WAITING.lock().expect("nobody panics with the list")
}

/// The future of a task that waits.
struct Wait;

impl Future for Wait {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // Ordering: who is woken sees what came before the wake.
        if RELEASED.load(Ordering::Relaxed) {
            return Poll::Ready(());
        }
        waiting_tasks().push(cx.waker().clone());
        Poll::Pending
    }
}

/// The bytes that a crowd of tasks takes while all of them wait.
async fn waiting<A: Spawn>() -> i64 {
    RELEASED.store(false, Ordering::Relaxed);
    waiting_tasks().reserve(CROWD as usize);
    let mut tasks = Vec::with_capacity(CROWD as usize);
    let before = live_bytes();
    for _ in 0..CROWD {
        tasks.push(A::spawn(Wait));
    }
    while waiting_tasks().len() < CROWD as usize {
        A::yield_now().await;
    }
    let bytes = live_bytes() - before;
    RELEASED.store(true, Ordering::Relaxed);
    std::mem::take(&mut *waiting_tasks()).into_iter().for_each(Waker::wake);
    for task in tasks {
        task.await;
    }
    bytes
}
