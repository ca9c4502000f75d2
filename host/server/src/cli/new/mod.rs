//! `tensorgate new processor`: a project from the templates that the binary carries.
//!
//! A template is a directory `templates/LANGUAGE`; its files are written as they are, but for the
//! placeholders `{{name}}` and `{{kebab-name}}`. Every project gets the contract (`wit/`), and one
//! in Rust the SDK's sources too, since no registry has it.
//!
//! **Invariant:** nothing that is there is written over.

mod name;
mod vendor;

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use self::name::Name;
use super::flag::{self, Flag, Value};
use super::{complain, print, print_error, usage};

/// The files that the build script has listed, by their paths in the repository.
mod embedded {
    include!(concat!(env!("OUT_DIR"), "/embedded.rs"));
}

/// Where templates lie in the repository.
const TEMPLATES: &str = "host/server/src/cli/new/templates/";

/// A language that there is a template for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Language {
    /// As `--lang` has it, and the name of the template's directory.
    name: &'static str,
    title: &'static str,
    /// What is to be done once, before the first build, where the build does not do it.
    prepare: &'static [&'static str],
}

const LANGUAGES: &[Language] = &[
    Language {
        name: "rust",
        title: "Rust",
        prepare: &["rustup target add wasm32-wasip2"],
    },
    Language {
        name: "javascript",
        title: "JavaScript",
        prepare: &[],
    },
    Language {
        name: "python",
        title: "Python",
        prepare: &[],
    },
];

impl Language {
    /// Those whose templates are there.
    fn all() -> impl Iterator<Item = Self> {
        let all = LANGUAGES.iter().copied();
        all.filter(|language| language.template().next().is_some())
    }

    fn find(name: &str) -> Option<Self> {
        Self::all().find(|language| language.name == name)
    }

    /// The files of its template, by their paths in it.
    fn template(self) -> impl Iterator<Item = (&'static str, &'static [u8])> {
        embedded::TEMPLATES.iter().filter_map(move |(path, bytes)| {
            let path = path.strip_prefix(TEMPLATES)?.strip_prefix(self.name)?;
            Some((path.strip_prefix('/')?, *bytes))
        })
    }
}

#[derive(Debug, Default)]
struct Options {
    language: Option<String>,
    directory: Option<PathBuf>,
    help: bool,
}

const FLAGS: &[Flag<Options>] = &[
    Flag {
        name: "lang",
        default: "",
        value: Value::Text(|o, v| o.language = Some(v.to_owned())),
        acts: true,
        help: "The language that it is written in: rust, javascript or python.",
    },
    Flag {
        name: "dir",
        default: "",
        value: Value::Text(|o, v| o.directory = Some(v.into()).filter(|_| !v.is_empty())),
        acts: true,
        help: "The directory that it becomes, new or empty; empty for the processor's name.",
    },
    Flag {
        name: "help",
        default: "false",
        value: Value::Bool(|o, v| o.help = v),
        acts: true,
        help: "Prints this and ends.",
    },
];

const USAGE: &str = "tensorgate new processor <name> --lang=LANGUAGE [--dir=DIRECTORY]";

/// Runs the command that `args` ask for.
pub(super) fn run(args: &[String]) -> ExitCode {
    let flags: Vec<_> = FLAGS.iter().collect();
    let mut options = Options::default();
    let found = match flag::parse(&flags, args, &mut options) {
        Ok(found) => found,
        Err(error) => return complain(&error.to_string()),
    };
    if options.help {
        print(&format!("usage: {USAGE}\n\n{}", usage::help(&flags)));
        return ExitCode::SUCCESS;
    }
    if let Some(unknown) = found.unknown.iter().find(|arg| arg.starts_with('-')) {
        return complain(&format!("unknown argument: {unknown}; usage: {USAGE}"));
    }
    let [what, name] = found.unknown.as_slice() else {
        return complain(&format!("usage: {USAGE}"));
    };
    if what != "processor" {
        return complain(&format!(
            "nothing that is called {what} can be made: expected `tensorgate new processor`"
        ));
    }
    let told = language(options.language.as_deref())
        .and_then(|language| Ok((language, Name::parse(name, &vendor::crates())?)));
    let (language, parsed) = match told {
        Ok(told) => told,
        Err(problem) => return complain(&problem),
    };
    let directory = options.directory.unwrap_or_else(|| PathBuf::from(name));
    match make(&directory, language, &parsed) {
        Ok(()) => {
            print(&next_steps(&directory, language));
            ExitCode::SUCCESS
        }
        Err(problem) => {
            print_error(&format!("tensorgate: {problem}\n"));
            ExitCode::FAILURE
        }
    }
}

