//! Projects of processors, as their developers go about them: made, built, tested, watched,
//! pushed.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tensorgate_tests::models::{self, BasePath};
use tensorgate_tests::server::{Server, output, tensorgate};
use tensorgate_tests::{PATIENCE, built, program, root};

const TOKEN: &str = "a-token-for-this-test";

/// `tensorgate component ...` in a directory.
fn component(directory: &Path, args: &[&str]) -> Command {
    let tools = root().join(".tensorgate/component-tools");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::iter::once(tools.join("bin")).chain(std::env::split_paths(&path));
    let mut command = tensorgate();
    command
        .current_dir(directory)
        .arg("component")
        .args(args)
        // What is built here was fetched when the workspace was, or by the set-up.
        .env("CARGO_NET_OFFLINE", "true")
        .env("PATH", std::env::join_paths(path).expect("a path"))
        .env("npm_config_cache", tools.join("npm-cache"))
        .env("npm_config_offline", "true")
        .env("PIP_NO_INDEX", "1")
        .env("PIP_FIND_LINKS", tools.join("wheels"));
    command
}

/// What a command says, both ways.
fn said(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr];
    format!(
        "{}{}",
        String::from_utf8_lossy(out),
        String::from_utf8_lossy(err)
    )
}

/// What a command says that must succeed.
fn done(command: &mut Command) -> String {
    let ended = output(command);
    let said = said(&ended);
    assert!(ended.status.success(), "{command:?}: {said}");
    said
}

/// What a command says that must fail, with the exit code of a command that failed.
fn failed(command: &mut Command) -> String {
    let ended = output(command);
    let said = said(&ended);
    assert_eq!(ended.status.code(), Some(1), "{command:?}: {said}");
    said
}

fn model_dir(model: &Path) -> String {
    format!("--model_dir={}", model.display())
}

/// A project from a template, in a place of its own that stays: what tools have built there for
/// the last run need not be built again. `kept` are directories of tools.
fn from_template(language: &str, kept: &[&str]) -> PathBuf {
    let place = built("tensorgate")
        .with_file_name("test-projects")
        .join(language);
    let project = place.join("my_rows");
    let _ = fs::remove_dir_all(&project);
    fs::create_dir_all(&place).expect("a directory");
    let lang = format!("--lang={language}");
    let said = done(
        tensorgate()
            .current_dir(&place)
            .args(["new", "processor", "my_rows", &lang]),
    );
    assert!(said.contains("  tensorgate component build\n"), "{said}");
    for name in kept {
        let stays = place.join(name);
        fs::create_dir_all(&stays).expect("a directory");
        symlink(stays, project.join(name)).expect("a link");
    }
    project
}

/// What every template has to do: build, and pass its tests with a model that anybody has.
fn a_new_project_builds_and_passes(language: &str, kept: &[&str]) {
    let project = from_template(language, kept);
    let said = done(&mut component(&project, &["build"]));
    assert!(said.contains("fits the world model-processor"), "{said}");
    let model = root().join(".tensorgate/models/half_plus_two");
    let said = done(&mut component(&project, &["test", &model_dir(&model)]));
    assert!(said.contains(" passed, 0 failed"), "{said}");
    assert!(!said.contains("0 passed"), "{said}");
}

#[test]
fn a_new_project_in_rust_builds_and_passes() {
    a_new_project_builds_and_passes("rust", &["target"]);
}

#[test]
fn a_new_project_in_javascript_builds_and_passes() {
    a_new_project_builds_and_passes("javascript", &[]);
}

#[test]
fn a_new_project_in_python_builds_and_passes() {
    a_new_project_builds_and_passes("python", &[]);
}

