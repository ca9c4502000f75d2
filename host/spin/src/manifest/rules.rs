//! Rules of a manifest that reach over several of its values.

use std::collections::{BTreeMap, HashSet};

use serde::Deserialize as _;

use super::dependency::{Dependency, From};
use super::forms::{Mount, Source};
use super::http::{Executor, HTTP_LIKE, HttpTrigger, RouteSetting};
use super::normalize::dependency_source;
use super::problem::Collector;
use super::schema::{
    Component, ComponentId, ComponentRef, DependencyKey, Manifest, Ordered, Trigger,
};
use crate::names::DependencyName;
use crate::template::Template;
use crate::{hosts, routes};

/// Collects everything that is wrong.
pub(super) fn check(manifest: &Manifest, problems: &mut Collector<'_>) {
    check_application(manifest, problems);
    for (name, variable) in &manifest.variables {
        if variable.required == variable.default.is_some() {
            let message = "must be `required` OR have a `default`";
            problems.error(&["variables", &name.0], message);
        }
    }
    for (id, component) in &manifest.components {
        check_component(manifest, id, component, &["component", &id.0], problems);
    }
    check_trigger_ids(manifest, problems);
    for (kind, triggers) in &manifest.triggers {
        for (position, trigger) in triggers.iter().enumerate() {
            let position = position.to_string();
            check_trigger(
                manifest,
                kind,
                trigger,
                &["trigger", kind, &position],
                problems,
            );
        }
    }
    check_routes(manifest, problems);
}

fn check_application(manifest: &Manifest, problems: &mut Collector<'_>) {
    let application = &manifest.application;
    if application.name.is_empty() {
        problems.error(&["application", "name"], "empty, expected the app's name");
    }
    if !application.version.is_empty()
        && let Err(error) = semver::Version::parse(&application.version)
    {
        let version = &application.version;
        let message = format!("{version:?} is not a version: {error}");
        problems.warning(&["application", "version"], message);
    }
    if manifest.triggers.values().all(Vec::is_empty) {
        problems.warning(&["trigger"], "no trigger, so no component ever runs");
    }
    let Some(http) = application.trigger.get("http") else {
        return;
    };
    for (key, value) in http {
        let path = ["application", "trigger", "http", key.as_str()];
        match (key.as_str(), value.as_str()) {
            ("base", Some("/")) => {
                problems.warning(&path, "`base` is deprecated and can be left out");
            }
            ("base", _) => problems.error(
                &path,
                "`base` is no longer supported, expected \"/\": write it into the routes",
            ),
            _ => problems.error(&path, format!("unknown field `{key}`, expected `base`")),
        }
    }
}

fn check_trigger_ids(manifest: &Manifest, problems: &mut Collector<'_>) {
    let mut seen = HashSet::new();
    for (kind, triggers) in &manifest.triggers {
        for (position, trigger) in triggers.iter().enumerate() {
            if !trigger.id.is_empty() && !seen.insert(&trigger.id) {
                let path = ["trigger", kind, &position.to_string(), "id"];
                problems.error(
                    &path,
                    format!("another trigger has the id {:?}", trigger.id),
                );
            }
        }
    }
}

fn check_trigger(
    manifest: &Manifest,
    kind: &str,
    trigger: &Trigger,
    path: &[&str],
    problems: &mut Collector<'_>,
) {
    let further = trigger.components.values().flatten();
    for reference in trigger.component.iter().chain(further) {
        match reference {
            ComponentRef::Id(id) if !manifest.components.contains_key(id) => {
                let mut known: Vec<&str> = manifest.components.keys().map(|id| &*id.0).collect();
                known.sort_unstable();
                let message = match known.as_slice() {
                    [] => format!("no such component {:?}, and no other either", id.0),
                    known => format!(
                        "no such component {:?}, expected one of {}",
                        id.0,
                        known.join(", ")
                    ),
                };
                problems.error(&join(path, "component"), message);
            }
            ComponentRef::Id(_) => {}
            ComponentRef::Inline(component) => {
                let id = ComponentId(format!("{}-component", trigger.id));
                check_component(manifest, &id, component, &join(path, "component"), problems);
            }
        }
    }
    if HTTP_LIKE.contains(&kind) {
        check_http(trigger, path, problems);
    }
    for (place, dependencies) in &trigger.dependencies {
        let at = join(path, "dependencies");
        if place != "middleware" {
            let message = format!("unknown field `{place}`, expected `middleware`");
            problems.error(&join(&at, place), message);
            continue;
        }
        for dependency in dependencies {
            if let From::Component(named) = &dependency.from {
                let depender = ComponentId(trigger.id.clone());
                if let Err(message) = dependency_source(&manifest.components, named, &depender) {
                    problems.error(&join(&at, place), message);
                }
            }
        }
        if !dependencies.is_empty() {
            problems.error(
                &join(&at, place),
                "middleware is of wasi:http 0.3 and not supported here, expected none",
            );
        }
    }
}

