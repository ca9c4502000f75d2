//! What is wrong with a manifest, and where.

use std::fmt;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Something that is wrong with a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Whether the app can run nevertheless.
    pub severity: Severity,
    /// Line and column, from 1, where they are known.
    pub place: Option<(usize, usize)>,
    /// The keys that lead there; none where the text is no TOML, or not of the manifest's shape.
    pub path: Vec<String>,
    /// What is wrong and what was expected.
    pub message: String,
}

/// Whether an app can run in spite of a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// It cannot.
    Error,
    /// It can, though probably not as was meant.
    Warning,
}

impl Problem {
    /// Whether the app cannot run.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((line, column)) = self.place {
            write!(formatter, "line {line}, column {column}: ")?;
        }
        if !self.path.is_empty() {
            for (position, key) in self.path.iter().enumerate() {
                let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_".contains(letter);
                match (position, key.chars().all(plain)) {
                    (0, true) => formatter.write_str(key)?,
                    (_, true) => write!(formatter, ".{key}")?,
                    (_, false) => write!(formatter, ".{key:?}")?,
                }
            }
            formatter.write_str(": ")?;
        }
        formatter.write_str(&self.message)
    }
}

/// Collects problems of a text, with their places.
#[derive(Debug)]
pub(super) struct Collector<'a> {
    text: &'a str,
    root: Option<Spanned<DeTable<'a>>>,
    pub(super) found: Vec<Problem>,
}

impl<'a> Collector<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            text,
            root: DeTable::parse(text).ok(),
            found: Vec::new(),
        }
    }

    pub(super) fn error(&mut self, path: &[&str], message: impl Into<String>) {
        self.add(Severity::Error, path, message.into());
    }

    pub(super) fn warning(&mut self, path: &[&str], message: impl Into<String>) {
        self.add(Severity::Warning, path, message.into());
    }

    fn add(&mut self, severity: Severity, path: &[&str], message: String) {
        let place = self
            .root
            .as_ref()
            .and_then(|root| find(root, path))
            .map(|offset| place(self.text, offset));
        self.found.push(Problem {
            severity,
            place,
            path: path.iter().map(|&key| key.to_owned()).collect(),
            message,
        });
    }

    /// The text is no TOML, or not of the manifest's shape.
    pub(super) fn unreadable(&mut self, error: &toml::de::Error) {
        self.found.push(Problem {
            severity: Severity::Error,
            place: error.span().map(|span| place(self.text, span.start)),
            path: Vec::new(),
            message: error.message().to_owned(),
        });
    }
}

/// Where the last key of a path is written, or the last one of it that is.
fn find(root: &Spanned<DeTable<'_>>, path: &[&str]) -> Option<usize> {
    let (first, rest) = path.split_first()?;
    let (key, mut value) = entry(root.get_ref(), first)?;
    let mut offset = key;
    for key in rest {
        match value.get_ref() {
            DeValue::Table(table) => {
                let Some((at, next)) = entry(table, key) else {
                    break;
                };
                (offset, value) = (at, next);
            }
            DeValue::Array(items) => {
                let Some(next) = key.parse().ok().and_then(|index: usize| items.get(index)) else {
                    break;
                };
                (offset, value) = (next.span().start, next);
            }
            _ => break,
        }
    }
    Some(offset)
}

fn entry<'t, 'i>(table: &'t DeTable<'i>, key: &str) -> Option<(usize, &'t Spanned<DeValue<'i>>)> {
    table
        .iter()
        .find(|(name, _)| name.get_ref() == key)
        .map(|(name, value)| (name.span().start, value))
}

/// Line and column of a byte, from 1.
fn place(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let column = before.get(start..).unwrap_or_default().chars().count() + 1;
    (line, column)
}
