//! How TensorFlow's sessions are made: the file that says it, and the flags that overwrite it.
//!
//! In come the options, out comes a serialized `ConfigProto`. As in the original, the flags on
//! threads and on the memory of GPUs win over the file even where they are at their defaults; over
//! the platform config file they do not.
//!
//! XLA differs: the original refuses to compile at all unless one of its two flags is set. Here
//! they decide whether graphs are compiled by themselves, as the file asks for it; a function that
//! its author marked to be compiled always is, or its model could not be served.

use std::path::Path;

use prost::Message as _;
use tensorgate_proto::config::parse_session_config;
use tensorgate_proto::tensorflow::optimizer_options::GlobalJitLevel;
use tensorgate_proto::tensorflow::rewriter_config::Toggle;
use tensorgate_proto::tensorflow::{ConfigProto, RewriterConfig};
use tensorgate_types::{Error, Result};
use tracing::{info, warn};

use crate::files;
use crate::options::ServeOptions;

/// Threads of one pool: far more than any machine has a use for, and far fewer than the system's
/// limit. Beyond that limit, and below one, TensorFlow ends the process instead of saying so.
const MAX_THREADS: i32 = 4096;

/// Devices of one kind. TensorFlow makes all of them, whatever there is.
const MAX_DEVICES: i32 = 4096;

/// The rewriter of graphs that `auto_parallel` turns on, by its name among `optimizers`.
const SPLITTER: &str = "autoparallel";

/// The serialized `ConfigProto` of all sessions.
///
/// # Errors
/// `INVALID_ARGUMENT` when flags contradict each other or the file is none.
pub(super) fn session_config(options: &ServeOptions) -> Result<Vec<u8>> {
    let mut config = match &options.platform {
        Some(platform) => platform.session_config.clone(),
        None => from_flags(options)?,
    };
    check(&config).map_err(Error::invalid_argument)?;
    if !(options.xla_cpu_compilation_enabled || options.xla_gpu_compilation_enabled) {
        let graphs = config.graph_options.get_or_insert_default();
        let optimizers = graphs.optimizer_options.get_or_insert_default();
        optimizers.set_global_jit_level(GlobalJitLevel::Off);
    }
    match options.mixed_precision.as_str() {
        "" => {}
        "bfloat16" => {
            info!("Running inference with bfloat16 auto mixed precision");
            let graphs = config.graph_options.get_or_insert_default();
            let rewrites = graphs.rewrite_options.get_or_insert_default();
            rewrites.set_auto_mixed_precision_onednn_bfloat16(Toggle::On);
        }
        other => warn!(
            "{other} auto mixed precision is not supported; the only value of --mixed_precision \
             is bfloat16"
        ),
    }
    Ok(config.encode_to_vec())
}

/// What the session config file says, and the flags that win over it.
fn from_flags(options: &ServeOptions) -> Result<ConfigProto> {
    let both = options.session_parallelism;
    let (intra, inter) = (options.intra_op_parallelism, options.inter_op_parallelism);
    if both > 0 && intra > 0 && inter > 0 {
        return Err(Error::invalid_argument(
            "Either configure server_options.tensorflow_session_parallelism or \
             (server_options.tensorflow_intra_op_parallelism, \
             server_options.tensorflow_inter_op_parallelism) separately. You cannot configure all.",
        ));
    }
    let mut config = match &options.session_config_file {
        Some(path) => read(path)?,
        None => ConfigProto::default(),
    };
    let (intra, inter) = parallelism(options);
    let by_one_flag = |flag| match (options.intra_op_parallelism, options.inter_op_parallelism) {
        (0, 0) => "--tensorflow_session_parallelism",
        _ => flag,
    };
    let flag = by_one_flag("--tensorflow_intra_op_parallelism");
    config.intra_op_parallelism_threads = threads(flag, intra, 0)?;
    let flag = by_one_flag("--tensorflow_inter_op_parallelism");
    config.inter_op_parallelism_threads = threads(flag, inter, i32::MIN)?;
    let fraction = f64::from(options.per_process_gpu_memory_fraction);
    check_fraction("--per_process_gpu_memory_fraction", fraction)
        .map_err(Error::invalid_argument)?;
    if fraction > 1.0 {
        warn!(
            "--per_process_gpu_memory_fraction is {fraction}, which is more than there is: \
             TensorFlow takes the memory of the host for the rest, and that is slow"
        );
    }
    if fraction != 0.0 || config.gpu_options.is_some() {
        let gpus = config.gpu_options.get_or_insert_default();
        gpus.per_process_gpu_memory_fraction = fraction;
    }
    Ok(config)
}

