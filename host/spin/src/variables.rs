//! Variables: who gives the app's their values, and what components see of them.
//!
//! The first of these that has a value gives it: what was set by hand (`--variable`), the
//! environment (`SPIN_VARIABLE_NAME`), a `.env` file, the manifest's default. A component sees its
//! own variables only, which are templates over the app's.
//!
//! Values are never printed, since some are secret: what prints this prints names.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::lock::LockedApp;
use crate::template::Template;

/// What stands before the names of variables in the environment.
pub const PREFIX: &str = "SPIN_VARIABLE_";

/// Why a variable has no value; the kinds are those of Spin's `variables` interfaces.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Error {
    /// A name that is none.
    #[error("invalid variable name: {0}")]
    InvalidName(String),
    /// A template that is none, or names a variable that the app does not have.
    #[error("invalid variable template: {0}")]
    InvalidTemplate(String),
    /// Somebody who gives values could not.
    #[error("provider error: {0}")]
    Provider(String),
    /// The component has no such variable.
    #[error("undefined variable: {0}")]
    Undefined(String),
}

/// What was set by hand, in one of the forms of `--variable`.
#[derive(Clone, PartialEq, Eq)]
pub enum Setting {
    /// `KEY=VALUE`.
    Value(String, String),
    /// `KEY=@FILE`: what the file says.
    File(String, PathBuf),
    /// `@FILE.json` or `@FILE.toml`: a table of texts.
    Table(PathBuf),
}

impl std::str::FromStr for Setting {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix('@') {
            let path = PathBuf::from(path);
            return match path.extension().and_then(|extension| extension.to_str()) {
                Some("json" | "toml") => Ok(Self::Table(path)),
                _ => Err("variable files must end in .json or .toml".to_owned()),
            };
        }
        let Some((key, value)) = text.split_once('=') else {
            return Err("variables must be in the form 'key=value' or '@file'".to_owned());
        };
        Ok(match value.strip_prefix('@') {
            Some(path) => Self::File(key.to_owned(), path.into()),
            None => Self::Value(key.to_owned(), value.to_owned()),
        })
    }
}

impl fmt::Debug for Setting {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(key, _) => write!(formatter, "Value({key:?})"),
            Self::File(key, path) => write!(formatter, "File({key:?}, {path:?})"),
            Self::Table(path) => write!(formatter, "Table({path:?})"),
        }
    }
}

impl Setting {
    fn read(&self, values: &mut HashMap<String, String>) -> Result<(), String> {
        let open = |path: &Path| {
            fs::read_to_string(path)
                .map_err(|error| format!("failed to read {}: {error}", path.display()))
        };
        match self {
            Self::Value(key, value) => {
                values.insert(key.clone(), value.clone());
            }
            Self::File(key, path) => {
                values.insert(key.clone(), open(path)?);
            }
            Self::Table(path) => {
                let text = open(path)?;
                // What these errors quote of the text could be a secret.
                let table: HashMap<String, String> = if path
                    .extension()
                    .is_some_and(|extension| extension == "json")
                {
                    serde_json::from_str(&text).map_err(|error| {
                        format!(
                            "failed to parse JSON from {}, line {}: expected a table of \
                                 strings",
                            path.display(),
                            error.line()
                        )
                    })?
                } else {
                    toml::from_str(&text).map_err(|_| {
                        format!(
                            "failed to parse TOML from {}: expected a table of strings",
                            path.display()
                        )
                    })?
                };
                values.extend(table);
            }
        }
        Ok(())
    }
}

/// Who gives values.
#[derive(Clone, Default)]
pub struct Providers {
    set: HashMap<String, String>,
    environment: HashMap<String, String>,
    dotenv: HashMap<String, String>,
}

impl Providers {
    /// Takes what was set by hand, an environment, and a `.env` file where there is one.
    ///
    /// # Errors
    ///
    /// A file that a setting names cannot be read, or `.env` is none.
    pub fn new(
        settings: &[Setting],
        environment: impl IntoIterator<Item = (String, String)>,
        dotenv: Option<&Path>,
    ) -> Result<Self, Error> {
        let mut set = HashMap::new();
        for setting in settings {
            setting.read(&mut set).map_err(Error::Provider)?;
        }
        let environment = environment
            .into_iter()
            .filter(|(name, _)| name.starts_with(PREFIX))
            .collect();
        let dotenv = match dotenv.map(|path| (path, fs::read_to_string(path))) {
            Some((_, Ok(text))) => parse_dotenv(&text).map_err(Error::Provider)?,
            // Most have none.
            None => HashMap::new(),
            Some((_, Err(error))) if error.kind() == io::ErrorKind::NotFound => HashMap::new(),
            Some((path, Err(error))) => {
                let message = format!("failed to read {}: {error}", path.display());
                return Err(Error::Provider(message));
            }
        };
        Ok(Self {
            set,
            environment,
            dotenv,
        })
    }

