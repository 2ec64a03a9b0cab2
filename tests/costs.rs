//! What an operation costs, counted: the table in ARCHITECTURE.md says what is measured here.
//!
//! A child process performs each operation between two traps, and this one has it go on by single
//! steps in between, and looks at every instruction: so these are the instructions that were
//! executed, and not samples. Where the table is to change, the failure says its new lines; all
//! of them, with the instructions of a release build, are printed by
//!
//! ```sh
//! cargo test --release --test costs -- --nocapture
//! ```
//!
//! With `--profile bench` for line tables, and `ANNULUS_COSTS_WHERE=1`, it says where the locked
//! instructions are, for `addr2line -i -e` and the program's name.

#![cfg_attr(
    not(all(target_os = "linux", target_arch = "x86_64")),
    allow(dead_code, unused_imports, unused_crate_dependencies)
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[path = "costs/clock.rs"]
mod clock;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[path = "costs/operations.rs"]
mod operations;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[path = "costs/stepper.rs"]
mod stepper;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[path = "costs/table.rs"]
mod table;

/// Counts what each thread allocates, and frees nothing: what is counted here is ours, and not
/// the locks and lists of an allocator.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    /// The rest of this thread's chunk.
    static FREE: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
    static CHUNK: Cell<*mut u8> = const { Cell::new(std::ptr::null_mut()) };
}

const CHUNK_SIZE: usize = 1 << 20;

// SAFETY: memory is given once, from chunks that stay; what is large comes from the system.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        if layout.size() > CHUNK_SIZE / 8 || layout.align() > 4096 {
            // SAFETY: the caller's contract is the same.
            return unsafe { System.alloc(layout) };
        }
        let (used, size) = FREE.get();
        let start = used.next_multiple_of(layout.align());
        if start + layout.size() > size {
            // SAFETY: the layout is not empty.
            let chunk =
                unsafe { System.alloc(Layout::from_size_align_unchecked(CHUNK_SIZE, 4096)) };
            CHUNK.set(chunk);
            FREE.set((layout.size(), if chunk.is_null() { 0 } else { CHUNK_SIZE }));
            return chunk;
        }
        FREE.set((start + layout.size(), size));
        // SAFETY: there is room in the chunk.
        unsafe { CHUNK.get().add(start) }
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static COUNTING: Counting = Counting;

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod supported {
    use super::*;

    /// What the child does; nothing unless it is one.
    #[test]
    fn child() {
        operations::run(|| ALLOCATIONS.get());
    }

    #[test]
    fn operations_cost_what_the_table_says() {
        if cfg!(debug_assertions) {
            println!("NOTICE: only a release build says what operations cost");
            return;
        }
        let mut wrong = Vec::new();
        for (index, &(name, _)) in operations::ALL.iter().enumerate() {
            let Some(cost) = stepper::measure(index) else {
                println!(
                    "NOTICE: single steps are refused here; what operations cost is not checked"
                );
                return;
            };
            println!("{}", table::row(name, &cost));
            if !table::says(name, &cost) {
                wrong.push(table::row(name, &cost));
            }
        }
        let wrong = wrong.join("\n");
        assert!(wrong.is_empty(), "ARCHITECTURE.md, What an operation costs, is to say\n{wrong}");
        table::has_no_others();
    }
}

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
#[test]
fn operations_cost_what_the_table_says() {
    println!(
        "NOTICE: only Linux on x86_64 knows how to count; what operations cost is not checked"
    );
}
