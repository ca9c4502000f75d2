//! What a processor costs: what it adds to a call, what clients see of a swap under load, and what
//! a hostile one costs the clients of another model.
//!
//! Invariant: what is compared runs in one server and in turns, several rounds of it, and what is
//! printed is the median of the rounds.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use tokio::runtime::{Builder, Runtime};

use crate::client::{Client, request, request_of};
use crate::cpu::Usage;
use crate::load::{self, Arrivals, Load, Outcome, Plan};
use crate::say;
use crate::server::Server;
use crate::wire::Request;

/// What is needed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parts<'a> {
    pub(crate) binary: &'a Path,
    /// A version directory of half_plus_two.
    pub(crate) model: &'a Path,
    pub(crate) pass_through: &'a [u8],
    pub(crate) hostile: &'a [u8],
    /// How long each measurement takes.
    pub(crate) time: Duration,
}

/// The same model under three names: as it is, behind a processor, behind a hostile one.
const PLAIN: &str = "plain";
const PASSED: &str = "passed";
const HOSTILE: &str = "hostile";

const ROUNDS: usize = 5;

/// Clients of a load under which something happens.
const CLIENTS: usize = 8;

/// What a hostile processor is told to do, a client for each: all kinds of evil together, and each
/// by itself.
const EVIL: [[&str; 8]; 6] = [
    [
        "loop", "memory", "trap", "stack", "sleep", "large", "loop", "memory",
    ],
    ["loop"; 8],
    ["memory"; 8],
    ["trap"; 8],
    ["stack"; 8],
    ["large"; 8],
];

/// Prints everything.
pub(crate) fn measure(parts: &Parts<'_>) -> Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let home = tempfile::tempdir()?;
    let mut config = String::from("model_config_list {\n");
    for (name, processor) in [
        (PLAIN, None),
        (PASSED, Some(parts.pass_through)),
        (HOSTILE, Some(parts.hostile)),
    ] {
        let base_path = home.path().join(name);
        publish(parts.model, &base_path, 1, processor)?;
        config += &format!(
            "  config {{ name: \"{name}\" base_path: \"{}\" model_platform: \"tensorflow\" }}\n",
            base_path.display()
        );
    }
    config.push_str("}\n");
    let file = home.path().join("models.config");
    fs::write(&file, config)?;
    // What a client may ask for is no evil: three megabytes of answer are beyond this.
    let limits = home.path().join("processors.pbtxt");
    let one = "limits { answer_bytes: 1048576 }";
    fs::write(
        &limits,
        format!("processor {{ model: \"{HOSTILE}\" {one} }}\n"),
    )?;
    let flags = [
        format!("--model_config_file={}", file.display()),
        format!("--processor_config_file={}", limits.display()),
        format!("--cache_dir={}", home.path().join("cache").display()),
    ];
    let flags = flags.each_ref().map(String::as_str);
    let server = Server::with(parts.binary, &flags, &[PLAIN, PASSED, HOSTILE])?;
    say(&format!(
        "half_plus_two, clients and server on one machine of {} CPUs, {} s a measurement, medians \
         of {ROUNDS} rounds in turns",
        thread::available_parallelism()?,
        parts.time.as_secs_f64()
    ));
    let house = House {
        runtime,
        server: &server,
        time: parts.time,
    };
    calls(&house)?;
    went_through(&server)?;
    beside_a_hostile_one(&house)?;
    let base_path = home.path().join(PASSED);
    swaps(&house, parts, &base_path)?;
    server.stop()?;
    Ok(())
}

/// A version of a model: written beside, then moved, as a server that watches needs it.
fn publish(model: &Path, base_path: &Path, version: u32, processor: Option<&[u8]>) -> Result<()> {
    let staged = base_path.with_extension("staged");
    copy(model, &staged)?;
    let extra = staged.join("assets.extra");
    fs::create_dir_all(&extra)?;
    if let Some(processor) = processor {
        fs::write(extra.join("processor.wasm"), processor)?;
    }
    fs::create_dir_all(base_path)?;
    fs::rename(&staged, base_path.join(version.to_string()))?;
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot list {}", from.display()))? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

struct House<'a> {
    runtime: Runtime,
    server: &'a Server,
    time: Duration,
}

/// How a request comes.
#[derive(Clone, Copy)]
enum Over {
    Rest,
    Grpc,
}

/// One measurement: the median and the 99th of a hundred in microseconds, and the server's CPU for
/// a request in microseconds.
#[derive(Clone, Copy)]
struct Figures {
    p50: f64,
    p99: f64,
    cpu: f64,
    lost: u64,
}

impl Figures {
    fn of(outcome: &Outcome) -> Self {
        Self {
            p50: outcome.ms(0.5) * 1e3,
            p99: outcome.ms(0.99) * 1e3,
            cpu: outcome.used.server.as_secs_f64() * 1e6 / outcome.times.len().max(1) as f64,
            lost: outcome.failed.values().sum(),
        }
    }

