//! Does it leak? Runs models and reloads models for long, and watches resident memory.
//!
//! ```text
//! cargo run --release -p tensorgate-tensorflow --example soak -- [--runs N] [--reloads N]
//! ```
//!
//! Prints resident memory over time, fits a line to the second half of each part, and ends with
//! 1 when it rises faster than the limits below. The first half is for what grows to its size
//! once: thread stacks, allocator arenas, TensorFlow's caches.

#![expect(clippy::print_stdout, reason = "prints a table")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use tensorgate_engine::{Call, NamedTensors, Predictor, RunRequest};
use tensorgate_tensorflow::{Library, Lookup, SavedModelLoader, Wanted};
use tensorgate_types::{DType, Deadline, StringData, Tensor, TensorData};

/// A tensor of 16 bytes that is forgotten once per run costs more than this: the smallest leak
/// that there can be is a heap block of 32 bytes.
const MAX_BYTES_PER_RUN: f64 = 16.0;

/// Less than the smallest model loaded here takes, so that one that stays is seen. TensorFlow
/// itself keeps a little of every load; docs/benchmarks.md has what a clean run shows.
const MAX_BYTES_PER_RELOAD: f64 = 20.0 * 1024.0;

/// Points in each table.
const POINTS: usize = 20;

type AnyError = Box<dyn Error + Send + Sync>;

