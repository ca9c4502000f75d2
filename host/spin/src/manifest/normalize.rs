//! The one form of a manifest: ids for all triggers, names for all components, one profile, and
//! dependencies that name no components.

use std::collections::HashSet;

use thiserror::Error;

use super::dependency::{Dependency, From, Inherit};
use super::forms::Source;
use super::schema::{Build, Component, ComponentId, ComponentRef, Manifest, Ordered, Trigger};
use crate::names::Case;

/// Why a manifest has no such form.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NormalizeError {
    /// No component has this profile.
    #[error("profile {0} is not defined in this application")]
    Profile(String),
    /// A dependency names a component that there is not, or one that has resources of its own.
    #[error("{0}")]
    Dependency(String),
}

impl Manifest {
    /// The one form of it, with a profile's values where one is named.
    ///
    /// # Errors
    ///
    /// There is no such profile, or a dependency names a component that cannot be one.
    pub fn normalized(mut self, profile: Option<&str>) -> Result<Self, NormalizeError> {
        if let Some(profile) = profile
            && !self.profiles().contains(profile)
        {
            return Err(NormalizeError::Profile(profile.to_owned()));
        }
        name_triggers(&mut self.triggers);
        name_components(&mut self);
        if let Some(profile) = profile {
            for component in self.components.values_mut() {
                apply(component, profile);
            }
        }
        resolve_dependencies(&mut self.components)?;
        Ok(self)
    }
}

/// `<component>-<type>-trigger` where the trigger names a component, else `<type>-trigger<n>`.
fn name_triggers(triggers: &mut Ordered<String, Vec<Trigger>>) {
    let mut taken: HashSet<String> = triggers
        .values()
        .flatten()
        .map(|trigger| trigger.id.clone())
        .collect();
    for (kind, triggers) in triggers {
        for trigger in triggers.iter_mut().filter(|trigger| trigger.id.is_empty()) {
            let natural = match &trigger.component {
                Some(ComponentRef::Id(id)) => Some(format!("{id}-{kind}-trigger")),
                _ => None,
            };
            let id = natural
                .filter(|id| !taken.contains(id))
                .unwrap_or_else(|| free(|number| format!("{kind}-trigger{number}"), &taken));
            taken.insert(id.clone());
            trigger.id = id;
        }
    }
}

/// The first of these that nobody has: there are more of them than are taken.
fn free(name: impl Fn(usize) -> String, taken: &HashSet<String>) -> String {
    (1..=taken.len())
        .map(&name)
        .find(|id| !taken.contains(id))
        .unwrap_or_else(|| name(taken.len() + 1))
}

/// Gives components that are written out in triggers a name and a place among the others.
fn name_components(manifest: &mut Manifest) {
    let Manifest {
        triggers,
        components,
        ..
    } = manifest;
    for trigger in triggers.values_mut().flatten() {
        let natural = format!("{}-component", trigger.id);
        let further = trigger.components.values_mut().flatten();
        let refs: Vec<&mut ComponentRef> = trigger.component.iter_mut().chain(further).collect();
        let several = refs.len() > 1;
        for reference in refs {
            if matches!(reference, ComponentRef::Id(_)) {
                continue;
            }
            let usable = !several
                && Case::Kebab.check(&natural).is_ok()
                && !components.contains_key(natural.as_str());
            let id = if usable {
                natural.clone()
            } else {
                let taken = components.keys().map(ToString::to_string).collect();
                free(|number| format!("inline-component{number}"), &taken)
            };
            let id = ComponentId(id);
            if let ComponentRef::Inline(component) =
                std::mem::replace(reference, ComponentRef::Id(id.clone()))
            {
                components.insert(id, *component);
            }
        }
    }
}

fn apply(component: &mut Component, profile: &str) {
    let Some(profile) = component.profile.get(profile).cloned() else {
        return;
    };
    if let Some(build) = profile.build {
        match &mut component.build {
            Some(existing) => existing.command = build.command,
            None => {
                component.build = Some(Build {
                    command: build.command,
                    workdir: None,
                    watch: Vec::new(),
                });
            }
        }
    }
    if let Some(source) = profile.source {
        component.source = source;
    }
    component.environment.extend(profile.environment);
    component.dependencies.extend(profile.dependencies);
}

/// Puts the sources of components in the place of their names, and says of each dependency what
/// it inherits.
fn resolve_dependencies(
    components: &mut Ordered<ComponentId, Component>,
) -> Result<(), NormalizeError> {
    let all = components.clone();
    for (id, component) in components {
        let inherits = component.dependencies_inherit_configuration.take();
        for dependency in component.dependencies.values_mut() {
            if let From::Component(named) = &dependency.from {
                let source =
                    dependency_source(&all, named, id).map_err(NormalizeError::Dependency)?;
                dependency.from = from_source(source);
            }
            set_inherit(dependency, inherits);
        }
    }
    Ok(())
}

fn set_inherit(dependency: &mut Dependency, all: Option<bool>) {
    if all == Some(true) {
        dependency.inherit = Some(Inherit::All(true));
    }
}

fn from_source(source: &Source) -> From {
    match source.clone() {
        Source::File(path) => From::File(path),
        Source::Url { url, digest } => From::Url { url, digest },
        Source::Registry {
            registry,
            package,
            version,
        } => From::Registry {
            registry,
            package: Some(package),
            version: format!("={version}"),
        },
    }
}

/// The source of a component that another one depends on.
///
/// What it has for itself would not be there when it is composed, so it may have nothing.
pub(super) fn dependency_source<'a>(
    components: &'a Ordered<ComponentId, Component>,
    named: &ComponentId,
    depender: &ComponentId,
) -> Result<&'a Source, String> {
    let Some(component) = components.get(named) else {
        return Err(format!("dependency ID {named} does not exist"));
    };
    let has = [
        ("ai_models", !component.ai_models.is_empty()),
        (
            "allowed_http_hosts",
            !component.allowed_http_hosts.is_empty(),
        ),
        (
            "allowed_outbound_hosts",
            !component.allowed_outbound_hosts.is_empty(),
        ),
        ("dependencies", !component.dependencies.is_empty()),
        ("environment", !component.environment.is_empty()),
        ("files", !component.files.is_empty()),
        ("key_value_stores", !component.key_value_stores.is_empty()),
        ("sqlite_databases", !component.sqlite_databases.is_empty()),
        ("variables", !component.variables.is_empty()),
    ];
    let has: Vec<&str> = has
        .iter()
        .filter_map(|&(key, has)| has.then_some(key))
        .collect();
    if has.is_empty() {
        Ok(&component.source)
    } else {
        Err(format!(
            "dependencies may not have their own resources or permissions. Component {named} \
             cannot be used as a dependency of {depender} because it specifies: {}",
            has.join(", ")
        ))
    }
}
