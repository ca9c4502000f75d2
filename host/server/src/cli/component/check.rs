//! `tensorgate component check`: what a server would say of a processor, without one.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use bytes::Bytes;
use tensorgate_edge::{Models, OpenModel, Processor, ProcessorOptions, Processors, Rights, Survey};
use tensorgate_types::{
    Error, ErrorCode, ModelSpec, ModelVersionStatus, Result, ServableId, Signatures, TensorInfo,
};

use crate::components::digest_of;
use crate::files;
use crate::options::ServeOptions;
use crate::wiring::{MAX_MIB, cache_dir, chain};

use super::super::flag::{self, Flag, Value};
use super::super::{complain, print, print_error, usage};

/// The tag of the graphs that are served.
const SERVE: &str = "serve";

#[derive(Debug, Default)]
struct Options {
    model_dir: Option<PathBuf>,
    model: Option<String>,
    help: bool,
}

const FLAGS: &[Flag<Options>] = &[
    Flag {
        name: "model_dir",
        default: "",
        value: Value::Text(|o, v| o.model_dir = Some(v.into()).filter(|_| !v.is_empty())),
        acts: true,
        help: "A version of a model, with its saved_model.pb: the processor is asked what it is \
               to it.",
    },
    Flag {
        name: "model",
        default: "",
        value: Value::Text(|o, v| o.model = Some(v.to_owned()).filter(|name| !name.is_empty())),
        acts: true,
        help: "What the model is called; the name of the directory above the version otherwise.",
    },
    Flag {
        name: "help",
        default: "false",
        value: Value::Bool(|o, v| o.help = v),
        acts: true,
        help: "Prints this and ends.",
    },
];

const USAGE: &str = "tensorgate component check [--model_dir=DIRECTORY] <file.wasm>";

/// Checks one file.
pub(super) fn run(args: &[String]) -> ExitCode {
    let flags: Vec<_> = FLAGS.iter().collect();
    let mut options = Options::default();
    let found = match flag::parse(&flags, args, &mut options) {
        Ok(found) => found,
        Err(error) => return complain(&error.to_string()),
    };
    if options.help {
        print(&format!("usage: {USAGE}\n\n{}", usage::help(&flags)));
        return ExitCode::SUCCESS;
    }
    let [file] = found.unknown.as_slice() else {
        return complain(&format!("usage: {USAGE}"));
    };
    if file.starts_with('-') {
        return complain(&format!("unknown argument: {file}"));
    }
    match check(Path::new(file), &options) {
        Ok(text) => {
            print(&text);
            ExitCode::SUCCESS
        }
        Err(error) => {
            print_error(&format!("tensorgate: {file}: {error}\n"));
            ExitCode::FAILURE
        }
    }
}

fn check(file: &Path, options: &Options) -> std::result::Result<String, String> {
    let kind = format!("a component of {MAX_MIB} MiB at most");
    let wasm = files::read(file, &kind, MAX_MIB << 20).map_err(|error| error.to_string())?;
    let subject = options.model_dir.as_deref().map(|directory| {
        let name = options.model.clone();
        subject(directory, name).map_err(|error| error.message().to_owned())
    });
    let subject = subject.transpose()?;
    let (length, digest) = (wasm.len(), digest_of(&wasm));
    let looked = runtime()?.block_on(look(wasm.into(), subject.as_ref()));
    let (survey, processor) = looked?;
    let mut text = format!("{length} bytes, sha256 {digest}\n");
    // Infallible, here and below: a String takes everything.
    let _ = writeln!(text, "asks for: {}", list(&survey.imports));
    let _ = writeln!(text, "gives:    {}", list(&survey.exports));
    let _ = writeln!(
        text,
        "fits the world model-processor of tensorgate:serving@0.1.0"
    );
    if let (Some(processor), Some((id, _))) = (processor, &subject) {
        describe(&mut text, &processor, id);
    }
    Ok(text)
}

