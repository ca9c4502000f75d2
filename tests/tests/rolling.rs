//! Three servers behind haproxy: restarts and new versions of a model while clients go on.
//!
//! haproxy's configuration is the one of `deploy/haproxy`, as it is. Every request must be answered,
//! with the value that it asked for: a client here tries nothing twice.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tensorgate_tests::grpc::{self, wire};
use tensorgate_tests::http::Connection;
use tensorgate_tests::models::BasePath;
use tensorgate_tests::server::{Server, tensorgate};
use tensorgate_tests::{PATIENCE, root};
use tokio::net::TcpSocket;

const PREDICT: &str = "/v1/models/m:predict";
const GRPC_PREDICT: &str = "/tensorflow.serving.PredictionService/Predict";

/// The servers' names in haproxy's configuration.
const NAMES: [&str; 3] = ["a", "b", "c"];

/// What the two versions add to half of a number.
const ADDENDS: [u8; 2] = [2, 3];

/// A port of this machine that nobody else is given: it is bound and never listened on, which lets
/// those in who say that they share it, as servers do that are restarted.
struct Port {
    _held: TcpSocket,
    number: u16,
}

impl Port {
    fn hold() -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_reuseaddr(true).expect("a socket takes it");
        let any = "127.0.0.1:0".parse().expect("it is an address");
        socket.bind(any).expect("there is a free port");
        let number = socket.local_addr().expect("it is bound").port();
        Self {
            _held: socket,
            number,
        }
    }

    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.number)
    }
}

/// A machine with a server and models of its own. Its ports outlive its server.
struct Machine {
    models: BasePath,
    rest: Port,
    grpc: Port,
    server: Server,
}

impl Machine {
    fn start() -> Self {
        let models = BasePath::with_half_plus_two("1");
        let (rest, grpc) = (Port::hold(), Port::hold());
        let server = serve(&models, &rest, &grpc);
        Self {
            models,
            rest,
            grpc,
            server,
        }
    }

    fn start_again(&mut self) {
        self.server = serve(&self.models, &self.rest, &self.grpc);
    }
}

/// The delay is as long as the test likes: it ends it with a second signal.
fn serve(models: &BasePath, rest: &Port, grpc: &Port) -> Server {
    let mut command = tensorgate();
    command
        .args(["serve", "--model_name=m", "--bind_address=127.0.0.1"])
        .arg(format!("--model_base_path={}", models.path().display()))
        .arg("--drain_delay_seconds=600");
    let server = Server::spawn_at(&mut command, grpc.number, rest.number);
    server.wait_for_line("Ready in ");
    server
}

/// haproxy before the machines. Killed when dropped.
struct Balancer {
    child: Child,
    rest: Port,
    grpc: Port,
    directory: TempDir,
}

