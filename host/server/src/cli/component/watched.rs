//! Files by patterns, and which of them have changed since they were looked at.
//!
//! `*` stands for any part of a name, `?` for one letter, `**` for any directories. Looked at by
//! their times and lengths: that works on every file system, and needs nothing from the system.
//!
//! **Invariant:** a look has an end, however many files there are.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

/// Entries of directories that one look takes in: more are a pattern that is too wide.
const MAX_ENTRIES: usize = 50_000;

/// What is full of files that no project is built from.
const PASSED_OVER: [&str; 5] = ["target", "node_modules", "__pycache__", ".git", ".venv"];

/// Patterns of files below a directory.
#[derive(Debug)]
pub(in crate::cli) struct Watched {
    directory: PathBuf,
    patterns: Vec<Vec<String>>,
}

/// Files as they were at a time.
pub(in crate::cli) type Look = BTreeMap<PathBuf, (Option<SystemTime>, u64)>;

impl Watched {
    /// The files below `directory` that fit one of the patterns.
    ///
    /// # Errors
    /// The pattern that is none.
    pub(in crate::cli) fn new<'a>(
        directory: &Path,
        patterns: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, String> {
        let patterns = patterns.into_iter().map(parse).collect::<Result<_, _>>()?;
        Ok(Self {
            directory: directory.to_owned(),
            patterns,
        })
    }

    /// Looks at all of them.
    ///
    /// # Errors
    /// When there are too many entries. What cannot be read is not there.
    pub(in crate::cli) fn look(&self) -> Result<Look, String> {
        let mut look = Look::new();
        let mut entries = 0;
        for pattern in &self.patterns {
            // Where the first wildcard is, the walk begins.
            let fixed = pattern.iter().take_while(|part| !is_wild(part));
            let start: PathBuf = fixed.collect();
            let mut places = vec![start];
            while let Some(place) = places.pop() {
                entries += 1;
                if entries > MAX_ENTRIES {
                    return Err(format!(
                        "build.watch takes in more than {MAX_ENTRIES} files; expected patterns \
                         such as src/**/*.rs"
                    ));
                }
                let path = self.directory.join(&place);
                // A link to a directory may lead back here.
                let is_directory = path.is_dir() && !path.is_symlink();
                if is_directory {
                    places.extend(inside(&path, &place));
                } else if fits(pattern, &place)
                    && let Ok(found) = fs::metadata(&path)
                {
                    look.insert(place, (found.modified().ok(), found.len()));
                }
            }
        }
        Ok(look)
    }
}

/// What lies in a directory, without what nobody builds from.
fn inside(path: &Path, place: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name());
    names
        .filter(|name| !PASSED_OVER.iter().any(|over| name == over))
        .take(MAX_ENTRIES)
        .map(|name| place.join(name))
        .collect()
}

/// The first file that is another one, is there or is not there any more.
pub(in crate::cli) fn changed(before: &Look, now: &Look) -> Option<PathBuf> {
    let mut found = now.iter();
    let new = found.find(|(path, state)| before.get(*path) != Some(*state));
    let new = new.map(|(path, _)| path);
    new.or_else(|| before.keys().find(|path| !now.contains_key(*path)))
        .cloned()
}

fn is_wild(part: &str) -> bool {
    part.contains(['*', '?'])
}

/// The parts of a pattern.
fn parse(pattern: &str) -> Result<Vec<String>, String> {
    let problem = |why: &str| Err(format!("build.watch has {pattern:?}: {why}"));
    if pattern.contains(['[', ']', '{', '}', '\\']) {
        return problem("expected names with *, ? and ** in them");
    }
    let mut parts = Vec::new();
    for component in Path::new(pattern).components() {
        match component {
            Component::Normal(part) => parts.push(part.to_string_lossy().into_owned()),
            Component::CurDir => {}
            _ => return problem("expected a path below the project's directory"),
        }
    }
    if parts.is_empty() {
        return problem("it is empty");
    }
    if let Some(part) = parts
        .iter()
        .find(|part| part.contains("**") && *part != "**")
    {
        return problem(&format!("in {part:?} ** has to stand alone"));
    }
    Ok(parts)
}

