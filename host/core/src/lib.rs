//! The shelf: which versions of which models are loaded.
