//! Which tests ran, and how each ended: cargo's output is passed on and read on the way.
//!
//! A test is named `suite::test`, where the suite is the test program: `rest::...` for
//! `tests/tests/rest.rs`, `tensorgate_core::scan::tests::...` for a unit test of a crate.
//! Suites that run tests of another language report them in files of their own, in the directory
//! that [`VARIABLE`] names, one `ok NAME` or `failed NAME` per line.
//!
//! **Invariant:** a test that is not in the record as passed did not pass in the latest run.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::progress;
use crate::repo::Repo;
use crate::stamp;

/// Tells the suites where to report tests that are not Rust's.
pub(super) const VARIABLE: &str = "TENSORGATE_TEST_RECORD";

/// How a test ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Passed,
    Failed,
    Ignored,
}

impl Fate {
    const ALL: [Self; 3] = [Self::Passed, Self::Failed, Self::Ignored];

    fn word(self) -> &'static str {
        match self {
            Self::Passed => "ok",
            Self::Failed => "failed",
            Self::Ignored => "ignored",
        }
    }
}

/// Every test of a run, by its name.
pub(super) type Tests = BTreeMap<String, Fate>;

fn directory(repo: &Repo) -> PathBuf {
    repo.target().join("tests-that-ran")
}

/// Forgets the latest run.
pub(super) fn clear(repo: &Repo) -> Result<()> {
    let directory = directory(repo);
    match fs::remove_dir_all(&directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", directory.display()))
        }
        _ => Ok(()),
    }
}

/// Runs `cargo test`, shows what it says, and writes down which tests ran, also when some fail.
pub(super) fn run(repo: &Repo, command: &mut Command) -> Result<()> {
    clear(repo)?;
    let directory = directory(repo);
    fs::create_dir_all(&directory)
        .with_context(|| format!("cannot make {}", directory.display()))?;
    // One pipe for both: cargo names a program on the one just before it writes to the other.
    let (output, input) = std::io::pipe().context("no pipe")?;
    let mut child = command
        .env(VARIABLE, &directory)
        // Without these lines nobody knows which program a test belongs to.
        .env("CARGO_TERM_QUIET", "false")
        .env("CARGO_TERM_VERBOSE", "false")
        .stdout(input.try_clone().context("no pipe")?)
        .stderr(input)
        .spawn()
        .context("cannot run cargo")?;
    // The command holds the pipe's other end, and the loop below ends when nobody does.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut reader = Reader::default();
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    while output
        .read_until(b'\n', &mut line)
        .context("the pipe broke")?
        > 0
    {
        let text = String::from_utf8_lossy(&line);
        progress::print(&text);
        reader.line(text.trim_end());
        line.clear();
    }
    let status = child.wait().context("cannot wait for cargo")?;
    let lines: String = reader
        .tests
        .iter()
        .map(|(name, fate)| format!("{} {name}\n", fate.word()))
        .collect();
    let file = directory.join("rust.txt");
    fs::write(&file, lines).with_context(|| format!("cannot write {}", file.display()))?;
    if !status.success() {
        bail!("tests failed ({status})");
    }
    Ok(())
}

/// The tests of the latest run.
pub(super) fn read(repo: &Repo) -> Result<Tests> {
    let directory = directory(repo);
    if !directory.join("rust.txt").is_file() {
        bail!(
            "no tests have run: `cargo xtask test --only test --only compatibility` runs them and \
             then looks"
        );
    }
    let mut tests = Tests::new();
    for file in stamp::files(&directory, ".txt")? {
        read_file(&file, &mut tests)?;
    }
    Ok(tests)
}

fn read_file(file: &Path, tests: &mut Tests) -> Result<()> {
    let text =
        fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    for line in text.lines() {
        let parsed = line.split_once(' ').and_then(|(word, name)| {
            let fate = Fate::ALL.into_iter().find(|fate| fate.word() == word)?;
            Some((fate, name))
        });
        let (fate, name) =
            parsed.with_context(|| format!("{}: what is {line:?}?", file.display()))?;
        note(tests, name.to_owned(), fate);
    }
    Ok(())
}

/// A test that failed anywhere has failed: two suites may have one name.
fn note(tests: &mut Tests, name: String, fate: Fate) {
    let known = tests.entry(name).or_insert(fate);
    if fate != Fate::Passed {
        *known = fate;
    }
}

/// Reads what cargo and the test programs write.
#[derive(Debug, Default)]
struct Reader {
    /// The program that runs; none for examples in documentation, whose names have line numbers.
    suite: Option<String>,
    tests: Tests,
    /// Tests behind whose name somebody else wrote, so that their end is not on their line: a
    /// library writes to standard error from C. They have passed if all of the program's have.
    unclear: Vec<String>,
}

