//! Changes of the config file that a running server follows, all of them or none.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use tensorgate_tests::models::{BasePath, path};
use tensorgate_tests::server::{Server, config, output, tensorgate};

const BODY: &str = r#"{"instances": [0.0]}"#;

fn answer_of(version: u8) -> String {
    format!("{{\n    \"predictions\": [{version}.0\n    ]\n}}")
}

/// A config file, and a server that looks at it every second.
struct Followed {
    _directory: TempDir,
    file: PathBuf,
}

impl Followed {
    fn new(models: &[(&str, &Path, &str)]) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("models.config");
        let followed = Self {
            _directory: directory,
            file,
        };
        followed.write(&config(models));
        followed
    }

    /// Replaces the file at once.
    fn write(&self, text: &str) {
        let staged = self.file.with_extension("staged");
        fs::write(&staged, text).expect("it can be written");
        fs::rename(staged, &self.file).expect("it can be moved");
    }

    fn flag(&self) -> String {
        format!("--model_config_file={}", self.file.display())
    }

    fn serve(&self, flags: &[&str]) -> Server {
        let mut all = vec![
            self.flag(),
            "--model_config_file_poll_wait_seconds=1".to_owned(),
        ];
        all.extend(flags.iter().map(|flag| (*flag).to_owned()));
        let server = Server::start(all);
        server.wait_for_line("Ready in ");
        server
    }
}

#[test]
fn the_config_file_is_followed_and_what_is_wrong_with_it_is_said() {
    let (a, b) = (
        BasePath::with_half_plus_two("1"),
        BasePath::with_half_plus_two("1"),
    );
    let followed = Followed::new(&[("a", a.path(), "")]);
    let server = followed.serve(&[]);
    followed.write(&config(&[(
        "b",
        b.path(),
        "version_labels { key: 'new' value: 1 }",
    )]));
    server.wait_for("/v1/models/b/labels/new/metadata", |answer| {
        answer.status == 200
    });
    assert_eq!(server.post("/v1/models/b:predict", BODY).body, answer_of(2));
    server.wait_for("/v1/models/a", |answer| answer.body.contains("END"));
    // Nonsense leaves everything as it is.
    followed.write("model_config_lisp {}");
    server.wait_for_line("Failed to read ModelServerConfig file: INVALID_ARGUMENT: Invalid");
    // A pipe is not waited for.
    let pipe = followed.file.with_extension("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("mkfifo is there").success());
    fs::rename(pipe, &followed.file).expect("it can be moved");
    server.wait_for_line("expected a text file of 16 MiB at most, found a pipe");
    // So does a model that is not there, and the one that is there with it does not come.
    let missing = b.path().join("missing");
    followed.write(&config(&[
        ("a", a.path(), ""),
        ("gone", missing.as_path(), ""),
    ]));
    server.wait_for_line(
        "PollFilesystemAndReloadConfig failed to ReloadConfig: UNKNOWN: 1 model(s) did not become \
         available: {{{name: gone} due to error: NOT_FOUND: ",
    );
    assert_eq!(server.post("/v1/models/b:predict", BODY).body, answer_of(2));
    assert_eq!(server.post("/v1/models/a:predict", BODY).status, 404);
    // It is followed again as soon as it can be.
    followed.write(&config(&[("a", a.path(), "")]));
    server.wait_for("/v1/models/a", |answer| answer.body.contains("AVAILABLE"));
}

#[test]
fn another_base_path_is_served_from_there() {
    let (old, new) = (
        BasePath::with_half_plus_two("1"),
        BasePath::with_half_plus_two("7"),
    );
    new.publish("1", 3);
    new.withdraw("7");
    let followed = Followed::new(&[("m", old.path(), "")]);
    let server = followed.serve(&[]);
    assert_eq!(server.post("/v1/models/m:predict", BODY).body, answer_of(2));
    followed.write(&config(&[("m", new.path(), "")]));
    server.wait_for_line("Finished reloading config: 1 models are served");
    assert_eq!(server.post("/v1/models/m:predict", BODY).body, answer_of(3));
}

#[test]
fn a_label_that_points_at_nothing_is_an_error_at_the_start() {
    let model = path("half_plus_version");
    let label = "version_labels { key: 'stable' value: 99 }";
    let followed = Followed::new(&[("m", &model, label)]);
    let ports = ["--port=0", "--rest_api_port=auto"];
    let output = output(tensorgate().arg("serve").arg(followed.flag()).args(ports));
    assert_eq!(output.status.code(), Some(255));
    let expected = "Failed to start server. Error: FAILED_PRECONDITION: Request to assign label to \
                    version 99 of model m, which is not currently available for inference";
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains(expected), "{said}");
}
