//! What the flags and the files on batching say, checked, and made into the belt's settings.
//!
//! A file that the original would refuse is refused in its words.

mod check;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tensorgate_batching::{Adaptive, Belt, BeltOptions, Lane, LaneOptions, Observer, Splitting};
use tensorgate_proto::config::{self as proto, BatchingParameters};
use tensorgate_types::{Error, ServableId, Signatures};

use crate::options::{ModelBatching, ServeOptions};

use super::ServedError;
use super::press::Rider;
pub(super) use check::check;

/// What `max_batch_size` is when nobody says it.
const MAX_BATCH_SIZE: i64 = 1000;

/// Who makes requests wait for longer on an idle server is told so.
const LONG_TIMEOUT: Duration = Duration::from_secs(10);

/// What `max_batch_size` is then in the adaptive mode, where it refuses nobody.
const ADAPTIVE_BATCH_SIZE: usize = 1024;

/// The file of a version that says how it is batched.
const FILE: &str = "batching_params.pbtxt";

/// How versions are batched, as the operator said it.
#[derive(Debug, Clone)]
pub(crate) struct Batching {
    /// What the file for all of them says; nothing where there is none.
    parameters: BatchingParameters,
    /// Whether each version says it for itself, or is not batched.
    per_model: bool,
    adaptive: bool,
    models: ModelBatching,
}

impl Batching {
    /// What flags and file say; none where nothing is to be batched.
    ///
    /// # Errors
    /// What the original refuses to start with, or to load models with.
    pub(crate) fn new(options: &ServeOptions) -> Result<Option<Self>, ServedError> {
        let is_on = options.enable_batching || options.adaptive_batching;
        let of_platform = options.platform.as_ref();
        let parameters = match &options.batching_parameters_file {
            None => of_platform
                .and_then(|platform| platform.batching_parameters.clone())
                .unwrap_or_default(),
            Some(_) if !is_on => {
                return Err(ServedError::Invalid(
                    "server_options.batching_parameters_file is set without setting \
                     server_options.enable_batching to true."
                        .to_owned(),
                ));
            }
            Some(file) => read(file)?,
        };
        check(&parameters).map_err(ServedError::Invalid)?;
        let given = [
            (
                "enable_per_model_batching_parameters",
                options.enable_per_model_batching_parameters,
            ),
            (
                "model_batching",
                options.model_batching != ModelBatching::default(),
            ),
        ];
        for (flag, _) in given.iter().filter(|(_, given)| *given && !is_on) {
            tracing::warn!(
                "--{flag} has no effect without --enable_batching or --adaptive_batching"
            );
        }
        Ok(is_on.then(|| Self {
            parameters,
            per_model: options.enable_per_model_batching_parameters,
            adaptive: options.adaptive_batching,
            models: options.model_batching.clone(),
        }))
    }

    /// Batches at once. Unless the operator says how many, there are enough for `workers`.
    pub(crate) fn threads(&self, workers: usize) -> usize {
        let defaults = BeltOptions::default();
        let said = self.parameters.num_batch_threads.map(size);
        if let Some(threads) = said.filter(|threads| *threads < workers) {
            tracing::warn!(
                "num_batch_threads is {threads}, so that {threads} of the {workers} workers can \
                 be busy at a time"
            );
        }
        said.unwrap_or(defaults.threads.max(workers))
    }

    /// The belt, with so many threads.
    ///
    /// # Errors
    /// When the system gives no more threads.
    pub(crate) fn belt(
        &self,
        threads: usize,
        observer: impl Observer,
    ) -> Result<Arc<Belt<Rider>>, Error> {
        let defaults = BeltOptions::default();
        let parameters = &self.parameters;
        let options = BeltOptions {
            threads,
            thread_name: parameters
                .thread_pool_name
                .clone()
                .filter(|name| !name.is_empty())
                .unwrap_or(defaults.thread_name),
            alone_queue: defaults.alone_queue,
        };
        Belt::new(&options, observer)
            .map(Arc::new)
            .map_err(|error| Error::internal("cannot start the batch threads").with_source(error))
    }

    /// The lane of a version that was loaded from `path`; none where it is not batched.
    ///
    /// # Errors
    /// What is wrong with the version's own file.
    pub(crate) fn lane(
        &self,
        id: &ServableId,
        path: &Path,
        signatures: &Signatures,
    ) -> Result<Option<Arc<Lane>>, Error> {
        let own;
        let parameters = if self.per_model {
            let file = path.join(FILE);
            match crate::files::text(&file) {
                Ok(text) => {
                    own = parse(&file, &text).map_err(refused)?;
                    check(&own).map_err(Error::invalid_argument)?;
                    &own
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    tracing::info!("{id} has no {FILE}: its requests are run one by one");
                    return Ok(None);
                }
                Err(error) => {
                    let file = file.display();
                    return Err(Error::invalid_argument(format!(
                        "cannot read the batching file '{file}': {error}"
                    )));
                }
            }
        } else {
            &self.parameters
        };
        tracing::info!("Wrapping session to perform batch processing");
        let options = self.lane_options(&id.name, parameters);
        if options.batch_timeout > LONG_TIMEOUT {
            tracing::warn!(
                "{id}: batch_timeout_micros is {}, so that a request that nobody joins waits for \
                 {:?}",
                options.batch_timeout.as_micros(),
                options.batch_timeout
            );
        }
        Ok(Some(Arc::new(Lane::new(id.clone(), signatures, options))))
    }

