//! The gateway component.
