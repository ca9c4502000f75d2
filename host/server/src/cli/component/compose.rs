//! `tensorgate component compose`: a component with what it imports inside, as one file.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use tensorgate_spin::compose::{Plug, plug};
use tensorgate_spin::lock::Inherit;

use crate::components::digest_of;
use crate::files;
use crate::wiring::MAX_MIB;

use super::super::flag::{Flag, Value};
use super::super::print;
use super::told::{self, Failed, Given};

#[derive(Debug, Default)]
struct Options {
    /// Files, and what they may use of what the host gives.
    with: Vec<(PathBuf, Inherit)>,
    output: Option<PathBuf>,
    help: bool,
}

const FLAGS: &[Flag<Options>] = &[
    Flag {
        name: "with",
        default: "",
        value: Value::Text(|o, v| o.with.push((v.into(), Inherit::All))),
        acts: true,
        help: "A component that exports what the first one imports; several times for several. It \
               may use what the host gives the whole.",
    },
    Flag {
        name: "with_denied",
        default: "",
        value: Value::Text(|o, v| o.with.push((v.into(), Inherit::default()))),
        acts: true,
        help: "The same for one that may use nothing of the host: no network, variables, \
               key-value stores, environment or files.",
    },
    Flag {
        name: "with_wasi",
        default: "",
        value: Value::Text(|o, v| o.with.push((v.into(), wasi()))),
        acts: true,
        help: "The same for one that may use what every host of WASI has: network, environment and \
               files, but neither variables nor key-value stores, which only Spin has.",
    },
    Flag {
        name: "output",
        default: "",
        value: Value::Text(|o, v| o.output = Some(v.into())),
        acts: true,
        help: "The file that is written; also -o.",
    },
    told::help(|options: &mut Options, help| options.help = help),
];

/// Of what a dependency can inherit, what hosts have that are not Spin.
fn wasi() -> Inherit {
    let of_wasi = ["allowed_outbound_hosts", "environment", "files"];
    Inherit::Some(of_wasi.map(str::to_owned).to_vec())
}

const USAGE: &str =
    "tensorgate component compose <file.wasm> --with=<other.wasm> --output=<out.wasm>";

/// Composes components.
pub(super) fn run(args: &[String]) -> ExitCode {
    let given = Given {
        flags: FLAGS,
        usage: USAGE,
        about: "Puts components into one: what the first imports, the others export. Imports that \
                nobody exports stay imports.",
    };
    // What every compiler calls it.
    let args: Vec<String> = args
        .iter()
        .map(|arg| match arg.as_str() {
            "-o" => "--output".to_owned(),
            other => other.to_owned(),
        })
        .collect();
    told::run(&given, &args, |options| options.help, compose)
}

fn compose(options: &Options, rest: &[String]) -> Result<(), Failed> {
    let misused = |what: &str| Failed::Misused(format!("{what}; usage: {USAGE}"));
    let [file] = rest else {
        return Err(misused("which component?"));
    };
    if options.with.is_empty() {
        return Err(misused("with what? expected --with"));
    }
    let Some(output) = &options.output else {
        return Err(misused("into which file? expected --output"));
    };
    let file = Path::new(file);
    let inputs = options.with.iter().map(|(path, _)| path.as_path());
    if inputs.chain([file]).any(|input| is_same(input, output)) {
        let shown = output.display();
        return Err(format!("{shown} is to be composed and cannot be written as well").into());
    }
    let socket = read(file)?;
    let plugs = options
        .with
        .iter()
        .map(|(path, inherit)| {
            Ok(Plug {
                name: path.display().to_string(),
                bytes: read(path)?,
                inherit: inherit.clone(),
            })
        })
        .collect::<Result<Vec<_>, Failed>>()?;
    let name = file.display().to_string();
    let composed = plug(&name, &socket, &plugs).map_err(|error| error.to_string())?;
    fs::write(output, &composed)
        .map_err(|error| format!("cannot write {}: {error}", output.display()))?;
    let output = output.display();
    let others = plugs.iter().map(|plug| said(&plug.name, &plug.bytes));
    print(&format!(
        "{}{}{}{output} is another file than {name}: what names one by its digest does not know the \
         other\n",
        said(&name, &socket),
        others.collect::<String>(),
        said(&output.to_string(), &composed),
    ));
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>, Failed> {
    let kind = format!("a component of {MAX_MIB} MiB at most");
    files::read(path, &kind, MAX_MIB << 20)
        .map_err(|error| Failed::Wrong(format!("{}: {error}", path.display())))
}

fn said(name: &str, wasm: &[u8]) -> String {
    format!("{name}: {} bytes, sha256 {}\n", wasm.len(), digest_of(wasm))
}

fn is_same(one: &Path, two: &Path) -> bool {
    match (fs::canonicalize(one), fs::canonicalize(two)) {
        (Ok(one), Ok(two)) => one == two,
        // One of them is not there.
        _ => false,
    }
}
