//! Holds the tables of docs/compatibility.md to the tests that ran: a claim without a test that
//! passed in this very run fails the test command.
//!
//! A table of claims is one whose last column is called `test`. Each row says what it is about,
//! how it is here (`works`, `differs: why`, `not: why`), and which tests show it. Rows whose first
//! cell is one piece of code (`` `--port` ``) are looked up by it: everything in
//! [`surface`] must have such a row.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context as _, Result, bail};

use super::record::{self, Fate, Tests};
use super::surface;
use crate::progress;
use crate::repo::Repo;

const PAGE: &str = "docs/compatibility.md";

/// What a row may say, and whether it has to say why.
const STATES: &[(&str, bool)] = &[("works", false), ("differs", true), ("not", true)];

/// A row of a table of claims.
#[derive(Debug)]
struct Row<'a> {
    /// Its line in the page, from 1.
    line: usize,
    what: &'a str,
    state: &'a str,
    tests: Vec<&'a str>,
}

/// Fails with every complaint at once.
pub(super) fn check(repo: &Repo) -> Result<()> {
    let page = repo.root().join(PAGE);
    let text =
        fs::read_to_string(&page).with_context(|| format!("cannot read {}", page.display()))?;
    let tests = record::read(repo)?;
    let rows = rows(&text);
    let found = complaints(&rows, &tests, &surface::all());
    if !found.is_empty() {
        let lines: String = found.iter().map(|line| format!("\n  {line}")).collect();
        bail!("{} wrong in {PAGE}:{lines}", found.len());
    }
    progress::note(&format!(
        "{} rows, each with a test that passed; {} tests passed in all",
        rows.len(),
        tests.values().filter(|fate| **fate == Fate::Passed).count()
    ));
    Ok(())
}

/// The rows of every table of claims.
fn rows(text: &str) -> Vec<Row<'_>> {
    let mut found = Vec::new();
    // How many columns the table of claims has that we are in.
    let mut columns = None;
    for (number, line) in (1..).zip(text.lines()) {
        let Some(cells) = cells(line) else {
            columns = None;
            continue;
        };
        let Some(count) = columns else {
            // Any other table is taken for a table of no columns, until it ends.
            let is_ours = cells.last() == Some(&"test");
            columns = Some(if is_ours { cells.len() } else { 0 });
            continue;
        };
        let is_rule = cells
            .iter()
            .all(|cell| cell.trim_matches(['-', ':']).is_empty());
        if count == 0 || (is_rule && cells.iter().any(|cell| !cell.is_empty())) {
            continue;
        }
        let cell = |index: usize| cells.get(index).copied().unwrap_or_default();
        found.push(Row {
            line: number,
            what: cell(0),
            state: cell(1),
            tests: code(cell(count - 1)),
        });
    }
    found
}

/// The cells of a line of a table; none for any other line. `\|` is no border.
fn cells(line: &str) -> Option<Vec<&str>> {
    let inner = line.trim().strip_prefix('|')?.strip_suffix('|')?;
    let mut cells = Vec::new();
    let (mut start, mut escaped) = (0, false);
    for (index, byte) in inner.bytes().enumerate() {
        if byte == b'|' && !escaped {
            cells.push(inner[start..index].trim());
            start = index + 1;
        }
        escaped = byte == b'\\' && !escaped;
    }
    cells.push(inner[start..].trim());
    Some(cells)
}