/// The settings of a trigger of the type `http`, component and all.
pub(super) fn http_trigger(trigger: &Trigger) -> Result<HttpTrigger, String> {
    let mut config = trigger.config.clone();
    if let Some(component) = &trigger.component {
        let id = match component {
            ComponentRef::Id(id) => id.0.clone(),
            ComponentRef::Inline(_) => format!("{}-component", trigger.id),
        };
        config.insert("component".to_owned(), id.into());
    }
    HttpTrigger::deserialize(toml::Value::Table(config)).map_err(|error| error.message().to_owned())
}

fn check_http(trigger: &Trigger, path: &[&str], problems: &mut Collector<'_>) {
    let settings = match http_trigger(trigger) {
        Ok(settings) => settings,
        Err(message) => return problems.error(path, message),
    };
    let id = if trigger.id.is_empty() {
        "it"
    } else {
        &trigger.id
    };
    if let Err(message) = settings.check(id) {
        problems.error(path, message);
    }
    if matches!(settings.executor, Some(Executor::Wagi { .. })) {
        problems.error(
            &join(path, "executor"),
            "the executor `wagi` runs CGI programs and is not supported here, expected `http`",
        );
    }
    if let RouteSetting::Pattern(pattern) = &settings.route {
        let at = join(path, "route");
        if let Err(message) = routes::check(pattern) {
            problems.error(&at, format!("error parsing route {pattern:?}: {message}"));
        }
        if routes::is_reserved(pattern) {
            problems.warning(
                &at,
                "the host answers there itself: no request comes this way",
            );
        }
    }
    let Some(response) = &settings.static_response else {
        return;
    };
    let at = join(path, "static_response");
    if let Some(status) = response.status_code
        && !(200..=599).contains(&status)
    {
        let message = format!("{status} is no status of an answer, expected 200 to 599");
        problems.error(&join(&at, "status_code"), message);
    }
    for (name, value) in &response.headers {
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        let good = !name.is_empty() && name.bytes().all(token);
        if !good
            || value
                .chars()
                .any(|letter| letter.is_control() && letter != '\t')
        {
            let message = format!("{name:?} and its value are no header");
            problems.error(&join(&join(&at, "headers"), name), message);
        }
    }
}

/// Of equal routes the last one wins, which nobody means.
fn check_routes(manifest: &Manifest, problems: &mut Collector<'_>) {
    for kind in HTTP_LIKE {
        let mut last: BTreeMap<String, usize> = BTreeMap::new();
        let triggers = manifest.triggers.get(kind).map_or(&[][..], Vec::as_slice);
        for (position, trigger) in triggers.iter().enumerate() {
            let Ok(HttpTrigger {
                route: RouteSetting::Pattern(route),
                ..
            }) = http_trigger(trigger)
            else {
                continue;
            };
            if let Some(earlier) = last.insert(route.clone(), position) {
                let path = ["trigger", kind, &earlier.to_string(), "route"];
                let message = format!(
                    "the component route {route:?} is a duplicate and will never be used: the \
                     last one is"
                );
                problems.warning(&path, message);
            }
        }
    }
}

fn check_component(
    manifest: &Manifest,
    id: &ComponentId,
    component: &Component,
    path: &[&str],
    problems: &mut Collector<'_>,
) {
    if matches!(&component.source, Source::File(file) if file.is_empty()) {
        problems.error(&join(path, "source"), "empty, expected a file");
    }
    for (name, template) in &component.variables {
        if let Err(message) = check_template(manifest, template) {
            problems.error(&join(&join(path, "variables"), &name.0), message);
        }
    }
    for (position, host) in component.allowed_outbound_hosts.iter().enumerate() {
        let checked = hosts::check(host).and_then(|()| check_template(manifest, host));
        if let Err(message) = checked {
            let at = join(path, "allowed_outbound_hosts");
            problems.error(&join(&at, &position.to_string()), message);
        }
    }
    check_http_hosts(component, path, problems);
    check_files(component, path, problems);
    if component
        .build
        .as_ref()
        .is_some_and(|build| build.command.all().is_empty())
    {
        let at = join(path, "build");
        problems.error(&join(&at, "command"), "empty, expected a command");
    }
    let at = join(path, "dependencies");
    check_dependencies(manifest, id, &component.dependencies, &at, problems);
    for (name, profile) in &component.profile {
        let at = join(&join(path, "profile"), name);
        let at = join(&at, "dependencies");
        check_dependencies(manifest, id, &profile.dependencies, &at, problems);
    }
    let mixed = component
        .dependencies
        .values()
        .any(|dependency| dependency.inherit.is_some());
    if mixed && component.dependencies_inherit_configuration.is_some() {
        let message = format!(
            "component `{id}` specifies both `dependencies_inherit_configuration` and \
             per-dependency `inherit_configuration`. These are mutually exclusive; use one or \
             the other"
        );
        problems.error(&join(path, "dependencies_inherit_configuration"), message);
    }
}