fn read(path: &Path) -> Result<ConfigProto> {
    let invalid = |problem: &dyn std::fmt::Display| {
        let path = path.display();
        Error::invalid_argument(format!("Invalid protobuf file: '{path}': {problem}"))
    };
    let text = files::text(path).map_err(|error| invalid(&error))?;
    parse_session_config(&text).map_err(|error| invalid(&error))
}

fn threads(flag: &str, count: i64, least: i32) -> Result<i32> {
    let checked = i32::try_from(count)
        .map_err(|_| out_of_range(flag, count))
        .and_then(|count| check_threads(flag, count, least).map(|()| count));
    checked.map_err(Error::invalid_argument)
}

/// What TensorFlow would not refuse: it would end the process.
fn check(config: &ConfigProto) -> Result<(), String> {
    let intra = config.intra_op_parallelism_threads;
    check_threads("intra_op_parallelism_threads", intra, 0)?;
    // Less than 0 means the thread that calls.
    let inter = config.inter_op_parallelism_threads;
    check_threads("inter_op_parallelism_threads", inter, i32::MIN)?;
    let mut all = 0_i64;
    for pool in &config.session_inter_op_thread_pool {
        check_threads(
            "session_inter_op_thread_pool.num_threads",
            pool.num_threads,
            0,
        )?;
        all += i64::from(pool.num_threads);
    }
    if all > i64::from(MAX_THREADS) {
        return Err(format!(
            "the pools of session_inter_op_thread_pool have {all} threads together; expected \
             {MAX_THREADS} at most"
        ));
    }
    for (kind, count) in &config.device_count {
        // Less than 0 is refused by TensorFlow in its own words.
        if *count > MAX_DEVICES {
            return Err(format!(
                "device_count of {kind} is {count}; expected {MAX_DEVICES} at most"
            ));
        }
    }
    let graphs = config.graph_options.as_ref();
    check_replicas(graphs.and_then(|graphs| graphs.rewrite_options.as_ref()))?;
    let gpus = config.gpu_options.as_ref();
    let fraction = gpus.map_or(0.0, |gpus| gpus.per_process_gpu_memory_fraction);
    check_fraction("gpu_options.per_process_gpu_memory_fraction", fraction)
}

fn check_threads(name: &str, count: i32, least: i32) -> Result<(), String> {
    if (least..=MAX_THREADS).contains(&count) {
        Ok(())
    } else {
        Err(out_of_range(name, count.into()))
    }
}

fn out_of_range(name: &str, count: i64) -> String {
    format!("{name} is {count}; expected a number of threads, from 0 to {MAX_THREADS}")
}

/// The one rewriter that TensorFlow ends the process over: a graph cannot be split into fewer than
/// two.
fn check_replicas(rewrites: Option<&RewriterConfig>) -> Result<(), String> {
    let Some(rewrites) = rewrites else {
        return Ok(());
    };
    let split = rewrites.auto_parallel.unwrap_or_default();
    let mut custom = rewrites.custom_optimizers.iter().map(|it| &it.name);
    let is_on = split.enable
        || rewrites.optimizers.iter().any(|name| name == SPLITTER)
        || custom.any(|name| name == SPLITTER);
    if is_on && !(2..=MAX_DEVICES).contains(&split.num_replicas) {
        return Err(format!(
            "rewrite_options.auto_parallel.num_replicas is {}, and {SPLITTER} is on; expected 2 \
             to {MAX_DEVICES}",
            split.num_replicas
        ));
    }
    Ok(())
}

/// More than 1 is TensorFlow's way to ask for the memory of the host too.
fn check_fraction(name: &str, fraction: f64) -> Result<(), String> {
    if fraction.is_finite() && fraction >= 0.0 {
        Ok(())
    } else {
        Err(format!(
            "{name} is {fraction}, no part of a GPU's memory; expected a number from 0 to 1"
        ))
    }
}

/// Threads for one operation, and for operations side by side: either of the two flags rules out
/// the one that sets both.
pub(super) fn parallelism(options: &ServeOptions) -> (i64, i64) {
    if let Some(platform) = &options.platform {
        let config = &platform.session_config;
        let (intra, inter) = (
            config.intra_op_parallelism_threads,
            config.inter_op_parallelism_threads,
        );
        return (intra.into(), inter.into());
    }
    let (intra, inter) = (options.intra_op_parallelism, options.inter_op_parallelism);
    if intra != 0 || inter != 0 {
        (intra, inter)
    } else {
        (options.session_parallelism, options.session_parallelism)
    }
}

#[cfg(test)]
mod tests {
    use crate::options::PlatformOptions;