/// Everything between single backticks.
fn code(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// The one piece of code that a cell begins with, which is what a row is looked up by.
fn key(what: &str) -> Option<&str> {
    what.strip_prefix('`')?.split('`').next()
}

fn complaints(rows: &[Row<'_>], tests: &Tests, surface: &[String]) -> Vec<String> {
    if rows.is_empty() {
        return vec!["no table has a column `test`".to_owned()];
    }
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    for row in rows {
        let mut complain =
            |what: &str| found.push(format!("line {} ({}): {what}", row.line, row.what));
        if row.what.is_empty() {
            complain("says nothing of what it is about");
        } else if !seen.insert(row.what) {
            complain("is there twice");
        }
        let (word, why) = row.state.split_once(':').unwrap_or((row.state, ""));
        match STATES.iter().find(|(state, _)| *state == word) {
            None => complain(&format!(
                "{:?} is none of `works`, `differs: why`, `not: why`",
                row.state
            )),
            Some((_, true)) if why.trim().is_empty() => complain("does not say why"),
            Some(_) => {}
        }
        if row.tests.is_empty() {
            complain("names no test");
        }
        for test in &row.tests {
            match tests.get(*test) {
                Some(Fate::Passed) => {}
                Some(Fate::Failed) => complain(&format!("`{test}` failed")),
                Some(Fate::Ignored) => complain(&format!("`{test}` is ignored")),
                None => complain(&format!("there is no `{test}`, or it did not run")),
            }
        }
    }
    let keys: BTreeSet<&str> = rows.iter().filter_map(|row| key(row.what)).collect();
    for item in surface {
        if !keys.contains(item.as_str()) {
            found.push(format!("no row begins with `{item}`"));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "\
# Compatibility

| the original | here | why |
|---|---|---|
| wraps | is refused | |

| flag | here | test |
|---|---|---|
| `--port` | works | `startup::opens_ports` |
| `--help`, first of all | differs: exit code 0 | `startup::helps`, `startup::helps_too` |
| `a \\| b` | not: nobody asked | `rest::refuses` |

Text.
";

    fn tests() -> Tests {
        [
            ("startup::opens_ports", Fate::Passed),
            ("startup::helps", Fate::Passed),
            ("startup::helps_too", Fate::Passed),
            ("rest::refuses", Fate::Passed),
            ("rest::later", Fate::Ignored),
            ("rest::broken", Fate::Failed),
        ]
        .map(|(name, fate)| (name.to_owned(), fate))
        .into()
    }

    fn complain(page: &str, surface: &[&str]) -> Vec<String> {
        let surface: Vec<String> = surface.iter().map(|item| (*item).to_owned()).collect();
        complaints(&rows(page), &tests(), &surface)
    }

    /// A page with one row.
    fn page(row: &str) -> String {
        format!("| what | here | test |\n|:--|---|--:|\n{row}\n")
    }

    #[test]
    fn has_nothing_to_say_of_rows_whose_tests_passed() {
        assert_eq!(rows(PAGE).len(), 3);
        assert_eq!(
            complain(PAGE, &["--port", "--help", "a \\| b"]),
            Vec::<String>::new()
        );
    }

    #[test]
    fn names_the_row_and_the_fault() {
        for (row, fault) in [
            ("| x | works | `rest::gone` |", "there is no `rest::gone`"),
            ("| x | works | `rest::later` |", "`rest::later` is ignored"),
            ("| x | works | `rest::broken` |", "`rest::broken` failed"),
            (
                "| x | works | `rest::refuses`, `rest::gone` |",
                "`rest::gone`",
            ),
            ("| x | works | |", "names no test"),
            ("| x | works |", "names no test"),
            ("| x | works | rest::refuses |", "names no test"),
            ("| x | differs | `rest::refuses` |", "does not say why"),
            ("| x | not: | `rest::refuses` |", "does not say why"),
            ("| x | maybe | `rest::refuses` |", "\"maybe\" is none of"),
            ("| x | | `rest::refuses` |", "\"\" is none of"),
            ("| | works | `rest::refuses` |", "says nothing"),
            ("| | | |", "says nothing"),
        ] {
            let found = complain(&page(row), &[]);
            assert!(
                found
                    .iter()
                    .any(|line| line.contains(fault) && line.contains("line 3")),
                "{row}: {found:?}"
            );
        }
    }

    #[test]
    fn wants_each_row_once() {
        let row = "| x | works | `rest::refuses` |";
        let found = complain(&page(&format!("{row}\n{row}")), &[]);
        assert_eq!(found, ["line 4 (x): is there twice"]);
    }

    #[test]
    fn wants_a_row_for_everything_on_the_surface() {
        let found = complain(PAGE, &["--port", "--rest_api_port"]);
        assert_eq!(found, ["no row begins with `--rest_api_port`"]);
        // The piece of code has to be the whole name.
        assert_eq!(complain(PAGE, &["--por"]).len(), 1);
    }

    #[test]
    fn wants_a_table_at_all() {
        assert_eq!(
            complain("| a | b |\n|---|---|\n| c | d |\n", &[]),
            ["no table has a column `test`"]
        );
    }
}
