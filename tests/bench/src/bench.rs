//! What all benchmarks of servers have in common: a server with a name, loads on it, one line of
//! the table for each, and the results on disk at the end.
//!
//! Invariant: the clients of a benchmark share one thread. It is the cheapest way to have many of
//! them, and they take turns with the server on the same CPUs.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::runtime::{Builder, Runtime};

use crate::copies::Copies;
use crate::cpu::Usage;
use crate::findings;
use crate::load::{self, Arrivals, Load, Plan};
use crate::results::{Case, Label, Run};
use crate::say;
use crate::server::Server;
use crate::workload::{Over, Workload};

/// A server that is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) name: &'a str,
    pub(crate) workload: &'a Workload,
    /// Its first process.
    pub(crate) process: u32,
    pub(crate) rest: SocketAddr,
    pub(crate) grpc: SocketAddr,
    /// Whether its page for Prometheus says what it copied.
    pub(crate) counts_copies: bool,
}

impl<'a> Subject<'a> {
    /// One of our own servers.
    pub(crate) fn of(name: &'a str, workload: &'a Workload, server: &Server) -> Self {
        Self {
            name,
            workload,
            process: server.id(),
            rest: server.address,
            grpc: server.grpc,
            counts_copies: true,
        }
    }
}

/// One way of asking.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask {
    pub(crate) over: Over,
    pub(crate) rows: usize,
    pub(crate) clients: usize,
    pub(crate) arrivals: Arrivals,
}

/// A configuration of our server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Configuration {
    pub(crate) name: String,
    pub(crate) flags: Vec<String>,
}

impl Configuration {
    /// The server as it is without a flag.
    pub(crate) fn unbatched() -> Self {
        Self {
            name: "unbatched".to_owned(),
            flags: Vec::new(),
        }
    }
}

impl std::str::FromStr for Configuration {
    type Err = String;

    /// `NAME=FLAG FLAG ...`
    fn from_str(text: &str) -> Result<Self, String> {
        let (name, flags) = text
            .split_once('=')
            .filter(|(name, _)| !name.is_empty() && !name.starts_with('-'))
            .ok_or_else(|| format!("`{text}` is not NAME=FLAGS"))?;
        Ok(Self {
            name: name.to_owned(),
            flags: flags.split_whitespace().map(str::to_owned).collect(),
        })
    }
}

/// A benchmark that is under way.
#[derive(Debug)]
pub(crate) struct Bench {
    runtime: Runtime,
    /// What was found so far.
    pub(crate) run: Run,
    /// How long each case takes.
    time: Duration,
    directory: PathBuf,
}

impl Bench {
    /// Prints the head of the table.
    ///
    /// # Errors
    /// When there is no runtime to be had.
    pub(crate) fn start(kind: &str, time: Duration, directory: &Path) -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let run = Run::new(kind, time.as_secs_f64());
        say(&format!(
            "{} CPUs ({}), load average {}, {} s for each line",
            run.machine.cpus,
            run.machine.cpu,
            run.machine.load_average,
            time.as_secs_f64()
        ));
        say(
            "\n| server | model | over | rows | clients | requests/s | rows/s | p50 ms | p99 ms | \
             rows per CPU s | failed | others |",
        );
        say("|---|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
        Ok(Self {
            runtime,
            run,
            time,
            directory: directory.to_owned(),
        })
    }

    /// Starts our server on a workload.
    ///
    /// # Errors
    /// When it does not start, with what it said.
    pub(crate) fn serve(
        &mut self,
        binary: &Path,
        workload: &Workload,
        configuration: &Configuration,
    ) -> Result<Server> {
        self.run
            .configurations
            .insert(configuration.name.clone(), configuration.flags.clone());
        let flags: Vec<&str> = configuration.flags.iter().map(String::as_str).collect();
        Server::start(binary, workload.name, &workload.base_path, &flags)
            .with_context(|| format!("the configuration `{}`", configuration.name))
    }

