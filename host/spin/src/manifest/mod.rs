//! A `spin.toml` of version 2: its tables, and the rules that it must keep.
//!
//! [`validate`] names everything that is wrong with one, [`Manifest::normalized`] brings it into
//! the form that [`load`](crate::load) reads: triggers with ids, components with names, a
//! profile's values in place.

pub mod dependency;
mod forms;
pub mod http;
mod normalize;
mod problem;
mod rules;
mod schema;

use std::fmt;

use thiserror::Error;

pub use forms::{Commands, Mount, Source, Target};
pub use normalize::NormalizeError;
pub use problem::{Problem, Severity};
pub use schema::{
    Application, Build, Component, ComponentId, ComponentRef, DependencyKey, Label, Manifest,
    Ordered, Profile, ProfileBuild, Trigger, Variable, VariableName,
};

use problem::Collector;

/// A manifest that cannot be run.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub struct Invalid(pub Vec<Problem>);

impl fmt::Display for Invalid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, problem) in self.0.iter().enumerate() {
            if position > 0 {
                formatter.write_str("\n")?;
            }
            write!(formatter, "{problem}")?;
        }
        Ok(())
    }
}

/// Reads a manifest and holds it to the rules; gives what is only doubtful beside it.
///
/// # Errors
///
/// Something is wrong with it: all that is.
pub fn parse(text: &str) -> Result<(Manifest, Vec<Problem>), Invalid> {
    let mut collector = Collector::new(text);
    let manifest = match toml::from_str::<Manifest>(text) {
        Ok(manifest) => manifest,
        Err(error) => {
            collector.unreadable(&error);
            return Err(Invalid(collector.found));
        }
    };
    rules::check(&manifest, &mut collector);
    let (errors, warnings): (Vec<_>, Vec<_>) =
        collector.found.into_iter().partition(Problem::is_error);
    if errors.is_empty() {
        Ok((manifest, warnings))
    } else {
        Err(Invalid(errors.into_iter().chain(warnings).collect()))
    }
}

/// Everything that is wrong with a manifest, and what is doubtful; nothing when it is good.
#[must_use]
pub fn validate(text: &str) -> Vec<Problem> {
    match parse(text) {
        Ok((_, warnings)) => warnings,
        Err(Invalid(problems)) => problems,
    }
}
