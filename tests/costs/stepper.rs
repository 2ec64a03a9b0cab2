//! Has a child go on by single steps, and counts what it does.

use std::collections::{BTreeMap, HashMap};
use std::env;
use std::fs;
use std::io::{self, Read};
use std::process::{Command, Stdio};
use std::ptr;

use libc::{c_int, c_long, c_void, pid_t};

use super::operations::CHILD;

/// What one operation costs.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) instructions: f64,
    pub(crate) locked: f64,
    pub(crate) calls: f64,
    pub(crate) allocations: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Instruction {
    Plain,
    /// With the prefix, or an exchange with memory, or a full fence, which costs the same.
    Locked,
    Call,
    Trap,
}

impl Instruction {
    fn decode(code: &[u8]) -> Self {
        let mut locked = false;
        let mut rest = code;
        while let [first, after @ ..] = rest {
            match first {
                0xf0 => locked = true,
                0x66 | 0x67 | 0xf2 | 0xf3 | 0x2e | 0x36 | 0x3e | 0x26 | 0x64 | 0x65 => {}
                0x40..=0x4f => {}
                _ => break,
            }
            rest = after;
        }
        match rest {
            _ if locked => Self::Locked,
            // An exchange of two registers has both upper bits of the second byte set.
            [0x86 | 0x87, operands, ..] if operands >> 6 != 3 => Self::Locked,
            [0x0f, 0xae, 0xf0, ..] => Self::Locked,
            [0x0f, 0x05, ..] => Self::Call,
            [0xcc, ..] => Self::Trap,
            _ => Self::Plain,
        }
    }
}

#[test]
fn instructions_are_told_apart() {
    for (code, is) in [
        (&[0xf0, 0x48, 0x0f, 0xb1, 0x0f][..], Instruction::Locked), // lock cmpxchg [rdi], rcx
        (&[0x66, 0xf0, 0xff, 0x07], Instruction::Locked),           // lock inc word [rdi]
        (&[0x48, 0x87, 0x07], Instruction::Locked),                 // xchg [rdi], rax
        (&[0x48, 0x87, 0xc8], Instruction::Plain),                  // xchg rax, rcx
        (&[0x86, 0x44, 0x24, 0x07], Instruction::Locked),           // xchg [rsp + 7], al
        (&[0x0f, 0xae, 0xf0], Instruction::Locked),                 // mfence
        (&[0x0f, 0x05], Instruction::Call),
        (&[0xcc], Instruction::Trap),
        (&[0x48, 0x89, 0x07], Instruction::Plain), // mov [rdi], rax
    ] {
        assert_eq!(Instruction::decode(code), is, "{code:x?}");
    }
}

/// What operation `index` costs; `None` where no child may be traced.
pub(crate) fn measure(index: usize) -> Option<Cost> {
    let _one = UseOneProcessor::begin();
    #[allow(clippy::zombie_processes, reason = "the tracer waits for it")]
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "supported::child", "--nocapture", "--test-threads=1"])
        .env(CHILD, index.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let windows = Tracer::default().run(child.id() as pid_t);
    let mut told = String::new();
    child.stdout.take().unwrap().read_to_string(&mut told).unwrap();
    let windows = windows.unwrap_or_else(|error| panic!("{error}; it has said {told}"));
    // "@ sign iterations allocations", a line for each window.
    let told: Vec<_> = told.lines().filter_map(|line| line.split_once("@ ")).collect();
    if told.is_empty() {
        return None;
    }
    assert_eq!(told.len(), windows.len(), "each window is told of");
    let (mut sum, mut operations) = (Cost::default(), 0.0);
    for ((_, line), window) in told.iter().zip(windows) {
        let numbers: Vec<f64> = line.split(' ').map(|number| number.parse().unwrap()).collect();
        let [sign, iterations, allocations] = numbers[..] else { panic!("{line}") };
        operations += sign * iterations;
        sum.allocations += sign * allocations;
        sum.instructions += sign * window.instructions;
        sum.locked += sign * window.locked;
        sum.calls += sign * window.calls;
    }
    Some(Cost {
        instructions: sum.instructions / operations,
        locked: sum.locked / operations,
        calls: sum.calls / operations,
        allocations: sum.allocations / operations,
    })
}

/// Child and parent take turns, and do so ten times faster on one processor.
struct UseOneProcessor;

impl UseOneProcessor {
    fn begin() -> Self {
        // SAFETY: it only says which processor this is.
        let this = unsafe { libc::sched_getcpu() };
        use_processors(|processor| processor == this as usize);
        Self
    }
}

impl Drop for UseOneProcessor {
    fn drop(&mut self) {
        use_all_processors();
    }
}

