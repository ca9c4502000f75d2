//! A server process, from its start to its end.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::http::{Answer, Connection};
use crate::stderr::Stderr;
use crate::{PATIENCE, built};

/// Between two looks at something that is about to happen.
const LOOK: Duration = Duration::from_millis(5);

/// The binary as a command; what it keeps on disk goes into the target directory.
#[must_use]
pub fn tensorgate() -> Command {
    as_program(&built("tensorgate"))
}

/// The binary by another path, such as a link to it.
#[must_use]
pub fn as_program(path: &Path) -> Command {
    let cache = built("tensorgate").with_file_name("test-cache");
    let mut command = Command::new(path);
    command
        .env("XDG_CACHE_HOME", cache)
        // A developer's shell may have them, and a test must not depend on it.
        .env_remove("TENSORGATE_LOG")
        .env_remove("TENSORGATE_LIBTENSORFLOW")
        .stdin(Stdio::null());
    command
}

/// Runs a command to its end.
///
/// # Panics
/// When it cannot be run.
#[must_use]
pub fn output(command: &mut Command) -> Output {
    command.output().expect("the binary can be run")
}

/// A running server. Killed when dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    stderr: Stderr,
    grpc: Option<u16>,
    rest: u16,
}

impl Server {
    /// `tensorgate serve` with these flags, on ports of the system's choice. Returns when the
    /// HTTP port is open.
    ///
    /// # Panics
    /// When it does not come so far.
    pub fn start<S: AsRef<OsStr>>(flags: impl IntoIterator<Item = S>) -> Self {
        let mut command = tensorgate();
        command.arg("serve").args(flags);
        Self::spawn(&mut command)
    }

    /// One model under `tensorgate serve`, with more flags. Returns when it answers.
    ///
    /// # Panics
    /// When it does not come so far.
    #[must_use]
    pub fn with_model(name: &str, base_path: &Path, flags: &[&str]) -> Self {
        let mut all = vec![
            format!("--model_name={name}"),
            format!("--model_base_path={}", base_path.display()),
        ];
        all.extend(flags.iter().map(|flag| (*flag).to_owned()));
        let server = Self::start(all);
        server.wait_for_line("Ready in ");
        server
    }

