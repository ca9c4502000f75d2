//! The trigger plugin, driven as `spin up` drives it: by its name, its environment and its hidden
//! flags, with a locked app as Spin writes it.

use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;
use tensorgate_tests::app::{App, as_app};
use tensorgate_tests::server::{as_program, output};
use tensorgate_tests::{built, models, program};

/// The program by the name that it has as a plugin, and what Spin hands it.
struct Spin {
    place: TempDir,
}

impl Spin {
    fn new() -> Self {
        let place = tempfile::tempdir().expect("a directory");
        let plugin = place.path().join("trigger-tensorgate");
        std::os::unix::fs::symlink(built("tensorgate"), plugin).expect("a link");
        Self { place }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    /// As `spin up` starts it: the lock's URL, the two directories, and its own arguments.
    fn command(&self, lock: &Value, arguments: &[&str]) -> Command {
        let file = self.path("work/spin.lock");
        for directory in ["work", "app"] {
            std::fs::create_dir_all(self.path(directory)).expect("a directory");
        }
        let text = serde_json::to_vec_pretty(lock).expect("JSON");
        std::fs::write(&file, text).expect("it can be written");
        let mut command = self.plugin();
        command
            .env("SPIN_LOCKED_URL", url(&file))
            .env("SPIN_WORKING_DIR", self.path("work"))
            .env("SPIN_LOCAL_APP_DIR", self.path("app"))
            .args(arguments);
        command
    }

    fn plugin(&self) -> Command {
        let mut command = as_program(&self.path("trigger-tensorgate"));
        as_app(&mut command);
        for variable in ["SPIN_LOCKED_URL", "SPIN_WORKING_DIR", "SPIN_LOCAL_APP_DIR"] {
            command.env_remove(variable);
        }
        command
    }
}

fn url(path: &Path) -> String {
    format!("file://{}", path.display())
}

/// What Spin writes for an app of two components and two types of triggers.
fn lock(spin: &Spin) -> Value {
    json!({
        "spin_lock_version": 1,
        "must_understand": ["component_host_requirements"],
        "metadata": {
            "name": "both",
            "version": "0.1.0",
            "origin": url(&spin.path("app/spin.toml")),
            "triggers": {
                "tensorgate": { "models": { "half": models::path("half_plus_two") } },
            },
        },
        "variables": { "word": { "default": "spun" } },
        "triggers": [
            {
                "id": "predict-tensorgate-trigger",
                "trigger_type": "tensorgate",
                "trigger_config": { "component": "predict", "route": "/predict/..." },
            },
            {
                "id": "all-tensorgate-trigger",
                "trigger_type": "tensorgate",
                "trigger_config": { "component": "all", "route": "/..." },
            },
            {
                "id": "web",
                "trigger_type": "http",
                "trigger_config": { "component": "web", "route": "/web" },
            },
        ],
        "components": [
            {
                "id": "predict",
                "source": {
                    "content_type": "application/wasm",
                    "source": url(&program("spin_predict")),
                },
            },
            {
                "id": "all",
                "metadata": { "description": "Everything else", "key_value_stores": ["default"] },
                "source": {
                    "content_type": "application/wasm",
                    "source": url(&program("spin_everything")),
                },
                "env": { "FROM": "the lock" },
                "files": [{ "source": url(&spin.path("work")), "path": "/" }],
                "config": { "word": "{{ word }}" },
                "host_requirements": { "local_service_chaining": "required" },
            },
            // Of another trigger: nobody looks whether it is there.
            {
                "id": "web",
                "source": { "content_type": "application/wasm", "source": "file:///nowhere.wasm" },
            },
        ],
    })
}

#[test]
fn one_command_starts_models_and_components() {
    let spin = Spin::new();
    let arguments = [
        "--listen",
        "127.0.0.1:0",
        "--variable",
        "word=given",
        "--quiet",
    ];
    let mut app = App::start(&mut spin.command(&lock(&spin), &arguments));
    let predicted = app.post("/predict/half", &[], "1.0,2.0");
    assert_eq!(predicted.body, "y=2.5,3 of version 123", "{predicted:?}");
    assert_eq!(app.get("/environment").body, "FROM=the lock\n");
    assert_eq!(app.get("/variable?word").body, "given");
    assert_eq!(app.get("/count?default").body, "1");
    assert!(
        app.get("/file?/spin.lock")
            .body
            .contains("spin_lock_version")
    );
    assert_eq!(app.get("/web").status, 200);
    assert_eq!(app.get("/print").status, 200);
    app.wait_for_print("    Everything else");
    assert!(
        app.printed().contains("  all: http://127.0.0.1:"),
        "{}",
        app.printed()
    );
    assert_eq!(app.end(Signal::TERM).code(), Some(0));
    // The state is the app's, and not that of whoever started it.
    let printed = std::fs::read_to_string(spin.path("app/.spin/logs/all_stdout.txt"));
    assert_eq!(printed.expect("a log"), "to standard output\n");
    assert!(!app.said().contains("to standard output"), "{}", app.said());
}

#[test]
fn the_manifest_and_flags_say_which_models_too() {
    let spin = Spin::new();
    let mut lock = lock(&spin);
    lock["metadata"]["triggers"] = json!({ "tensorgate": {} });
    std::fs::create_dir_all(spin.path("app")).expect("a directory");
    let manifest = format!(
        "spin_manifest_version = 2\napplication = {{ name = 'both', tool.tensorgate.models.half = \
         {:?} }}\n[trigger]\n",
        models::path("half_plus_two").display().to_string()
    );
    std::fs::write(spin.path("app/spin.toml"), manifest).expect("it can be written");
    let listen = ["--listen", "127.0.0.1:0"];
    let app = App::start(&mut spin.command(&lock, &listen));
    assert_eq!(
        app.post("/predict/half", &[], "1.0").body,
        "y=2.5 of version 123"
    );
    drop(app);

    std::fs::remove_file(spin.path("app/spin.toml")).expect("it is there");
    let base = format!(
        "--model_base_path={}",
        models::path("half_plus_two").display()
    );
    let arguments = [&listen[..], &["--model_name", "named", &base]].concat();
    let app = App::start(&mut spin.command(&lock, &arguments));
    assert_eq!(
        app.post("/predict/named", &[], "1.0").body,
        "y=2.5 of version 123"
    );
}

#[test]
fn spin_is_told_of_the_flags_where_it_asks() {
    let spin = Spin::new();
    // For `spin up --help`: on standard output.
    let help = output(spin.plugin().arg("--help-args-only"));
    assert_eq!(help.status.code(), Some(0));
    let text = String::from_utf8_lossy(&help.stdout);
    assert!(text.starts_with("TENSORGATE TRIGGER OPTIONS:"), "{text}");
    assert!(
        text.contains("--listen") && text.contains("--log-dir"),
        "{text}"
    );
    assert!(!text.contains("--help-args-only"), "{text}");

    // For apps with several types of triggers: as JSON, on standard error and nothing else there.
    let metadata = output(spin.plugin().arg("--launch-metadata-only"));
    assert_eq!(metadata.status.code(), Some(0));
    let metadata: Value = serde_json::from_slice(&metadata.stderr).expect("JSON alone");
    let flags = metadata["all_flags"].as_array().expect("a list");
    for flag in [
        json!({ "long": "--listen" }),
        json!({ "long": "--quiet", "short": "-q" }),
        json!({ "long": "--log-dir", "short": "-L" }),
        json!({ "long": "--model_config_file" }),
    ] {
        assert!(flags.contains(&flag), "{flag} in {flags:?}");
    }
}

#[test]
fn what_is_wrong_is_named() {
    let spin = Spin::new();
    let ended = output(&mut spin.plugin());
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1));
    assert!(said.contains("SPIN_LOCKED_URL is not set"), "{said}");

    let mut demands = lock(&spin);
    demands["components"][0]["host_requirements"] = json!({ "telepathy": "required" });
    let mut newer = lock(&spin);
    newer["spin_lock_version"] = json!(7);
    for (lock, arguments, code, words) in [
        (&demands, &[][..], 1, "telepathy"),
        (&newer, &[], 1, "invalid version 7"),
        (
            &lock(&spin),
            &["--nonsense"],
            2,
            "unexpected argument '--nonsense' found",
        ),
        (
            &lock(&spin),
            &["--variable=x"],
            2,
            "Couldn't interpret value x for flag variable",
        ),
    ] {
        let ended = output(&mut spin.command(lock, arguments));
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(code), "{said}");
        assert!(said.contains(words), "{words:?} in {said}");
    }
}

#[test]
fn the_program_is_the_plugin_by_its_command_too() {
    let spin = Spin::new();
    let mut command = as_program(&built("tensorgate"));
    let help = output(command.args(["trigger", "--help-args-only"]));
    let plugin = output(spin.plugin().arg("--help-args-only"));
    assert_eq!(help.stdout, plugin.stdout);
}
