//! Files that a component sees: copied, so that it can do no harm, or where they are.

use std::fs;
use std::path::{Component as Part, Path, PathBuf};

use crate::manifest::Mount;

/// Says what is wrong with a pattern of files.
///
/// # Errors
///
/// It ends in `.` or `..`, or is no pattern.
pub fn check_pattern(pattern: &str) -> Result<(), String> {
    let hint = "to include a directory, use source-destination form, or a glob pattern ending in \
                **/*";
    if pattern.is_empty() {
        return Err("empty, expected a pattern of files".to_owned());
    }
    if pattern == ".." || pattern.ends_with("/..") {
        return Err(format!(
            "a file pattern can't end in a parent directory path (..): {hint}"
        ));
    }
    if pattern == "." || pattern.ends_with("/.") {
        return Err(format!(
            "a file pattern can't end in a current directory path (.): {hint}"
        ));
    }
    match glob::Pattern::new(pattern) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!(
            "failed to resolve glob pattern {pattern:?}: {error}"
        )),
    }
}

/// Copies what a component sees into a directory.
#[derive(Debug)]
pub(crate) struct Copier<'a> {
    /// Where the manifest is; nothing outside it is copied.
    pub(crate) root: &'a Path,
    /// Where copies go.
    pub(crate) into: &'a Path,
    exclude: Vec<glob::Pattern>,
}

impl<'a> Copier<'a> {
    pub(crate) fn new(root: &'a Path, into: &'a Path, exclude: &[String]) -> Result<Self, String> {
        let exclude = exclude
            .iter()
            .map(|pattern| {
                glob::Pattern::new(pattern).map_err(|error| {
                    format!("invalid exclude_files glob pattern {pattern:?}: {error}")
                })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            root,
            into,
            exclude,
        })
    }

    pub(crate) fn copy(&self, mount: &Mount) -> Result<(), String> {
        match mount {
            Mount::Pattern(pattern) => self.copy_pattern(pattern),
            Mount::Placement {
                source,
                destination,
            } => self.copy_placement(source, destination),
        }
    }

    fn copy_pattern(&self, pattern: &str) -> Result<(), String> {
        check_pattern(pattern)?;
        let path = self.root.join(pattern);
        if path.is_dir() {
            // Where it is, seen from the manifest.
            return self.copy_matches(&path.join("**/*"), self.root, self.into);
        }
        if is_there(&path)? {
            return self.copy_file(&path, &self.into.join(relative(pattern)?));
        }
        if glob::Pattern::escape(pattern) == pattern {
            return Err(format!(
                "{pattern:?} does not exist and doesn't appear to be a glob pattern"
            ));
        }
        self.copy_matches(&path, self.root, self.into)
    }

    fn copy_placement(&self, source: &str, destination: &str) -> Result<(), String> {
        let path = self.root.join(source);
        let into = self
            .into
            .join(relative(destination.trim_start_matches('/'))?);
        if path.is_dir() {
            self.copy_matches(&path.join("**/*"), &path, &into)
        } else if !is_there(&path)? {
            Err(format!("file or directory {source:?} does not exist"))
        } else if destination.ends_with(['/', '.']) {
            Err(format!(
                "{destination:?} is not a valid destination file name for {source:?}"
            ))
        } else {
            self.copy_file(&path, &into)
        }
    }

    /// Copies the files that a pattern matches to where they are, seen from `prefix`.
    fn copy_matches(&self, pattern: &Path, prefix: &Path, into: &Path) -> Result<(), String> {
        let Some(text) = pattern.to_str() else {
            return Err(format!("invalid (non-utf8) file pattern {pattern:?}"));
        };
        let paths = glob::glob(text)
            .map_err(|error| format!("failed to resolve glob pattern {text:?}: {error}"))?;
        make_directory(into)?;
        for path in paths {
            let path = path.map_err(|error| error.to_string())?;
            if !path.is_file() {
                continue;
            }
            let seen_from_root = self.inside(&path)?;
            if self
                .exclude
                .iter()
                .any(|pattern| pattern.matches_path(seen_from_root))
            {
                continue;
            }
            let below = path
                .strip_prefix(prefix)
                .map_err(|error| error.to_string())?;
            self.copy_file(&path, &into.join(below))?;
        }
        Ok(())
    }

    fn inside<'p>(&self, path: &'p Path) -> Result<&'p Path, String> {
        let climbs = path.components().any(|part| part == Part::ParentDir);
        match path.strip_prefix(self.root) {
            Ok(below) if !climbs => Ok(below),
            _ => Err(format!(
                "{} cannot be mapped because it is outside the application directory: files must \
                 be within it",
                path.display()
            )),
        }
    }

    fn copy_file(&self, from: &Path, to: &Path) -> Result<(), String> {
        self.inside(from)?;
        if let Some(parent) = to.parent() {
            make_directory(parent)?;
        }
        fs::copy(from, to).map(drop).map_err(|error| {
            format!(
                "failed to copy {} to working path {}: {error}",
                from.display(),
                to.display()
            )
        })
    }
}

fn is_there(path: &Path) -> Result<bool, String> {
    path.try_exists()
        .map_err(|error| format!("cannot look for {}: {error}", path.display()))
}

fn make_directory(path: &Path) -> Result<(), String> {
    fs::create_dir_all(path)
        .map_err(|error| format!("failed to create directory {}: {error}", path.display()))
}

/// A path that leads nowhere above where it begins.
fn relative(path: &str) -> Result<PathBuf, String> {
    let mut clean = PathBuf::new();
    for part in Path::new(path).components() {
        match part {
            Part::Normal(part) => clean.push(part),
            Part::CurDir => {}
            Part::ParentDir | Part::RootDir | Part::Prefix(_) => {
                return Err(format!("{path:?} leads out of the component's files"));
            }
        }
    }
    Ok(clean)
}