/// Whether a path, seen from the directory, fits a pattern.
fn fits(pattern: &[String], path: &Path) -> bool {
    let names: Vec<_> = path.iter().map(|name| name.to_string_lossy()).collect();
    // Which first parts of the pattern fit the names so far: bounded, whatever the pattern is.
    let mut at = vec![false; pattern.len() + 1];
    at[0] = true;
    skip_stars(pattern, &mut at);
    for name in &names {
        let mut next = vec![false; pattern.len() + 1];
        for (index, part) in pattern.iter().enumerate().filter(|(index, _)| at[*index]) {
            if part == "**" {
                next[index] = true;
            } else if name_fits(part, name) {
                next[index + 1] = true;
            }
        }
        skip_stars(pattern, &mut next);
        at = next;
    }
    at[pattern.len()]
}

/// `**` stands for no directory, too.
fn skip_stars(pattern: &[String], at: &mut [bool]) {
    for (index, part) in pattern.iter().enumerate() {
        if at[index] && part == "**" {
            at[index + 1] = true;
        }
    }
}

/// Whether a name fits a part with `*` and `?` in it.
fn name_fits(part: &str, name: &str) -> bool {
    let part: Vec<char> = part.chars().collect();
    let mut at = vec![false; part.len() + 1];
    at[0] = true;
    let skip = |at: &mut Vec<bool>| {
        for (index, letter) in part.iter().enumerate() {
            if at[index] && *letter == '*' {
                at[index + 1] = true;
            }
        }
    };
    skip(&mut at);
    for letter in name.chars() {
        let mut next = vec![false; part.len() + 1];
        for (index, wanted) in part.iter().enumerate().filter(|(index, _)| at[*index]) {
            match wanted {
                '*' => next[index] = true,
                '?' => next[index + 1] = true,
                wanted => next[index + 1] |= *wanted == letter,
            }
        }
        skip(&mut next);
        at = next;
    }
    at[part.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_those_of_shells() {
        for (pattern, path, expected) in [
            ("src/**/*.rs", "src/lib.rs", true),
            ("src/**/*.rs", "src/a/b/lib.rs", true),
            ("src/**/*.rs", "src/lib.rst", false),
            ("src/**/*.rs", "lib.rs", false),
            ("**/*.py", "app.py", true),
            ("src/**", "src/a/b", true),
            ("a/*/c", "a/b/c", true),
            ("a/*/c", "a/b/b/c", false),
            ("*.toml", "Cargo.toml", true),
            ("?.js", "a.js", true),
            ("?.js", "ab.js", false),
            ("a*b*c", "axxbxxc", true),
            ("a*b*c", "axxcxxb", false),
            ("Cargo.toml", "Cargo.toml", true),
        ] {
            let parsed = parse(pattern).unwrap();
            assert_eq!(fits(&parsed, Path::new(path)), expected, "{pattern} {path}");
        }
        // Nothing takes for ever.
        let stars = parse(&"*a".repeat(200)).unwrap();
        assert!(!fits(
            &stars,
            Path::new(&"a".repeat(250)).join("b").as_path()
        ));
    }

    #[test]
    fn what_is_no_pattern_is_named() {
        for pattern in [
            "",
            "/etc/*",
            "../*.rs",
            "src/[ab].rs",
            "*.{js,ts}",
            "src**/a",
        ] {
            let problem = Watched::new(Path::new("."), [pattern]).unwrap_err();
            assert!(problem.contains("build.watch has"), "{problem}");
        }
    }

    #[test]
    fn a_change_is_seen_and_named() {
        let place = tempfile::tempdir().unwrap();
        let directory = place.path();
        fs::create_dir_all(directory.join("src/a")).unwrap();
        fs::create_dir_all(directory.join("src/target")).unwrap();
        fs::write(directory.join("src/target/b.rs"), "").unwrap();
        fs::write(directory.join("src/a/b.rs"), "1").unwrap();
        std::os::unix::fs::symlink(directory, directory.join("src/round")).unwrap();
        let watched = Watched::new(directory, ["src/**/*.rs", "Cargo.toml"]).unwrap();
        let first = watched.look().unwrap();
        let files: Vec<_> = first.keys().collect();
        assert_eq!(files, [Path::new("src/a/b.rs")]);
        assert_eq!(changed(&first, &watched.look().unwrap()), None);

        fs::write(directory.join("src/a/b.rs"), "12").unwrap();
        let second = watched.look().unwrap();
        assert_eq!(changed(&first, &second), Some("src/a/b.rs".into()));
        fs::write(directory.join("Cargo.toml"), "").unwrap();
        let third = watched.look().unwrap();
        assert_eq!(changed(&second, &third), Some("Cargo.toml".into()));
        fs::remove_file(directory.join("Cargo.toml")).unwrap();
        let fourth = watched.look().unwrap();
        assert_eq!(changed(&third, &fourth), Some("Cargo.toml".into()));
    }
}