/// Whether a server would take a component, whatever its model is.
///
/// # Errors
/// Why not.
pub(super) fn fits(wasm: Vec<u8>) -> std::result::Result<(), String> {
    runtime()?.block_on(look(wasm.into(), None)).map(drop)
}

fn runtime() -> std::result::Result<tokio::runtime::Runtime, String> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|error| error.to_string())
}

/// The model in a version directory, with the name that it has there.
fn subject(directory: &Path, name: Option<String>) -> Result<(ServableId, Signatures)> {
    let graphs = tensorgate_tensorflow::describe(directory)?;
    let served = graphs
        .iter()
        .find(|graph| graph.tags.iter().any(|tag| tag == SERVE));
    let graph = served
        .or(graphs.first())
        .ok_or_else(|| Error::not_found(format!("{} has no graph", directory.display())))?;
    let absolute = std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned());
    let part = |path: Option<&Path>| {
        let name = path.and_then(Path::file_name);
        name.map(|name| name.to_string_lossy().into_owned())
    };
    let version = part(Some(&absolute)).and_then(|version| version.parse().ok());
    let above = part(absolute.parent());
    let name = name.or(above).unwrap_or_else(|| "model".to_owned());
    let id = ServableId::new(name, version.unwrap_or(1));
    Ok((id, graph.signatures.clone()))
}

async fn look(
    wasm: Bytes,
    subject: Option<&(ServableId, Signatures)>,
) -> std::result::Result<(Survey, Option<Processor>), String> {
    let options = ProcessorOptions {
        threads: 1,
        slots: 1,
        ..ProcessorOptions::default()
    };
    // Where a server would look: what was compiled for a check is not compiled again.
    let cache = cache_dir(&ServeOptions::default());
    let processors = Processors::new(&options, cache.as_deref()).map_err(|error| chain(&error))?;
    let survey = processors.survey(wasm.clone()).await;
    let survey = survey.map_err(|error| chain(&error))?;
    let name = subject.map_or("model", |(id, _)| id.name.as_str());
    let component = processors.load(name, wasm, Rights::default(), Arc::new(NoModels));
    let component = component.await.map_err(|error| chain(&error))?;
    let Some((id, signatures)) = subject else {
        return Ok((survey, None));
    };
    let processor = component.attach(id, signatures).await;
    let processor = processor.map_err(|error| format!("with {id}: {}", chain(&error)))?;
    Ok((survey, Some(processor)))
}

fn list(names: &[String]) -> String {
    if names.is_empty() {
        return "nothing".to_owned();
    }
    names.join(", ")
}

/// What clients will see.
fn describe(text: &mut String, processor: &Processor, id: &ServableId) {
    let signatures = processor.signatures();
    let _ = writeln!(text, "{id}: covers");
    for (name, signature) in &signatures {
        let _ = writeln!(text, "  {name}");
        let types = processor.content_types(name);
        if !types.is_empty() {
            let _ = writeln!(text, "    bodies:  {}", types.join(", "));
        }
        let _ = writeln!(text, "    inputs:  {}", tensors(&signature.inputs));
        let _ = writeln!(text, "    outputs: {}", tensors(&signature.outputs));
    }
}

fn tensors(infos: &std::collections::BTreeMap<String, TensorInfo>) -> String {
    if infos.is_empty() {
        return "none".to_owned();
    }
    let one = |(name, info): (&String, &TensorInfo)| match &info.shape {
        None => format!("{name} {} of any rank", info.dtype),
        Some(shape) => format!("{name} {}{shape:?}", info.dtype),
    };
    infos.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// There are none to call here.
struct NoModels;

impl NoModels {
    fn none() -> Error {
        Error::new(ErrorCode::Unavailable, "a check has no models to call")
    }
}

impl Models for NoModels {
    fn open(&self, _spec: &ModelSpec, _request_bytes: usize) -> Result<Arc<dyn OpenModel>> {
        Err(Self::none())
    }

    fn status(&self, _name: &str, _version: Option<i64>) -> Result<Vec<ModelVersionStatus>> {
        Err(Self::none())
    }
}
