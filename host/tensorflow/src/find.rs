//! Where libtensorflow is, or libLiteRt.
//!
//! The first of: what a flag names, what the environment names, beside the binary, the Python
//! environment that the set-up made, the system's Python. What was named and is not there is an
//! error and not a reason to look elsewhere: whoever names a library wants that one.
//!
//! **Invariant:** looks at files and asks Python where its packages are; opens nothing, and reads
//! no environment variable itself.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What the set-up makes in the root of a clone.
const SETUP: &str = ".tensorgate/venv";

/// What is looked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Wanted {
    /// libtensorflow, for SavedModels.
    #[default]
    TensorFlow,
    /// libLiteRt, for TensorFlow Lite models.
    LiteRt,
}

impl Wanted {
    fn library(self) -> &'static str {
        match self {
            Self::TensorFlow => "libtensorflow",
            Self::LiteRt => "libLiteRt",
        }
    }

    /// The file names of the library: of libtensorflow the C distribution's, the Python wheel's.
    fn names(self) -> &'static [&'static str] {
        match self {
            Self::TensorFlow => &[
                "libtensorflow.so",
                "libtensorflow.so.2",
                "libtensorflow_cc.so.2",
            ],
            Self::LiteRt => &["libLiteRt.so"],
        }
    }

    /// The Python package that holds it.
    fn package(self) -> &'static str {
        match self {
            Self::TensorFlow => "tensorflow",
            Self::LiteRt => "ai_edge_litert",
        }
    }

    fn flag(self) -> &'static str {
        match self {
            Self::TensorFlow => "--libtensorflow",
            Self::LiteRt => "--liblitert",
        }
    }

    fn variable(self) -> &'static str {
        match self {
            Self::TensorFlow => "TENSORGATE_LIBTENSORFLOW",
            Self::LiteRt => "TENSORGATE_LIBLITERT",
        }
    }

    fn installed_by(self) -> &'static str {
        match self {
            Self::TensorFlow => "`pip install tensorflow-cpu` (or `tensorflow[and-cuda]` for GPUs)",
            Self::LiteRt => "`pip install ai-edge-litert`",
        }
    }
}

/// Where to look.
#[derive(Debug, Clone, Default)]
pub struct Lookup {
    /// What for.
    pub wanted: Wanted,
    /// What the flag says: a file, or a directory with the library in it.
    pub flag: Option<PathBuf>,
    /// What `TENSORGATE_LIBTENSORFLOW` (or `TENSORGATE_LIBLITERT`) says: a file or a directory.
    pub environment: Option<PathBuf>,
    /// The binary that runs.
    pub executable: Option<PathBuf>,
    /// The directory that it was started in.
    pub current_dir: Option<PathBuf>,
    /// The Python to ask in the end; `None` asks none.
    pub python: Option<PathBuf>,
}

/// The library is nowhere.
#[derive(Debug)]
pub struct NotFound {
    wanted: Wanted,
    tried: Vec<String>,
}

impl fmt::Display for NotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wanted = self.wanted;
        writeln!(f, "{} was not found. Looked at:", wanted.library())?;
        for place in &self.tried {
            writeln!(f, "  - {place}")?;
        }
        writeln!(f, "To fix it, do one of these:")?;
        writeln!(f, "  - in a clone of Tensorgate, run `cargo xtask setup`;")?;
        writeln!(f, "  - run {};", wanted.installed_by())?;
        let names = wanted.names().join(" or ");
        let with = match wanted {
            Wanted::TensorFlow => " (with libtensorflow_framework)",
            Wanted::LiteRt => "",
        };
        writeln!(f, "  - put {names}{with} beside the binary;")?;
        let (flag, variable) = (wanted.flag(), wanted.variable());
        write!(
            f,
            "  - name the file or its directory with {flag} or {variable}."
        )
    }
}

impl std::error::Error for NotFound {}

impl Lookup {
    /// For this process: its own path, its own directory, the `python3` on the path. `flag` and
    /// `environment` are the caller's to give.
    #[must_use]
    pub fn for_this_process(
        wanted: Wanted,
        flag: Option<PathBuf>,
        environment: Option<PathBuf>,
    ) -> Self {
        Self {
            wanted,
            flag,
            environment,
            executable: std::env::current_exe().ok(),
            current_dir: std::env::current_dir().ok(),
            python: Some(PathBuf::from("python3")),
        }
    }