#[test]
fn a_new_project_has_to_have_a_place_and_a_name() {
    let place = tempfile::tempdir().expect("a directory");
    let new = |args: &[&str]| {
        let mut command = tensorgate();
        command.current_dir(&place).args(["new"]).args(args);
        let ended = output(&mut command);
        (ended.status.code(), said(&ended))
    };
    fs::write(place.path().join("taken"), "").expect("a file");
    for (args, code, words) in [
        (
            &["processor", "--lang=rust"][..],
            2,
            "usage: tensorgate new",
        ),
        (
            &["gateway", "rows", "--lang=rust"],
            2,
            "nothing that is called gateway",
        ),
        (
            &["processor", "Rows", "--lang=rust"],
            2,
            "cannot be a processor's name",
        ),
        (
            &["processor", "rows", "--lang=cobol"],
            2,
            "expected one of: rust",
        ),
        (&["processor", "rows"], 2, "which language?"),
        (
            &["processor", "rows", "--lang=rust", "--dir=."],
            1,
            "expected a directory that is new or empty",
        ),
        (
            &["processor", "rows", "--lang=rust", "--dir=taken"],
            1,
            "cannot make taken",
        ),
    ] {
        let (found, said) = new(args);
        assert_eq!(found, Some(code), "{args:?}: {said}");
        assert!(said.contains(words), "{args:?}: {said}");
    }
    let (code, said) = new(&["processor", "rows", "--lang=rust", "--dir=a/b"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("  cd a/b\n"), "{said}");
    assert!(place.path().join("a/b/wit/processor.wit").is_file());
}

/// A project whose component was built before, by another name.
struct Ready(TempDir);

impl Ready {
    /// With this program of `tests/processors`, and more in its file.
    fn of(name: &str, more: &str) -> Self {
        let ready = Self(tempfile::tempdir().expect("a directory"));
        ready.write(
            "processor.toml",
            &format!(
                "name = 'ready'\ncomponent = 'ready.wasm'\n\
                 [build]\ncommand = 'sh build.sh'\nwatch = ['*.sh', 'src/**']\n{more}"
            ),
        );
        ready.write("build.sh", "cp next.wasm ready.wasm\n");
        ready.takes(name);
        fs::create_dir(ready.path().join("tests")).expect("a directory");
        ready
    }

    /// From the next build on it is this program.
    fn takes(&self, name: &str) {
        fs::copy(program(name), self.path().join("next.wasm")).expect("a copy");
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, path: &str, text: &str) {
        fs::write(self.path().join(path), text).expect("a file");
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path().join(path)).expect("a file")
    }

    fn run(&self, args: &[&str]) -> Command {
        component(self.path(), args)
    }
}

#[test]
fn what_differs_is_shown_with_its_place_and_can_be_blessed() {
    let base = BasePath::with_half_plus_two("7");
    let model = base.path().join("7");
    let ready = Ready::of("words", &format!("[test]\nmodel = '{}'", model.display()));
    ready.write("four.txt", "four\ntwo");
    ready.write(
        "tests/body.toml",
        "body = '../four.txt'\ncontent-type = 'text/plain'\nanswer = 'body.txt'",
    );
    ready.write("tests/body.txt", "4\n3");
    ready.write(
        "tests/sum.toml",
        "text = 'four'\ncontent-type = 'text/plain'\nsignature = 'sum'\nanswer = 'sum.json'\n\
         tolerance = 0.1",
    );
    ready.write("tests/sum.json", "{\"outputs\": [4.3]}");
    ready.write(
        "tests/tensors.toml",
        "text = '{\"instances\": [\"one\", \"two\"]}'\nanswer = 'tensors.json'",
    );
    ready.write(
        "tests/tensors.json",
        "{\"predictions\": [{\"numbers\": 2.5, \"seen\": \"x\"}, {\"numbers\": 3.5}]}",
    );
    ready.write(
        "tests/wrong.toml",
        "text = 'ten'\ncontent-type = 'text/plain'\nstatus = 400\ncontains = '\"ten\" is no number'",
    );
    ready.write(
        "tests/wrong_status.toml",
        "text = 'ten'\ncontent-type = 'text/plain'",
    );

    let said = failed(&mut ready.run(&["test"]));
    assert!(said.contains("component build` makes it"), "{said}");
    done(&mut ready.run(&["build"]));
    let said = failed(&mut ready.run(&["test"]));
    for words in [
        "body: ok\n",
        "sum: ok\n",
        "tensors: FAILED\n",
        "tests/tensors.json: $.predictions[0].seen: expected \"x\", got \"1 in serving_default to predict\"",
        "tests/tensors.json: $.predictions[1].numbers: expected 3.5, got 3.0 (apart by",
        "tests/tensors.json: $.predictions[1].seen: expected nothing of that name, got",
        "wrong: ok\n",
        "wrong_status: FAILED\n  status: expected 200, got 400: \"ten\" is no number",
        "3 passed, 2 failed\n",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }

    // What came is what is expected; a status is not.
    let said = failed(&mut ready.run(&["test", "--bless"]));
    assert!(
        said.contains("tensors: ok, tests/tensors.json is written\n"),
        "{said}"
    );
    assert!(said.contains("4 passed, 1 failed\n"), "{said}");
    assert!(
        ready
            .read("tests/tensors.json")
            .contains("\"numbers\": 3.0")
    );
    assert_eq!(
        ready.read("tests/sum.json"),
        "{\"outputs\": [4.3]}",
        "it was near enough"
    );
    let said = done(&mut ready.run(&["test", "--only=tensors"]));
    assert_eq!(said, "tensors: ok\n1 passed, 0 failed\n");
}

