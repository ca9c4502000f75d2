//! JSON to tensor: the parser of the gateway as native code, the same in the sandbox with and
//! without its deadline checks, and a JSON tree, in turns in one process.
//!
//! `cargo xtask bench parse` builds the component and runs this.
//!
//! The shortest of many runs counts: what is compared is code, and noise only adds.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use tensorgate_logic::parse_predict;
use tensorgate_types::DType;
use wasmtime::component::{Component, Linker, ResourceTable, TypedFunc};
use wasmtime::{Config, Engine, Store};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use one_input::OneInput;

#[path = "../../../guest/logic/examples/one_input/mod.rs"]
mod one_input;

const COMPONENT: &str = "target/guests/wasm32-wasip2/guest/examples/parse_in_wasm.wasm";
/// Enough turns for each to meet a quiet moment.
const ROUNDS: usize = 60;
/// Parses per call into the component, so that the call itself does not count.
const TIMES: u32 = 2;

/// Rows of 224 pixels of 3 channels, from a fixed sequence of numbers in 0..1.
fn body(number: impl Fn(f64) -> String) -> String {
    let mut state = 1u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        number((state >> 11) as f64 / (1u64 << 53) as f64)
    };
    let mut row = || {
        let pixels: Vec<String> = (0..224)
            .map(|_| format!("[{}, {}, {}]", next(), next(), next()))
            .collect();
        format!("[{}]", pixels.join(", "))
    };
    let rows: Vec<String> = (0..224).map(|_| row()).collect();
    format!(
        "{{\"signature_name\": \"serving_default\", \"instances\": [{}]}}",
        rows.join(", ")
    )
}

/// The parser in a sandbox, with a body prepared.
struct Sandbox {
    store: Store<State>,
    parse: TypedFunc<(u32,), (u64,)>,
}

struct State {
    wasi: WasiCtx,
    table: ResourceTable,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl Sandbox {
    fn new(component: &Path, epochs: bool, body: &str, dtype: DType) -> Result<Self> {
        let mut config = Config::new();
        config.epoch_interruption(epochs);
        let engine = Engine::new(&config)?;
        let component = Component::from_file(&engine, component)?;
        let mut linker = Linker::<State>::new(&engine);
        wasmtime_wasi::p2::add_to_linker_sync(&mut linker)?;
        let state = State {
            wasi: WasiCtx::builder().build(),
            table: ResourceTable::new(),
        };
        let mut store = Store::new(&engine, state);
        // Checked at every loop, never reached.
        store.set_epoch_deadline(1 << 40);
        let instance = linker.instantiate(&mut store, &component)?;
        let prepare = instance.get_typed_func::<(&[u8], u32), ()>(&mut store, "prepare")?;
        prepare.call(&mut store, (body.as_bytes(), dtype.number()))?;
        let parse = instance.get_typed_func(&mut store, "parse")?;
        Ok(Self { store, parse })
    }

    fn run(&mut self) -> Result<Duration> {
        let start = Instant::now();
        let (tensors,) = self.parse.call(&mut self.store, (TIMES,))?;
        let took = start.elapsed() / TIMES;
        ensure!(tensors == u64::from(TIMES), "the body was not parsed");
        Ok(took)
    }
}

fn measure(name: &str, dtype: DType, body: &str, component: &Path) -> Result<()> {
    let mut plain = Sandbox::new(component, false, body, dtype)?;
    let mut checked = Sandbox::new(component, true, body, dtype)?;
    let mut source = OneInput::new(dtype);
    let mut best = [Duration::MAX; 4];
    for _round in 0..ROUNDS {
        let start = Instant::now();
        let parsed = parse_predict(black_box(body.as_bytes()), &mut source);
        ensure!(black_box(parsed).is_ok(), "the body was not parsed");
        best[0] = best[0].min(start.elapsed());
        best[1] = best[1].min(plain.run()?);
        best[2] = best[2].min(checked.run()?);
        let start = Instant::now();
        black_box(serde_json::from_str::<serde_json::Value>(black_box(body))?);
        best[3] = best[3].min(start.elapsed());
    }
    let speed = best.map(|time| body.len() as f64 / time.as_secs_f64() / 1e6);
    println!(
        "{name:<18} {:>9} {:>8.0} {:>9.0} {:>9.0} {:>8.0} {:>12.0}% {:>10.2}x",
        body.len(),
        speed[0],
        speed[1],
        speed[2],
        speed[3],
        100.0 * speed[2] / speed[0],
        speed[2] / speed[3],
    );
    Ok(())
}

fn main() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let component = root
        .join(COMPONENT)
        .canonicalize()
        .context("the component is not built: run `cargo xtask bench parse`")?;
    println!("MB/s, the fastest of {ROUNDS} runs each, in turns");
    println!(
        "{:<18} {:>9} {:>8} {:>9} {:>9} {:>8} {:>13} {:>11}",
        "body", "bytes", "native", "sandbox", "+epochs", "tree", "of native", "over tree"
    );
    let table: [(&str, DType, String); 4] = [
        ("float, 6 digits", DType::FLOAT, body(|x| format!("{x:.6}"))),
        ("float, 17 digits", DType::FLOAT, body(|x| format!("{x}"))),
        (
            "uint8",
            DType::UINT8,
            body(|x| format!("{}", (x * 256.0) as u8)),
        ),
        (
            "int32",
            DType::INT32,
            body(|x| format!("{}", (x * 2e6) as i32 - 1_000_000)),
        ),
    ];
    for (name, dtype, body) in &table {
        measure(name, *dtype, body, &component)?;
    }
    Ok(())
}