    fn lane_options(&self, model: &str, parameters: &BatchingParameters) -> LaneOptions {
        let defaults = LaneOptions::default();
        let of_model = self.models.of(model);
        let largest = match (parameters.max_batch_size, self.adaptive) {
            (None, true) => ADAPTIVE_BATCH_SIZE,
            (said, _) => size(said.unwrap_or(MAX_BATCH_SIZE)),
        };
        let splits = parameters.enable_large_batch_splitting == Some(true);
        let adaptive = self.adaptive.then_some(Adaptive {
            latency_target: of_model.latency_target,
        });
        LaneOptions {
            max_batch_size: largest,
            batch_timeout: Duration::from_micros(
                parameters
                    .batch_timeout_micros
                    .and_then(|micros| micros.try_into().ok())
                    .unwrap_or_default(),
            ),
            max_enqueued_batches: parameters
                .max_enqueued_batches
                .map_or(defaults.max_enqueued_batches, size),
            allowed_batch_sizes: parameters
                .allowed_batch_sizes
                .iter()
                .map(|allowed| size(*allowed))
                .collect(),
            pad_variable_length_inputs: parameters.pad_variable_length_inputs,
            splitting: splits.then(|| Splitting {
                max_execution_batch_size: parameters.max_execution_batch_size.map_or(largest, size),
            }),
            weight: of_model.weight,
            adaptive,
        }
    }
}

/// A number of rows, batches or threads; at least one.
fn size(number: i64) -> usize {
    usize::try_from(number).unwrap_or(1).max(1)
}

fn refused(error: ServedError) -> Error {
    match error {
        ServedError::Malformed { line, error } => {
            Error::invalid_argument(format!("{error} {line}"))
        }
        ServedError::Invalid(error) => Error::invalid_argument(error),
    }
}

fn read(file: &Path) -> Result<BatchingParameters, ServedError> {
    let text = crate::files::text(file).map_err(|error| {
        let name = file.display();
        ServedError::Invalid(format!("cannot read the batching file '{name}': {error}"))
    })?;
    parse(file, &text)
}

