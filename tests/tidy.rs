//! The order of the source: imports go down, `unsafe` stays where it is allowed.

use std::fs;
use std::path::{Path, PathBuf};

/// The ranks of ARCHITECTURE.md; a file imports from lower ones, and from its own module.
const RANKS: [(&str, u32); 21] = [
    ("primitive", 0),
    ("tuning", 0),
    ("util", 1),
    ("ring", 2),
    ("wait", 3),
    ("channel", 4),
    ("task", 5),
    ("time", 6),
    ("reactor", 6),
    ("reactor_off", 6),
    ("executor", 7),
    ("runtime", 8),
    ("net", 9),
    ("hyper", 9),
    ("signal", 9),
    ("macros", 9),
    ("sync", 9),
    ("io", 9),
    ("fs", 10),
    ("process", 10),
    ("lib", 11),
];

/// The files that may say `unsafe`.
const UNSAFE: [&str; 49] = [
    "channel/batch.rs",
    "channel/blocking.rs",
    "channel/core.rs",
    "channel/future.rs",
    "channel/in_place.rs",
    "channel/look.rs",
    "channel/oneshot.rs",
    "channel/permit.rs",
    "channel/poll.rs",
    "channel/receiver.rs",
    "channel/rendezvous/shared.rs",
    "channel/select/ends.rs",
    "channel/sender.rs",
    "channel/turn.rs",
    "executor/address.rs",
    "executor/context.rs",
    "executor/mod.rs",
    "executor/owner.rs",
    "executor/queue.rs",
    "executor/registry.rs",
    "executor/seat.rs",
    "executor/processor.rs",
    "executor/slack.rs",
    "executor/worker.rs",
    "executor/worker/", // its methods stand for who sits on the seat
    "hyper.rs",
    "primitive.rs",
    "process/exit.rs",
    "process/pidfd.rs",
    "reactor/precise.rs",
    "ring/batch.rs",
    "ring/credit.rs",
    "ring/in_place.rs",
    "ring/mod.rs",
    "ring/word.rs",
    "runtime/scope.rs",
    "sync/mutex.rs",
    "sync/once_cell.rs",
    "sync/rwlock.rs",
    "task/abort.rs",
    "task/join.rs",
    "task/list.rs",
    "task/local.rs",
    "task/raw.rs",
    "task/waker.rs",
    "time/context.rs",
    "time/epoch.rs",
    "util/spin_lock.rs",
    "wait/", // all of it: the rules of `Waiters`
];

fn source() -> Vec<(String, String)> {
    fn walk(dir: &Path, files: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { walk(&path, files) } else { files.push(path) }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    walk(&root, &mut files);
    assert!(files.len() > 30, "the source is elsewhere");
    let name = |path: &Path| path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
    files.iter().map(|path| (name(path), fs::read_to_string(path).unwrap())).collect()
}

fn is_test(name: &str) -> bool {
    name.ends_with("tests.rs")
}

/// Code without comments.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate();
    lines.map(|(i, line)| (i + 1, line.split("//").next().unwrap_or("")))
}

fn rank(module: &str) -> u32 {
    let found = RANKS.iter().find(|(name, _)| *name == module);
    found.unwrap_or_else(|| panic!("`{module}` has no rank; give it one in tests/tidy.rs")).1
}

#[test]
fn imports_go_down() {
    for (name, text) in source() {
        let module = name.split(['/', '.']).next().unwrap();
        for (line, code) in code(&text) {
            // `$crate` is what a macro says elsewhere.
            for path in code.replace("$crate::", "").split("crate::").skip(1) {
                let other = path.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap();
                assert!(
                    other == module || rank(other) < rank(module),
                    "{name}:{line} imports `{other}`, which is not below `{module}`"
                );
            }
        }
    }
}

#[test]
fn unsafe_stays_where_it_is_allowed() {
    for (name, text) in source() {
        let allowed = is_test(&name) || UNSAFE.iter().any(|file| name.starts_with(file));
        let found = code(&text).find(|(_, code)| code.contains("unsafe"));
        if let (false, Some((line, _))) = (allowed, found) {
            panic!("{name}:{line} says unsafe; see the list in tests/tidy.rs");
        }
    }
}

#[test]
fn only_primitive_knows_of_loom() {
    for (name, text) in source() {
        let excused = is_test(&name) || name == "primitive.rs";
        for (line, code) in code(&text) {
            let known = code.contains("annulus_loom") || code.contains("mod loom_tests");
            assert!(excused || known || !code.contains("loom"), "{name}:{line} knows of loom");
        }
    }
}

#[test]
fn files_stay_short_and_finished() {
    for (name, text) in source() {
        assert!(text.lines().count() <= 700, "{name} is longer than 700 lines");
        assert!(text.starts_with("//!"), "{name} does not say what it is");
        for word in ["todo!", "unimplemented!", "FIXME"] {
            assert!(!text.contains(word), "{name} has a {word}");
        }
    }
}

#[test]
fn each_number_of_the_scheduler_can_be_set_by_its_name() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let numbers = fs::read_to_string(root.join("src/tuning.rs")).unwrap();
    let table = fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    let numbers = numbers.split("pub(crate) const ").skip(1);
    let names: Vec<_> = numbers.map(|text| text.split_once(':').unwrap()).collect();
    assert!(names.len() > 15, "the numbers are elsewhere");
    for (name, text) in names {
        assert!(text.contains(&format!("option_env!(\"ANNULUS_{name}\")")), "{name} is not read");
        let told = [format!("`{name}=",), format!("`{name}`"), format!(" {name}=")];
        assert!(told.iter().any(|text| table.contains(text)), "{name} is not in ARCHITECTURE.md");
    }
}

/// The clock that a system sets, or that jumps, times nothing here.
#[test]
fn nobody_looks_at_the_wall_clock() {
    for (name, text) in source() {
        let found = code(&text).find(|(_, code)| {
            ["SystemTime", "CLOCK_REALTIME"].iter().any(|clock| code.contains(clock))
        });
        assert!(found.is_none(), "{name} looks at the wall clock: {found:?}");
    }
}
