//! The door and the tensorgate binary.