    /// The path of the library.
    ///
    /// # Errors
    /// [`NotFound`].
    pub fn find(&self) -> Result<PathBuf, NotFound> {
        let mut tried = Vec::new();
        let wanted = self.wanted;
        let named = [
            (wanted.flag(), &self.flag),
            (wanted.variable(), &self.environment),
        ];
        for (what, path) in named {
            let Some(path) = path else {
                tried.push(format!("{what}: not set"));
                continue;
            };
            return wanted.at(path).ok_or_else(|| {
                tried.push(format!("{what}: {} is none and holds none", path.display()));
                NotFound { wanted, tried }
            });
        }
        for place in self.beside_the_binary().chain(self.set_up()) {
            if let Some(found) = wanted.inside(&place) {
                return Ok(found);
            }
            tried.push(place.display().to_string());
        }
        self.ask_python(&mut tried)
            .ok_or(NotFound { wanted, tried })
    }

    fn beside_the_binary(&self) -> impl Iterator<Item = PathBuf> {
        // Of a link to the binary, its target: a package is linked to, and lies elsewhere.
        let binary = self.executable.as_deref().map(real_path);
        let dir = binary.as_deref().and_then(Path::parent).map(Path::to_owned);
        dir.into_iter()
            .flat_map(|dir| [dir.clone(), dir.join("lib"), dir.join("../lib")])
    }

    /// The environment that the set-up makes, in any directory above the binary and above the
    /// current one.
    fn set_up(&self) -> impl Iterator<Item = PathBuf> {
        let binary = self.executable.as_deref().map(real_path);
        let from = [
            binary.as_deref().and_then(Path::parent).map(Path::to_owned),
            self.current_dir.clone(),
        ];
        let mut roots: Vec<PathBuf> = Vec::new();
        for dir in from.iter().flatten().flat_map(|dir| dir.ancestors()) {
            if dir.join(SETUP).is_dir() && !roots.iter().any(|root| root == dir) {
                roots.push(dir.to_owned());
            }
        }
        roots
            .into_iter()
            .flat_map(|root| self.wanted.packages_of(&root.join(SETUP)))
    }

    fn ask_python(&self, tried: &mut Vec<String>) -> Option<PathBuf> {
        let python = self.python.as_ref()?;
        let script = "import site, sys\n\
                      print('\\n'.join([*site.getsitepackages(), site.getusersitepackages()]))";
        let answer = Command::new(python)
            .args(["-c", script])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output();
        let answer = match answer {
            Ok(output) if output.status.success() => output.stdout,
            Ok(output) => {
                tried.push(format!("{}: {}", python.display(), output.status));
                return None;
            }
            Err(error) => {
                tried.push(format!("{}: {error}", python.display()));
                return None;
            }
        };
        for packages in String::from_utf8_lossy(&answer).lines() {
            let place = Path::new(packages).join(self.wanted.package());
            if let Some(found) = self.wanted.inside(&place) {
                return Some(found);
            }
            tried.push(place.display().to_string());
        }
        None
    }
}

