//! Components pushed to the real server: durable, tried before they are taken, rolled back, and
//! for nobody without the token.

use std::path::Path;
use std::process::Output;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tempfile::TempDir;
use tensorgate_tests::http::{Answer, Connection};
use tensorgate_tests::models::BasePath;
use tensorgate_tests::over::Over;
use tensorgate_tests::program;
use tensorgate_tests::server::{Server, output, tensorgate};

const PREDICT: &str = "/v1/models/m:predict";
const TOKEN: &str = "a-token-for-this-test";

/// A model, a store and a token.
struct House {
    base: BasePath,
    folder: TempDir,
}

impl House {
    fn new() -> Self {
        let base = BasePath::new();
        base.publish("2", 2);
        let folder = tempfile::tempdir().expect("a directory");
        std::fs::write(folder.path().join("token"), format!("{TOKEN}\n")).expect("a file");
        Self { base, folder }
    }

    fn token(&self) -> String {
        format!(
            "--token_file={}",
            self.folder.path().join("token").display()
        )
    }

    fn serve(&self) -> Running {
        let folder = self.folder.path().display();
        let store = format!("--component_store={folder}/store");
        let token = format!("--admin_token_file={folder}/token");
        let flags = [
            store.as_str(),
            token.as_str(),
            "--admin_port=auto",
            "--file_system_poll_wait_seconds=1",
            "--max_num_load_retries=0",
        ];
        let server = Server::with_model("m", self.base.path(), &flags);
        let line = server.wait_for_line("Admin port at 127.0.0.1:");
        let (_, port) = line.rsplit_once("127.0.0.1:").expect("its address");
        let port = port.split(' ').next().and_then(|port| port.parse().ok());
        Running {
            server,
            admin: port.expect("a number"),
        }
    }
}

struct Running {
    server: Server,
    admin: u16,
}

impl Running {
    /// `tensorgate component ...` against this server.
    fn component(&self, house: &House, args: &[&str]) -> Output {
        let url = format!("--url=http://127.0.0.1:{}", self.admin);
        let mut command = tensorgate();
        command
            .arg("component")
            .args(args)
            .arg(url)
            .arg(house.token());
        output(&mut command)
    }

    /// The same, which must succeed; what it prints.
    fn done(&self, house: &House, args: &[&str]) -> String {
        let ended = self.component(house, args);
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(
            ended.status.success(),
            "{args:?}: {said}\n{}",
            self.server.log()
        );
        String::from_utf8_lossy(&ended.stdout).into_owned()
    }

    /// The same, which must fail; what it complains of.
    fn refused(&self, house: &House, args: &[&str]) -> String {
        let ended = self.component(house, args);
        assert!(!ended.status.success(), "{args:?}");
        String::from_utf8_lossy(&ended.stderr).into_owned()
    }

    fn push(&self, house: &House, more: &[&str], file: &Path) -> String {
        let file = file.display().to_string();
        let args = [&["push", "--model=m"], more, &[&file]].concat();
        self.done(house, &args)
    }

    /// Whether the model has the processor `words` before it.
    fn has_words(&self) -> bool {
        let answer = self.text("four");
        match answer.status {
            200 => {
                assert_eq!(answer.body, "4");
                true
            }
            _ => false,
        }
    }

    fn text(&self, body: &str) -> Answer {
        let headers = [("content-type", "text/plain")];
        let answer = self
            .server
            .connect()
            .request("POST", PREDICT, &headers, body.as_bytes());
        answer.expect("an answer")
    }
}

