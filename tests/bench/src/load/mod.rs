//! Clients: so many connections that send one request each at a time, for so long.
//!
//! Closed loop: a client sends its next request when it has the answer to the last. Open loop:
//! requests are due at times that were fixed before, whatever the server does, and what is
//! measured counts from when a request was due. A server that stalls then shows in the times of
//! all who would have come meanwhile, not only of the few who were there.
//!
//! Invariant: a client keeps nothing of an answer but its status, and requests are made once and
//! sent many times, so that what is measured is the server and as little as can be of its clients.

mod connection;
mod frames;
mod hpack;
mod schedule;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use hdrhistogram::Histogram;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use self::connection::Connection;
pub(crate) use self::connection::Load;
use self::schedule::Schedule;
use crate::cpu::Usage;

/// The longest time that is told from longer ones: ten minutes.
const LONGEST: u64 = 600_000_000_000;

/// How many of a client's requests may fail without an answer, one after the other, before the
/// server is taken to be gone.
const MAX_BROKEN: usize = 100;

/// How long after the end of an open loop requests that are due are still sent. A server that
/// cannot keep up would be given requests for as long again.
const GRACE: Duration = Duration::from_secs(2);

/// How many requests may be due and not sent: some seconds' worth at any rate that a machine can
/// bear.
const QUEUE: usize = 1 << 16;

/// When requests are sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Arrivals {
    /// When the last one is answered.
    Closed,
    /// So many per second, at random times that are the same in every run.
    Open(f64),
}

/// How a load is put on a server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) connections: usize,
    pub(crate) arrivals: Arrivals,
    /// Goes by before anything counts.
    pub(crate) warm: Duration,
    /// How long requests are sent that count.
    pub(crate) time: Duration,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Nanoseconds of the requests that succeeded.
    pub(crate) times: Histogram<u64>,
    /// In an open loop, how long after it was due a request was sent.
    pub(crate) late: Histogram<u64>,
    /// How many failed, by what the server said.
    pub(crate) failed: BTreeMap<String, u64>,
    /// From the moment at which counting began to the end of the last request.
    pub(crate) took: Duration,
    /// What was computed meanwhile.
    pub(crate) used: Usage,
}

impl Outcome {
    /// Successful requests per second.
    pub(crate) fn rate(&self) -> f64 {
        self.times.len() as f64 / self.took.as_secs_f64()
    }

    /// The time below which this share of the requests stayed, in milliseconds.
    pub(crate) fn ms(&self, share: f64) -> f64 {
        milliseconds(&self.times, share)
    }
}

/// A quantile of a histogram of nanoseconds, in milliseconds.
pub(crate) fn milliseconds(times: &Histogram<u64>, share: f64) -> f64 {
    times.value_at_quantile(share) as f64 / 1e6
}

/// A histogram of nanoseconds with three digits.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1000, LONGEST, 3).expect("the bounds are in order")
}

/// What all clients write down together.
struct Record {
    counting: bool,
    times: Histogram<u64>,
    late: Histogram<u64>,
    failed: BTreeMap<String, u64>,
}

#[derive(Clone)]
struct Book(Arc<Mutex<Record>>);