fn real_path(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

impl Wanted {
    /// The library at a path that is the file or the directory with it; a directory above it, such
    /// as a package's or a virtual environment's root, will do too.
    fn at(self, path: &Path) -> Option<PathBuf> {
        if path.is_file() {
            return Some(path.to_owned());
        }
        self.inside(path)
            .or_else(|| self.inside(&path.join("lib")))
            .or_else(|| {
                self.packages_of(path)
                    .iter()
                    .find_map(|dir| self.inside(dir))
            })
    }

    fn inside(self, dir: &Path) -> Option<PathBuf> {
        self.names()
            .iter()
            .map(|name| dir.join(name))
            .find(|path| path.is_file())
    }

    /// The places of the package in a virtual environment, one per Python version.
    fn packages_of(self, environment: &Path) -> Vec<PathBuf> {
        let Ok(entries) = environment.join("lib").read_dir() else {
            return Vec::new();
        };
        let mut places: Vec<PathBuf> = entries
            .flatten()
            .filter(|entry| entry.file_name().to_string_lossy().starts_with("python3"))
            .map(|entry| entry.path().join("site-packages").join(self.package()))
            .collect();
        places.sort();
        places
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Machine(tempfile::TempDir);

    impl Machine {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn path(&self, path: &str) -> PathBuf {
            self.0.path().join(path)
        }

        fn put(&self, path: &str) -> PathBuf {
            let path = self.path(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, "").unwrap();
            path.canonicalize().unwrap()
        }

        fn lookup(&self) -> Lookup {
            Lookup {
                executable: Some(self.put("app/bin/tensorgate")),
                current_dir: Some(self.path("home/me/clone/host")),
                ..Lookup::default()
            }
        }
    }

    fn found(lookup: &Lookup) -> Option<PathBuf> {
        lookup.find().ok().map(|path| path.canonicalize().unwrap())
    }

    #[test]
    fn looks_in_the_stated_order() {
        let machine = Machine::new();
        let mut lookup = machine.lookup();
        assert_eq!(found(&lookup), None);
        let packages = "lib/python3.11/site-packages/tensorflow/libtensorflow_cc.so.2";
        let cache = machine.put(&format!("home/me/clone/.tensorgate/venv/{packages}"));
        assert_eq!(found(&lookup), Some(cache));
        let above = machine.put(&format!("app/.tensorgate/venv/{packages}"));
        assert_eq!(found(&lookup), Some(above));
        let in_lib = machine.put("app/lib/libtensorflow.so.2");
        assert_eq!(found(&lookup), Some(in_lib));
        let beside = machine.put("app/bin/libtensorflow.so");
        assert_eq!(found(&lookup), Some(beside));
        let named = machine.put("opt/tf.so");
        lookup.environment = Some(named.clone());
        assert_eq!(found(&lookup), Some(named));
        let flagged = machine.put("opt/flag/libtensorflow_cc.so.2");
        lookup.flag = Some(machine.path("opt/flag"));
        assert_eq!(found(&lookup), Some(flagged));
    }

    #[test]
    fn a_named_library_that_is_not_there_is_not_replaced_by_another() {
        let machine = Machine::new();
        machine.put("app/bin/libtensorflow.so");
        let lookup = Lookup {
            environment: Some(machine.path("nowhere")),
            ..machine.lookup()
        };
        let message = lookup.find().unwrap_err().to_string();
        assert!(
            message.contains("  - --libtensorflow: not set\n"),
            "{message}"
        );
        assert!(
            message.contains("nowhere is none and holds none"),
            "{message}"
        );
    }

    #[test]
    fn the_error_names_every_place_and_the_ways_out() {
        let machine = Machine::new();
        let lookup = Lookup {
            python: Some(machine.path("no-python")),
            ..machine.lookup()
        };
        let message = lookup.find().unwrap_err().to_string();
        for part in [
            "app/bin\n",
            "app/bin/lib\n",
            "app/bin/../lib\n",
            "no-python: ",
        ] {
            assert!(message.contains(part), "{part} in {message}");
        }
        assert!(message.contains("cargo xtask setup"), "{message}");
    }

    #[test]
    fn a_named_directory_may_be_a_virtual_environment() {
        let machine = Machine::new();
        let file = machine.put("env/lib/python3.12/site-packages/tensorflow/libtensorflow_cc.so.2");
        let lookup = Lookup {
            flag: Some(machine.path("env")),
            ..Lookup::default()
        };
        assert_eq!(found(&lookup), Some(file));
    }

    #[test]
    fn finds_the_interpreter_of_lite_models_by_the_same_rules() {
        let machine = Machine::new();
        let lookup = Lookup {
            wanted: Wanted::LiteRt,
            ..machine.lookup()
        };
        let message = lookup.find().unwrap_err().to_string();
        assert!(
            message.contains("`pip install ai-edge-litert`"),
            "{message}"
        );
        assert!(message.contains("TENSORGATE_LIBLITERT"), "{message}");
        let packages = "lib/python3.11/site-packages/ai_edge_litert/libLiteRt.so";
        let cache = machine.put(&format!("home/me/clone/.tensorgate/venv/{packages}"));
        assert_eq!(found(&lookup), Some(cache));
    }
}