#[test]
fn what_goes_wrong_inside_is_shown_with_the_server_s_words() {
    let model = models::path("half_plus_two");
    let ready = Ready::of("hostile_processor", "[limits]\ntime_ms = 100");
    done(&mut ready.run(&["build"]));
    for word in ["trap", "loop"] {
        let text = format!("text = '{word}'\ncontent-type = 'text/plain'");
        ready.write(&format!("tests/{word}.toml"), &text);
    }
    let said = failed(&mut ready.run(&["test", &model_dir(&model)]));
    for words in ["told to", "100ms", "0 passed, 2 failed"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    // A model that the processor does not want is said with its reason.
    let ready = Ready::of("words", "");
    done(&mut ready.run(&["build"]));
    ready.write("tests/a.toml", "text = ''");
    let model = models::path("no_inputs");
    let said = failed(&mut ready.run(&["test", &model_dir(&model)]));
    assert!(
        said.contains("model no_inputs has no signature with one input"),
        "{said}"
    );
}

#[test]
fn grants_and_other_models_are_those_of_the_project() {
    let model = models::path("half_plus_two");
    let more = format!(
        "[test]\nmodel = '{}'\nmodels.other = '{}'\n\
         [grants]\nmodels = ['other']\nenvironment.COLOUR = 'green'\n",
        model.display(),
        models::path("signatures").display()
    );
    let ready = Ready::of("hostile_processor", &more);
    done(&mut ready.run(&["build"]));
    ready.write(
        "tests/sees.toml",
        "text = 'tell'\ncontent-type = 'text/plain'\ncontains = 'green'",
    );
    // That model has no signature of the name that is asked for: it is found, and may be called.
    ready.write(
        "tests/calls.toml",
        "text = 'call other'\ncontent-type = 'text/plain'\nstatus = 400\n\
         contains = 'Serving signature key \"double\" not found'",
    );
    ready.write(
        "tests/may_not.toml",
        "text = 'call stranger'\ncontent-type = 'text/plain'\nstatus = 403",
    );
    let said = done(&mut ready.run(&["test"]));
    assert!(said.contains("3 passed, 0 failed"), "{said}");
}

#[test]
fn what_is_no_project_or_no_processor_is_said() {
    let nothing = tempfile::tempdir().expect("a directory");
    let said = failed(&mut component(nothing.path(), &["build"]));
    assert!(said.contains("expected a processor's project"), "{said}");

    let ready = Ready::of("words", "");
    for (script, words) in [
        (
            "echo no such thing; exit 3",
            "the build failed (exit status: 3): sh build.sh",
        ),
        ("rm -f ready.wasm", "ready.wasm is not there"),
        ("echo text > ready.wasm", "it is no WebAssembly component"),
    ] {
        ready.write("build.sh", script);
        let said = failed(&mut ready.run(&["build"]));
        assert!(said.contains(words), "{words}: {said}");
    }
    ready.takes("echo");
    ready.write("build.sh", "cp next.wasm ready.wasm");
    let said = failed(&mut ready.run(&["build"]));
    assert!(
        said.contains("does not export tensorgate:serving/processor"),
        "{said}"
    );
    // Seen from elsewhere, too.
    let from_root = &["build", &ready.path().display().to_string()];
    let said = failed(&mut component(root(), from_root));
    assert!(said.contains("does not export"), "{said}");

    let said = failed(&mut ready.run(&["test", "--model_dir=/nowhere"]));
    assert!(said.contains("tests has no recorded requests"), "{said}");
    ready.write("tests/a.toml", "text = ''");
    let said = failed(&mut ready.run(&["test", "--model_dir=/nowhere"]));
    assert!(said.contains("/nowhere: No such file"), "{said}");
    let ended = output(&mut ready.run(&["test"]));
    assert_eq!(ended.status.code(), Some(2), "{}", self::said(&ended));
    let ended = output(&mut ready.run(&["watch", "--push"]));
    assert_eq!(ended.status.code(), Some(2), "{}", self::said(&ended));
}

/// `component watch`, which is ended when this is dropped.
struct Watch {
    child: Child,
    log: PathBuf,
}

impl Watch {
    fn start(command: &mut Command, log: PathBuf) -> Self {
        let file = fs::File::create(&log).expect("a file");
        let child = command
            .stdout(file.try_clone().expect("a file"))
            .stderr(file)
            .stdin(Stdio::null())
            .spawn()
            .expect("the binary can be run");
        Self { child, log }
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.log).expect("the log is there")
    }

    /// Waits until it has said this so many times.
    fn wait_for(&self, words: &str, times: usize) {
        let give_up = Instant::now() + PATIENCE;
        while self.said().matches(words).count() < times {
            assert!(
                Instant::now() < give_up,
                "{words}, {times}: {}",
                self.said()
            );
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // Both fail when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn each_change_is_built_tested_and_pushed() {
    const WATCHING: &str = "watching for changes";
    let base = BasePath::with_half_plus_two("2");
    let folder = tempfile::tempdir().expect("a directory");
    let token = folder.path().join("token");
    fs::write(&token, TOKEN).expect("a file");
    let server = Server::with_model(
        "m",
        base.path(),
        &[
            &format!("--component_store={}/store", folder.path().display()),
            &format!("--admin_token_file={}", token.display()),
            "--admin_port=auto",
        ],
    );
    let line = server.wait_for_line("Admin port at ");
    let (_, port) = line.rsplit_once("127.0.0.1:").expect("its address");
    let url = format!(
        "http://127.0.0.1:{}",
        port.split(' ').next().expect("a port")
    );

    let ready = Ready::of("hostile_processor", "");
    ready.write("tests/a.toml", "text = 'four'\ncontent-type = 'text/plain'");
    let watch = Watch::start(
        &mut ready.run(&[
            "watch",
            "--push",
            "--model=m",
            &model_dir(base.path()),
            &format!("--url={url}"),
            &format!("--token_file={}", token.display()),
        ]),
        folder.path().join("log"),
    );
    watch.wait_for(WATCHING, 1);
    assert_eq!(
        watch.said().matches("m: push 1: ").count(),
        1,
        "{}",
        watch.said()
    );

    // A build that fails changes nothing, and is not the end.
    ready.write("build.sh", "echo broken; exit 1");
    watch.wait_for(WATCHING, 2);
    assert!(
        watch.said().contains("the build failed"),
        "{}",
        watch.said()
    );
    assert_eq!(watch.said().matches("m: push").count(), 1);

    // Nor does one that fails its tests.
    ready.takes("words");
    ready.write("build.sh", "cp next.wasm ready.wasm\n");
    ready.write("tests/a.toml", "text = 'ten'\ncontent-type = 'text/plain'");
    watch.wait_for("0 passed, 1 failed", 1);
    assert_eq!(watch.said().matches("m: push").count(), 1);

    ready.write(
        "tests/a.toml",
        "text = 'four'\ncontent-type = 'text/plain'\ncontains = '4'",
    );
    watch.wait_for("m: push 2: ", 1);
    watch.wait_for("changed: tests/a.toml", 1);
    let headers = [("content-type", "text/plain")];
    let answer = server
        .connect()
        .request("POST", "/v1/models/m:predict", &headers, b"four")
        .expect("an answer");
    assert_eq!((answer.status, answer.body.as_str()), (200, "4"));
}