    use super::*;

    fn config(options: &ServeOptions) -> Result<ConfigProto> {
        Ok(ConfigProto::decode(session_config(options)?.as_slice()).unwrap())
    }

    fn threads(both: i64, intra: i64, inter: i64) -> Result<(i32, i32)> {
        let config = config(&ServeOptions {
            session_parallelism: both,
            intra_op_parallelism: intra,
            inter_op_parallelism: inter,
            ..ServeOptions::default()
        })?;
        Ok((
            config.intra_op_parallelism_threads,
            config.inter_op_parallelism_threads,
        ))
    }

    #[test]
    fn three_flags_say_how_many_threads_there_are() {
        assert_eq!(threads(0, 0, 0).unwrap(), (0, 0));
        assert_eq!(threads(3, 0, 0).unwrap(), (3, 3));
        assert_eq!(threads(3, 1, 0).unwrap(), (1, 0));
        assert_eq!(threads(0, 1, 2).unwrap(), (1, 2));
        assert!(threads(3, 1, 2).is_err());
        // The thread that calls, as in the original.
        assert_eq!(threads(0, 1, -1).unwrap(), (1, -1));
        for ((both, intra, inter), flag) in [
            (
                (i64::MAX, 0, 0),
                "--tensorflow_session_parallelism is 9223372036854775807;",
            ),
            (
                (-1, 0, 0),
                "--tensorflow_session_parallelism is -1; expected a number of threads",
            ),
            (
                (100_000, 0, 0),
                "--tensorflow_session_parallelism is 100000;",
            ),
            ((4, -1, 0), "--tensorflow_intra_op_parallelism is -1;"),
            ((0, 4097, 0), "--tensorflow_intra_op_parallelism is 4097;"),
            ((0, 0, 4097), "--tensorflow_inter_op_parallelism is 4097;"),
        ] {
            let error = threads(both, intra, inter).unwrap_err();
            assert!(error.message().starts_with(flag), "{error}");
        }
    }

    #[test]
    fn what_would_end_the_process_is_refused_by_name() {
        let pool = "session_inter_op_thread_pool";
        let most = format!("{pool} {{ num_threads: 4096 }} {pool} {{ global_name: 'x' }}");
        let rewrites = |text: &str| format!("graph_options {{ rewrite_options {{ {text} }} }}");
        for good in [
            most.clone(),
            rewrites("auto_parallel { enable: true num_replicas: 2 }"),
            rewrites("auto_parallel { num_replicas: -2 } optimizers: 'remap'"),
        ] {
            let (_file, options) = with_file(&good);
            assert!(config(&options).is_ok(), "{good}");
        }
        for (text, words) in [
            (
                format!("{pool} {{ num_threads: -7 }}"),
                format!("{pool}.num_threads is -7; expected a number of threads, from 0 to 4096"),
            ),
            (
                format!("{pool} {{ num_threads: 100000 }}"),
                format!("{pool}.num_threads is 100000;"),
            ),
            (
                format!("{most} {pool} {{ num_threads: 1 }}"),
                format!("the pools of {pool} have 4097 threads together;"),
            ),
            (
                "device_count { key: 'CPU' value: 1000000 }".to_owned(),
                "device_count of CPU is 1000000; expected 4096 at most".to_owned(),
            ),
            (
                rewrites("auto_parallel { enable: true num_replicas: 1 }"),
                "rewrite_options.auto_parallel.num_replicas is 1, and autoparallel is on; "
                    .to_owned(),
            ),
            (
                rewrites("optimizers: 'autoparallel'"),
                "rewrite_options.auto_parallel.num_replicas is 0, ".to_owned(),
            ),
            (
                rewrites("custom_optimizers { name: 'autoparallel' }"),
                "rewrite_options.auto_parallel.num_replicas is 0, ".to_owned(),
            ),
        ] {
            let (_file, options) = with_file(&text);
            let error = config(&options).unwrap_err();
            assert!(error.message().starts_with(&words), "{error}");
        }
        // The platform config file stands alone: no flag overwrites what it says.
        for (text, name) in [
            (
                "intra_op_parallelism_threads: -1",
                "intra_op_parallelism_threads is -1;",
            ),
            (
                "inter_op_parallelism_threads: 5000",
                "inter_op_parallelism_threads is 5000;",
            ),
            (
                "gpu_options { per_process_gpu_memory_fraction: -1 }",
                "gpu_options.per_process_gpu_memory_fraction is -1,",
            ),
        ] {
            let options = ServeOptions {
                platform: Some(PlatformOptions {
                    session_config: parse_session_config(text).unwrap(),
                    ..PlatformOptions::default()
                }),
                ..ServeOptions::default()
            };
            let error = config(&options).unwrap_err();
            assert!(error.message().starts_with(name), "{error}");
        }
    }

