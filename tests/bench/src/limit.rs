//! The limit: the session alone, with nothing round it, at every batch size.
//!
//! It runs in a process of its own, which prints what it found as JSON: TensorFlow's thread pools
//! are made once for a process, and a program that sends requests should have none.
//!
//! Invariant: no server can compute more rows per second than the best of these, nor with less.

use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};
use tensorgate_engine::Predictor as _;
use tensorgate_tensorflow::{SavedModel, SavedModelLoader};

use crate::cpu::Usage;
use crate::stats::Samples;
use crate::workload::Workload;
use crate::{library, newest, say};

const BATCHES: [usize; 9] = [1, 2, 4, 8, 16, 32, 64, 128, 256];

/// Threads that run the session at a time.
const THREADS: [usize; 2] = [1, 2];

/// What TensorFlow may use for one operation: what it chooses, and one thread.
const KERNELS: [u8; 2] = [0, 1];

/// Which part of the most rows per second is as good as all of it.
const NEARLY: f64 = 0.95;

/// What the session does at one batch size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Point {
    pub(crate) batch: usize,
    /// That run the session at a time.
    pub(crate) threads: usize,
    /// `intra_op_parallelism_threads`; 0 is TensorFlow's choice.
    pub(crate) kernel_threads: u8,
    pub(crate) rows_per_s: f64,
    pub(crate) rows_per_cpu_s: f64,
    /// The median time of a run.
    pub(crate) run_ms: f64,
}

/// The limit of one workload on this machine.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Limit {
    pub(crate) workload: String,
    /// Where the most rows per second were computed.
    pub(crate) fastest: Point,
    /// Where a row took the least CPU time.
    pub(crate) thriftiest: Point,
    /// The smallest batch that was nearly as fast as the fastest: the best to have, since a run of
    /// it is over sooner.
    pub(crate) best: Point,
    pub(crate) points: Vec<Point>,
}

impl Limit {
    /// # Panics
    /// When there is no point.
    pub(crate) fn new(workload: &str, points: Vec<Point>) -> Self {
        let best = |figure: fn(&Point) -> f64| {
            let best = points
                .iter()
                .max_by(|one, other| figure(one).total_cmp(&figure(other)));
            best.expect("something was measured").clone()
        };
        let fastest = best(|point| point.rows_per_s);
        let enough = fastest.rows_per_s * NEARLY;
        let smallest = points
            .iter()
            .filter(|point| point.rows_per_s >= enough)
            .min_by_key(|point| point.batch);
        Self {
            workload: workload.to_owned(),
            best: smallest.unwrap_or(&fastest).clone(),
            thriftiest: best(|point| point.rows_per_cpu_s),
            fastest,
            points,
        }
    }
}

/// Measures the limit in processes of their own, `time` for each point.
///
/// # Errors
/// When one of them fails.
pub(crate) fn find(workload: &Workload, models: &Path, time: Duration) -> Result<Limit> {
    let mut points = Vec::new();
    for kernels in KERNELS {
        let output = Command::new(std::env::current_exe()?)
            .arg("limit")
            .arg(format!("--models={}", models.display()))
            .arg(format!("--workload={}", workload.name))
            .arg(format!("--kernel-threads={kernels}"))
            .arg(format!("--seconds={}", time.as_secs_f64()))
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .context("cannot start this program again")?;
        ensure!(
            output.status.success(),
            "measuring the limit failed: {}",
            output.status
        );
        let found: Vec<Point> = serde_json::from_slice(&output.stdout)?;
        points.extend(found);
    }
    Ok(Limit::new(workload.name, points))
}

/// Measures in this process and prints JSON.
///
/// # Errors
/// When the model cannot be loaded or run.
pub(crate) fn measure(workload: &Workload, kernel_threads: u8, time: Duration) -> Result<()> {
    let mut loader = SavedModelLoader::new(library()?);
    if kernel_threads > 0 {
        // ConfigProto.intra_op_parallelism_threads
        loader.session_config = vec![0x10, kernel_threads];
    }
    let model = loader.load(&newest(&workload.base_path)?)?;
    let mut points = Vec::new();
    for batch in BATCHES {
        for threads in THREADS {
            let point = point(&model, workload, batch, threads, kernel_threads, time)?;
            points.push(point);
        }
    }
    say(&serde_json::to_string(&points)?);
    Ok(())
}

fn point(
    model: &SavedModel,
    workload: &Workload,
    batch: usize,
    threads: usize,
    kernel_threads: u8,
    time: Duration,
) -> Result<Point> {
    let request = workload.run_request(batch)?;
    let warm = Instant::now();
    while warm.elapsed() < time / 10 {
        model.run(&request)?;
    }
    let before = Usage::of(std::process::id());
    let start = Instant::now();
    let work = || -> Result<Vec<Duration>> {
        let mut times = Vec::new();
        while times.is_empty() || start.elapsed() < time {
            let start = Instant::now();
            model.run(&request)?;
            times.push(start.elapsed());
        }
        Ok(times)
    };
    let times = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let mut times = Vec::new();
        for worker in workers {
            times.extend(worker.join().expect("a run does not panic")?);
        }
        Ok::<_, anyhow::Error>(times)
    })?;
    let took = start.elapsed();
    let used = Usage::of(std::process::id()).since(before).server;
    let rows = (times.len() * batch) as f64;
    Ok(Point {
        batch,
        threads,
        kernel_threads,
        rows_per_s: rows / took.as_secs_f64(),
        rows_per_cpu_s: rows / used.as_secs_f64().max(1e-3),
        run_ms: Samples::new(times).median().as_secs_f64() * 1e3,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_best_of_each() {
        let point = |batch, rows_per_s, rows_per_cpu_s| Point {
            batch,
            threads: 1,
            kernel_threads: 0,
            rows_per_s,
            rows_per_cpu_s,
            run_ms: 1.0,
        };
        let points = vec![
            point(1, 3.0, 2.0),
            point(32, 24.0, 10.0),
            point(64, 25.0, 12.0),
        ];
        let limit = Limit::new("cnn", points);
        assert_eq!(limit.fastest.batch, 64);
        assert_eq!(limit.thriftiest.batch, 64);
        assert_eq!(limit.best.batch, 32, "a run of it is over sooner");
    }
}