/// Has the calling thread, and those that it starts, run anywhere.
pub(crate) fn use_all_processors() {
    use_processors(|_| true);
}

fn use_processors(which: impl Fn(usize) -> bool) {
    // SAFETY: a set is numbers, and empty if these are 0.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    for processor in (0..libc::CPU_SETSIZE as usize).filter(|&processor| which(processor)) {
        // SAFETY: the number is in the set's range.
        unsafe { libc::CPU_SET(processor, &mut set) };
    }
    // SAFETY: the set is there. Where it is refused, all goes on, if slowly.
    unsafe { libc::sched_setaffinity(0, size_of_val(&set), &set) };
}

#[derive(Default)]
struct Tracer {
    /// What is at an address.
    code: HashMap<u64, Instruction>,
    at: u64,
    start: u64,
    windows: Vec<Cost>,
    /// Where locked instructions were, and how many in the last window.
    locked: BTreeMap<u64, usize>,
}

impl Tracer {
    /// Follows the child to its end.
    fn run(mut self, child: pid_t) -> Result<Vec<Cost>, String> {
        while let Some((thread, signal)) = wait(child)? {
            if signal != libc::SIGTRAP {
                // Somebody else's: it is to have it.
                resume(libc::PTRACE_CONT, thread, signal);
                continue;
            }
            let mut window = Cost::default();
            self.locked.clear();
            self.start = start_of_program(child);
            loop {
                match self.next(thread) {
                    Instruction::Trap => break,
                    Instruction::Locked => {
                        window.locked += 1.0;
                        *self.locked.entry(self.at).or_default() += 1;
                    }
                    Instruction::Call => window.calls += 1.0,
                    Instruction::Plain => {}
                }
                window.instructions += 1.0;
                let mut signal = 0;
                loop {
                    resume(libc::PTRACE_SINGLESTEP, thread, signal);
                    match wait(child)? {
                        Some((_, libc::SIGTRAP)) => break,
                        Some((_, other)) => signal = other,
                        None => return Err("it ended within a window".into()),
                    }
                }
            }
            self.windows.push(window);
            // The trap that ends the window, and then on to the next.
            resume(libc::PTRACE_CONT, thread, 0);
            wait(child)?.ok_or("it ended within a window")?;
            resume(libc::PTRACE_CONT, thread, 0);
        }
        if env::var_os("ANNULUS_COSTS_WHERE").is_some() {
            for (at, times) in &self.locked {
                println!("{times:4} {:#x}", at - self.start);
            }
        }
        Ok(self.windows)
    }

    /// The instruction that the thread is about to execute.
    fn next(&mut self, thread: pid_t) -> Instruction {
        let address = peek(libc::PTRACE_PEEKUSER, thread, libc::RIP as usize * 8) as u64;
        self.at = address;
        *self.code.entry(address).or_insert_with(|| {
            let words = [0, 8].map(|at| peek(libc::PTRACE_PEEKTEXT, thread, address as usize + at));
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            Instruction::decode(&bytes)
        })
    }
}

/// Where the child's program lies; addresses less this are what `addr2line` understands.
fn start_of_program(child: pid_t) -> u64 {
    let maps = fs::read_to_string(format!("/proc/{child}/maps")).unwrap();
    u64::from_str_radix(maps.split('-').next().unwrap(), 16).unwrap()
}

/// The next stop of a thread, and its signal; `None`: the child has ended.
fn wait(child: pid_t) -> Result<Option<(pid_t, c_int)>, String> {
    loop {
        let mut status = 0;
        // SAFETY: it writes the status. Other tests have children, too, which are not this
        // thread's.
        let thread = unsafe { libc::waitpid(-1, &mut status, libc::__WALL | libc::__WNOTHREAD) };
        assert!(thread >= 0, "{}", io::Error::last_os_error());
        if libc::WIFSTOPPED(status) {
            return Ok(Some((thread, libc::WSTOPSIG(status))));
        }
        if thread == child {
            let ok = libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0;
            return if ok { Ok(None) } else { Err(format!("it ended with {status:#x}")) };
        }
    }
}

fn resume(request: libc::c_uint, thread: pid_t, signal: c_int) {
    // SAFETY: the thread is stopped, and ours to trace.
    let done =
        unsafe { libc::ptrace(request, thread, ptr::null_mut::<c_void>(), c_long::from(signal)) };
    assert!(done >= 0, "{}", io::Error::last_os_error());
}

fn peek(request: libc::c_uint, thread: pid_t, at: usize) -> c_long {
    // SAFETY: as in `resume`; what it reads is the thread's.
    unsafe { libc::ptrace(request, thread, at as *mut c_void, ptr::null_mut::<c_void>()) }
}
