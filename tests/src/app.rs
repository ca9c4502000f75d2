//! A running app: `tensorgate up`, or the trigger plugin, from its start to its end.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::server::tensorgate;
use crate::stderr::Stderr;
use crate::{PATIENCE, program};

/// Between two looks at something that is about to happen.
const LOOK: Duration = Duration::from_millis(5);

/// An app's directory, with a manifest and the components that it names.
#[derive(Debug)]
pub struct Project(TempDir);

impl Project {
    /// One with this manifest. Programs of the tests lie beside it, as `NAME.wasm`.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn new(programs: &[&str], manifest: &str) -> Self {
        let project = Self(tempfile::tempdir().expect("a directory"));
        for name in programs {
            let beside = project.path().join(format!("{name}.wasm"));
            fs::copy(program(name), beside).expect("it can be copied");
        }
        project.write("spin.toml", manifest);
        project
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file, by its path from here.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write(&self, file: &str, text: &str) -> PathBuf {
        let path = self.path().join(file);
        let parent = path.parent().expect("it lies in the project");
        fs::create_dir_all(parent).expect("directories");
        fs::write(&path, text).expect("it can be written");
        path
    }

    /// What a file says; nothing when it is not there.
    #[must_use]
    pub fn read(&self, file: &str) -> String {
        fs::read_to_string(self.path().join(file)).unwrap_or_default()
    }

    /// Runs it with these flags, at a port of the system's choice.
    ///
    /// # Panics
    /// When it does not come so far that it serves.
    #[must_use]
    pub fn up(&self, flags: &[&str]) -> App {
        App::start(self.command(flags).args(["--listen", "127.0.0.1:0"]))
    }

    /// `tensorgate up` of it, from elsewhere.
    #[must_use]
    pub fn command(&self, flags: &[&str]) -> Command {
        let mut command = tensorgate();
        command.arg("up").arg("-f").arg(self.path()).args(flags);
        as_app(&mut command);
        command
    }
}

