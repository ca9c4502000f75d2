//! Components that tests compose with each other: one per file in `examples/`.
//!
//! `front` asks `probe` to try whatever a dependency may be denied; `pair` uses a resource of
//! `models` through two interfaces. What they say to each other is in `wit/`.