#[test]
fn what_is_pushed_stands_there_survives_a_restart_and_is_rolled_back() {
    let house = House::new();
    let running = house.serve();
    assert!(!running.has_words());
    let said = running.push(&house, &[], &program("words"));
    assert!(
        said.starts_with("m: push 1: ") && said.contains("version 2"),
        "{said}"
    );
    assert!(running.has_words());
    let list = running.done(&house, &["list"]);
    for words in [
        "version 2",
        "pushed",
        "serving_default",
        "push 1",
        "all versions",
    ] {
        assert!(list.contains(words), "{words}: {list}");
    }
    // A version that comes later has it too.
    house.base.publish("3", 3);
    running.server.wait_for_state("m", "3", "AVAILABLE");
    assert_eq!(running.text("four").body, "5");
    house.base.withdraw("3");
    running.server.wait_for_state("m", "2", "AVAILABLE");

    drop(running);
    let running = house.serve();
    assert!(running.has_words(), "it was there before the restart");
    running.push(&house, &[], &program("hostile_processor"));
    assert!(!running.text("refuse").body.contains("is no number"));
    let said = running.done(&house, &["rollback", "--model=m"]);
    assert!(said.starts_with("m: rollback 3: "), "{said}");
    assert!(running.has_words());
    running.done(&house, &["rollback", "--model=m"]);
    assert!(!running.has_words());
    let said = running.refused(&house, &["rollback", "--model=m"]);
    assert!(said.contains("nothing was pushed for model m"), "{said}");
    let json = running.done(&house, &["list", "--model=m", "--format=json"]);
    assert_eq!(json.matches("\"action\"").count(), 4, "{json}");
}