    /// Asks a server in our protocols.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub(crate) fn ask(&mut self, subject: Subject<'_>, ask: Ask) -> Result<Case> {
        let load = Arc::new(subject.workload.load(ask.over, ask.rows)?);
        self.put(subject, &load, ask)
    }

    /// Puts a load on a server, and keeps what came of it.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub(crate) fn put(&mut self, subject: Subject<'_>, load: &Arc<Load>, ask: Ask) -> Result<Case> {
        let case = self.look(subject, load, ask)?;
        say(&line(&case));
        self.run.cases.push(case.clone());
        Ok(case)
    }

    /// Asks a server that counts its allocations, whose times are no figures.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub(crate) fn count(&mut self, subject: Subject<'_>, ask: Ask) -> Result<()> {
        let load = Arc::new(subject.workload.load(ask.over, ask.rows)?);
        let case = self.look(subject, &load, ask)?;
        self.run.counted.push(case);
        Ok(())
    }

    fn look(&self, subject: Subject<'_>, load: &Arc<Load>, ask: Ask) -> Result<Case> {
        let address = match ask.over {
            Over::Rest => subject.rest,
            Over::Grpc => subject.grpc,
        };
        let plan = Plan {
            connections: ask.clients,
            arrivals: ask.arrivals,
            warm: (self.time / 5).max(Duration::from_millis(300)),
            time: self.time,
        };
        let copies = || {
            let read = subject.counts_copies.then(|| Copies::read(subject.rest));
            read.transpose()
        };
        let before = copies()?;
        let usage = || Usage::of(subject.process);
        let outcome = load::run(&self.runtime, address, load, plan, &usage)
            .with_context(|| format!("{} over {}", subject.name, ask.over.name()))?;
        let label = Label {
            subject: subject.name,
            workload: subject.workload.name,
            over: ask.over.name(),
            rows: ask.rows,
            clients: ask.clients,
            offered: match ask.arrivals {
                Arrivals::Closed => None,
                Arrivals::Open(rate) => Some(rate),
            },
        };
        let mut case = Case::new(&label, &outcome);
        if let (Some(before), Some(after)) = (before, copies()?) {
            case.copied_bytes = after.per_request(&before);
            case.allocated_bytes = after.allocated_per_request(&before);
        }
        Ok(case)
    }

    /// Adds a comparison and prints it.
    pub(crate) fn find(&mut self, finding: String) {
        say(&finding);
        self.run.findings.push(finding);
    }

    /// Adds a remark and prints it.
    pub(crate) fn note(&mut self, note: String) {
        say(&note);
        self.run.notes.push(note);
    }

    /// Writes everything down.
    ///
    /// # Errors
    /// When the directory cannot be written.
    pub(crate) fn finish(mut self) -> Result<()> {
        if let Some(finding) = findings::of_quiet(&self.run) {
            self.find(finding);
        }
        let [json, html] = self.run.write(&self.directory)?;
        say(&format!("\n{}\n{}", json.display(), html.display()));
        Ok(())
    }
}

fn line(case: &Case) -> String {
    let per_cpu = case
        .rows_per_server_cpu_s
        .map_or_else(|| "-".to_owned(), |rows| format!("{rows:.0}"));
    let clients = match case.offered_per_s {
        None => case.clients.to_string(),
        Some(offered) => format!("{offered:.0}/s"),
    };
    format!(
        "| {} | {} | {} | {} | {clients} | {:.0} | {:.0} | {:.3} | {:.3} | {per_cpu} | {} | {} |",
        case.subject,
        case.workload,
        case.over,
        case.rows,
        case.requests_per_s,
        case.rows_per_s,
        case.p50_ms,
        case.p99_ms,
        case.failures(),
        case.others(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_is_a_name_and_flags() {
        let given = "b32=--enable_batching --batching_parameters_file=/b.pbtxt";
        let configuration: Configuration = given.parse().unwrap();
        assert_eq!(configuration.name, "b32");
        assert_eq!(
            configuration.flags,
            ["--enable_batching", "--batching_parameters_file=/b.pbtxt"]
        );
    }

    #[test]
    fn flags_without_a_name_are_refused() {
        for text in ["--enable_batching", "--port=1", "=x", ""] {
            assert!(text.parse::<Configuration>().is_err(), "{text}");
        }
    }
}
