//! `cargo xtask serve`: from nothing to models that answer, in one command.
//!
//! In the end this process becomes the server, so that Ctrl-C, SIGTERM and the exit code are the
//! server's own. A second process waits until the models answer, says how to ask them, and ends.

use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

use crate::arguments::Arguments;
use crate::examples::{self, Example};
use crate::process;
use crate::progress;
use crate::repo::{Profile, Repo};
use crate::server;
use crate::setup;

const GRPC_PORT: u16 = 8500;
const REST_PORT: u16 = 8501;

/// What the user's flags say about the models, where they say it.
#[derive(Debug, PartialEq, Eq)]
struct Given {
    /// The models are the user's own; ours are left out.
    own_models: bool,
    /// The name of a single model, as far as the flags say it.
    model: Option<String>,
    /// `None` where nobody can be asked: off, or any free port.
    rest_port: Option<u16>,
}

/// Returns only when the server could not be started.
pub(crate) fn serve(repo: &Repo, arguments: Arguments) -> Result<anyhow::Error> {
    arguments.finish_own()?;
    let flags = arguments.rest();
    let given = read(&flags);

    let python = setup::python(repo)?;
    let mut models: Vec<String> = given.model.iter().cloned().collect();
    let all = if given.own_models {
        Vec::new()
    } else {
        served(repo)?
    };
    if !given.own_models {
        for example in all.iter().copied() {
            examples::export(repo, &python, example)?;
            examples::put_processors(repo, example, &repo.models())?;
            for name in example.model_names() {
                if !models.iter().any(|known| known == name) {
                    models.push(name.to_owned());
                }
            }
        }
    }
    server::build(repo, Profile::Release)?;

    let mut command = Command::new(repo.server(Profile::Release));
    command
        .arg("serve")
        .arg(format!("--port={GRPC_PORT}"))
        .arg(format!("--rest_api_port={REST_PORT}"));
    if !given.own_models {
        command.args(examples::configure(
            repo,
            &all,
            &repo.models(),
            &repo.cache(),
        )?);
    }
    // After ours: the last of several flags of one name wins.
    command.args(&flags);

    if let Some(port) = given.rest_port.filter(|_| !models.is_empty()) {
        start_announcer(port, &models)?;
    }
    progress::note("starting the server; Ctrl-C stops it");
    Ok(anyhow::Error::new(command.exec())
        .context(format!("cannot run {}", command.get_program().display())))
}

/// The examples that are there to be served. What some are made with is half a gigabyte more, which
/// nobody who only looks has to wait for.
fn served(repo: &Repo) -> Result<Vec<&'static Example>> {
    let all = examples::ALL.iter();
    if setup::has_component_tools(repo)? {
        return Ok(all.collect());
    }
    let (left_out, served): (Vec<&Example>, _) =
        all.partition(|example| example.needs_component_tools());
    let names: Vec<&str> = left_out.iter().map(|example| example.name).collect();
    progress::note(&format!(
        "leaving out {}: `cargo xtask setup` installs what their processors are made with",
        names.join(" and ")
    ));
    Ok(served)
}

/// What the flags say that changes what is served where.
fn read(flags: &[String]) -> Given {
    let value = |name: &str| {
        let with_equals = format!("--{name}=");
        let bare = format!("--{name}");
        // Both forms that the server takes, the last one first.
        (0..flags.len()).rev().find_map(|at| {
            flags[at]
                .strip_prefix(&with_equals)
                .map(str::to_owned)
                .or_else(|| (flags[at] == bare).then(|| flags.get(at + 1).cloned())?)
        })
    };
    let name = value("model_name");
    let config = value("model_config_file");
    let own_models = name.is_some() || config.is_some() || value("model_base_path").is_some();
    Given {
        own_models,
        // TensorFlow Serving's name for a model that was given none.
        model: (own_models && config.is_none()).then(|| name.unwrap_or_else(|| "default".into())),
        rest_port: match value("rest_api_port") {
            None => Some(REST_PORT),
            Some(port) => port.parse().ok().filter(|&port| port != 0),
        },
    }
}

/// Starts `cargo xtask announce` detached: a child of this process would stay behind as a zombie
/// of the server.
fn start_announcer(port: u16, models: &[String]) -> Result<()> {
    let xtask = std::env::current_exe().context("cannot find xtask itself")?;
    process::run(
        Command::new("sh")
            .args(["-c", "\"$0\" \"$@\" &"])
            .arg(xtask)
            .arg("announce")
            .arg(format!("--server={}", std::process::id()))
            .arg(format!("--port={port}"))
            .args(models.iter().map(|model| format!("--model={model}")))
            .stdin(Stdio::null()),
    )
}

/// Waits for the models of a server and prints how to ask them. Ends early when the server does.
pub(crate) fn announce(mut arguments: Arguments) -> Result<()> {
    let server = arguments
        .value("--server")?
        .context("--server is missing")?;
    let port: u16 = arguments
        .value("--port")?
        .context("--port is missing")?
        .parse()?;
    let models = arguments.values("--model")?;
    arguments.finish()?;

    let process = std::path::Path::new("/proc").join(&server);
    let names: Vec<&str> = models.iter().map(String::as_str).collect();
    let ready = server::wait_until_ready(port, &names, || process.is_dir());
    if !process.is_dir() {
        // It has said itself why.
        return Ok(());
    }
    ready?;
    progress::print(&announcement(port, &names));
    Ok(())
}

/// Lines to copy: one that answers with numbers where we know what a model takes, and the
/// metadata, which says what it takes, where we do not.
fn announcement(port: u16, models: &[&str]) -> String {
    let mut text = format!("\nReady: {}. Try:\n\n", models.join(", "));
    let base = format!("http://localhost:{port}/v1/models");
    if models.contains(&"half_plus_two") {
        text.push_str(&format!(
            "  curl -d '{{\"instances\": [1.0, 2.0, 5.0]}}' -X POST {base}/half_plus_two:predict\n"
        ));
    }
    for model in models {
        text.push_str(&format!("  curl {base}/{model}/metadata\n"));
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(flags: &[&str]) -> Given {
        let flags: Vec<String> = flags.iter().map(|&flag| flag.to_owned()).collect();
        read(&flags)
    }

    #[test]
    fn adds_the_examples_where_no_model_is_given() {
        let expected = Given {
            own_models: false,
            model: None,
            rest_port: Some(9000),
        };
        assert_eq!(
            given(&["--rest_api_port=8080", "--rest_api_port", "9000"]),
            expected
        );
    }

    #[test]
    fn leaves_the_examples_out_where_a_model_is_given() {
        let single = given(&["--model_name=m", "--model_base_path=/m"]);
        assert_eq!((single.own_models, single.model), (true, Some("m".into())));
        let unnamed = given(&["--model_base_path=/m"]);
        assert_eq!(unnamed.model.as_deref(), Some("default"));
        let config = given(&["--model_config_file=/c"]);
        assert_eq!((config.own_models, config.model), (true, None));
    }

    #[test]
    fn asks_no_port_that_is_off_or_unknown() {
        assert_eq!(given(&["--rest_api_port=0"]).rest_port, None);
        assert_eq!(given(&["--rest_api_port=auto"]).rest_port, None);
        assert_eq!(given(&[]).rest_port, Some(REST_PORT));
    }

    #[test]
    fn prints_a_request_that_works() {
        let text = announcement(8501, &["half_plus_two"]);
        assert!(
            text.contains(
                "curl -d '{\"instances\": [1.0, 2.0, 5.0]}' \
                 -X POST http://localhost:8501/v1/models/half_plus_two:predict\n"
            ),
            "{text}"
        );
    }
}
