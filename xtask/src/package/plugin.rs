//! The binary as a plugin of Spin's: a tarball with the name that Spin looks for, and the
//! manifest that `spin plugins install --file` takes.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::process;

use super::{copy, write};

/// The plugin's name, and that of the program in it: `trigger-` and the type of its triggers.
const NAME: &str = "trigger-tensorgate";

/// Where the tarball will lie for others; without it the manifest names the file itself.
const URL: &str = "TENSORGATE_PLUGIN_URL";

/// Spins whose plugins are started with what this one reads: the locked app's shape and the
/// variables have been the same since.
const COMPATIBILITY: &str = ">=2.2";

/// Makes both of a binary; gives the manifest.
pub(super) fn pack(packages: &Path, binary: &Path) -> Result<PathBuf> {
    let top = packages.join(NAME);
    std::fs::create_dir_all(&top).with_context(|| format!("cannot make {}", top.display()))?;
    copy(binary, &top.join(NAME))?;
    let arch = arch(std::env::consts::ARCH)?;
    let version = env!("CARGO_PKG_VERSION");
    let file = format!("{NAME}-{version}-{}-{arch}.tar.gz", std::env::consts::OS);
    let tarball = packages.join(&file);
    process::run(
        Command::new("tar")
            .args([
                "--create",
                "--gzip",
                "--numeric-owner",
                "--owner=0",
                "--group=0",
            ])
            .arg("--directory")
            .arg(&top)
            .arg("--file")
            .arg(&tarball)
            .arg(NAME),
    )?;
    let url = match std::env::var(URL) {
        Ok(base) => format!("{}/{file}", base.trim_end_matches('/')),
        Err(_) => format!("file:{}", tarball.display()),
    };
    let manifest = packages.join(format!("{NAME}.json"));
    write(&manifest, &text(version, arch, &url, &sha256(&tarball)?))?;
    Ok(manifest)
}

/// A machine's architecture, as Spin calls it.
fn arch(arch: &str) -> Result<&'static str> {
    match arch {
        "x86_64" => Ok("amd64"),
        "aarch64" => Ok("aarch64"),
        other => bail!("Spin has no plugins for {other}; expected x86_64 or aarch64"),
    }
}

fn sha256(file: &Path) -> Result<String> {
    let output = Command::new("sha256sum")
        .arg(file)
        .output()
        .context("cannot run sha256sum")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let sum = text.split_whitespace().next().unwrap_or_default();
    if !output.status.success() || sum.len() != 64 {
        bail!("sha256sum gave no sum of {}", file.display());
    }
    Ok(sum.to_owned())
}

/// None of these values has anything in it that JSON would have to escape.
fn text(version: &str, arch: &str, url: &str, sha256: &str) -> String {
    format!(
        r#"{{
  "name": "{NAME}",
  "description": "Runs [[trigger.tensorgate]]: HTTP components with TensorFlow models in process",
  "version": "{version}",
  "spinCompatibility": "{COMPATIBILITY}",
  "license": "Apache-2.0",
  "packages": [
    {{
      "os": "{}",
      "arch": "{arch}",
      "url": "{url}",
      "sha256": "{sha256}"
    }}
  ]
}}
"#,
        std::env::consts::OS
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn architectures_have_spin_s_names() {
        assert_eq!(arch("x86_64").unwrap(), "amd64");
        assert_eq!(arch("aarch64").unwrap(), "aarch64");
        assert!(arch("riscv64").is_err());
    }
}
