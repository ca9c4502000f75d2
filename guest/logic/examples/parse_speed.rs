//! How fast a predict body becomes tensors, against a JSON tree.
//!
//! `cargo run --release -p tensorgate-logic --example parse_speed [megabytes]`

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::error::Error;
use std::hint::black_box;
use std::time::{Duration, Instant};

use one_input::OneInput;
use tensorgate_logic::{PredictRequest, parse_predict};
use tensorgate_types::{DType, Result};

#[path = "one_input/mod.rs"]
mod one_input;

/// Rows of 224 pixels of 3 channels, from a fixed sequence of numbers.
fn body(rows: usize, number: impl Fn(f64) -> String) -> String {
    let mut state = 1u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        number((state >> 11) as f64 / (1u64 << 53) as f64)
    };
    let mut list = |count: usize, item: &mut dyn FnMut(&mut dyn FnMut() -> String) -> String| {
        let items: Vec<String> = (0..count).map(|_| item(&mut next)).collect();
        format!("[{}]", items.join(", "))
    };
    let rows = list(rows, &mut |next| {
        let pixels: Vec<String> = (0..224)
            .map(|_| format!("[{}, {}, {}]", next(), next(), next()))
            .collect();
        format!("[{}]", pixels.join(", "))
    });
    format!("{{\"signature_name\": \"serving_default\", \"instances\": [{rows}]}}")
}

/// The shortest of many runs.
fn fastest(mut run: impl FnMut()) -> Duration {
    let started = Instant::now();
    let mut best = Duration::MAX;
    while started.elapsed() < Duration::from_millis(1500) {
        let start = Instant::now();
        run();
        best = best.min(start.elapsed());
    }
    best
}

fn main() -> Result<(), Box<dyn Error>> {
    let rows = match std::env::args().nth(1) {
        None => 224,
        Some(megabytes) => (megabytes.parse::<f64>()? * 1e6 / 7_700.0) as usize,
    };
    let bodies = [
        (
            "float, 6 digits",
            DType::FLOAT,
            body(rows, |x| format!("{x:.6}")),
        ),
        (
            "float, 17 digits",
            DType::FLOAT,
            body(rows, |x| format!("{x}")),
        ),
        (
            "double, 17 digits",
            DType::DOUBLE,
            body(rows, |x| format!("{x}")),
        ),
        (
            "uint8",
            DType::UINT8,
            body(rows, |x| format!("{}", (x * 256.0) as u8)),
        ),
        (
            "int32",
            DType::INT32,
            body(rows, |x| format!("{}", (x * 2e6) as i32 - 1_000_000)),
        ),
    ];
    println!(
        "{:<20} {:>10} {:>14} {:>14}",
        "body", "bytes", "tensors MB/s", "tree MB/s"
    );
    for (name, dtype, body) in &bodies {
        let mut source = OneInput::new(*dtype);
        let parse = |source: &mut OneInput| -> Result<PredictRequest> {
            parse_predict(black_box(body.as_bytes()), source)
        };
        parse(&mut source)?;
        let ours = fastest(|| {
            let _ = black_box(parse(&mut source));
        });
        let tree = fastest(|| {
            let _ = black_box(serde_json::from_slice::<serde_json::Value>(black_box(
                body.as_bytes(),
            )));
        });
        let speed = |time: Duration| body.len() as f64 / time.as_secs_f64() / 1e6;
        println!(
            "{name:<20} {:>10} {:>14.0} {:>14.0}",
            body.len(),
            speed(ours),
            speed(tree)
        );
    }
    Ok(())
}
