//! What the edge costs: a predict through it against the same at the host and in one process, what
//! travels between the two, and how long a start takes.
//!
//! Invariant: what is compared is asked in turns, so that it sees the same machine.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use tensorgate_tests::relay::Relay;

use crate::client::{Client, request};
use crate::say;
use crate::server::Server;
use crate::stats::Samples;

/// Rows of a small request, and of a large one.
const ROWS: [usize; 2] = [3, 10_000];

/// Starts of a process.
const STARTS: usize = 5;

const PREDICT: &str = "/v1/models/half_plus_two:predict";

/// What is needed; paths are absolute.
#[derive(Debug, Args)]
pub(crate) struct Parts {
    binary: PathBuf,
    /// The base path of half_plus_two.
    model: PathBuf,
    /// The repository: spin.toml, and the components that it names.
    root: PathBuf,
    #[arg(default_value_t = 2000)]
    requests: usize,
}

/// A running app; ended by its id when dropped.
struct App {
    child: Child,
    address: SocketAddr,
}

impl App {
    fn start(parts: &Parts, home: &Path, more: &[String]) -> Result<Self> {
        let mut child = Command::new(&parts.binary)
            .args(["up", "--listen", "127.0.0.1:0"])
            .arg(format!("--state-dir={}", home.join("state").display()))
            .arg(format!("--log-dir={}", home.join("logs").display()))
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let printed = child.stdout.take().context("it was piped")?;
        for line in BufReader::new(printed).lines() {
            if let Some(address) = line?.strip_prefix("Serving http://") {
                let address = address.trim().parse()?;
                return Ok(Self { child, address });
            }
        }
        let ended = child.wait()?;
        bail!("the app ended before it served: {ended}")
    }
}

impl Drop for App {
    fn drop(&mut self) {
        // Errors: it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The manifest of the edge, its components by their whole paths, at `file`.
fn manifest(parts: &Parts, file: &Path, edit: impl FnOnce(String) -> String) -> Result<()> {
    let text = fs::read_to_string(parts.root.join("spin.toml"))?;
    let built = format!("{}/target/guests/", parts.root.display());
    fs::write(
        file,
        edit(text.replace("target/guests/wasm32", &format!("{built}wasm32"))),
    )?;
    Ok(())
}

/// The same shell without dependencies: models of its own process are given to it.
fn in_process(model: &Path, text: &str) -> Result<String> {
    let begin = text
        .find("[component.edge.dependencies]")
        .context("a table")?;
    let end = text.find("[component.edge.build]").context("a table")?;
    let models = format!(
        "[application.tool.tensorgate]\nmodels = {{ half_plus_two = {:?} }}\n\n",
        model.display().to_string()
    );
    let text = format!("{}{}", &text[..begin], &text[end..]);
    Ok(text.replacen("[variables]", &format!("{models}[variables]"), 1))
}

fn body(rows: usize) -> Vec<u8> {
    let rows: Vec<String> = (0..rows).map(|row| format!("{}.125", row % 1000)).collect();
    format!("{{\"instances\": [{}]}}", rows.join(", ")).into_bytes()
}

/// Prints everything.
pub(crate) fn measure(parts: &Parts) -> Result<()> {
    let home = tempfile::tempdir()?;
    let host = Server::start(&parts.binary, "half_plus_two", &parts.model, &[])?;
    let relay = Relay::before(host.address.port());
    let far = home.path().join("far.toml");
    manifest(parts, &far, |text| text)?;
    let near = home.path().join("near.toml");
    let text = fs::read_to_string(&far)?;
    fs::write(&near, in_process(&parts.model, &text)?)?;
    // Each with a state of its own: a store is one process's.
    let edge = |name: &str, url: String| {
        let more = [
            format!("--from={}", far.display()),
            format!("--variable=tensorgate_url={url}"),
        ];
        App::start(parts, &home.path().join(name), &more)
    };
    let url = format!("http://{}", host.address);
    let through = edge("through", url.clone())?;
    let counted = edge("counted", relay.url())?;
    let near = [format!("--from={}", near.display())];
    let same = App::start(parts, &home.path().join("near"), &near)?;
    for rows in ROWS {
        latency(parts, rows, [host.address, same.address, through.address])?;
        bytes(rows, counted.address, &relay)?;
    }
    drop((through, counted, same));
    let mut first = Vec::new();
    for _ in 0..STARTS {
        let start = Instant::now();
        let app = edge("through", url.clone())?;
        let serves = start.elapsed();
        ask(
            &mut Client::connect(app.address)?,
            &request("POST", PREDICT, &body(3)),
        )?;
        first.push((serves, start.elapsed()));
    }
    let (serves, answered): (Vec<_>, Vec<_>) = first.into_iter().unzip();
    say(&format!(
        "start of the edge, components compiled before: serves after {:.0} ms, has answered after \
         {:.0} ms (medians of {STARTS})",
        Samples::new(serves).median_us() / 1e3,
        Samples::new(answered).median_us() / 1e3,
    ));
    Ok(())
}

fn ask(client: &mut Client, request: &[u8]) -> Result<()> {
    let (status, body) = client.send(request)?;
    ensure!(status == 200, "{status}: {}", String::from_utf8_lossy(body));
    Ok(())
}

/// Host, in process, through the edge, in turns.
fn latency(parts: &Parts, rows: usize, asked: [SocketAddr; 3]) -> Result<()> {
    let request = request("POST", PREDICT, &body(rows));
    let mut samples: [Vec<Duration>; 3] = Default::default();
    let mut clients = Vec::new();
    for address in asked {
        clients.push(Client::connect(address)?);
    }
    let warm_up = parts.requests / 10;
    for round in 0..parts.requests + warm_up {
        for (client, samples) in clients.iter_mut().zip(&mut samples) {
            let start = Instant::now();
            ask(client, &request)?;
            if round >= warm_up {
                samples.push(start.elapsed());
            }
        }
    }
    let [host, near, far] = samples.map(Samples::new);
    say(&format!("{rows} rows, {} bytes of JSON", body(rows).len()));
    say(&format!("  the host itself:                {host}"));
    say(&format!("  up, models in the same process: {near}"));
    say(&format!("  up, models at the host:         {far}"));
    say(&format!(
        "  through the edge: {:.2} times in process, {:.2} times the host itself",
        far.median_us() / near.median_us(),
        far.median_us() / host.median_us()
    ));
    Ok(())
}

/// What one request makes travel between edge and host, and what JSON would.
fn bytes(rows: usize, edge: SocketAddr, relay: &Relay) -> Result<()> {
    let json = request("POST", PREDICT, &body(rows));
    let mut client = Client::connect(edge)?;
    // What is known of the model, and the connection, are there already.
    ask(&mut client, &json)?;
    let before = relay.bytes();
    let (status, answer) = client.send(&json)?;
    ensure!(status == 200, "{status}");
    let answer = answer.len();
    let after = relay.bytes();
    let (there, back) = (after.0 - before.0, after.1 - before.1);
    say(&format!(
        "  on the wire, with HTTP's headers: {there} bytes there ({:.2} of the request in JSON), \
         {back} back ({:.2} of the answer's body in JSON)",
        there as f64 / json.len() as f64,
        back as f64 / answer as f64
    ));
    Ok(())
}