impl Book {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Record {
            counting: false,
            times: histogram(),
            late: histogram(),
            failed: BTreeMap::new(),
        })))
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, since: Instant, late: Option<Duration>, answer: Result<(), String>) {
        let took = since.elapsed();
        let mut record = self.record();
        if !record.counting {
            return;
        }
        match answer {
            Ok(()) => record.times.saturating_record(nanos(took)),
            Err(why) => *record.failed.entry(why).or_default() += 1,
        }
        if let Some(late) = late {
            record.late.saturating_record(nanos(late));
        }
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Runs a load and waits for its end. `usage` reads what has been computed so far.
///
/// # Errors
/// When the server cannot be reached.
pub(crate) fn run(
    runtime: &Runtime,
    address: SocketAddr,
    load: &Arc<Load>,
    plan: Plan,
    usage: &dyn Fn() -> Usage,
) -> Result<Outcome> {
    runtime.block_on(async {
        let mut connections = Vec::with_capacity(plan.connections);
        for _ in 0..plan.connections {
            connections.push(Client::open(address, load).await?);
        }
        let book = Book::new();
        let start = Instant::now();
        let mut clients = JoinSet::new();
        match plan.arrivals {
            Arrivals::Closed => {
                let end = start + plan.warm + plan.time;
                for client in connections {
                    clients.spawn(closed(client, book.clone(), end));
                }
            }
            Arrivals::Open(rate) => {
                let due = post(rate, start, plan.warm + plan.time)?;
                let due = Arc::new(tokio::sync::Mutex::new(due));
                let end = start + plan.warm + plan.time + GRACE;
                for client in connections {
                    clients.spawn(open(client, book.clone(), Arc::clone(&due), end));
                }
            }
        }
        tokio::time::sleep_until((start + plan.warm).into()).await;
        let before = usage();
        let counted = Instant::now();
        book.record().counting = true;
        while let Some(client) = clients.join_next().await {
            client??;
        }
        let took = counted.elapsed();
        let used = usage().since(before);
        let record = book.record();
        Ok(Outcome {
            times: record.times.clone(),
            late: record.late.clone(),
            failed: record.failed.clone(),
            took,
            used,
        })
    })
}

/// A connection that is opened again when it breaks.
struct Client {
    address: SocketAddr,
    load: Arc<Load>,
    connection: Connection,
    broken: usize,
}

impl Client {
    async fn open(address: SocketAddr, load: &Arc<Load>) -> Result<Self> {
        Ok(Self {
            address,
            load: Arc::clone(load),
            connection: Connection::open(address, load).await?,
            broken: 0,
        })
    }

    /// Sends the request and waits for the answer; the inner error is how it failed.
    async fn ask(&mut self) -> Result<Result<(), String>> {
        match self.connection.send(&self.load).await {
            Ok(answer) => {
                self.broken = 0;
                Ok(answer)
            }
            Err(error) => {
                self.broken += 1;
                if self.broken > MAX_BROKEN {
                    bail!("{MAX_BROKEN} requests in a row had no answer; the last: {error:#}");
                }
                self.connection = Connection::open(self.address, &self.load).await?;
                Ok(Err("no answer".to_owned()))
            }
        }
    }
}

async fn closed(mut client: Client, book: Book, end: Instant) -> Result<()> {
    let mut any = false;
    loop {
        let start = Instant::now();
        // One request at least, however slow the server is.
        if start > end && any {
            return Ok(());
        }
        let answer = client.ask().await?;
        book.note(start, None, answer);
        any = true;
    }
}

type Due = Arc<tokio::sync::Mutex<mpsc::Receiver<Instant>>>;

/// Whoever is free takes the next request, and waits until it is due.
async fn open(mut client: Client, book: Book, due: Due, end: Instant) -> Result<()> {
    loop {
        let next = due.lock().await.recv().await;
        let Some(at) = next else {
            return Ok(());
        };
        let now = Instant::now();
        let late = Some(now - at);
        if now > end {
            book.note(at, late, Err("not sent: too late".to_owned()));
            continue;
        }
        let answer = client.ask().await?;
        book.note(at, late, answer);
    }
}

/// Says when a request is due, each when it is. A thread does it: the runtime's timers have a
/// grain of a millisecond, and that would be in every time.
/// When [`QUEUE`] requests are due that nobody has sent, it waits; those that come after are due
/// at their times all the same.
fn post(rate: f64, start: Instant, time: Duration) -> Result<mpsc::Receiver<Instant>> {
    let (sender, receiver) = mpsc::channel(QUEUE);
    let schedule = Schedule::new(rate).take_while(move |at| *at < time);
    thread::Builder::new()
        .name("schedule".to_owned())
        .spawn(move || {
            for at in schedule {
                let at = start + at;
                thread::sleep(at.saturating_duration_since(Instant::now()));
                if sender.blocking_send(at).is_err() {
                    return;
                }
            }
        })
        .context("cannot start a thread")?;
    Ok(receiver)
}
