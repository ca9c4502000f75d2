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
use tensorgate_proto::tensorflow::ConfigProto;
use tensorgate_proto::tensorflow::optimizer_options::GlobalJitLevel;
use tensorgate_proto::tensorflow::rewriter_config::Toggle;
use tensorgate_types::{Error, Result};
use tracing::{info, warn};

use crate::files;
use crate::options::ServeOptions;

/// The serialized `ConfigProto` of all sessions.
///
/// # Errors
/// `INVALID_ARGUMENT` when flags contradict each other or the file is none.
pub(super) fn session_config(options: &ServeOptions) -> Result<Vec<u8>> {
    let mut config = match &options.platform {
        Some(platform) => platform.session_config.clone(),
        None => from_flags(options)?,
    };
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
    config.intra_op_parallelism_threads = threads(intra)?;
    config.inter_op_parallelism_threads = threads(inter)?;
    let fraction = f64::from(options.per_process_gpu_memory_fraction);
    if !(fraction.is_finite() && fraction >= 0.0) {
        return Err(Error::invalid_argument(format!(
            "{fraction} is no part of a GPU's memory; expected a number from 0 to 1"
        )));
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

fn threads(count: i64) -> Result<i32> {
    i32::try_from(count)
        .map_err(|_| Error::invalid_argument(format!("{count} is no number of threads")))
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
        assert!(threads(i64::MAX, 0, 0).is_err());
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
            assert!(config(&options).is_err());
        }
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
