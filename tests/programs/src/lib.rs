//! Guest programs that tests run: one component per example in `examples/`.
