//! What the flags and the file on batching say, checked. Requests are not batched yet: a server
//! that is told to start here all the same, with a warning, and a file that the original would
//! refuse is refused in its words.

use std::path::Path;

use tensorgate_proto::config::{self as proto, BatchingParameters};

use crate::options::ServeOptions;

use super::ServedError;

/// What `max_batch_size` is when nobody says it.
const MAX_BATCH_SIZE: i64 = 1000;

/// Checks what the flags on batching say.
///
/// # Errors
/// What the original refuses to start with, or to load models with.
pub(crate) fn check_batching(options: &ServeOptions) -> Result<(), ServedError> {
    let Some(file) = &options.batching_parameters_file else {
        return Ok(());
    };
    if !options.enable_batching {
        return Err(ServedError::Invalid(
            "server_options.batching_parameters_file is set without setting \
             server_options.enable_batching to true."
                .to_owned(),
        ));
    }
    check(&read(file)?).map_err(ServedError::Invalid)
}

fn read(file: &Path) -> Result<BatchingParameters, ServedError> {
    let name = file.display();
    let text = crate::files::text(file).map_err(|error| {
        ServedError::Invalid(format!("cannot read the batching file '{name}': {error}"))
    })?;
    let message = "tensorflow.serving.BatchingParameters";
    proto::parse(message, &text).map_err(|error| ServedError::Malformed {
        line: format!("Error parsing text-format {message}: {error}"),
        error: format!("Invalid protobuf file: '{name}'"),
    })
}

pub(super) fn check(parameters: &BatchingParameters) -> Result<(), String> {
    let most = parameters.max_batch_size.unwrap_or(MAX_BATCH_SIZE);
    if let Some(threads) = parameters.num_batch_threads.filter(|threads| *threads < 1) {
        return Err(format!("num_batch_threads must be positive; was {threads}"));
    }
    if let Some(last) = parameters
        .allowed_batch_sizes
        .last()
        .filter(|last| **last != most)
    {
        return Err(format!(
            "Last entry in allowed_batch_sizes must match max_batch_size; last entry was {last}; \
             expected {most}"
        ));
    }
    if parameters.enable_large_batch_splitting == Some(true)
        && parameters
            .max_execution_batch_size
            .is_some_and(|size| size > most)
    {
        return Err(
            "When enable_large_batch_splitting is true, input_batch_size_limit must be greater \
             than or equal to max_execution_batch_size."
                .to_owned(),
        );
    }
    // The original requires this and does not check it.
    let sizes = &parameters.allowed_batch_sizes;
    if !sizes.is_sorted_by(|a, b| a < b) {
        return Err(format!(
            "allowed_batch_sizes must increase; they are {sizes:?}"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str, enable_batching: bool) -> Result<(), ServedError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        check_batching(&ServeOptions {
            enable_batching,
            batching_parameters_file: Some(file.path().to_owned()),
            ..ServeOptions::default()
        })
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
            assert_eq!(told(text, true), Ok(()), "{text}");
        }
    }

    #[test]
    fn refuses_in_the_words_of_the_original() {
        for (text, expected) in [
            (
                "num_batch_threads { value: 0 }",
                "num_batch_threads must be positive; was 0",
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