    fn with_file(text: &str) -> (tempfile::NamedTempFile, ServeOptions) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let options = ServeOptions {
            session_config_file: Some(file.path().to_owned()),
            ..ServeOptions::default()
        };
        (file, options)
    }

    #[test]
    fn flags_overwrite_the_file_even_with_zero_and_leave_the_rest() {
        let (_file, mut options) = with_file(
            "intra_op_parallelism_threads: 7 inter_op_parallelism_threads: 8 # overwritten
             device_count { key: 'CPU' value: 2 }
             gpu_options { per_process_gpu_memory_fraction: 0.9, allow_growth: true }
             graph_options {
               optimizer_options { global_jit_level: ON_1 opt_level: L0 }
               rewrite_options { remapping: OFF }
             }
             experimental { session_metadata { name: 'm' version: 1 } }",
        );
        let read = config(&options).unwrap();
        assert_eq!(read.intra_op_parallelism_threads, 0);
        assert_eq!(read.inter_op_parallelism_threads, 0);
        assert_eq!(read.device_count["CPU"], 2);
        let gpus = read.gpu_options.unwrap();
        assert_eq!(gpus.per_process_gpu_memory_fraction, 0.0);
        assert!(gpus.allow_growth);
        let graphs = read.graph_options.unwrap();
        let optimizers = graphs.optimizer_options.unwrap();
        assert_eq!(optimizers.global_jit_level(), GlobalJitLevel::Off);
        assert_eq!(optimizers.opt_level, -1);
        assert_eq!(graphs.rewrite_options.unwrap().remapping(), Toggle::Off);
        assert!(read.experimental.unwrap().session_metadata.is_some());

        options.xla_gpu_compilation_enabled = true;
        options.per_process_gpu_memory_fraction = 0.25;
        options.inter_op_parallelism = 3;
        options.mixed_precision = "bfloat16".to_owned();
        let read = config(&options).unwrap();
        assert_eq!(read.inter_op_parallelism_threads, 3);
        let gpus = read.gpu_options.unwrap();
        assert_eq!(gpus.per_process_gpu_memory_fraction, 0.25);
        let graphs = read.graph_options.unwrap();
        let jit = graphs.optimizer_options.unwrap().global_jit_level();
        assert_eq!(jit, GlobalJitLevel::On1);
        let precision = graphs.rewrite_options.unwrap();
        let precision = precision.auto_mixed_precision_onednn_bfloat16();
        assert_eq!(precision, Toggle::On);
    }

    #[test]
    fn a_part_of_the_memory_is_not_negative() {
        for fraction in [-0.1, f32::NAN, f32::INFINITY] {
            let options = ServeOptions {
                per_process_gpu_memory_fraction: fraction,
                ..ServeOptions::default()
            };
            let error = config(&options).unwrap_err().to_string();
            assert!(
                error.contains("--per_process_gpu_memory_fraction is "),
                "{error}"
            );
        }
        // The original hands it on, and TensorFlow then takes the memory of the host too.
        let options = ServeOptions {
            per_process_gpu_memory_fraction: 1.5,
            ..ServeOptions::default()
        };
        let gpus = config(&options).unwrap().gpu_options.unwrap();
        assert_eq!(gpus.per_process_gpu_memory_fraction, 1.5);
    }

    #[test]
    fn another_precision_changes_nothing() {
        let options = ServeOptions {
            mixed_precision: "float16".to_owned(),
            ..ServeOptions::default()
        };
        let other = config(&options).unwrap();
        assert_eq!(other, config(&ServeOptions::default()).unwrap());
    }

    #[test]
    fn a_file_that_is_none_is_refused_with_its_name() {
        let (file, options) = with_file("intra_op_threads: 7");
        let error = config(&options).unwrap_err().to_string();
        let words = format!(
            "INVALID_ARGUMENT: Invalid protobuf file: '{}': ",
            file.path().display()
        );
        assert!(error.starts_with(&words), "{error}");
        let missing = ServeOptions {
            session_config_file: Some("/not/there".into()),
            ..ServeOptions::default()
        };
        let error = config(&missing).unwrap_err().to_string();
        assert!(error.contains("'/not/there': No such file"), "{error}");
        let directory = ServeOptions {
            session_config_file: Some("/".into()),
            ..ServeOptions::default()
        };
        let error = config(&directory).unwrap_err().to_string();
        assert!(error.contains("expected a text file"), "{error}");
    }
}