    /// The median of each figure; what was lost adds up.
    fn medians(rounds: &[Self]) -> Self {
        let middle = |figure: fn(&Self) -> f64| {
            let mut figures: Vec<f64> = rounds.iter().map(figure).collect();
            figures.sort_by(f64::total_cmp);
            figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
        };
        Self {
            p50: middle(|figures| figures.p50),
            p99: middle(|figures| figures.p99),
            cpu: middle(|figures| figures.cpu),
            lost: rounds.iter().map(|figures| figures.lost).sum(),
        }
    }
}

impl House<'_> {
    fn ask(&self, model: &str, over: Over, values: &[f32], clients: usize) -> Result<Figures> {
        let shape = [values.len()];
        let request = Request {
            model,
            signature: "serving_default",
            input: "x",
            shape: &shape,
            values,
        };
        let (address, load) = match over {
            Over::Rest => {
                let path = format!("/v1/models/{model}:predict");
                (self.server.address, Load::rest(&path, request.json())?)
            }
            Over::Grpc => {
                let method = "/tensorflow.serving.PredictionService/Predict";
                (self.server.grpc, Load::grpc(method, request.grpc()))
            }
        };
        let plan = Plan {
            connections: clients,
            arrivals: Arrivals::Closed,
            warm: self.time / 10,
            time: self.time,
        };
        let id = self.server.id();
        let usage = || Usage::of(id);
        let outcome = load::run(&self.runtime, address, &Arc::new(load), plan, &usage)?;
        Ok(Figures::of(&outcome))
    }
}

