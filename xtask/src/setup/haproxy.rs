//! haproxy, which a suite puts before servers: the system's, or else Debian's package, unpacked under
//! `.tensorgate/` with the libraries that the system lacks. Nothing is installed, and nobody need be
//! root.
//!
//! Suites run `.tensorgate/haproxy/haproxy`, whichever it is.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::process;
use crate::progress;
use crate::repo::Repo;

/// Where distributions put it; `/usr/sbin` is in the path of few users.
const PLACES: &[&str] = &["/usr/sbin/haproxy", "/usr/local/sbin/haproxy"];

const HOW_TO: &str = "haproxy is needed by the tests: install it as your system installs things \
     (`apt-get install haproxy`, `dnf install haproxy`, `brew install haproxy`)";

/// Makes it runnable for the tests.
pub(crate) fn haproxy(repo: &Repo) -> Result<()> {
    let directory = repo.cache().join("haproxy");
    let program = directory.join("haproxy");
    let _lock = repo.lock()?;
    // One that was a link dangles when the system's was removed.
    if works(&program) {
        return Ok(());
    }
    if directory.is_dir() {
        std::fs::remove_dir_all(&directory)
            .with_context(|| format!("cannot remove {}", directory.display()))?;
    }
    std::fs::create_dir_all(&directory)
        .with_context(|| format!("cannot make {}", directory.display()))?;
    match systems() {
        Some(found) => symlink(&found, &program)
            .with_context(|| format!("cannot make {}", program.display()))?,
        None => progress::step(
            "unpacking Debian's haproxy into .tensorgate/haproxy",
            || unpack(&directory, &program).context(HOW_TO),
        )?,
    }
    if !works(&program) {
        bail!("{} does not run. {HOW_TO}", program.display());
    }
    Ok(())
}

fn works(program: &Path) -> bool {
    process::output(Command::new(program).arg("-v")).is_ok()
}

fn systems() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).map(|directory| directory.join("haproxy"));
    PLACES
        .iter()
        .map(PathBuf::from)
        .chain(places)
        .find(|program| program.is_file())
}

/// Takes the package, and those that it needs and the system has not, from the system's own sources.
fn unpack(directory: &Path, program: &Path) -> Result<()> {
    let apt = Apt {
        directory: directory.join("apt"),
    };
    for part in ["lists/partial", "archives/partial"] {
        std::fs::create_dir_all(apt.directory.join(part))
            .with_context(|| format!("cannot make {part}"))?;
    }
    // Lists of its own: the system's may be old, or not there, and only root may renew them.
    process::output(apt.get().arg("update"))?;
    let mut what = apt.get();
    what.args([
        "install",
        "--print-uris",
        "--yes",
        "--no-install-recommends",
    ]);
    let packages = packages(&process::output(what.arg("haproxy"))?);
    process::output(apt.get().arg("download").args(packages))?;
    let root = directory.join("root");
    for file in std::fs::read_dir(&apt.directory)? {
        let file = file?.path();
        if file.extension().is_some_and(|extension| extension == "deb") {
            process::output(Command::new("dpkg").arg("-x").arg(&file).arg(&root))?;
        }
    }
    std::fs::remove_dir_all(&apt.directory)?;
    // By its own place, so that a checkout can be moved.
    std::fs::write(
        program,
        "#!/bin/sh\n\
         root=$(dirname \"$(readlink -f \"$0\")\")/root\n\
         LD_LIBRARY_PATH=$(echo \"$root\"/usr/lib/*-linux-gnu) exec \"$root/usr/sbin/haproxy\" \"$@\"\n",
    )?;
    std::fs::set_permissions(program, std::fs::Permissions::from_mode(0o755))?;
    Ok(())
}

/// apt, with everything that it writes in a directory of its own.
struct Apt {
    directory: PathBuf,
}

impl Apt {
    fn get(&self) -> Command {
        let mut command = Command::new("apt-get");
        let place = |name: &str| self.directory.join(name);
        command.current_dir(&self.directory).arg("-q");
        for (option, value) in [
            ("Dir::State::Lists", place("lists")),
            ("Dir::Cache", place("")),
            // The user `_apt` may not write there; without root there is none.
            ("APT::Sandbox::User", PathBuf::new()),
            ("Debug::NoLocking", PathBuf::from("1")),
        ] {
            command
                .arg("-o")
                .arg(format!("{option}={}", value.display()));
        }
        command
    }
}

/// The packages of lines such as `'http://.../x_1_amd64.deb' x_1_amd64.deb 2042596 SHA256:...`.
fn packages(printed: &str) -> Vec<String> {
    printed
        .lines()
        .filter(|line| line.starts_with('\''))
        .filter_map(|line| line.split_whitespace().nth(1)?.split('_').next())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_apt_would_fetch() {
        let printed = "Reading package lists...\n\
             'http://x/h/haproxy_2.6%2bdeb_amd64.deb' haproxy_2.6+deb_amd64.deb 2042596 \n\
             'http://x/l/liblua5.3-0_5.3.6-2_amd64.deb' liblua5.3-0_5.3.6-2_amd64.deb 123 MD5Sum:0\n";
        assert_eq!(packages(printed), ["haproxy", "liblua5.3-0"]);
    }
}
