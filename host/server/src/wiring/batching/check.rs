//! What is wrong with batching parameters: in the words of the original, where it refuses them.

use tensorgate_proto::config::BatchingParameters;

use super::MAX_BATCH_SIZE;

/// Threads of one pool: as for those that run models, more than any machine has a use for.
const MAX_THREADS: i64 = 4096;

/// What is wrong with them.
pub(in super::super) fn check(parameters: &BatchingParameters) -> Result<(), String> {
    let most = parameters.max_batch_size.unwrap_or(MAX_BATCH_SIZE);
    if let Some(threads) = parameters.num_batch_threads.filter(|threads| *threads < 1) {
        return Err(format!("num_batch_threads must be positive; was {threads}"));
    }
    if let Some(threads) = parameters
        .num_batch_threads
        .filter(|threads| *threads > MAX_THREADS)
    {
        return Err(format!(
            "num_batch_threads must be at most {MAX_THREADS}; was {threads}"
        ));
    }
    if parameters
        .thread_pool_name
        .as_deref()
        .is_some_and(|name| name.contains('\0'))
    {
        return Err(
            "thread_pool_name has a NUL character, which no thread's name can have".to_owned(),
        );
    }
    check_ranges(parameters)?;
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

/// Numbers that the original takes for others, or for what makes it stand still.
fn check_ranges(parameters: &BatchingParameters) -> Result<(), String> {
    let sizes = parameters.allowed_batch_sizes.iter();
    let sizes = sizes.map(|size| ("allowed_batch_sizes", Some(*size)));
    let positive = [
        ("max_batch_size", parameters.max_batch_size),
        (
            "max_execution_batch_size",
            parameters.max_execution_batch_size,
        ),
    ];
    for (name, value) in positive.into_iter().chain(sizes) {
        if let Some(value) = value.filter(|value| *value < 1) {
            return Err(format!("{name} must be positive; was {value}"));
        }
    }
    for (name, value) in [
        ("batch_timeout_micros", parameters.batch_timeout_micros),
        ("max_enqueued_batches", parameters.max_enqueued_batches),
    ] {
        if let Some(value) = value.filter(|value| *value < 0) {
            return Err(format!("{name} must be non-negative; was {value}"));
        }
    }
    Ok(())
}
