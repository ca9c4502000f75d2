//! A JPEG file to a tensor: as native code, the same in the sandbox as the server runs it, and
//! Pillow with numpy in Python.
//!
//! `cargo xtask bench pictures` builds the component and runs this, with the Python program and the
//! script as arguments.
//!
//! The shortest of many runs counts: what is compared is code, and noise only adds. Native code and
//! sandbox take turns in one process; Python comes before them.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use one_picture::to_tensor;
use wasmtime::component::{Component, InstancePre, Linker, ResourceTable};
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig, Store,
    UpdateDeadline,
};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

#[path = "../../../guest/sdk/examples/one_picture/mod.rs"]
mod one_picture;

const COMPONENT: &str = "target/guests/wasm32-wasip2/guest/examples/picture_in_wasm.wasm";
/// Enough turns for each to meet a quiet moment.
const ROUNDS: usize = 300;
/// The server's: how often a component looks at its clocks, and memory that stays with a slot.
const TICK: Duration = Duration::from_millis(2);
const KEEP_RESIDENT: usize = 4 << 20;
/// The server's default for a component.
const MEMORY: usize = 512 << 20;

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

/// The sandbox, set as the server sets it.
struct Sandbox {
    engine: Engine,
    component: InstancePre<State>,
}

impl Sandbox {
    fn new(component: &Path) -> Result<Self> {
        let mut pool = PoolingAllocationConfig::new();
        pool.max_memory_size(MEMORY)
            .total_memories(4)
            .linear_memory_keep_resident(KEEP_RESIDENT)
            .pagemap_scan(Enabled::Auto);
        let mut config = Config::new();
        config
            .cranelift_opt_level(OptLevel::Speed)
            .epoch_interruption(true)
            .concurrency_support(false)
            .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
        let engine = Engine::new(&config)?;
        let component = Component::from_file(&engine, component)?;
        let mut linker = Linker::<State>::new(&engine);
        wasmtime_wasi::p2::add_to_linker_sync(&mut linker)?;
        let component = linker.instantiate_pre(&component)?;
        Ok(Self { engine, component })
    }

    fn store(&self) -> Store<State> {
        let state = State {
            wasi: WasiCtx::builder().build(),
            table: ResourceTable::new(),
        };
        let mut store = Store::new(&self.engine, state);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|_| Ok(UpdateDeadline::Continue(1)));
        store
    }

    /// A request's worth: a fresh instance, the file in, the tensor out.
    fn once(&self, file: &[u8]) -> Result<(Duration, Vec<u8>)> {
        let start = Instant::now();
        let mut store = self.store();
        let instance = self.component.instantiate(&mut store)?;
        let once = instance.get_typed_func::<(&[u8],), (Vec<u8>,)>(&mut store, "once")?;
        let (tensor,) = once.call(&mut store, (file,))?;
        drop(store);
        Ok((start.elapsed(), tensor))
    }
}

/// Moves the engine's epoch forward, as the server does, while `work` runs.
fn ticking<T>(engine: &Engine, work: impl FnOnce() -> T) -> T {
    let over = Arc::new(AtomicBool::new(false));
    let ticker = thread::spawn({
        let (over, engine) = (Arc::clone(&over), engine.clone());
        move || {
            while !over.load(Ordering::Relaxed) {
                thread::sleep(TICK);
                engine.increment_epoch();
            }
        }
    });
    let result = work();
    over.store(true, Ordering::Relaxed);
    // It only counts; there is nothing to clean up after it.
    let _ = ticker.join();
    result
}

/// The shortest times of native code, of the sandbox, and of a fresh sandbox with the file handed
/// in and the tensor handed out.
fn measure(sandbox: &Sandbox, file: &[u8], reference: &[u8]) -> Result<[Duration; 3]> {
    let mut store = sandbox.store();
    let instance = sandbox.component.instantiate(&mut store)?;
    let prepare = instance.get_typed_func::<(&[u8],), ()>(&mut store, "prepare")?;
    prepare.call(&mut store, (file,))?;
    let repeat = instance.get_typed_func::<(u32,), (u32,)>(&mut store, "repeat")?;
    let mut best = [Duration::MAX; 3];
    for _round in 0..ROUNDS {
        let start = Instant::now();
        black_box(to_tensor(black_box(file)))?;
        best[0] = best[0].min(start.elapsed());
        let start = Instant::now();
        let (made,) = repeat.call(&mut store, (1,))?;
        best[1] = best[1].min(start.elapsed());
        ensure!(made == 1, "the component made no tensor");
        best[2] = best[2].min(sandbox.once(file)?.0);
    }
    let (_, tensor) = sandbox.once(file)?;
    for (what, floats) in [
        ("native code", to_tensor(file)?.bytes()),
        ("the sandbox", Some(&*tensor)),
    ] {
        let off = most_off(floats.unwrap_or_default(), reference);
        ensure!(
            off < 2.5,
            "{what} is {off} steps of 255 off Pillow's pixels"
        );
    }
    Ok(best)
}

/// By how many steps of 255 a pixel differs at most.
fn most_off(made: &[u8], expected: &[u8]) -> f32 {
    if made.len() != expected.len() {
        return f32::INFINITY;
    }
    let floats = made.as_chunks().0.iter().zip(expected.as_chunks().0);
    floats
        .map(|(a, b)| (f32::from_le_bytes(*a) - f32::from_le_bytes(*b)).abs() * 127.5)
        .fold(0.0, f32::max)
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut argument = || arguments.next().context("run `cargo xtask bench pictures`");
    let (python, script) = (argument()?, argument()?);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let component = root
        .join(COMPONENT)
        .canonicalize()
        .context("the component is not built: run `cargo xtask bench pictures`")?;
    let sandbox = Sandbox::new(&component)?;

    let directory =
        std::env::temp_dir().join(format!("tensorgate-pictures-{}", std::process::id()));
    std::fs::create_dir_all(&directory)?;
    let said = Command::new(python).arg(script).arg(&directory).output()?;
    ensure!(
        said.status.success(),
        "Python failed:\n{}",
        String::from_utf8_lossy(&said.stderr)
    );
    let lines = String::from_utf8(said.stdout)?;
    println!("JPEG 640 x 480 to floats [1, 224, 224, 3]; ms, the shortest of {ROUNDS} runs each");
    println!(
        "{:<14} {:>7} {:>7} {:>8} {:>9} {:>7} {:>10} {:>10} {:>12}",
        "file",
        "bytes",
        "native",
        "sandbox",
        "+instance",
        "Python",
        "of native",
        "of Python",
        "+instance"
    );
    for line in lines.lines() {
        let (name, python) = line.split_once(' ').context("a name and a time")?;
        let file = std::fs::read(directory.join(name))?;
        let reference = std::fs::read(directory.join(format!("{name}.224")))?;
        let best = ticking(&sandbox.engine, || measure(&sandbox, &file, &reference))?;
        let [native, inside, fresh] = best.map(|time| time.as_secs_f64() * 1e3);
        let python: f64 = python.parse()?;
        println!(
            "{name:<14} {:>7} {native:>7.2} {inside:>8.2} {fresh:>9.2} {python:>7.2} {:>9.2}x {:>9.2}x {:>11.2}x",
            file.len(),
            inside / native,
            inside / python,
            fresh / native,
        );
    }
    std::fs::remove_dir_all(&directory)?;
    Ok(())
}