fn check_template(manifest: &Manifest, text: &str) -> Result<(), String> {
    let template = Template::parse(text)?;
    match template
        .variables()
        .find(|name| !manifest.variables.contains_key(*name))
    {
        Some(unknown) => Err(format!(
            "unknown variable {unknown:?}, expected one of `[variables]`"
        )),
        None => Ok(()),
    }
}

fn check_http_hosts(component: &Component, path: &[&str], problems: &mut Collector<'_>) {
    if component.allowed_http_hosts.is_empty() {
        return;
    }
    let at = join(path, "allowed_http_hosts");
    match hosts::from_http_hosts(&component.allowed_http_hosts) {
        Ok(hosts) => problems.warning(
            &at,
            format!(
                "deprecated: replace `allowed_http_hosts` with `allowed_outbound_hosts = {hosts:?}`"
            ),
        ),
        Err(message) => problems.error(&at, message),
    }
}

fn check_files(component: &Component, path: &[&str], problems: &mut Collector<'_>) {
    for (position, mount) in component.files.iter().enumerate() {
        let checked = match mount {
            Mount::Pattern(pattern) => crate::files::check_pattern(pattern),
            Mount::Placement { source, .. } if source.is_empty() => {
                Err("`source` is empty, expected a file or a directory".to_owned())
            }
            Mount::Placement { .. } => Ok(()),
        };
        if let Err(message) = checked {
            problems.error(&join(&join(path, "files"), &position.to_string()), message);
        }
    }
    for (position, pattern) in component.exclude_files.iter().enumerate() {
        if let Err(error) = glob::Pattern::new(pattern) {
            let at = join(path, "exclude_files");
            let message = format!("invalid exclude_files glob pattern {pattern:?}: {error}");
            problems.error(&join(&at, &position.to_string()), message);
        }
    }
}

fn check_dependencies(
    manifest: &Manifest,
    id: &ComponentId,
    dependencies: &Ordered<DependencyKey, Dependency>,
    path: &[&str],
    problems: &mut Collector<'_>,
) {
    for (DependencyKey(name), dependency) in dependencies {
        let text = name.to_string();
        let at = join(path, &text);
        let unnamed = matches!(dependency.from, From::Registry { package: None, .. });
        if unnamed && name.package().is_none() {
            problems.error(
                &at,
                format!("dependency {text:?} must specify a package name"),
            );
        }
        if name.is_whole_package() && dependency.export.is_some() {
            let message = format!(
                "using an export to satisfy the package dependency {text:?} is not currently \
                 permitted"
            );
            problems.error(&at, message);
        }
        if let From::Component(named) = &dependency.from
            && let Err(message) = dependency_source(&manifest.components, named, id)
        {
            problems.error(&at, message);
        }
    }
    let names: Vec<&DependencyName> = dependencies.keys().map(|key| &key.0).collect();
    for (position, name) in names.iter().enumerate() {
        let Some(before) = names.get(..position) else {
            continue;
        };
        let text = name.to_string();
        let at = join(path, &text);
        if let Some(other) = before.iter().find(|other| other.overlaps(name)) {
            problems.error(&at, format!("{other} dependency conflicts with {name}"));
        } else if let Some(other) = before
            .iter()
            .find(|other| other.package().is_some() && other.package() == name.package())
        {
            let message = format!(
                "Spin takes one key a package and refuses this one beside {other}: it runs under \
                 Tensorgate alone"
            );
            problems.warning(&at, message);
        }
    }
}

fn join<'a>(path: &[&'a str], key: &'a str) -> Vec<&'a str> {
    let mut path = path.to_vec();
    path.push(key);
    path
}