/// What a processor adds to a call.
fn calls(house: &House<'_>) -> Result<()> {
    say("\nWhat a processor adds that passes everything on:\n");
    say(
        "| over | floats | clients | without, p50 µs | with | added | ratio | p99 ratio | server's \
         CPU a request, µs | with | ratio |",
    );
    say("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
    for (over, name) in [(Over::Rest, "REST"), (Over::Grpc, "gRPC")] {
        for (floats, clients) in [(1_u16, 1), (1000, 1), (1, CLIENTS)] {
            let values: Vec<f32> = (0..floats).map(f32::from).collect();
            let (mut plain, mut passed) = (Vec::new(), Vec::new());
            for _ in 0..ROUNDS {
                plain.push(house.ask(PLAIN, over, &values, clients)?);
                passed.push(house.ask(PASSED, over, &values, clients)?);
            }
            let (plain, passed) = (Figures::medians(&plain), Figures::medians(&passed));
            say(&format!(
                "| {name} | {floats} | {clients} | {:.0} | {:.0} | {:.0} | {:.2} | {:.2} | {:.0} | \
                 {:.0} | {:.2} |{}",
                plain.p50,
                passed.p50,
                passed.p50 - plain.p50,
                passed.p50 / plain.p50,
                passed.p99 / plain.p99,
                plain.cpu,
                passed.cpu,
                passed.cpu / plain.cpu,
                lost(plain.lost + passed.lost),
            ));
        }
    }
    Ok(())
}

/// That there was a processor to be measured.
fn went_through(server: &Server) -> Result<()> {
    let mut client = Client::connect(server.address)?;
    let page = request("GET", "/monitoring/prometheus/metrics", b"");
    let (_, page) = client.send(&page)?;
    let page = String::from_utf8_lossy(page);
    let counted = format!("tensorgate_processor_requests_total{{model=\"{PASSED}\"}} ");
    let requests = page.lines().find_map(|line| line.strip_prefix(&counted));
    let some = requests.is_some_and(|requests| requests != "0");
    ensure!(some, "no request went through a processor: {requests:?}");
    Ok(())
}

/// Something to say only where it happened.
fn lost(lost: u64) -> String {
    match lost {
        0 => String::new(),
        lost => format!(" {lost} requests failed"),
    }
}

/// A thread that does something again and again, for as long as this lives.
struct Meanwhile {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    thread: Option<thread::JoinHandle<Result<()>>>,
}

impl Meanwhile {
    fn spawn(mut again: impl FnMut() -> Result<()> + Send + 'static) -> Self {
        let (stop, done) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let thread = thread::spawn({
            let (stop, done) = (Arc::clone(&stop), Arc::clone(&done));
            move || {
                while !stop.load(Ordering::Relaxed) {
                    again()?;
                    done.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            }
        });
        Self {
            stop,
            done,
            thread: Some(thread),
        }
    }

    /// Ends it; how often it was done.
    fn end(mut self) -> Result<u64> {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("it does not panic")?;
        }
        Ok(self.done.load(Ordering::Relaxed))
    }
}

/// What clients of the plain model see of clients that make another model's processor do evil.
fn beside_a_hostile_one(house: &House<'_>) -> Result<()> {
    say(&format!(
        "\n{CLIENTS} clients of a model without a processor over REST, alone and beside {} clients \
         of a hostile one:\n",
        EVIL[0].len()
    ));
    say(
        "| what it does | p50 µs | beside it | ratio | p99 µs | beside it | ratio | evil requests \
         | failed of the others |",
    );
    say("|---|--:|--:|--:|--:|--:|--:|--:|--:|");
    for words in EVIL {
        let (mut alone, mut beside) = (Vec::new(), Vec::new());
        let mut evil = 0;
        for _ in 0..ROUNDS {
            alone.push(house.ask(PLAIN, Over::Rest, &[1.0], CLIENTS)?);
            let address = house.server.address;
            let attackers = words.map(|word| attacker(address, word));
            let found = house.ask(PLAIN, Over::Rest, &[1.0], CLIENTS);
            for attacker in attackers {
                evil += attacker.end()?;
            }
            beside.push(found?);
        }
        let (alone, beside) = (Figures::medians(&alone), Figures::medians(&beside));
        let name = match words {
            [first, second, ..] if first == second => first.to_owned(),
            _ => words.join(", "),
        };
        say(&format!(
            "| {name} | {:.0} | {:.0} | {:.2} | {:.0} | {:.0} | {:.2} | {evil} | {} |",
            alone.p50,
            beside.p50,
            beside.p50 / alone.p50,
            alone.p99,
            beside.p99,
            beside.p99 / alone.p99,
            beside.lost,
        ));
    }
    Ok(())
}

fn attacker(address: SocketAddr, word: &str) -> Meanwhile {
    let path = format!("/v1/models/{HOSTILE}:predict");
    let request = request_of("text/plain", "POST", &path, word.as_bytes());
    let mut client = None;
    Meanwhile::spawn(move || {
        let connection = match &mut client {
            Some(connection) => connection,
            none => none.insert(Client::connect(address)?),
        };
        // It is answered with an error, whatever it does.
        connection.send(&request)?;
        Ok(())
    })
}

/// What clients see of versions that are swapped under them, with the same processor, which is
/// compiled already, and with another each time.
fn swaps(house: &House<'_>, parts: &Parts<'_>, base_path: &Path) -> Result<()> {
    say(&format!(
        "\n{CLIENTS} clients of a model with a processor, before and while a new version is \
         published each second:\n"
    ));
    say(
        "| processor of the new versions | p50 µs | during | ratio | p99 µs | during | ratio | versions | lost |",
    );
    say("|---|--:|--:|--:|--:|--:|--:|--:|--:|");
    let version = Arc::new(AtomicU64::new(1));
    for (name, same) in [("the same", true), ("another each time", false)] {
        let (mut before, mut during) = (Vec::new(), Vec::new());
        let mut published = 0;
        for _ in 0..ROUNDS {
            before.push(house.ask(PASSED, Over::Rest, &[1.0], CLIENTS)?);
            let publisher = publisher(parts, base_path, &version, same);
            let found = house.ask(PASSED, Over::Rest, &[1.0], CLIENTS);
            published += publisher.end()?;
            during.push(found?);
        }
        let (before, during) = (Figures::medians(&before), Figures::medians(&during));
        say(&format!(
            "| {name} | {:.0} | {:.0} | {:.2} | {:.0} | {:.0} | {:.2} | {published} | {} |",
            before.p50,
            during.p50,
            during.p50 / before.p50,
            before.p99,
            during.p99,
            during.p99 / before.p99,
            before.lost + during.lost,
        ));
    }
    Ok(())
}

fn publisher(
    parts: &Parts<'_>,
    base_path: &Path,
    version: &Arc<AtomicU64>,
    same: bool,
) -> Meanwhile {
    let (model, base_path) = (parts.model.to_owned(), base_path.to_owned());
    let mut processor = parts.pass_through.to_vec();
    let version = Arc::clone(version);
    let mut due = Instant::now();
    Meanwhile::spawn(move || {
        let number = u32::try_from(version.fetch_add(1, Ordering::Relaxed) + 1)?;
        if !same {
            // A custom section with the number makes it another component.
            processor.extend([0, 6, 1, b'n']);
            processor.extend(number.to_le_bytes());
        }
        publish(&model, &base_path, number, Some(&processor))?;
        due += Duration::from_secs(1);
        thread::sleep(due.saturating_duration_since(Instant::now()));
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_published_with_its_processor() {
        let home = tempfile::tempdir().unwrap();
        let model = home.path().join("model");
        fs::create_dir_all(model.join("variables")).unwrap();
        fs::write(model.join("variables/data"), "d").unwrap();
        let base_path = home.path().join("m");
        publish(&model, &base_path, 3, Some(b"wasm")).unwrap();
        let read = |path: &str| fs::read(base_path.join(path)).unwrap();
        assert_eq!(read("3/variables/data"), b"d");
        assert_eq!(read("3/assets.extra/processor.wasm"), b"wasm");
    }

    #[test]
    fn medians_are_of_rounds_and_losses_add_up() {
        let round = |p50, lost| Figures {
            p50,
            p99: 9.0,
            cpu: 1.0,
            lost,
        };
        let medians = Figures::medians(&[round(3.0, 1), round(1.0, 0), round(2.0, 2)]);
        assert_eq!(
            (medians.p50.to_bits(), medians.lost),
            (2.0_f64.to_bits(), 3)
        );
    }
}