fn parse(file: &Path, text: &str) -> Result<BatchingParameters, ServedError> {
    let message = "tensorflow.serving.BatchingParameters";
    proto::parse(message, text).map_err(|error| ServedError::Malformed {
        line: format!("Error parsing text-format {message}: {error}"),
        error: format!("Invalid protobuf file: '{}'", file.display()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::PlatformOptions;

    fn told(text: &str, enable_batching: bool) -> Result<Option<LaneOptions>, ServedError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let batching = Batching::new(&ServeOptions {
            enable_batching,
            batching_parameters_file: Some(file.path().to_owned()),
            ..ServeOptions::default()
        })?;
        Ok(batching.map(|batching| batching.lane_options("m", &batching.parameters)))
    }

    #[test]
    fn takes_what_the_original_takes() {
        for text in [
            "",
            "max_batch_size { value: 128 } allowed_batch_sizes: [ 1, 16, 128 ]",
            "batch_timeout_micros { value: 0 } num_batch_threads { value: 8 }
             max_enqueued_batches { value: 1000 } pad_variable_length_inputs: true
             thread_pool_name { value: 'pool' }
             enable_large_batch_splitting { value: true } max_execution_batch_size { value: 10 }",
        ] {
            assert!(told(text, true).is_ok(), "{text}");
        }
    }

    #[test]
    fn settings_are_those_of_the_file() {
        let text = "max_batch_size { value: 128 } batch_timeout_micros { value: 1500 }
                    max_enqueued_batches { value: 0 } allowed_batch_sizes: [ 16, 128 ]
                    pad_variable_length_inputs: true
                    enable_large_batch_splitting { value: true }
                    max_execution_batch_size { value: 64 }";
        let expected = LaneOptions {
            max_batch_size: 128,
            batch_timeout: Duration::from_micros(1500),
            max_enqueued_batches: 1,
            allowed_batch_sizes: vec![16, 128],
            pad_variable_length_inputs: true,
            splitting: Some(Splitting {
                max_execution_batch_size: 64,
            }),
            weight: 1.0,
            adaptive: None,
        };
        assert_eq!(told(text, true), Ok(Some(expected)));
        assert_eq!(told("", true), Ok(Some(LaneOptions::default())));
    }

    fn version(text: Option<&str>, options: &ServeOptions) -> Result<Option<Arc<Lane>>, Error> {
        let directory = tempfile::tempdir().unwrap();
        if let Some(text) = text {
            std::fs::write(directory.path().join(FILE), text).unwrap();
        }
        let batching = Batching::new(options).unwrap().unwrap();
        let id = ServableId::new("m", 1);
        batching.lane(&id, directory.path(), &Signatures::new())
    }

    #[test]
    fn each_version_can_say_it_for_itself() {
        let options = ServeOptions {
            enable_batching: true,
            enable_per_model_batching_parameters: true,
            ..ServeOptions::default()
        };
        assert!(version(None, &options).unwrap().is_none());
        let lane = version(Some("max_batch_size { value: 7 }"), &options);
        assert_eq!(lane.unwrap().unwrap().options().max_batch_size, 7);
        for (text, expected) in [
            ("max_batch_size: 7", "Invalid protobuf file: '"),
            (
                "allowed_batch_sizes: 4",
                "Last entry in allowed_batch_sizes must match",
            ),
        ] {
            let error = version(Some(text), &options).unwrap_err();
            assert!(error.message().starts_with(expected), "{error}");
        }
        let for_all = ServeOptions {
            enable_per_model_batching_parameters: false,
            ..options
        };
        let lane = version(Some("max_batch_size { value: 7 }"), &for_all);
        assert_eq!(lane.unwrap().unwrap().options(), &LaneOptions::default());
    }

    #[test]
    fn the_platform_file_says_it_too() {
        let options = ServeOptions {
            enable_batching: true,
            enable_per_model_batching_parameters: true,
            platform: Some(PlatformOptions {
                batching_parameters: Some(BatchingParameters {
                    max_batch_size: Some(7),
                    ..BatchingParameters::default()
                }),
                ..PlatformOptions::default()
            }),
            ..ServeOptions::default()
        };
        assert!(version(None, &options).unwrap().is_none());
        let for_all = ServeOptions {
            enable_per_model_batching_parameters: false,
            ..options
        };
        let lane = version(None, &for_all).unwrap().unwrap();
        assert_eq!(lane.options().max_batch_size, 7);
    }

    #[test]
    fn the_adaptive_mode_has_a_target_for_each_model() {
        let models = "m:weight=2.5:latency_target_in_ms=20";
        let options = ServeOptions {
            adaptive_batching: true,
            model_batching: ModelBatching::parse(models).unwrap(),
            ..ServeOptions::default()
        };
        let lane = version(None, &options).unwrap().unwrap();
        let target = Duration::from_millis(20);
        assert_eq!(
            lane.options(),
            &LaneOptions {
                max_batch_size: ADAPTIVE_BATCH_SIZE,
                weight: 2.5,
                adaptive: Some(Adaptive {
                    latency_target: target
                }),
                ..LaneOptions::default()
            }
        );
    }

    #[test]
    fn refuses_in_the_words_of_the_original() {
        for (text, expected) in [
            (
                "num_batch_threads { value: 0 }",
                "num_batch_threads must be positive; was 0",
            ),
            (
                "max_batch_size { value: 0 }",
                "max_batch_size must be positive; was 0",
            ),
            (
                "allowed_batch_sizes: [ -4, 1000 ]",
                "allowed_batch_sizes must be positive; was -4",
            ),
            (
                "batch_timeout_micros { value: -1 }",
                "batch_timeout_micros must be non-negative; was -1",
            ),
            (
                r"thread_pool_name { value: 'a\000b' }",
                "thread_pool_name has a NUL character, which no thread's name can have",
            ),
            (
                "num_batch_threads { value: 4097 }",
                "num_batch_threads must be at most 4096; was 4097",
            ),
            (
                "max_batch_size { value: 8 } allowed_batch_sizes: 4",
                "Last entry in allowed_batch_sizes must match max_batch_size; last entry was 4; \
                 expected 8",
            ),
            (
                "allowed_batch_sizes: 4",
                "Last entry in allowed_batch_sizes must match max_batch_size; last entry was 4; \
                 expected 1000",
            ),
            (
                "enable_large_batch_splitting { value: true } max_batch_size { value: 8 }
                 max_execution_batch_size { value: 9 }",
                "When enable_large_batch_splitting is true, input_batch_size_limit must be \
                 greater than or equal to max_execution_batch_size.",
            ),
            (
                "allowed_batch_sizes: [ 8, 4, 1000 ]",
                "allowed_batch_sizes must increase; they are [8, 4, 1000]",
            ),
        ] {
            let expected = ServedError::Invalid(expected.to_owned());
            assert_eq!(told(text, true), Err(expected), "{text}");
        }
        let Err(ServedError::Invalid(message)) = told("", false) else {
            panic!("it is taken");
        };
        assert!(message.starts_with("server_options.batching_parameters_file is set without"));
        let Err(ServedError::Malformed { line, error }) = told("max_batch_size: 3", true) else {
            panic!("it parses");
        };
        let start = "Error parsing text-format tensorflow.serving.BatchingParameters: ";
        assert!(line.starts_with(start), "{line}");
        assert!(error.starts_with("Invalid protobuf file: '/"), "{error}");
    }
}