    /// Several models of a configuration in text format. Returns when all have settled.
    ///
    /// # Panics
    /// When it does not come so far.
    #[must_use]
    pub fn with_models(models: &[(&str, &Path, &str)], flags: &[&str]) -> Self {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), config(models)).expect("it can be written");
        let mut all = vec![format!("--model_config_file={}", file.path().display())];
        all.extend(flags.iter().map(|flag| (*flag).to_owned()));
        let server = Self::start(all);
        server.wait_for_line("Ready in ");
        server
    }

    /// Any command that becomes a server, with ports of the system's choice. Returns when the
    /// HTTP port is open.
    ///
    /// # Panics
    /// When it does not come so far.
    pub fn spawn(command: &mut Command) -> Self {
        Self::spawn_without_ports(command).until_open()
    }

    /// As [`spawn`](Self::spawn), on these ports, which are the test's own.
    ///
    /// # Panics
    /// When it does not come so far.
    pub fn spawn_at(command: &mut Command, grpc: u16, rest: u16) -> Self {
        Self::launch(command, &grpc.to_string(), &rest.to_string()).until_open()
    }

    fn until_open(mut self) -> Self {
        let found = self.stderr.find(|line| {
            let port = |mark: &str| line.split_once(mark)?.1.split(' ').next()?.parse().ok();
            if let Some(port) = port("Running gRPC ModelServer at 0.0.0.0:") {
                self.grpc = Some(port);
            }
            port("Exporting HTTP/REST API at:localhost:")
        });
        match found {
            Some(port) => self.rest = port,
            None => panic!("the server opened no HTTP port; it said:\n{}", self.log()),
        }
        self
    }

    /// As [`spawn`](Self::spawn), but returns at once, while nothing is open.
    ///
    /// # Panics
    /// When it cannot be run.
    pub fn spawn_without_ports(command: &mut Command) -> Self {
        Self::launch(command, "auto", "auto")
    }

    fn launch(command: &mut Command, grpc: &str, rest: &str) -> Self {
        let mut child = command
            .args([format!("--port={grpc}"), format!("--rest_api_port={rest}")])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary can be run");
        let pipe = child.stderr.take().expect("it was piped");
        Self {
            child,
            stderr: Stderr::read(pipe),
            grpc: None,
            rest: 0,
        }
    }

    /// The HTTP port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.rest
    }

    /// The gRPC port.
    #[must_use]
    pub fn grpc_port(&self) -> Option<u16> {
        self.grpc
    }

    /// The number of its process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The most memory that the process has ever had, in bytes.
    ///
    /// # Panics
    /// When the system does not say.
    #[must_use]
    pub fn peak_memory(&self) -> u64 {
        let file = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(file).expect("the process is there");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib: u64 = line
            .and_then(|line| line.split_whitespace().next()?.parse().ok())
            .expect("Linux says how much memory it has had");
        kib * 1024
    }

    /// What it has said so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.stderr.text()
    }

    /// Waits until the log has a line with these words, and gives the line.
    ///
    /// # Panics
    /// When there never is one.
    pub fn wait_for_line(&self, words: &str) -> String {
        self.stderr
            .find(|line| line.contains(words).then(|| line.to_owned()))
            .unwrap_or_else(|| panic!("no line has {words:?}; it said:\n{}", self.log()))
    }

    /// `GET`, on a connection of its own.
    ///
    /// # Panics
    /// When there is no answer.
    #[must_use]
    pub fn get(&self, path: &str) -> Answer {
        self.request("GET", path, "")
    }

    /// `POST`, on a connection of its own.
    ///
    /// # Panics
    /// When there is no answer.
    #[must_use]
    pub fn post(&self, path: &str, body: &str) -> Answer {
        self.request("POST", path, body)
    }

    /// Any method, on a connection of its own.
    ///
    /// # Panics
    /// When there is no answer.
    #[must_use]
    pub fn request(&self, method: &str, path: &str, body: &str) -> Answer {
        self.connect()
            .request(method, path, &[], body.as_bytes())
            .unwrap_or_else(|error| panic!("{method} {path}: {error}; log:\n{}", self.log()))
    }

    /// A connection that is kept.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn connect(&self) -> Connection {
        Connection::open(self.rest).expect("the port is open")
    }

    /// Asks again and again until the answer is as wanted.
    ///
    /// # Panics
    /// When it never is.
    pub fn wait_for(&self, path: &str, wanted: impl FnMut(&Answer) -> bool) -> Answer {
        self.wait_for_request("GET", path, "", wanted)
    }

    /// As [`wait_for`](Self::wait_for), with `POST`.
    ///
    /// # Panics
    /// When the answer never is as wanted.
    pub fn wait_for_post(
        &self,
        path: &str,
        body: &str,
        wanted: impl FnMut(&Answer) -> bool,
    ) -> Answer {
        self.wait_for_request("POST", path, body, wanted)
    }

    fn wait_for_request(
        &self,
        method: &str,
        path: &str,
        body: &str,
        mut wanted: impl FnMut(&Answer) -> bool,
    ) -> Answer {
        let give_up = Instant::now() + PATIENCE;
        loop {
            let answer = self.request(method, path, body);
            if wanted(&answer) {
                return answer;
            }
            assert!(
                Instant::now() < give_up,
                "{path} still answers {answer:?}; log:\n{}",
                self.log()
            );
            std::thread::sleep(LOOK);
        }
    }

    /// Waits until this version of the model has this state.
    ///
    /// # Panics
    /// When it never has.
    pub fn wait_for_state(&self, model: &str, version: &str, state: &str) -> Answer {
        let wanted = format!("\"version\": \"{version}\",\n   \"state\": \"{state}\"");
        self.wait_for(&format!("/v1/models/{model}"), |answer| {
            answer.body.contains(&wanted)
        })
    }

    /// Sends SIGTERM.
    ///
    /// # Panics
    /// When the process is gone.
    pub fn terminate(&self) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM).expect("the server runs");
    }

    /// Waits for the end of the process.
    ///
    /// # Panics
    /// When it does not end.
    pub fn wait(&mut self) -> ExitStatus {
        let give_up = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("it is our child") {
                return status;
            }
            assert!(
                Instant::now() < give_up,
                "the server does not end; it said:\n{}",
                self.log()
            );
            std::thread::sleep(LOOK);
        }
    }

    /// Whether nobody listens on the HTTP port any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        Connection::open(self.rest)
            .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A ModelServerConfig: name, base path, and whatever else a model's entry has.
#[must_use]
pub fn config(models: &[(&str, &Path, &str)]) -> String {
    let entries: String = models
        .iter()
        .map(|(name, base_path, more)| {
            format!(
                "config {{ name: '{name}' base_path: '{}' model_platform: 'tensorflow' {more} }}\n",
                base_path.display()
            )
        })
        .collect();
    format!("model_config_list {{\n{entries}}}\n")
}
