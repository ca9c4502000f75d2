//! Prints what a lookup costs: `cargo run --release -p tensorgate-core --example lookup_cost`.
//!
//! One thread first, then every core at once on the same model, which is the worst case: all
//! count the handles to one servable. Then the same while versions are swapped all the time.

#![expect(clippy::print_stdout, reason = "its output is its purpose")]

use std::error::Error as StdError;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tensorgate_core::{AspiredVersion, AspiredVersions, Manager, ManagerOptions, ServableFactory};
use tensorgate_types::{Error, ModelSpec, ServableId, VersionChoice};

const LOOKUPS: u32 = 2_000_000;
const MODELS: usize = 100;

struct Versions;

impl ServableFactory for Versions {
    type Servable = i64;

    fn load(&self, id: &ServableId, _path: &Path) -> Result<i64, Error> {
        Ok(id.version)
    }
}

async fn aspire(manager: &Manager<i64>, model: usize, version: i64) {
    let list = AspiredVersions {
        name: format!("model_{model}"),
        versions: vec![AspiredVersion {
            version,
            path: PathBuf::new(),
        }],
    };
    manager.aspirations().aspire(list).await;
}

/// Nanoseconds per lookup on each of this many threads.
fn measure(manager: &Manager<i64>, threads: usize) -> Result<f64, Error> {
    let run = || {
        let spec = ModelSpec {
            name: "model_7".to_owned(),
            version: VersionChoice::Latest,
        };
        let began = Instant::now();
        for _ in 0..LOOKUPS {
            black_box(manager.lookup(black_box(&spec))?);
        }
        Ok(began.elapsed())
    };
    let slowest = thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        let mut slowest = Duration::ZERO;
        for thread in running {
            let elapsed = thread
                .join()
                .map_err(|_| Error::internal("a measuring thread panicked"))??;
            slowest = slowest.max(elapsed);
        }
        Ok::<_, Error>(slowest)
    })?;
    Ok(slowest.as_secs_f64() * 1e9 / f64::from(LOOKUPS))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn StdError>> {
    let manager = Manager::spawn(&ManagerOptions::default(), Versions)?;
    let names: Vec<String> = (0..MODELS).map(|model| format!("model_{model}")).collect();
    manager.add_models(names.clone()).await;
    for model in 0..MODELS {
        aspire(&manager, model, 1).await;
    }
    manager.wait_until_settled(&names).await;

    let cores = thread::available_parallelism()?.get();
    println!("{MODELS} models, {LOOKUPS} lookups per thread, handle dropped each time");
    for threads in [1, cores] {
        let cost = measure(&manager, threads)?;
        println!("{threads:3} thread(s):                {cost:6.1} ns per lookup");
    }
    let stop = AtomicBool::new(false);
    let (swaps, cost) = thread::scope(|scope| {
        let measuring = scope.spawn(|| {
            let cost = measure(&manager, 1);
            stop.store(true, Ordering::Relaxed);
            cost
        });
        let swapping = async {
            let (mut watched, mut version) = (manager.clone(), 1);
            while !stop.load(Ordering::Relaxed) && watched.changed().await {
                version += 1;
                aspire(&manager, 7, version).await;
            }
            version
        };
        let swaps =
            tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(swapping));
        (swaps, measuring.join())
    });
    let cost = cost.map_err(|_| "the measuring thread panicked")??;
    println!("  1 thread, {swaps:6} versions swapped in: {cost:6.1} ns per lookup");
    manager.shutdown().await;
    Ok(())
}
