//! Running other programs, so that a failure names the program and shows what it said.

use std::fmt::Write as _;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::repo::Repo;

/// How much of a log an error shows.
const LOG_LINES: usize = 30;

/// Cargo itself, in the checkout.
pub(crate) fn cargo(repo: &Repo) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(repo.root());
    command
}

/// Where a program is, if it is on the PATH.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|directory| directory.join(program))
        .find(|file| file.is_file())
}

/// Runs a program whose output belongs on the terminal.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| cannot_start(command))?;
    if !status.success() {
        bail!("`{}` failed ({status})", line(command));
    }
    Ok(())
}

/// Runs a program whose complaints are of interest only if it fails: they go to `log`.
/// What it writes to standard output is shown.
pub(crate) fn run_logged(command: &mut Command, log: &Path) -> Result<()> {
    let status = command
        .stderr(log_file(log)?)
        .status()
        .with_context(|| cannot_start(command))?;
    if !status.success() {
        bail!("`{}` failed ({status})\n{}", line(command), tail(log));
    }
    Ok(())
}

/// Runs a program for what it prints.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| cannot_start(command))?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!(
            "`{}` failed ({}): {stdout}{stderr}",
            line(command),
            output.status
        );
    }
    Ok(stdout)
}

/// A new log file; its directory is made.
pub(crate) fn log_file(log: &Path) -> Result<File> {
    if let Some(directory) = log.parent() {
        std::fs::create_dir_all(directory)
            .with_context(|| format!("cannot make {}", directory.display()))?;
    }
    File::create(log).with_context(|| format!("cannot write {}", log.display()))
}

/// The end of a log, with its name.
pub(crate) fn tail(log: &Path) -> String {
    let bytes = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    let mut shown = format!("the end of {}:", log.display());
    for line in &lines[lines.len().saturating_sub(LOG_LINES)..] {
        let _ = write!(shown, "\n    {line}");
    }
    shown
}

fn cannot_start(command: &Command) -> String {
    format!("cannot run `{}`", command.get_program().display())
}

/// The command as somebody would type it.
fn line(command: &Command) -> String {
    let mut line = command.get_program().display().to_string();
    for argument in command.get_args() {
        let _ = write!(line, " {}", argument.display());
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_program_and_status_of_a_failure() {
        let error = run(Command::new("sh").args(["-c", "exit 3"])).unwrap_err();
        assert_eq!(error.to_string(), "`sh -c exit 3` failed (exit status: 3)");
    }

    #[test]
    fn shows_what_a_failed_program_said() {
        let log = std::env::temp_dir().join(format!("xtask-log-{}", std::process::id()));
        let mut command = Command::new("sh");
        command.args(["-c", "echo no room >&2; exit 1"]);
        let error = run_logged(&mut command, &log).unwrap_err().to_string();
        std::fs::remove_file(&log).unwrap();
        assert!(error.ends_with("\n    no room"), "{error}");
    }
}
