//! The numbers of the scheduler that measurements chose, and the switch of each mechanism.
//!
//! Each can be set for one build by an environment variable of its name, so that a benchmark can
//! be run with a mechanism and without it (ARCHITECTURE.md, "The mechanisms"):
//!
//! ```sh
//! ANNULUS_SLOT_RUNS=0 cargo bench --bench runtime -- table
//! ```
//!
//! They are constants all the same: what is switched on costs nothing to ask, and what is
//! switched off is not compiled. Whatever they are set to, no task is lost; without the sentinel
//! one can wait for as long as the poll before it takes.

use std::time::Duration;

/// Runs in a row from the slot, while others wait in the ring or the injector, at least. 0: there
/// is no slot, and a task that is woken goes to the end of the ring.
pub(crate) const SLOT_RUNS: u32 = number(option_env!("ANNULUS_SLOT_RUNS"), 16) as u32;
/// For so long they may go on, and as often as this: who takes turns comes back to cold caches.
pub(crate) const SLOT_TIME: Duration = nanos(option_env!("ANNULUS_SLOT_TIME"), 5_000);
pub(crate) const MOST_SLOT_RUNS: u32 = number(option_env!("ANNULUS_MOST_SLOT_RUNS"), 128) as u32;
const _: () = assert!(SLOT_RUNS <= MOST_SLOT_RUNS, "at most less than at least");
const _: () = assert!(number(option_env!("ANNULUS_SLOT_RUNS"), 0) <= u32::MAX as u64);

/// Whether who is woken by the end of a task goes behind those that wait in the ring, while polls
/// are short: it will wait for the end of the next one, too.
pub(crate) const JOIN_LAST: bool = number(option_env!("ANNULUS_JOIN_LAST"), 1) != 0;

/// After polls that took long, the slot may go on for this part of their time: a task among those
/// that take a millisecond at a time could otherwise pass few messages in between.
pub(crate) const SLOT_SHARE: u32 = positive(option_env!("ANNULUS_SLOT_SHARE"), 8) as u32;

/// Turns between two looks at the injector while there is work here. A prime, so that it falls
/// in step with nothing.
pub(crate) const INJECTOR_EVERY: u32 = positive(option_env!("ANNULUS_INJECTOR_EVERY"), 61) as u32;

/// And the time between two looks at which it is not one task that is taken out but a batch. Who waits
/// there has had its turn, and comes to cold caches: with batches as often as single tasks, 1000
/// pairs that play ping-pong evict each other. 0: a batch at each look.
pub(crate) const BATCH_EVERY: Duration = nanos(option_env!("ANNULUS_BATCH_EVERY"), 250_000);

/// How long tasks may wait for a worker that does not move before they are stolen. 0: who finds
/// nothing better takes them at once.
pub(crate) const GRACE: Duration = nanos(option_env!("ANNULUS_GRACE"), 3_000);

/// A poll longer than this costs more than to wake a worker for the task it has woken. 0: every
/// wake to a slot wakes one, too. A long time: none does.
pub(crate) const LONG_POLL: Duration = nanos(option_env!("ANNULUS_LONG_POLL"), 10_000);

/// Polls between two looks at the clock, while polls are short: at least so many, for so long, and
/// at most so many. To read it takes 20 to 30 ns.
pub(crate) const POLLS_PER_CLOCK: u32 = positive(option_env!("ANNULUS_POLLS_PER_CLOCK"), 16) as u32;
pub(crate) const CLOCK_EVERY: Duration = nanos(option_env!("ANNULUS_CLOCK_EVERY"), 3_000);
pub(crate) const MOST_POLLS_PER_CLOCK: u32 =
    positive(option_env!("ANNULUS_MOST_POLLS_PER_CLOCK"), 32) as u32;
const _: () = assert!(POLLS_PER_CLOCK <= MOST_POLLS_PER_CLOCK, "at most less than at least");

/// Polls after a long one after each of which the clock is looked at: the short ones among them
/// make the mean short, and several long ones in a row would keep sockets and timers waiting.
/// 0: none.
pub(crate) const WARY_FOR: u32 = number(option_env!("ANNULUS_WARY_FOR"), 64) as u32;

/// A task that takes longer, and would go on at once, lets all others have their turn, those too
/// whom the sockets wake. A long time: none does.
pub(crate) const COMPUTES: Duration = nanos(option_env!("ANNULUS_COMPUTES"), 200_000);

/// Such a task has its turn all the same after so many times as long as the last of them took, at the next
/// look at the injector: with 4, they get up to a fifth of the time. 0: at each look.
pub(crate) const LATE_SHARE: u32 = number(option_env!("ANNULUS_LATE_SHARE"), 4) as u32;

/// While the sockets are left to one worker, because there are more threads than processors: how long
/// a worker that has no other task rests before one that computes. The system gives a thread that is
/// always busy its share of a processor in pieces of some milliseconds; one that rests makes way.
/// 0: it does not.
///
/// Perf: HTTP beside two such tasks a worker, two workers: p99 5.3 to 3.3 ms, and those tasks get two
/// thirds of the polls that they got.
pub(crate) const REST: Duration = nanos(option_env!("ANNULUS_REST"), 100_000);

/// How long a seat that does not move may keep a task waiting from one that comes by on its way to
/// the sockets. A long time: others come as for any task.
pub(crate) const STUCK: Duration = nanos(option_env!("ANNULUS_STUCK"), 50_000);