impl Balancer {
    /// It sends nothing a second time: what is lost is not hidden.
    fn before(machines: &[Machine]) -> Self {
        let program = root().join(".tensorgate/haproxy/haproxy");
        assert!(
            program.is_file(),
            "{} is not there: run `cargo xtask setup`",
            program.display()
        );
        let directory = tempfile::tempdir().expect("a directory");
        let (rest, grpc) = (Port::hold(), Port::hold());
        let mut command = Command::new(program);
        command
            .arg("-f")
            .arg(root().join("deploy/haproxy/haproxy.cfg"))
            .env("TENSORGATE_REST", rest.address())
            .env("TENSORGATE_GRPC", grpc.address())
            .env("TENSORGATE_SOCKET", directory.path().join("socket"))
            .env("TENSORGATE_RETRY_ON", "none")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(directory.path().join("log")).expect("a file"));
        for (name, machine) in NAMES.iter().zip(machines) {
            let name = name.to_uppercase();
            command.env(format!("TENSORGATE_{name}_REST"), machine.rest.address());
            command.env(format!("TENSORGATE_{name}_GRPC"), machine.grpc.address());
        }
        let child = command.spawn().expect("haproxy can be run");
        let balancer = Self {
            child,
            rest,
            grpc,
            directory,
        };
        for name in NAMES {
            balancer.wait_until(name, "UP");
        }
        balancer
    }

    /// What haproxy says of each server: `UP`, `DOWN`, `UP 1/2` and so on. Empty before it runs.
    fn states(&self) -> BTreeMap<String, String> {
        let mut said = String::new();
        if let Ok(mut socket) = UnixStream::connect(self.directory.path().join("socket")) {
            // Of all proxies, since a name would be the frontend's; servers alone.
            socket
                .write_all(b"show stat -1 4 -1\n")
                .expect("it listens");
            socket.read_to_string(&mut said).expect("it answers");
        }
        let mut lines = said.trim_start_matches("# ").lines();
        let head: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
        let column = |name| head.iter().position(|it| *it == name);
        let (Some(proxy), Some(name), Some(status)) =
            (column("pxname"), column("svname"), column("status"))
        else {
            return BTreeMap::new();
        };
        lines
            .map(|line| line.split(',').collect::<Vec<_>>())
            .filter(|row| row.get(proxy) == Some(&"rest"))
            .filter_map(|row| Some(((*row.get(name)?).to_owned(), (*row.get(status)?).to_owned())))
            .collect()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).expect("it is text")
    }

    fn wait_until(&self, name: &str, status: &str) {
        let give_up = Instant::now() + PATIENCE;
        while self.states().get(name).map(String::as_str) != Some(status) {
            assert!(
                Instant::now() < give_up,
                "{name} is never {status}: {:?}; haproxy said:\n{}",
                self.states(),
                self.log()
            );
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        // Both fail when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What clients have got so far, by the version that answered.
#[derive(Default)]
struct Answers([AtomicUsize; 2]);

impl Answers {
    fn count(&self, version: usize) {
        self.0[version].fetch_add(1, Ordering::Relaxed);
    }

    fn all(&self) -> usize {
        self.0.iter().map(|it| it.load(Ordering::Relaxed)).sum()
    }

    /// Returns when clients have got some more answers, whatever happened meanwhile.
    fn wait_for_more(&self) {
        let (before, give_up) = (self.all(), Instant::now() + PATIENCE);
        while self.all() < before + 50 {
            assert!(Instant::now() < give_up, "clients get no answers any more");
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Which version gives `y` for `x`.
fn version_of(x: f64, y: f64) -> usize {
    let right = |addend: u8| (0.5 * x + f64::from(addend) - y).abs() < 1e-6;
    ADDENDS
        .iter()
        .position(|addend| right(*addend))
        .unwrap_or_else(|| panic!("{y} is no answer to {x}"))
}

/// A client over REST that keeps its connection, or makes one for each request.
fn ask_over_rest(port: u16, keeps: bool, done: &AtomicBool, answers: &Answers) {
    let open = || Connection::open(port).expect("haproxy listens");
    let mut connection = open();
    for x in (0..4096_u16).cycle().map(f64::from) {
        if done.load(Ordering::Relaxed) {
            return;
        }
        if !keeps {
            connection = open();
        }
        let body = format!("{{\"instances\": [{x:.1}]}}");
        let answer = connection
            .request("POST", PREDICT, &[], body.as_bytes())
            .expect("every request is answered");
        assert_eq!(answer.status, 200, "{}", answer.body);
        let value: serde_json::Value = serde_json::from_str(&answer.body).expect("it is JSON");
        let y = value["predictions"][0].as_f64().expect("it is a number");
        answers.count(version_of(x, y));
    }
}

/// A client over gRPC, on one connection.
fn ask_over_grpc(port: u16, done: &AtomicBool, answers: &Answers) {
    let mut client = grpc::Client::connect(port);
    for x in (0..4096_u16).cycle() {
        if done.load(Ordering::Relaxed) {
            return;
        }
        let input = ("x", wire::floats(&[f32::from(x)]));
        let message = client
            .call(
                GRPC_PREDICT,
                &wire::predict("m", "serving_default", &[input]),
            )
            .into_message();
        // `float_val`, packed: the fifth field of a tensor.
        let head = [0x2a_u8, 4];
        let at = message
            .windows(6)
            .find_map(|it| it.strip_prefix(&head))
            .expect("the answer has one float");
        let y = f32::from_le_bytes(at.try_into().expect("four bytes follow"));
        answers.count(version_of(f64::from(x), f64::from(y)));
    }
}

/// Does `work` while clients ask without a pause, then sees that each of them got what it asked for.
fn under_load(balancer: &Balancer, work: impl FnOnce(&Answers)) -> Answers {
    let (done, answers) = (AtomicBool::new(false), Answers::default());
    let (rest, grpc) = (balancer.rest.number, balancer.grpc.number);
    thread::scope(|scope| {
        let (done, answers) = (&done, &answers);
        let clients = [
            scope.spawn(move || ask_over_rest(rest, true, done, answers)),
            scope.spawn(move || ask_over_rest(rest, true, done, answers)),
            scope.spawn(move || ask_over_rest(rest, false, done, answers)),
            scope.spawn(move || ask_over_grpc(grpc, done, answers)),
        ];
        // A client that fails must end the test, and `work` waits for answers.
        let worked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(answers)));
        done.store(true, Ordering::Relaxed);
        for client in clients {
            client.join().expect("a client got no right answer");
        }
        worked.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
    answers
}

/// Nothing is tried twice here, by haproxy neither: that a server says early enough that it leaves is
/// all that is needed.
#[test]
fn a_rolling_restart_loses_no_request() {
    let mut machines = [Machine::start(), Machine::start(), Machine::start()];
    let balancer = Balancer::before(&machines);
    under_load(&balancer, |answers| {
        for (name, machine) in NAMES.iter().zip(&mut machines) {
            answers.wait_for_more();
            machine.server.terminate();
            balancer.wait_until(name, "DOWN");
            // What haproxy had sent before it knew has been answered when the server has ended.
            machine.server.terminate();
            assert!(machine.server.wait().success());
            answers.wait_for_more();
            machine.start_again();
            balancer.wait_until(name, "UP");
        }
        answers.wait_for_more();
    });
}

/// Each machine gets the new version by itself, as from a disk that is filled one after the other.
#[test]
fn a_rolling_update_of_a_model_loses_no_request() {
    let machines = [Machine::start(), Machine::start(), Machine::start()];
    let balancer = Balancer::before(&machines);
    let answers = under_load(&balancer, |answers| {
        for machine in &machines {
            answers.wait_for_more();
            machine.models.publish("2", ADDENDS[1]);
            machine.server.wait_for_state("m", "1", "END");
        }
        answers.wait_for_more();
    });
    let [old, new] = answers.0.map(AtomicUsize::into_inner);
    assert!(old > 0 && new > 0, "{old} answers are old, {new} are new");
}

#[test]
fn a_server_that_leaves_says_so_and_answers() {
    let models = BasePath::with_half_plus_two("1");
    let mut server = Server::with_model("m", models.path(), &["--drain_delay_seconds=600"]);
    let mut kept = server.connect();
    let body = br#"{"instances": [0.0]}"#;
    let answer = kept
        .request("POST", PREDICT, &[], body)
        .expect("it answers");
    assert_eq!((answer.status, answer.header("connection")), (200, None));
    server.terminate();
    server.wait_for_line("Not ready any more, and closing in 600s");
    assert_eq!(server.get("/health/live").status, 200);
    let ready = server.wait_for("/health/ready", |answer| answer.status == 503);
    assert!(
        ready.body.contains("the server is shutting down"),
        "{}",
        ready.body
    );
    let answer = kept
        .request("POST", PREDICT, &[], body)
        .expect("it answers");
    assert_eq!(
        (answer.status, answer.header("connection")),
        (200, Some("close"))
    );
    assert_eq!(server.post(PREDICT, r#"{"instances": [0.0]}"#).status, 200);
    // Whoever has seen enough need not wait.
    server.terminate();
    assert!(server.wait().success());
}

#[test]
fn the_delay_ends_by_itself() {
    let models = BasePath::with_half_plus_two("1");
    let mut server = Server::with_model("m", models.path(), &["--drain_delay_seconds=1"]);
    server.terminate();
    server.wait_for_line("Not ready any more, and closing in 1s");
    server.wait_for_line("Shutting down: running requests have 10s");
    assert!(server.wait().success());
}