/// Takes away what a developer's shell may have and a test must not depend on.
pub fn as_app(command: &mut Command) {
    for variable in ["SPIN_HTTP_LISTEN_ADDR", "SPIN_LOG_DIR", "RUST_LOG"] {
        command.env_remove(variable);
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: http::HeaderMap,
    /// The body.
    pub body: String,
}

/// A running app. Killed when dropped.
#[derive(Debug)]
pub struct App {
    child: Child,
    stdout: Stderr,
    stderr: Stderr,
    port: u16,
    /// Its directory for temporary files: it is ended in a way in which it cannot tidy up.
    _temporary: TempDir,
}

impl App {
    /// Starts a command that becomes an app. Returns when it has said where it serves.
    ///
    /// # Panics
    /// When it does not come so far.
    #[must_use]
    pub fn start(command: &mut Command) -> Self {
        let temporary = tempfile::tempdir().expect("a directory");
        let mut child = command
            .env("TMPDIR", temporary.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary can be run");
        let stdout = Stderr::read(child.stdout.take().expect("it was piped"));
        let stderr = Stderr::read(child.stderr.take().expect("it was piped"));
        let mut app = Self {
            child,
            stdout,
            stderr,
            port: 0,
            _temporary: temporary,
        };
        app.port = app.wait_for_port(1);
        app
    }

    /// Where it serves the `nth` time that it says so: anew, where it has started anew.
    ///
    /// # Panics
    /// When it never does.
    #[must_use]
    pub fn wait_for_port(&self, nth: usize) -> u16 {
        let mut seen = 0;
        let found = self.find_printed(|line| {
            // Plain, or a line of the JSON.
            let serves = line.starts_with("Serving ") || line.contains("\"base_url\"");
            let (_, address) = line.split_once("http://127.0.0.1:").filter(|_| serves)?;
            let number: String = address.chars().take_while(char::is_ascii_digit).collect();
            seen += 1;
            number.parse().ok().filter(|_| seen == nth)
        });
        found.unwrap_or_else(|| panic!("it does not serve; it said:\n{}", self.said()))
    }

    /// Waits until it has printed this line to standard output.
    ///
    /// # Panics
    /// When it never does.
    pub fn wait_for_print(&self, line: &str) {
        let found = self.find_printed(|printed| (printed == line).then_some(()));
        assert!(found.is_some(), "{line:?} in {}", self.printed());
    }

    /// The first line on standard output that `wanted` makes something of. Waits.
    pub fn find_printed<T>(&self, wanted: impl FnMut(&str) -> Option<T>) -> Option<T> {
        self.stdout.find(wanted)
    }

    /// `POST` at another port than the first.
    ///
    /// # Panics
    /// When there is no answer.
    #[must_use]
    pub fn ask_at(&self, port: u16, path: &str, body: &str) -> Reply {
        ask(port, request("POST", path, &[], body), false)
            .unwrap_or_else(|error| panic!("{error}; it said:\n{}", self.said()))
    }

    /// The id of its process.
    #[must_use]
    pub fn id(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Where it serves.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What it has printed to standard output.
    #[must_use]
    pub fn printed(&self) -> String {
        self.stdout.text()
    }

    /// What it has said on standard error.
    #[must_use]
    pub fn said(&self) -> String {
        self.stderr.text()
    }

    /// Waits for a line on standard error.
    ///
    /// # Panics
    /// When there never is one.
    pub fn wait_for_line(&self, words: &str) -> String {
        let line = self
            .stderr
            .find(|line| line.contains(words).then(|| line.to_owned()));
        line.unwrap_or_else(|| panic!("no line has {words:?}; it said:\n{}", self.said()))
    }

    /// `GET`, on a connection of its own.
    ///
    /// # Panics
    /// When there is no answer.
    #[must_use]
    pub fn get(&self, path: &str) -> Reply {
        self.ask(request("GET", path, &[], ""))
    }

    /// `POST`, on a connection of its own.
    ///
    /// # Panics
    /// When there is no answer.
    #[must_use]
    pub fn post(&self, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        self.ask(request("POST", path, headers, body))
    }

    /// Any request, on a connection of its own.
    ///
    /// # Panics
    /// When there is no answer.
    #[must_use]
    pub fn ask(&self, request: Request<Full<Bytes>>) -> Reply {
        let asked = format!("{request:?}");
        ask(self.port, request, false)
            .unwrap_or_else(|error| panic!("{asked}: {error}; it said:\n{}", self.said()))
    }

    /// The same by HTTP/2 without TLS, as who knows that it is spoken.
    ///
    /// # Panics
    /// When there is no answer.
    #[must_use]
    pub fn ask_h2(&self, request: Request<Full<Bytes>>) -> Reply {
        ask(self.port, request, true)
            .unwrap_or_else(|error| panic!("{error}; it said:\n{}", self.said()))
    }

    /// Asks again and again until the answer is as wanted.
    ///
    /// # Panics
    /// When it never is.
    pub fn wait_for(&self, path: &str, mut wanted: impl FnMut(&Reply) -> bool) -> Reply {
        let give_up = Instant::now() + PATIENCE;
        loop {
            let reply = self.get(path);
            if wanted(&reply) {
                return reply;
            }
            assert!(
                Instant::now() < give_up,
                "{path} still answers {reply:?}; it said:\n{}",
                self.said()
            );
            std::thread::sleep(LOOK);
        }
    }

    /// Sends a signal, and waits for the end.
    ///
    /// # Panics
    /// When it does not end.
    pub fn end(&mut self, signal: Signal) -> ExitStatus {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).expect("it runs");
        let give_up = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("it is our child") {
                return status;
            }
            assert!(
                Instant::now() < give_up,
                "it does not end:\n{}",
                self.said()
            );
            std::thread::sleep(LOOK);
        }
    }
}

impl Drop for App {
    fn drop(&mut self) {
        // Both fail when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A request that may have no answer.
///
/// # Errors
/// What kept it from having one.
///
/// # Panics
/// When there is neither an answer nor an error.
pub fn ask(port: u16, request: Request<Full<Bytes>>, h2: bool) -> Result<Reply, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let told = |error: hyper::Error| format!("{error:?}");
    runtime.block_on(async {
        let ask = async {
            let stream = TcpStream::connect(("127.0.0.1", port)).await;
            let stream = TokioIo::new(stream.map_err(|error| error.to_string())?);
            let response = if h2 {
                let executor = TokioExecutor::new();
                let (mut sender, connection) =
                    hyper::client::conn::http2::handshake(executor, stream)
                        .await
                        .map_err(told)?;
                tokio::spawn(connection);
                sender.send_request(request).await.map_err(told)?
            } else {
                let (mut sender, connection) = hyper::client::conn::http1::handshake(stream)
                    .await
                    .map_err(told)?;
                tokio::spawn(connection);
                sender.send_request(request).await.map_err(told)?
            };
            let (parts, body) = response.into_parts();
            let body = body.collect().await.map_err(told)?.to_bytes();
            Ok(Reply {
                status: parts.status.as_u16(),
                headers: parts.headers,
                body: String::from_utf8_lossy(&body).into_owned(),
            })
        };
        tokio::time::timeout(PATIENCE, ask)
            .await
            .expect("an answer or an error")
    })
}

/// A request for a server of this machine.
///
/// # Panics
/// When it is none.
#[must_use]
pub fn request(
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Request<Full<Bytes>> {
    let mut request = Request::builder().method(method).uri(path);
    if !path.starts_with("http") && !headers.iter().any(|(name, _)| *name == "host") {
        request = request.header("host", "app.test");
    }
    for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
        request = request.header(*name, *value);
    }
    let body = Full::new(Bytes::copy_from_slice(body.as_bytes()));
    request.body(body).expect("a request")
}
