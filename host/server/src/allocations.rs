//! Counts what is allocated: in builds for benchmarks only, since it costs some of every request.
//!
//! What TensorFlow allocates is not in it, nor are the pages of the sandbox.

use cap::Cap;
use mimalloc::MiMalloc;

/// The allocator of every build, in a counter, and without a limit.
#[global_allocator]
static COUNTED: Cap<MiMalloc> = Cap::new(MiMalloc, usize::MAX);

/// Bytes that were allocated since the start. What grows in place counts as if it were new.
pub(crate) fn bytes() -> u64 {
    COUNTED.total_allocated() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_allocated_is_counted_though_it_is_gone() {
        let before = bytes();
        drop(std::hint::black_box(vec![0u8; 1 << 20]));
        assert!(bytes() - before >= 1 << 20);
    }
}
