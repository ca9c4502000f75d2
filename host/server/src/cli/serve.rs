//! `tensorgate serve`, and the same under the name `tensorflow_model_server`.
//!
//! The two read the same flags. They differ in what a mistake is: the original passes over
//! arguments that it does not know, and people's scripts have them; our own command refuses
//! them, since a flag that is misspelt is a flag that does nothing.

use std::process::ExitCode;

use crate::options::{Manner, ServeOptions};
use crate::serve;

use super::flag::{self, Flag, Found};
use super::serve_flags::{OWN, SERVING};
use super::{NOT_STARTED, complain, print, print_error, usage};

fn flags() -> Vec<&'static Flag<ServeOptions>> {
    SERVING.iter().chain(OWN).collect()
}

/// What the Docker image of the original makes flags of, when no flag says which model: applies
/// as soon as one of the two variables is set.
fn take_environment(
    options: &mut ServeOptions,
    found: &Found,
    variable: impl Fn(&str) -> Option<String>,
) {
    let is_given = |flag: &str| found.given.contains(&flag);
    if is_given("model_base_path") || is_given("model_config_file") {
        return;
    }
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    let (name, base) = (set("MODEL_NAME"), set("MODEL_BASE_PATH"));
    if name.is_none() && base.is_none() {
        return;
    }
    let name = name.unwrap_or_else(|| "model".to_owned());
    let base = base.unwrap_or_else(|| "/models".to_owned());
    options.model_base_path = format!("{base}/{name}");
    if !is_given("model_name") {
        options.model_name = name;
    }
}

/// `tensorgate serve`.
pub(super) fn as_tensorgate(args: &[String]) -> ExitCode {
    let flags = flags();
    let mut options = ServeOptions::for_manner(Manner::Tensorgate);
    let found = match flag::parse(&flags, args, &mut options) {
        Ok(found) => found,
        Err(error) => return complain(&error.to_string()),
    };
    if let Some(unknown) = found.unknown.first() {
        let hint = match flag::did_you_mean(&flags, unknown) {
            Some(name) => format!("did you mean --{name}?"),
            None => "`tensorgate help serve` has them all".to_owned(),
        };
        return complain(&format!("unknown argument: {unknown}; {hint}"));
    }
    if options.help {
        print(&help());
        return ExitCode::SUCCESS;
    }
    if options.version {
        return print_versions(&options);
    }
    start(options, Manner::Tensorgate, &found)
}

/// `tensorflow_model_server`.
pub(super) fn as_model_server(program: &str, args: &[String]) -> ExitCode {
    let flags = flags();
    let mut options = ServeOptions::for_manner(Manner::ModelServer);
    let found = match flag::parse(&flags, args, &mut options) {
        Ok(found) => found,
        Err(error) => {
            // Last, since the usage is longer than a screen.
            print(&usage::original(program, &flags));
            print_error(&format!("{error}\n"));
            return ExitCode::from(NOT_STARTED);
        }
    };
    // The original knows no --help: there it is an unknown argument that happens to end it.
    if options.help {
        print(&usage::original(program, &flags));
        return ExitCode::from(NOT_STARTED);
    }
    if options.version {
        return print_versions(&options);
    }
    if let Some(unknown) = found.unknown.first() {
        print(&format!("unknown argument: {unknown}\n"));
        print(&usage::original(program, &flags));
    }
    start(options, Manner::ModelServer, &found)
}

fn start(mut options: ServeOptions, manner: Manner, found: &Found) -> ExitCode {
    take_environment(&mut options, found, |name| std::env::var(name).ok());
    match serve::run(&options, manner, &found.ignored) {
        Ok(()) => ExitCode::SUCCESS,
        // On standard output, where the original has it.
        Err(error) => {
            print(&format!("Failed to start server. Error: {error}\n"));
            ExitCode::from(NOT_STARTED)
        }
    }
}

/// `tensorgate version`: of the library that a server with these flags would use.
pub(super) fn version(args: &[String]) -> ExitCode {
    const KNOWN: [&str; 2] = ["libtensorflow", "help"];
    let flags: Vec<_> = OWN
        .iter()
        .filter(|flag| KNOWN.contains(&flag.name))
        .collect();
    let mut options = ServeOptions::default();
    let found = match flag::parse(&flags, args, &mut options) {
        Ok(found) => found,
        Err(error) => return complain(&error.to_string()),
    };
    if let Some(unknown) = found.unknown.first() {
        return complain(&format!(
            "unknown argument: {unknown}; `tensorgate version` takes --libtensorflow"
        ));
    }
    if options.help {
        print(&format!(
            "usage: tensorgate version [--libtensorflow=<file or directory>]\n\n{}",
            usage::help(&flags)
        ));
        return ExitCode::SUCCESS;
    }
    print_versions(&options)
}

/// The lines of the original's `--version`, from which scripts cut the number.
fn print_versions(options: &ServeOptions) -> ExitCode {
    let library = serve::tensorflow_version(options);
    print(&format!(
        "TensorFlow ModelServer: {} (Tensorgate)\nTensorFlow Library: {library}\n",
        env!("CARGO_PKG_VERSION")
    ));
    ExitCode::SUCCESS
}

fn help() -> String {
    let serving: Vec<_> = SERVING.iter().filter(|flag| flag.acts).collect();
    let later: Vec<&str> = SERVING
        .iter()
        .filter(|flag| !flag.acts)
        .map(|flag| flag.name)
        .collect();
    format!(
        "usage: tensorgate serve --model_name=<name> --model_base_path=<directory> [...]\n\
         \n\
         Flags of TensorFlow Serving (--name=value, --name value, bools also alone):\n\n{}\n\
         Flags of Tensorgate:\n\n{}\n\
         Flags of TensorFlow Serving that are accepted and have no effect yet:\n  {}\n",
        usage::help(&serving),
        usage::help(&OWN.iter().collect::<Vec<_>>()),
        later.join("\n  "),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Name and base path, by these flags and variables.
    fn model(flags: &[&str], variables: &[(&str, &str)]) -> (String, String) {
        let args: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let mut options = ServeOptions::default();
        let found = flag::parse(&self::flags(), &args, &mut options).unwrap();
        take_environment(&mut options, &found, |name| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned())
        });
        (options.model_name, options.model_base_path)
    }

    #[test]
    fn variables_of_the_image_name_the_model_when_no_flag_does() {
        let (name, base) = (("MODEL_NAME", "m"), ("MODEL_BASE_PATH", "/b"));
        for (flags, variables, expected) in [
            (&[][..], &[][..], ("default", "")),
            (&[], &[name], ("m", "/models/m")),
            (&[], &[base], ("model", "/b/model")),
            (&[], &[name, base], ("m", "/b/m")),
            (&["--model_name=n"], &[name], ("n", "/models/m")),
            (&["--model_base_path=/x"], &[name, base], ("default", "/x")),
            (&["--model_config_file=/c"], &[name], ("default", "")),
        ] {
            let (name, base) = model(flags, variables);
            assert_eq!(
                (name.as_str(), base.as_str()),
                expected,
                "{flags:?} {variables:?}"
            );
        }
    }
}
