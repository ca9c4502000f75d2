//! `cargo xtask test`: everything that CI checks, cheap things first.
//!
//! Nothing is compiled twice: all steps use the dev profile and the same packages with the same
//! features, warnings are denied by the tools' own flags (RUSTFLAGS would make cargo rebuild all
//! dependencies), and the examples and the package run the binary that the tests were built with.

mod compatibility;
mod record;
mod steps;
mod surface;

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

pub(crate) use self::steps::doc;
use self::steps::{COMPATIBILITY, STEPS};
use crate::arguments::Arguments;
use crate::progress;
use crate::repo::Repo;

/// One thing that is checked.
#[derive(Debug)]
struct Step {
    name: &'static str,
    what: &'static str,
    run: fn(&Repo) -> Result<()>,
}

/// How it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Passed(Duration),
    Failed(Duration),
    /// Something before it failed.
    NotRun,
}

/// Runs the steps that were asked for.
pub(crate) fn test(repo: &Repo, mut arguments: Arguments) -> Result<ExitCode> {
    let list = arguments.flag("--list");
    let keep_going = arguments.flag("--keep-going");
    let only = arguments.values("--only")?;
    let skip = arguments.values("--skip")?;
    arguments.finish()?;
    let chosen = choose(&only, &skip)?;
    if list {
        for step in &chosen {
            progress::print(&format!("{:<14}{}\n", step.name, step.what));
        }
        return Ok(ExitCode::SUCCESS);
    }
    if chosen.iter().any(|step| step.name != COMPATIBILITY) {
        // Only the tests of this run count. That step alone looks at those of the latest one.
        record::clear(repo)?;
    }

    let mut outcomes: Vec<(&str, Outcome)> = Vec::new();
    let mut failed = false;
    for step in chosen {
        let outcome = if failed && !keep_going {
            Outcome::NotRun
        } else {
            run(repo, step)
        };
        failed |= matches!(outcome, Outcome::Failed(_));
        outcomes.push((step.name, outcome));
    }
    progress::print(&summary(&outcomes));
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn choose(only: &[String], skip: &[String]) -> Result<Vec<&'static Step>> {
    for name in only.iter().chain(skip) {
        if !STEPS.iter().any(|step| step.name == name) {
            bail!("no step `{name}`: `cargo xtask test --list` has them");
        }
    }
    Ok(STEPS
        .iter()
        .filter(|step| only.is_empty() || only.iter().any(|name| name == step.name))
        .filter(|step| !skip.iter().any(|name| name == step.name))
        .collect())
}

fn run(repo: &Repo, step: &Step) -> Outcome {
    progress::note(&format!("---- {}: {}", step.name, step.what));
    let started = Instant::now();
    let result = (step.run)(repo);
    let took = started.elapsed();
    match result {
        Ok(()) => Outcome::Passed(took),
        Err(error) => {
            progress::failure(&error);
            progress::note(&format!("to repeat: cargo xtask test --only {}", step.name));
            Outcome::Failed(took)
        }
    }
}

/// A table, and the line that scripts look at.
fn summary(outcomes: &[(&str, Outcome)]) -> String {
    let mut text = "\n".to_owned();
    for (name, outcome) in outcomes {
        let (word, took) = match outcome {
            Outcome::Passed(took) => ("passed", progress::seconds(*took)),
            Outcome::Failed(took) => ("FAILED", progress::seconds(*took)),
            Outcome::NotRun => ("not run", String::new()),
        };
        let _ = writeln!(
            text,
            "{}",
            format!("{name:<14}{word:<9}{took:>12}").trim_end()
        );
    }
    let count = |wanted: fn(&Outcome) -> bool| {
        outcomes
            .iter()
            .filter(|(_, outcome)| wanted(outcome))
            .count()
    };
    let _ = writeln!(
        text,
        "\n{} passed, {} failed",
        count(|outcome| matches!(outcome, Outcome::Passed(_))),
        count(|outcome| matches!(outcome, Outcome::Failed(_)))
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_a_step_that_there_is_not() {
        let error = choose(&[], &["frmt".to_owned()]).unwrap_err();
        assert!(error.to_string().contains("`frmt`"));
    }

    #[test]
    fn chooses_in_the_order_of_the_list() {
        let only = ["doc".to_owned(), "fmt".to_owned()];
        let names: Vec<&str> = choose(&only, &[]).unwrap().iter().map(|s| s.name).collect();
        assert_eq!(names, ["fmt", "doc"]);
        let left = choose(&[], &["fmt".to_owned()]).unwrap();
        assert_eq!(left.len(), STEPS.len() - 1);
    }

    #[test]
    fn ends_with_the_line_that_scripts_look_at() {
        let text = summary(&[
            ("fmt", Outcome::Passed(Duration::from_millis(100))),
            ("clippy", Outcome::Failed(Duration::from_secs(100))),
            ("doc", Outcome::NotRun),
        ]);
        assert_eq!(
            text,
            "\nfmt           passed          0.1 s\n\
             clippy        FAILED     1 min 40 s\n\
             doc           not run\n\
             \n1 passed, 1 failed\n"
        );
    }
}