#[test]
fn a_check_says_what_a_server_would() {
    let house = House::new();
    let check = |args: &[&str], file: &Path| {
        let mut command = tensorgate();
        output(command.args(["component", "check"]).args(args).arg(file))
    };
    let model = format!("--model_dir={}", house.base.path().join("2").display());
    let good = check(&[&model, "--model=m"], &program("words"));
    let said = String::from_utf8_lossy(&good.stdout).into_owned();
    assert!(good.status.success(), "{said}");
    for words in [
        "fits the world model-processor of tensorgate:serving@0.1.0",
        "wasi:",
        "{name: m version: 2}: covers",
        "bodies:  text/plain, text/csv",
        "inputs:  words string[-1]",
        "outputs: numbers float[-1], seen string[-1]",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let alone = check(&[], &program("words"));
    assert!(alone.status.success());
    for (args, file, words) in [
        (
            &[][..],
            program("echo"),
            "does not export tensorgate:serving/processor@0.1.0",
        ),
        (
            &["--model=refuse", &model],
            program("bad_descriptions"),
            "this is not my model",
        ),
        (&["--model_dir=/nowhere"], program("words"), "/nowhere"),
        (&[], "/not/there.wasm".into(), "No such file"),
        (
            &["--nonsense"],
            program("words"),
            "usage: tensorgate component check",
        ),
    ] {
        let bad = check(args, &file);
        let said = String::from_utf8_lossy(&bad.stderr).into_owned();
        assert!(
            !bad.status.success() && said.contains(words),
            "{args:?}: {said}"
        );
    }
}

#[test]
fn components_are_composed_into_one_file() {
    let folder = tempfile::tempdir().expect("a directory");
    let composed = folder.path().join("composed.wasm");
    let compose = |args: &[&str], file: &Path, out: &Path| {
        let mut command = tensorgate();
        command.args(["component", "compose"]).arg(file).args(args);
        output(command.arg("-o").arg(out))
    };
    let with = |name: &str| format!("--with={}", program(name).display());
    let good = compose(&[&with("models")], &program("pair"), &composed);
    let said = String::from_utf8_lossy(&good.stdout).into_owned();
    assert!(good.status.success(), "{said}");
    assert_eq!(said.matches(" bytes, sha256 ").count(), 3, "{said}");
    assert!(said.contains("is another file than"), "{said}");
    let denied = format!("--with_denied={}", program("probe").display());
    assert!(
        compose(&[&denied], &program("front"), &composed)
            .status
            .success()
    );
    for (args, file, out, words) in [
        (
            &[][..],
            program("pair"),
            &composed,
            "with what? expected --with",
        ),
        (
            &[with("front").as_str()],
            program("pair"),
            &composed,
            "imports nothing that",
        ),
        (
            &["--with=/not/there.wasm"],
            program("pair"),
            &composed,
            "/not/there.wasm",
        ),
        (
            &[with("models").as_str()],
            program("pair"),
            &program("models"),
            "cannot be written as well",
        ),
    ] {
        let bad = compose(args, &file, out);
        let said = String::from_utf8_lossy(&bad.stderr).into_owned();
        assert!(
            !bad.status.success() && said.contains(words),
            "{args:?}: {said}"
        );
    }
}

#[test]
fn one_version_has_its_own() {
    let house = House::new();
    let running = house.serve();
    running.push(&house, &["--version=2"], &program("words"));
    assert!(running.has_words());
    // The other one is for all that have none of their own.
    running.push(&house, &[], &program("hostile_processor"));
    assert!(running.has_words());
    running.done(&house, &["rollback", "--model=m", "--version=2"]);
    let answer = running.text("refuse");
    assert!(answer.body.contains("not this one"), "{answer:?}");
}

#[test]
fn what_cannot_be_used_changes_nothing() {
    let house = House::new();
    let running = house.serve();
    running.push(&house, &[], &program("words"));
    let junk = house.folder.path().join("junk.wasm");
    std::fs::write(&junk, "hello").expect("a file");
    let gateway = program("echo").display().to_string();
    let junk = junk.display().to_string();
    for (args, words) in [
        (
            &["push", "--model=m", &junk][..],
            "it is no WebAssembly component",
        ),
        (
            &["push", "--model=m", &gateway],
            "does not export tensorgate:serving/processor@0.1.0",
        ),
        (
            &["push", "--model=m", "/not/there.wasm"],
            "cannot read /not/there.wasm",
        ),
        (&["push", "--model=m"], "usage: tensorgate component push"),
        (&["push", &junk], "which model? expected --model=NAME"),
        (&["push", "--model=m", "--version=x", &junk], "version"),
        (&["rollback"], "which model?"),
        (&["list", "more"], "usage: tensorgate component list"),
        (&["list", "--mode=m"], "unknown argument: --mode=m"),
    ] {
        let said = running.refused(&house, args);
        assert!(said.contains(words), "{args:?}: {said}");
    }
    assert!(running.has_words());
    let json = running.done(&house, &["list", "--format=json"]);
    assert_eq!(json.matches("\"action\"").count(), 1, "{json}");
}

#[test]
fn nothing_is_done_without_the_token() {
    let house = House::new();
    let running = house.serve();
    let ask = |headers: &[(&str, &str)], path: &str| {
        let mut connection = Connection::open(running.admin).expect("the port is open");
        connection
            .request("GET", path, headers, b"")
            .expect("an answer")
    };
    let right = format!("Bearer {TOKEN}");
    for path in ["/v1/components", "/", "/health/live"] {
        for headers in [
            &[][..],
            &[("authorization", "Bearer a-token-for-other-tests")],
        ] {
            let answer = ask(headers, path);
            assert_eq!(answer.status, 401, "{path}");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        }
    }
    let answer = ask(&[("authorization", &right)], "/v1/components");
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (200, "{\"components\":[]}\n")
    );
    assert_eq!(ask(&[("authorization", &right)], "/other").status, 404);
    let answer = ask(&[("authorization", &right)], "/v1/components?version=-1");
    assert_eq!(answer.status, 400, "{answer:?}");

    let ended = output(tensorgate().args([
        "serve",
        "--model_name=m",
        "--model_base_path=/nowhere",
        "--admin_port=auto",
        "--rest_api_port=auto",
        "--port=auto",
    ]));
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    assert!(
        said.contains("--admin_port needs --admin_token_file"),
        "{said}"
    );
}

#[test]
fn nothing_is_lost_while_components_are_pushed() {
    let house = House::new();
    let running = house.serve();
    running.push(&house, &[], &program("words"));
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let over = Over(&done);
        let clients: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let mut connection = running.server.connect();
                    let mut answered = 0_u64;
                    while !done.load(Ordering::Relaxed) {
                        let headers = [("content-type", "text/plain")];
                        let answer = connection
                            .request("POST", PREDICT, &headers, b"four")
                            .expect("an answer");
                        // Each is one processor's or the other's.
                        assert_eq!(answer.status, 200, "{answer:?}");
                        answered += 1;
                    }
                    answered
                })
            })
            .collect();
        for _ in 0..3 {
            running.push(&house, &[], &program("hostile_processor"));
            running.done(&house, &["rollback", "--model=m"]);
        }
        drop(over);
        for client in clients {
            assert!(client.join().expect("no request failed") > 0);
        }
    });
}
