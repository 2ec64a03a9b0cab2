//! Programs that use a channel against its type, and do not compile.
//!
//! The compiler's texts beside them are those of one version. With another one the programs must
//! fail all the same, whatever it says.

use std::path::Path;
use std::process::Command;
use std::{env, fs};

const TEXTS_OF: &str = "rustc 1.95.";
/// Names the directory of the programs, for the run in which the texts do not count.
const WITHOUT_TEXTS: &str = "ANNULUS_COMPILE_FAIL";

#[test]
fn misuse_does_not_compile() {
    if let Ok(directory) = env::var(WITHOUT_TEXTS) {
        return trybuild::TestCases::new().compile_fail(format!("{directory}/*.rs"));
    }
    let rustc = Command::new("rustc").arg("--version").output().expect("rustc is there");
    if rustc.stdout.starts_with(TEXTS_OF.as_bytes()) {
        return trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
    }
    let copies = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compile_fail");
    let _ = fs::remove_dir_all(&copies);
    fs::create_dir(&copies).unwrap();
    for program in fs::read_dir("tests/compile_fail").unwrap() {
        let program = program.unwrap();
        if program.path().extension().is_some_and(|extension| extension == "rs") {
            fs::copy(program.path(), copies.join(program.file_name())).unwrap();
        }
    }
    // `overwrite` takes any text, but no program that compiles.
    let mut again = Command::new(env::current_exe().unwrap());
    let again = again.env("TRYBUILD", "overwrite").env(WITHOUT_TEXTS, &copies);
    assert!(again.status().unwrap().success(), "a program compiled that should not");
}