impl Reader {
    fn line(&mut self, line: &str) {
        let words = line.trim_start();
        if words.starts_with("test result: ok.") {
            for name in self.unclear.drain(..) {
                note(&mut self.tests, name, Fate::Passed);
            }
        } else if words.starts_with("Doc-tests ") {
            self.suite = None;
            self.unclear.clear();
        } else if let Some(program) = words.strip_prefix("Running ").and_then(program) {
            self.suite = Some(program);
            self.unclear.clear();
        } else if let Some(test) = line.strip_prefix("test ")
            && let Some(suite) = &self.suite
        {
            if let Some((name, fate)) = fate(test) {
                note(&mut self.tests, format!("{suite}::{name}"), fate);
            } else if let Some((name, _other)) = test.split_once(" ... ") {
                self.unclear.push(format!("{suite}::{name}"));
            }
        }
    }
}

/// `unittests src/lib.rs (target/debug/deps/tensorgate_core-0123456789abcdef)` to the name of the
/// program without its hash.
fn program(line: &str) -> Option<String> {
    let path = line.strip_suffix(')')?.rsplit_once('(')?.1;
    let file = path.rsplit('/').next()?;
    let (name, hash) = file.rsplit_once('-')?;
    let is_hash = hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hash.then(|| name.to_owned())
}

/// `a::b ... ok` to the name and how it ended.
fn fate(line: &str) -> Option<(&str, Fate)> {
    let (name, end) = line.rsplit_once(" ... ")?;
    let fate = match end {
        "ok" => Fate::Passed,
        "FAILED" => Fate::Failed,
        end if end == "ignored" || end.starts_with("ignored, ") => Fate::Ignored,
        _ => return None,
    };
    Some((name.strip_suffix(" - should panic").unwrap_or(name), fate))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "   Compiling tensorgate-core v0.1.0
    Finished `test` profile [optimized + debuginfo] target(s) in 0.1s
     Running unittests src/lib.rs (target/debug/deps/tensorgate_core-0123456789abcdef)

running 3 tests
test scan::tests::finds_versions ... ok
test scan::tests::waits ... ignored, for later
test scan::tests::panics - should panic ... ok

test result: ok. 1 passed; 0 failed
     Running tests/rest.rs (/elsewhere/debug/deps/rest-fedcba9876543210)
test predicts ... FAILED
test says ... something else
   Doc-tests tensorgate_core
test host/core/src/lib.rs - (line 3) ... ok
";

    #[test]
    fn names_a_test_by_its_program() {
        let mut reader = Reader::default();
        OUTPUT.lines().for_each(|line| reader.line(line));
        let found: Vec<(&str, Fate)> = reader
            .tests
            .iter()
            .map(|(name, fate)| (name.as_str(), *fate))
            .collect();
        assert_eq!(
            found,
            [
                ("rest::predicts", Fate::Failed),
                ("tensorgate_core::scan::tests::finds_versions", Fate::Passed),
                ("tensorgate_core::scan::tests::panics", Fate::Passed),
                ("tensorgate_core::scan::tests::waits", Fate::Ignored),
            ]
        );
    }

    #[test]
    fn a_test_whose_line_somebody_spoilt_ended_as_its_program_did() {
        let program = |number: u8| format!("Running x (target/deps/p{number}-0123456789abcdef)");
        let mut reader = Reader::default();
        for line in [
            &program(1),
            "test a ... I0000 a library says something",
            "ok",
            "test result: ok. 1 passed; 0 failed",
            &program(2),
            "test b ... I0000 a library says something",
            "test result: FAILED. 0 passed; 1 failed",
            &program(3),
            "test result: ok. 0 passed; 0 failed",
        ] {
            reader.line(line);
        }
        assert_eq!(
            reader.tests,
            Tests::from([("p1::a".to_owned(), Fate::Passed)])
        );
    }

    #[test]
    fn a_name_that_failed_once_has_failed() {
        let mut tests = Tests::new();
        note(&mut tests, "a::b".to_owned(), Fate::Failed);
        note(&mut tests, "a::b".to_owned(), Fate::Passed);
        assert_eq!(tests["a::b"], Fate::Failed);
    }

    #[test]
    fn refuses_a_record_that_it_did_not_write() {
        let file = std::env::temp_dir().join(format!("xtask-record-{}", std::process::id()));
        fs::write(&file, "ok a::b\nperhaps a::c\n").unwrap();
        let mut tests = Tests::new();
        let error = read_file(&file, &mut tests).unwrap_err().to_string();
        fs::remove_file(&file).unwrap();
        assert!(error.contains("perhaps a::c"), "{error}");
        assert_eq!(tests["a::b"], Fate::Passed);
    }
}
