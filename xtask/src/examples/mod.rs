//! The examples: a directory each with a client, and an exporter of its own or shared with others.

mod scripts;
mod table;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::guests;
use crate::process;
use crate::progress;
use crate::repo::{Profile, Repo};
use crate::server::Server;
use crate::setup::Python;
use crate::stamp::{Stamp, digest, files};

pub(crate) use self::scripts::sources as processor_sources;
pub(crate) use self::table::{ALL, Example, Model, Processor, packages};

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

/// Exports the example's models into the cache, with all others of their exporter, unless they are
/// there and their source is the same as then.
pub(crate) fn export(repo: &Repo, python: &Python, example: &Example) -> Result<()> {
    let _lock = repo.lock()?;
    let exporter = example.exporter;
    let directory = repo.root().join("examples").join(exporter);
    let mut sources = files(&directory, ".py")?;
    // What a client or a test does has no part in a model.
    let is_client = |source: &Path| CLIENTS.iter().any(|client| source.ends_with(client));
    // What a processor in Python knows of the training, the exporter may take from there.
    let processor = scripts::sources(repo, exporter);
    if processor.is_dir() {
        sources.extend(files(&processor, ".py")?);
    }
    sources.retain(|source| !is_client(source) && !is_test(source));
    sources.push(repo.root().join("examples/requirements.txt"));
    let stamp = Stamp::new(
        repo.cache().join("stamps").join(exporter),
        format!("{}\n", digest(&sources)?),
    );
    let models = repo.models();
    let there = |model: &Model| models.join(model.name).is_dir();
    if stamp.is_current() && example.models.iter().all(there) {
        return Ok(());
    }

    progress::step(&format!("exporting the models of {exporter}"), || {
        stamp.remove()?;
        // Exported beside, then moved: a server that watches never sees half a model.
        let staging = repo.cache().join("staging").join(exporter);
        remove(&staging)?;
        make(&staging)?;
        let log = repo.logs().join(format!("export-{exporter}.log"));
        process::run_logged(
            python.script(&directory.join("export.py")).arg(&staging),
            &log,
        )?;
        make(&models)?;
        for staged in entries(&staging)? {
            let model = models.join(staged.file_name().unwrap_or_default());
            remove(&model)?;
            std::fs::rename(&staged, &model)
                .with_context(|| format!("cannot move {}", staged.display()))?;
        }
        if let Some(missing) = example.models.iter().find(|model| !there(model)) {
            bail!("{} made no model {}", directory.display(), missing.name);
        }
        remove(&staging)?;
        stamp.write()
    })
}

/// Builds the example's processors, and puts each beside every version of its model in `models`.
pub(crate) fn put_processors(repo: &Repo, example: &Example, models: &Path) -> Result<()> {
    for model in example.models {
        let component = match model.processor {
            None => continue,
            Some(Processor::Rust(package)) => guests::build_processor(repo, package)?,
            Some(Processor::JavaScript(module)) => scripts::javascript(repo, example.name, module)?,
            Some(Processor::Python(module)) => scripts::python(repo, example.name, module)?,
        };
        for version in entries(&models.join(model.name))? {
            let extra = version.join("assets.extra");
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

/// What the processors of these examples may do, as `--processor_config_file` says it; nothing
/// where they have no say in it.
pub(crate) fn processor_config(repo: &Repo, examples: &[&Example]) -> Result<Option<String>> {
    let mut config = String::new();
    for example in examples {
        let directory = repo.root().join("examples").join(example.name);
        match std::fs::read_to_string(directory.join("processors.pbtxt")) {
            Ok(text) => config.push_str(&text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                return Err(error)
                    .with_context(|| format!("cannot read what is in {}", directory.display()));
            }
        }
    }
    Ok((!config.is_empty()).then_some(config))
}

/// Writes what a server of these examples has to know into `directory`; gives the flags that name
/// it. `models` is where the models lie.
pub(crate) fn configure(
    repo: &Repo,
    examples: &[&Example],
    models: &Path,
    directory: &Path,
) -> Result<Vec<String>> {
    let write = |flag: &str, name: &str, text: String| {
        let file = directory.join(name);
        std::fs::write(&file, text)
            .with_context(|| format!("cannot write {}", file.display()))
            .map(|()| format!("--{flag}={}", file.display()))
    };
    let served: Vec<&Model> = examples.iter().flat_map(|example| example.models).collect();
    let mut flags = vec![write(
        "model_config_file",
        "models.config",
        model_config(models, &served),
    )?];
    if let Some(config) = processor_config(repo, examples)? {
        flags.push(write("processor_config_file", "processors.pbtxt", config)?);
    }
    Ok(flags)
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
                    .arg(repo.models().join(model.name))
                    .arg(&served),
            )?;
        }
        put_processors(repo, example, &served)?;
        let flags = configure(repo, &[example], &served, &served)?;
        let mut command = Command::new(repo.server(profile));
        command.arg("serve").args(flags);
        let log = repo.logs().join(format!("serve-{}.log", example.name));
        let server = Server::start(command, &example.model_names(), log)?;
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

/// What lies in a directory.
fn entries(directory: &Path) -> Result<Vec<PathBuf>> {
    let unreadable = || format!("cannot read {}", directory.display());
    std::fs::read_dir(directory)
        .with_context(unreadable)?
        .map(|entry| Ok(entry.with_context(unreadable)?.path()))
        .collect()
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

/// A configuration file for models that lie in `directory`, each once.
fn model_config(directory: &Path, models: &[&Model]) -> String {
    let mut config = "model_config_list {\n".to_owned();
    for (at, model) in models.iter().enumerate() {
        if models[..at]
            .iter()
            .any(|earlier| earlier.name == model.name)
        {
            continue;
        }
        let path = directory.join(model.name).display().to_string();
        config.push_str(&format!(
            "  config {{\n    name: \"{}\"\n    base_path: {path:?}\n    \
             model_platform: \"tensorflow\"\n",
            model.name
        ));
        for line in model.config.lines() {
            config.push_str(&format!("    {line}\n"));
        }
        config.push_str("  }\n");
    }
    config.push_str("}\n");
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_a_configuration_in_text_format() {
        let (plain, labelled) = (
            Model {
                name: "a",
                processor: None,
                config: "",
            },
            Model {
                name: "b",
                processor: None,
                config: "model_version_policy { all {} }",
            },
        );
        assert_eq!(
            model_config(Path::new("/m"), &[&plain, &labelled, &plain]),
            "model_config_list {\n  config {\n    name: \"a\"\n    base_path: \"/m/a\"\n    \
             model_platform: \"tensorflow\"\n  }\n  config {\n    name: \"b\"\n    base_path: \
             \"/m/b\"\n    model_platform: \"tensorflow\"\n    model_version_policy { all {} }\n  \
             }\n}\n"
        );
    }
}