fn language(given: Option<&str>) -> Result<Language, String> {
    let names: Vec<&str> = Language::all().map(|language| language.name).collect();
    let names = names.join(", ");
    let given = given.ok_or_else(|| format!("which language? expected --lang, one of: {names}"))?;
    Language::find(given)
        .ok_or_else(|| format!("there is no template for {given:?}; expected one of: {names}"))
}

/// Every file of a new project, by its path in it.
fn files(language: Language, name: &Name) -> Result<Vec<(PathBuf, Vec<u8>)>, String> {
    let mut files = Vec::new();
    for (path, bytes) in language.template() {
        files.push((PathBuf::from(name.fill(path)), filled(bytes, name)));
    }
    let contract = embedded::CONTRACT.iter();
    files.extend(contract.map(|(path, bytes)| (PathBuf::from(path), bytes.to_vec())));
    if language.name == "rust" {
        files.extend(vendor::files()?);
    }
    Ok(files)
}

/// What is no text has no placeholders.
fn filled(bytes: &[u8], name: &Name) -> Vec<u8> {
    match str::from_utf8(bytes) {
        Ok(text) => name.fill(text).into_bytes(),
        Err(_) => bytes.to_vec(),
    }
}

fn make(directory: &Path, language: Language, name: &Name) -> Result<(), String> {
    let files = files(language, name)?;
    let shown = directory.display();
    expect_empty(directory).map_err(|error| format!("cannot make {shown}: {error}"))?;
    for (path, bytes) in files {
        let path = directory.join(path);
        write(&path, &bytes)
            .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    Ok(())
}

/// A directory that is not there, or has nothing in it.
fn expect_empty(directory: &Path) -> io::Result<()> {
    let mut entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    match entries.next() {
        None => Ok(()),
        Some(_) => Err(io::Error::other(
            "there is something in it; expected a directory that is new or empty",
        )),
    }
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(bytes)
}

fn next_steps(directory: &Path, language: Language) -> String {
    let shown = directory.display();
    let mut text = format!("{shown} is a processor in {}. Next:\n\n", language.title);
    // Infallible, here and below: a String takes everything.
    let _ = writeln!(text, "  cd {shown}");
    for command in language.prepare {
        let _ = writeln!(text, "  {command}");
    }
    text.push_str(
        "  tensorgate component build\n  \
         tensorgate component test --model_dir=/models/half_plus_two/1\n\n\
         README.md there says what it does, and where yours begins.\n",
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_is_a_whole_project() {
        let name = Name::parse("my_rows", &[]).unwrap();
        let languages: Vec<Language> = Language::all().collect();
        assert!(Language::find("rust").is_some());
        for language in languages {
            let files = files(language, &name).unwrap();
            let has = |path: &str| files.iter().any(|(found, _)| found == Path::new(path));
            for path in ["processor.toml", "README.md", "wit/processor.wit"] {
                assert!(has(path), "{}: {path}", language.name);
            }
            let recorded = |(path, _): &&(PathBuf, Vec<u8>)| {
                path.starts_with("tests") && path.extension().is_some_and(|kind| kind == "toml")
            };
            assert!(
                files.iter().any(|file| recorded(&file)),
                "{}",
                language.name
            );
            for (path, bytes) in &files {
                let text = String::from_utf8_lossy(bytes);
                let open = ["{{name}}", "{{kebab-name}}"];
                let left = open.iter().any(|open| text.contains(open));
                assert!(!left, "{}: {}", language.name, path.display());
            }
        }
    }

    #[test]
    fn nothing_that_is_there_is_written_over() {
        let directory = tempfile::tempdir().unwrap();
        let name = Name::parse("rows", &[]).unwrap();
        let rust = Language::find("rust").unwrap();
        let place = directory.path().join("rows");
        make(&place, rust, &name).unwrap();
        let manifest = fs::read_to_string(place.join("Cargo.toml")).unwrap();
        assert!(manifest.contains("name = \"rows\""), "{manifest}");
        let problem = make(&place, rust, &name).unwrap_err();
        assert!(problem.contains("new or empty"), "{problem}");
        // An empty directory is as good as none.
        fs::create_dir(directory.path().join("empty")).unwrap();
        make(&directory.path().join("empty"), rust, &name).unwrap();
        let file = place.join("README.md");
        assert!(make(&file, rust, &name).is_err());
    }

    #[test]
    fn a_language_is_one_of_those_with_a_template() {
        assert_eq!(language(Some("rust")).unwrap().name, "rust");
        for other in [None, Some("cobol"), Some("")] {
            let problem = language(other).unwrap_err();
            assert!(problem.contains("one of: rust"), "{problem}");
        }
    }
}
