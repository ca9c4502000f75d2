//! The manifests of `deploy/`: what they start starts, and `deploy/check` has nothing to say.
//!
//! The check holds them to Kubernetes' schemas and to each other; what they say of the server is held
//! to the server here: flags, paths, metrics.

use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;
use tensorgate_tests::models::path;
use tensorgate_tests::python::{output, program};
use tensorgate_tests::root;
use tensorgate_tests::server::{Server, tensorgate};

fn check() -> std::process::Command {
    let mut command = program("python");
    command.arg(root().join("deploy/check"));
    command
}

/// The flags of a manifest, with places of this machine for those of a container.
fn flags_here(args: &Value, here: &Path) -> Vec<String> {
    let config = here.join("models.config");
    std::fs::write(
        &config,
        format!(
            "model_config_list {{ config {{ name: 'm' base_path: '{}' \
             model_platform: 'tensorflow' }} }}",
            path("half_plus_two").display()
        ),
    )
    .expect("it can be written");
    let model = path("half_plus_two");
    let args = args.as_array().expect("a list");
    args.iter()
        .map(|arg| arg.as_str().expect("a text").to_owned())
        // The graphics processors of other machines.
        .filter(|arg| !arg.starts_with("--workers="))
        .map(|arg| {
            arg.replace("/etc/tensorgate/models.config", &config.to_string_lossy())
                .replace("/mnt/models", &model.to_string_lossy())
                .replace(
                    "/var/cache/tensorgate",
                    &here.join("cache").to_string_lossy(),
                )
                .replace("{{.Name}}", "m")
        })
        .collect()
}

#[test]
fn what_the_manifests_start_starts_and_the_check_has_nothing_to_say() {
    let here = TempDir::new().expect("a directory");
    let servers = output(check().arg("--servers"));
    let servers: Value = serde_json::from_str(&servers).expect("it is JSON");
    let servers = servers.as_array().expect("a list");
    assert!(servers.len() >= 9, "{servers:?}");
    let mut started: Vec<Vec<String>> = Vec::new();
    let mut page = String::new();
    for told in servers {
        let flags = flags_here(&told["args"], here.path());
        if started.contains(&flags) {
            continue;
        }
        let mut server = Server::spawn(tensorgate().args(&flags));
        server.wait_for_line("Ready in ");
        let get = |what: &str| server.get(told[what].as_str().expect("a path"));
        assert_eq!(get("live").status, 200, "{}", told["of"]);
        assert_eq!(get("ready").status, 200, "{}", told["of"]);
        let answer = server.post("/v1/models/m:predict", r#"{"instances": [1.0]}"#);
        assert_eq!(answer.status, 200, "{}: {}", told["of"], answer.body);
        let metrics = get("metrics");
        assert_eq!(metrics.status, 200, "{}", told["of"]);
        page = metrics.body;
        // A second signal ends the delay that they ask for.
        server.terminate();
        server.wait_for_line("Not ready any more, and closing in ");
        server.terminate();
        assert!(server.wait().success(), "{}: {}", told["of"], server.log());
        started.push(flags);
    }
    let help = output(tensorgate().args(["help", "serve"]));
    let (flags, metrics) = (here.path().join("flags"), here.path().join("metrics"));
    std::fs::write(&flags, help).expect("it can be written");
    std::fs::write(&metrics, page).expect("it can be written");
    let said = output(
        check()
            .arg("--flags")
            .arg(flags)
            .arg("--metrics")
            .arg(metrics),
    );
    assert!(said.ends_with("are well\n"), "{said}");
}

/// Each mistake that the check is for, made and found.
#[test]
fn the_check_finds_mistakes() {
    let mut command = program("python");
    command.args(["-m", "unittest", "discover", "--start-directory"]);
    output(command.arg(root().join("deploy/check")));
}