fn main() -> Result<ExitCode, AnyError> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runs = argument(&arguments, "--runs", 1_000_000)?;
    let reloads = argument(&arguments, "--reloads", 1_000)?;
    let named = std::env::var_os("TENSORGATE_LIBTENSORFLOW").map(PathBuf::from);
    let library = Library::find(&Lookup::for_this_process(Wanted::TensorFlow, None, named))?;
    let loader = SavedModelLoader::new(library);
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tensorgate/test-models");

    let slope = soak_runs(&loader, &models, runs)?;
    let runs_hold = verdict("run", slope, MAX_BYTES_PER_RUN);
    let slope = soak_reloads(&loader, &models, reloads)?;
    let reloads_hold = verdict("reload", slope, MAX_BYTES_PER_RELOAD);
    Ok(if runs_hold && reloads_hold {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn argument(arguments: &[String], name: &str, default: usize) -> Result<usize, AnyError> {
    let Some(at) = arguments.iter().position(|argument| argument == name) else {
        return Ok(default);
    };
    let value = arguments
        .get(at + 1)
        .ok_or_else(|| format!("{name} wants a number"))?;
    Ok(value.parse()?)
}

/// Half of the runs with numbers, half with strings, of which one in four is long enough to need
/// memory of its own in TensorFlow.
fn soak_runs(loader: &SavedModelLoader, models: &Path, runs: usize) -> Result<f64, AnyError> {
    let numbers = loader.load(&models.join("half_plus_two/00000123"))?;
    let strings = loader.load(&models.join("mixed/1"))?;
    let number_request = request(vec![("x", floats(&[1.0, 2.0, 5.0])?)]);
    let long = "a string that does not fit into a TensorFlow string itself";
    let string_request = request(vec![
        ("a", floats(&[0.5; 4])?),
        (
            "b",
            Tensor::from_slice(DType::INT64, vec![4], &[1i64, 2, 3, 4])?,
        ),
        (
            "c",
            Tensor::strings(vec![4], StringData::from_iter(["", "x", "short", long]))?,
        ),
    ]);
    let mut memory = Memory::new("runs", runs);
    for run in 0..runs {
        if run % 2 == 0 {
            check_numbers(&numbers.run(&number_request)?[0])?;
        } else {
            check_strings(&strings.run(&string_request)?[0], long)?;
        }
        memory.step(run + 1)?;
    }
    Ok(memory.slope())
}

/// Each time another model, so that TensorFlow loads variables, tables, functions and assets.
fn soak_reloads(loader: &SavedModelLoader, models: &Path, reloads: usize) -> Result<f64, AnyError> {
    let cycle = [
        ("half_plus_two/00000123", "x", floats(&[1.0])?),
        ("vocabulary_tf2/1", "words", word()?),
        (
            "tf1_builder/1",
            "x",
            Tensor::from_slice(DType::FLOAT, vec![1, 3], &[1f32; 3])?,
        ),
        (
            "tf2_module/1",
            "x",
            Tensor::from_slice(DType::FLOAT, vec![1, 2], &[1f32; 2])?,
        ),
    ];
    let mut memory = Memory::new("reloads", reloads);
    for reload in 0..reloads {
        let (dir, name, tensor) = &cycle[reload % cycle.len()];
        let model = loader.load(&models.join(dir))?;
        model.run(&request(vec![(name, tensor.clone())]))?;
        drop(model);
        memory.step(reload + 1)?;
    }
    Ok(memory.slope())
}

fn floats(values: &[f32]) -> tensorgate_types::Result<Tensor> {
    let len = i64::try_from(values.len()).unwrap_or(i64::MAX);
    Tensor::from_slice(DType::FLOAT, vec![len], values)
}

fn word() -> tensorgate_types::Result<Tensor> {
    Tensor::strings(vec![1], StringData::from_iter(["banana"]))
}

fn request(inputs: Vec<(&str, Tensor)>) -> RunRequest {
    let call = Call {
        signature: "serving_default".to_owned(),
        inputs: inputs
            .into_iter()
            .map(|(name, tensor)| (name.to_owned(), tensor))
            .collect(),
        outputs: vec![],
    };
    RunRequest::one(call, Deadline::NEVER)
}

fn check_numbers(outputs: &NamedTensors) -> Result<(), AnyError> {
    let expected: Vec<u8> = [2.5f32, 3.0, 4.5]
        .iter()
        .flat_map(|y| y.to_le_bytes())
        .collect();
    match outputs.first().map(|(_, tensor)| tensor.data()) {
        Some(TensorData::Fixed(bytes)) if **bytes == *expected => Ok(()),
        other => Err(format!("wrong numbers: {other:?}").into()),
    }
}

fn check_strings(outputs: &NamedTensors, long: &str) -> Result<(), AnyError> {
    let joined = outputs.iter().find(|(name, _)| name == "joined");
    match joined.map(|(_, tensor)| tensor.data()) {
        Some(TensorData::Strings(strings))
            if strings.iter().last() == Some(format!("4-{long}").as_bytes()) =>
        {
            Ok(())
        }
        other => Err(format!("wrong strings: {other:?}").into()),
    }
}

fn verdict(what: &str, slope: f64, limit: f64) -> bool {
    let holds = slope <= limit;
    println!(
        "resident memory per {what} in the second half: {slope:.1} bytes; \
         at most {limit:.0} are allowed: {}\n",
        if holds { "holds" } else { "LEAKS" }
    );
    holds
}

/// Resident memory over the course of a part.
struct Memory {
    steps: usize,
    started: Instant,
    /// (steps done, bytes)
    points: Vec<(f64, f64)>,
}

impl Memory {
    fn new(what: &str, steps: usize) -> Self {
        println!("{what:>10} {:>10} {:>14}", "seconds", "resident KiB");
        Self {
            steps,
            started: Instant::now(),
            points: Vec::new(),
        }
    }

    /// Measures and prints, at [`POINTS`] points in all.
    fn step(&mut self, done: usize) -> Result<(), AnyError> {
        let every = (self.steps / POINTS).max(1);
        if !done.is_multiple_of(every) {
            return Ok(());
        }
        let resident = resident_bytes()?;
        let seconds = self.started.elapsed().as_secs_f64();
        println!("{done:>10} {seconds:>10.1} {:>14}", resident / 1024);
        self.points.push((done as f64, resident as f64));
        Ok(())
    }

    /// Bytes per step: least squares over the second half.
    fn slope(&self) -> f64 {
        let half = &self.points[self.points.len() / 2..];
        let count = half.len() as f64;
        let mean_x = half.iter().map(|(x, _)| x).sum::<f64>() / count;
        let mean_y = half.iter().map(|(_, y)| y).sum::<f64>() / count;
        let above: f64 = half.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
        let below: f64 = half.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
        if below > 0.0 { above / below } else { 0.0 }
    }
}

fn resident_bytes() -> Result<usize, AnyError> {
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    let pages = statm
        .split(' ')
        .nth(1)
        .ok_or("/proc/self/statm has no resident size")?;
    Ok(pages.parse::<usize>()? * rustix::param::page_size())
}