    /// As a process of this environment and working directory sees them.
    ///
    /// # Errors
    ///
    /// Those of [`new`](Self::new).
    pub fn of_process(settings: &[Setting]) -> Result<Self, Error> {
        let environment = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        Self::new(settings, environment, Some(Path::new(".env")))
    }

    fn get(&self, name: &str) -> Option<&String> {
        let in_environment = || format!("{PREFIX}{}", name.to_ascii_uppercase());
        self.set
            .get(name)
            .or_else(|| self.environment.get(&in_environment()))
            .or_else(|| self.dotenv.get(&in_environment()))
    }
}

impl fmt::Debug for Providers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Providers")
    }
}

/// Variables of a `.env` file that could be ours.
fn parse_dotenv(text: &str) -> Result<HashMap<String, String>, String> {
    let mut found = HashMap::new();
    for entry in dotenvy::from_read_iter(text.as_bytes()) {
        // Its error quotes the line.
        let (name, value) =
            entry.map_err(|_| "the .env file has a line that is not NAME=VALUE".to_owned())?;
        if name.starts_with(PREFIX) {
            found.entry(name).or_insert(value);
        }
    }
    Ok(found)
}

/// The values of an app's variables.
#[derive(Clone, Default)]
pub struct Variables {
    app: BTreeMap<String, String>,
    components: BTreeMap<String, BTreeMap<String, String>>,
}

impl Variables {
    /// Resolves all of them, once.
    ///
    /// # Errors
    ///
    /// A required one has no value, a name is none, or a template names one that there is not.
    pub fn resolve(app: &LockedApp, providers: &Providers) -> Result<Self, Error> {
        let mut values = BTreeMap::new();
        let mut missing = Vec::new();
        for (name, variable) in &app.variables {
            check_name(name)?;
            match providers.get(name).or(variable.default.as_ref()) {
                Some(value) => {
                    values.insert(name.clone(), value.clone());
                }
                None => missing.push(format!("Key({name:?})")),
            }
        }
        if !missing.is_empty() {
            return Err(Error::Provider(format!(
                "no provider resolved required variable(s): [{}]",
                missing.join(", ")
            )));
        }
        let mut resolved = Self {
            app: values,
            components: BTreeMap::new(),
        };
        for component in &app.components {
            let mut own = BTreeMap::new();
            for (name, template) in &component.config {
                check_name(name)?;
                own.insert(name.clone(), resolved.render(template)?);
            }
            resolved.components.insert(component.id.clone(), own);
        }
        Ok(resolved)
    }

    /// A component's variable.
    ///
    /// # Errors
    ///
    /// The name is none, or the component has no variable of it.
    pub fn get(&self, component: &str, name: &str) -> Result<&str, Error> {
        check_name(name)?;
        let Some(own) = self.components.get(component) else {
            return Err(Error::Undefined(format!(
                "no variable for component {component:?}"
            )));
        };
        own.get(name)
            .map(String::as_str)
            .ok_or_else(|| Error::Undefined(format!("no variable for {component:?}.{name:?}")))
    }

    /// All variables of a component.
    pub fn of_component(&self, component: &str) -> impl Iterator<Item = (&str, &str)> {
        let own = self.components.get(component).into_iter().flatten();
        own.map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// A text, with the values of the app's variables in it.
    ///
    /// # Errors
    ///
    /// It is no template, or names a variable that there is not.
    pub fn render(&self, template: &str) -> Result<String, Error> {
        let template = Template::parse(template).map_err(Error::InvalidTemplate)?;
        template.render(|name| match self.app.get(name) {
            Some(value) => Ok(value.as_str()),
            None => Err(Error::InvalidTemplate(format!("unknown variable {name:?}"))),
        })
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.app.keys()).finish()
    }
}

/// Names that the environment and files can have too.
fn check_name(name: &str) -> Result<(), Error> {
    let may =
        |letter: &char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || *letter == '_';
    let reason = if name.is_empty() {
        "must not be empty".to_owned()
    } else if let Some(wrong) = name.chars().find(|letter| !may(letter)) {
        format!(
            "invalid character {wrong:?}. Variable names may contain only lower-case letters, \
             numbers, and underscores."
        )
    } else if !name.starts_with(|first: char| first.is_ascii_lowercase()) {
        "must start with a lowercase ASCII letter".to_owned()
    } else if name.ends_with('_') {
        "must end with a lowercase ASCII letter or digit".to_owned()
    } else if name.contains("__") {
        "must not contain multiple consecutive underscores".to_owned()
    } else {
        return Ok(());
    };
    Err(Error::InvalidName(format!("{name:?}: {reason}")))
}
