//! The examples: a directory each with an exporter and a client.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::guests;
use crate::process;
use crate::progress;
use crate::repo::{Profile, Repo};
use crate::server::{Server, model_config};
use crate::setup::Python;
use crate::stamp::{Stamp, digest, files};

/// One example.
#[derive(Debug)]
pub(crate) struct Example {
    /// Its directory under `examples/`.
    pub(crate) name: &'static str,
    /// The models that its `export.py` writes.
    pub(crate) models: &'static [&'static str],
    /// The package of the processor that stands before them, where one does.
    pub(crate) processor: Option<&'static str>,
    /// In half a line.
    pub(crate) shows: &'static str,
}

/// All of them, in the order in which a newcomer meets them.
pub(crate) const ALL: &[Example] = &[
    Example {
        name: "half_plus_two",
        models: &["half_plus_two"],
        processor: None,
        shows: "one model, one curl, an answer equal to TensorFlow Serving's to the byte",
    },
    Example {
        name: "digits",
        models: &["digits_softmax", "digits_cnn"],
        processor: None,
        shows: "handwritten digits: softmax regression and a Keras network",
    },
    Example {
        name: "linear_regression",
        models: &["linear_regression"],
        processor: None,
        shows: "a model that is retrained while it is served",
    },
    Example {
        name: "image_classifier",
        models: &["image_classifier"],
        processor: Some("tensorgate-image-classifier"),
        shows: "pictures in, labels out: a processor beside a model",
    },
];

/// The example with this name.
pub(crate) fn find(name: &str) -> Result<&'static Example> {
    let names: Vec<&str> = ALL.iter().map(|example| example.name).collect();
    ALL.iter()
        .find(|example| example.name == name)
        .with_context(|| format!("no example `{name}`: there are {}", names.join(", ")))
}

/// The files that ask a server: over HTTP, and over gRPC where an example has that.
const CLIENTS: [&str; 2] = ["client.py", "grpc_client.py"];

/// Whether a Python file holds unit tests.
pub(crate) fn is_test(file: &Path) -> bool {
    file.file_name()
        .is_some_and(|name| name.as_encoded_bytes().starts_with(b"test_"))
}

/// Exports the example's models into the cache, unless they are there and their source is the
/// same as then.
pub(crate) fn export(repo: &Repo, python: &Python, example: &Example) -> Result<()> {
    let _lock = repo.lock()?;
    let directory = repo.root().join("examples").join(example.name);
    let mut sources = files(&directory, ".py")?;
    // What a client or a test does has no part in a model.
    let is_client = |source: &Path| CLIENTS.iter().any(|client| source.ends_with(client));
    sources.retain(|source| !is_client(source) && !is_test(source));
    sources.push(repo.root().join("examples/requirements.txt"));
    let stamp = Stamp::new(
        repo.cache().join("stamps").join(example.name),
        format!("{}\n", digest(&sources)?),
    );
    let models = repo.models();
    let there = |model: &&str| models.join(model).is_dir();
    if stamp.is_current() && example.models.iter().all(there) {
        return Ok(());
    }

    progress::step(&format!("exporting the models of {}", example.name), || {
        stamp.remove()?;
        // Exported beside, then moved: a server that watches never sees half a model.
        let staging = repo.cache().join("staging").join(example.name);
        remove(&staging)?;
        make(&staging)?;
        let log = repo.logs().join(format!("export-{}.log", example.name));
        process::run_logged(
            python.script(&directory.join("export.py")).arg(&staging),
            &log,
        )?;
        make(&models)?;
        for model in example.models {
            remove(&models.join(model))?;
            let staged = staging.join(model);
            std::fs::rename(&staged, models.join(model))
                .with_context(|| format!("export.py made no {}", staged.display()))?;
        }
        remove(&staging)?;
        stamp.write()
    })
}

/// Builds the example's processor, where it has one, and puts it beside every version of its
/// models in `models`.
pub(crate) fn put_processor(repo: &Repo, example: &Example, models: &Path) -> Result<()> {
    let Some(package) = example.processor else {
        return Ok(());
    };
    let component = guests::build_processor(repo, package)?;
    for model in example.models {
        let versions = models.join(model);
        let entries = std::fs::read_dir(&versions)
            .with_context(|| format!("cannot read {}", versions.display()))?;
        for version in entries {
            let extra = version?.path().join("assets.extra");
            make(&extra)?;
            // Beside, then moved: a server may be reading the one that is there.
            let staged = extra.join(".processor.wasm");
            std::fs::copy(&component, &staged)
                .and_then(|_| std::fs::rename(&staged, extra.join("processor.wasm")))
                .with_context(|| format!("cannot write {}", extra.display()))?;
        }
    }
    Ok(())
}

/// Serves the example's models on free ports, runs its client, stops the server.
pub(crate) fn run(repo: &Repo, python: &Python, profile: Profile, example: &Example) -> Result<()> {
    progress::step(&format!("running the example {}", example.name), || {
        // A copy: a client may publish versions, and every run starts from the exported ones.
        let served = repo.cache().join("running").join(example.name);
        remove(&served)?;
        make(&served)?;
        for model in example.models {
            process::run(
                Command::new("cp")
                    .arg("-R")
                    .arg(repo.models().join(model))
                    .arg(&served),
            )?;
        }
        put_processor(repo, example, &served)?;
        let config = served.join("models.config");
        std::fs::write(&config, model_config(&served, example.models))
            .with_context(|| format!("cannot write {}", config.display()))?;

        let mut command = Command::new(repo.server(profile));
        command
            .arg("serve")
            .arg(format!("--model_config_file={}", config.display()));
        let log = repo.logs().join(format!("serve-{}.log", example.name));
        let server = Server::start(command, example.models, log)?;
        let client = repo.root().join("examples").join(example.name);
        let asked = process::run(
            python
                .script(&client.join("client.py"))
                .arg(format!("--url=http://127.0.0.1:{}", server.port()))
                .arg("--models")
                .arg(&served),
        )
        .and_then(|()| {
            let client = client.join("grpc_client.py");
            if !client.is_file() {
                return Ok(());
            }
            let address = format!("--server=127.0.0.1:{}", server.grpc_port());
            process::run(python.script(&client).arg(address))
        });
        // The client's failure is the one to report, where there is one.
        asked.and(server.stop())?;
        remove(&served)
    })
}

/// Makes a directory and those above it.
pub(crate) fn make(directory: &Path) -> Result<()> {
    std::fs::create_dir_all(directory)
        .with_context(|| format!("cannot make {}", directory.display()))
}

/// Removes a directory with what is in it, where there is one.
pub(crate) fn remove(directory: &Path) -> Result<()> {
    match std::fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", directory.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_directory_with_a_client_is_in_the_table() {
        let examples = Repo::find().unwrap().root().join("examples");
        let mut there: Vec<String> = std::fs::read_dir(examples)
            .unwrap()
            .map(|entry| entry.unwrap())
            .filter(|entry| entry.path().join("client.py").is_file())
            .map(|entry| entry.file_name().into_string().unwrap())
            .collect();
        there.sort();
        let mut listed: Vec<&str> = ALL.iter().map(|example| example.name).collect();
        listed.sort_unstable();
        assert_eq!(there, listed);
    }
}
