//! Spin components that tests run under `tensorgate up`, one for each file in `examples/`.