/// How long the sentinel sleeps at first, and at most. A long time: there is none.
pub(crate) const NAP: Duration = nanos(option_env!("ANNULUS_NAP"), 1_000_000);
pub(crate) const LONGEST_NAP: Duration = nanos(option_env!("ANNULUS_LONGEST_NAP"), 10_000_000);
/// How long it sleeps at first where it is in the way of others: while the sockets are left to one.
pub(crate) const GATHERED_NAP: Duration = nanos(option_env!("ANNULUS_GATHERED_NAP"), 5_000_000);

/// Bounds of the time for which one searcher looks on, before it sleeps. Both 0: nobody spins.
pub(crate) const SHORTEST_SPIN: Duration = nanos(option_env!("ANNULUS_SHORTEST_SPIN"), 1_000);
pub(crate) const LONGEST_SPIN: Duration = nanos(option_env!("ANNULUS_LONGEST_SPIN"), 50_000);

/// So many times in a row a worker looks at the sockets in vain before it sleeps in the system's poll,
/// which looks, too; then it leaves its own look out. A large number: it always looks.
pub(crate) const VAIN: u32 = positive(option_env!("ANNULUS_VAIN"), 4) as u32;

/// Who wakes a second seat within this time seems to have more to do than to sleep: it wakes one
/// that does not stand in its way. 0: only where others are at work.
pub(crate) const WAKE_ELSEWHERE: Duration = nanos(option_env!("ANNULUS_WAKE_ELSEWHERE"), 100_000);

/// Whether the last who finds work wakes the next to look for more. 0: only a push does,
/// and who looks for a sentinel.
pub(crate) const RAMP_UP: bool = number(option_env!("ANNULUS_RAMP_UP"), 1) != 0;

/// What has to wait at a seat, in time that it will take, for another worker to come for half of
/// it: about what the coming costs. 0: two tasks are enough.
pub(crate) const SHARE: Duration = nanos(option_env!("ANNULUS_SHARE"), 1_000);
/// The same while tasks are kept together.
pub(crate) const SHARE_TOGETHER: Duration = nanos(option_env!("ANNULUS_SHARE_TOGETHER"), 30_000);

/// The same while the workers leave the sockets to one of them, which keeps what waits there no longer.
pub(crate) const SHARE_GATHERED: Duration = nanos(option_env!("ANNULUS_SHARE_GATHERED"), 1_000_000);
/// 1: they always do, for tests.
pub(crate) const GATHER: bool = number(option_env!("ANNULUS_GATHER"), 0) != 0;
/// A thread that waits for a processor for so many thousandths of the time is one of too many; the trial
/// of leaving the sockets to one worker begins. 0: there is none.
///
/// Perf: HTTP, two workers on two processors: beside `wrk` 200 to 500, without other threads 0 to 10.
pub(crate) const CROWDED: u64 = number(option_env!("ANNULUS_CROWDED"), 100);

/// Tasks are chatty if they take less time than this for each operation on a channel. 0: none
/// are, and no trial is made of keeping them together.
///
/// Perf: on one processor an operation takes 8 ns, across two 25 to 50, for the cache lines that
/// go to and fro.
pub(crate) const CHATTY: Duration = nanos(option_env!("ANNULUS_CHATTY"), 35);

/// Whether `block_on` runs tasks on a seat that it borrows. 0: it polls its own future only.
pub(crate) const GUEST_SITS: bool = number(option_env!("ANNULUS_GUEST_SITS"), 1) != 0;

/// So many tasks come back to a seat that sleeps before it is woken for them; or to no seat,
/// before they are taken out. 1: each at once.
pub(crate) const RETURNED: usize = positive(option_env!("ANNULUS_RETURNED"), 256) as usize;

/// One of so many places for a task on a seat is a place to look for those that have come back: to
/// look takes the line from who sends them. 1: every spawn looks.
pub(crate) const COLLECT_EVERY: u32 = positive(option_env!("ANNULUS_COLLECT_EVERY"), 32) as u32;

/// How many task ids a thread takes at a time. 1: each spawn writes to memory that all share.
pub(crate) const ID_BLOCK: u64 = positive(option_env!("ANNULUS_ID_BLOCK"), 1024);

/// Operations in one poll, as many as tokio and for the same reason: enough that the switch
/// between tasks is lost in it, few enough that a neighbour waits for microseconds.
pub(crate) const BUDGET: u32 = positive(option_env!("ANNULUS_BUDGET"), 128) as u32;

/// Tasks of a `LocalSet` that are polled before the outer runtime has its turn. A prime.
pub(crate) const LOCAL_RUNS: usize = positive(option_env!("ANNULUS_LOCAL_RUNS"), 61) as usize;

/// How long sockets wait while tasks run, if those allow. 0: a look at each look at the clock.
pub(crate) const LOOK_EVERY: Duration = nanos(option_env!("ANNULUS_LOOK_EVERY"), 50_000);

const fn nanos(set: Option<&str>, usual: u64) -> Duration {
    Duration::from_nanos(number(set, usual))
}

const fn positive(set: Option<&str>, usual: u64) -> u64 {
    let number = number(set, usual);
    assert!(number > 0 && number < u32::MAX as u64, "this one is from 1 to 2^32 - 2");
    number
}

const fn number(set: Option<&str>, usual: u64) -> u64 {
    let Some(digits) = set else { return usual };
    let (digits, mut number, mut i) = (digits.as_bytes(), 0u64, 0);
    assert!(!digits.is_empty() && digits.len() <= 18, "a variable ANNULUS_* is not a number");
    while i < digits.len() {
        assert!(digits[i].is_ascii_digit(), "a variable ANNULUS_* is not a number");
        number = number * 10 + (digits[i] - b'0') as u64;
        i += 1;
    }
    number
}
