//! Manifests loaded from directories.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;
use tensorgate_spin::load::{Files, LoadError, Loaded, file_path, load};
use tensorgate_spin::lock::{Inherit, LockedApp};

const HEAD: &str = r#"spin_manifest_version = 2
[application]
name = "app"
version = "1.0.0"
"#;

/// A directory with a manifest and files.
struct App {
    folder: TempDir,
}

impl App {
    fn new(manifest: &str, files: &[&str]) -> Self {
        let app = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        for file in files {
            let path = app.path(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        }
        fs::write(app.path("spin.toml"), format!("{HEAD}{manifest}")).unwrap();
        app
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn url(&self, name: &str) -> String {
        format!("file://{}", self.path(name).display())
    }

    fn files(&self) -> Files {
        Files::Copied(self.path("copies"))
    }

    fn load(&self) -> Result<Loaded, LoadError> {
        load(&self.path("spin.toml"), None, &self.files())
    }

    fn locked(&self) -> LockedApp {
        self.load().unwrap().app
    }

    /// What the copies are, by their paths.
    fn copies(&self, component: &str) -> Vec<String> {
        let root = self.path("copies").join(component);
        let mut found = Vec::new();
        walk(&root, &root, &mut found);
        found.sort();
        found
    }
}

fn walk(root: &Path, directory: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(root, &path, found);
        } else {
            found.push(path.strip_prefix(root).unwrap().display().to_string());
        }
    }
}

#[test]
fn a_manifest_is_locked_as_spin_locks_it() {
    let app = App::new(
        r#"
        [variables]
        url = { default = "http://h", description = "where" }
        key = { required = true, secret = true }
        [[trigger.http]]
        route = "/..."
        component = "edge"
        [component.edge]
        source = "edge.wasm"
        description = "answers"
        environment = { A = "b" }
        allowed_outbound_hosts = ["{{ url }}", "http://edge.spin.internal"]
        key_value_stores = ["default"]
        variables = { url = "{{ url }}" }
        build = { command = "make", watch = ["*.c"] }
        [component.edge.dependencies]
        "a:b/c@0.1.0" = { component = "c", export = "x:y/z", inherit_configuration = ["variables"] }
        "d:e" = { path = "lib/e.wasm" }
        [component.c]
        source = "lib/c.wasm"
        "#,
        &[],
    );
    let written: Value = serde_json::from_slice(&app.locked().to_json().unwrap()).unwrap();
    let wasm = |name: &str| json!({ "content_type": "application/wasm", "source": app.url(name) });
    assert_eq!(
        written,
        json!({
            "spin_lock_version": 1,
            "must_understand": ["component_host_requirements"],
            "metadata": {
                "name": "app",
                "version": "1.0.0",
                "origin": app.url("spin.toml"),
                "trigger": { "type": "http" },
                "triggers": {}
            },
            "variables": {
                "key": { "secret": true },
                "url": { "default": "http://h", "description": "where" }
            },
            "triggers": [{
                "id": "edge-http-trigger",
                "trigger_type": "http",
                "trigger_config": { "component": "edge", "route": "/..." }
            }],
            "components": [
                {
                    "id": "edge",
                    "metadata": {
                        "description": "answers",
                        "allowed_outbound_hosts": ["{{ url }}", "http://edge.spin.internal"],
                        "key_value_stores": ["default"],
                        "build": { "command": "make", "watch": ["*.c"] }
                    },
                    "source": wasm("edge.wasm"),
                    "env": { "A": "b" },
                    "config": { "url": "{{ url }}" },
                    "dependencies": {
                        "a:b/c@0.1.0": {
                            "source": wasm("lib/c.wasm"),
                            "export": "x:y/z",
                            "inherit": { "Some": ["variables"] }
                        },
                        "d:e": { "source": wasm("lib/e.wasm"), "export": null }
                    },
                    "host_requirements": { "local_service_chaining": "required" }
                },
                { "id": "c", "source": wasm("lib/c.wasm") }
            ]
        })
    );
}

#[test]
fn triggers_and_components_get_the_names_that_spin_gives_them() {
    let app = App::new(
        r#"
        [[trigger.http]]
        route = "/a"
        component = "edge"
        [[trigger.http]]
        route = "/b"
        component = "edge"
        [[trigger.http]]
        route = "/c"
        component = { source = "inline.wasm" }
        [[trigger.http]]
        id = "my_id"
        route = "/d"
        component = { source = "inline.wasm" }
        [[trigger.tensorgate]]
        route = "/e"
        components = { x = { source = "x.wasm" }, y = ["edge", { source = "y.wasm" }] }
        component = "edge"
        [component.edge]
        source = "edge.wasm"
        "#,
        &[],
    );
    let locked = app.locked();
    let triggers: Vec<_> = locked
        .triggers
        .iter()
        .map(|trigger| (trigger.id.as_str(), trigger.component().unwrap_or_default()))
        .collect();
    assert_eq!(
        triggers,
        [
            ("edge-http-trigger", "edge"),
            ("http-trigger1", "edge"),
            ("http-trigger2", "http-trigger2-component"),
            ("my_id", "inline-component1"),
            ("edge-tensorgate-trigger", "edge"),
        ]
    );
    assert_eq!(
        locked.triggers[4].trigger_config["components"],
        json!({ "x": ["inline-component2"], "y": ["edge", "inline-component3"] })
    );
    let components: Vec<_> = locked.components.iter().map(|found| &*found.id).collect();
    assert_eq!(
        components,
        [
            "edge",
            "http-trigger2-component",
            "inline-component1",
            "inline-component2",
            "inline-component3"
        ]
    );
}

#[test]
fn inheritance_is_said_for_each_dependency() {
    let app = App::new(
        r#"
        [[trigger.http]]
        route = "/"
        component = "all"
        [component.all]
        source = "a"
        dependencies_inherit_configuration = true
        dependencies = { "a:b" = { path = "b" } }
        [component.some]
        source = "a"
        [component.some.dependencies]
        "a:b" = { path = "b", inherit_configuration = true }
        "a:c" = { path = "b", inherit_configuration = false }
        "#,
        &[],
    );
    let locked = app.locked();
    let inherit = |component: &str, name: &str| {
        let component = locked.component(component).unwrap();
        component.dependencies[name].inherit.clone()
    };
    assert_eq!(inherit("all", "a:b"), Inherit::All);
    assert_eq!(inherit("some", "a:b"), Inherit::All);
    assert_eq!(inherit("some", "a:c"), Inherit::default());
}

#[test]
fn a_profile_puts_its_values_in_place() {
    let app = App::new(
        r#"
        [[trigger.http]]
        route = "/"
        component = "edge"
        [component.edge]
        source = "edge.wasm"
        environment = { A = "a", B = "b" }
        [component.edge.build]
        command = "make"
        workdir = "src"
        [component.edge.dependencies]
        "a:b" = { path = "b.wasm" }
        [component.edge.profile.debug]
        source = "debug.wasm"
        environment = { B = "bb" }
        build.command = ["make debug"]
        dependencies = { "a:b" = { path = "debug-b.wasm" }, "a:c" = { path = "c.wasm" } }
        "#,
        &[],
    );
    let path = app.path("spin.toml");
    let locked = load(&path, Some("debug"), &app.files()).unwrap().app;
    let edge = locked.component("edge").unwrap();
    assert_eq!(edge.source.content.source, Some(app.url("debug.wasm")));
    assert_eq!(edge.env["A"], "a");
    assert_eq!(edge.env["B"], "bb");
    assert_eq!(
        edge.metadata["build"],
        json!({ "command": ["make debug"], "workdir": "src" })
    );
    let source = |name: &str| edge.dependencies[name].source.content.source.clone();
    assert_eq!(source("a:b"), Some(app.url("debug-b.wasm")));
    assert_eq!(source("a:c"), Some(app.url("c.wasm")));

    let error = load(&path, Some("relase"), &app.files()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "profile relase is not defined in this application"
    );
}

fn with_files(lines: &str) -> String {
    format!(
        "[[trigger.http]]\nroute = \"/\"\ncomponent = \"edge\"\n[component.edge]\nsource = \
         \"e.wasm\"\n{lines}\n"
    )
}

#[test]
fn files_are_copied_to_where_the_component_sees_them() {
    let app = App::new(
        &with_files(
            r#"files = ["one.txt", "assets/**/*.txt", "whole", { source = "dir", destination = "/there" }, { source = "one.txt", destination = "/other.txt" }]
            exclude_files = ["**/secret.txt"]"#,
        ),
        &[
            "one.txt",
            "two.txt",
            "assets/a.txt",
            "assets/b/c.txt",
            "assets/b/secret.txt",
            "assets/d.png",
            "whole/e/f",
            "dir/g/h",
        ],
    );
    let locked = app.locked();
    assert_eq!(
        app.copies("edge"),
        [
            "assets/a.txt",
            "assets/b/c.txt",
            "one.txt",
            "other.txt",
            "there/g/h",
            "whole/e/f"
        ]
    );
    let files = &locked.component("edge").unwrap().files;
    let [mount] = files.as_slice() else {
        panic!("{files:?}")
    };
    assert_eq!(mount.path, Path::new("/"));
    assert_eq!(
        file_path(mount.content.source.as_deref().unwrap()).unwrap(),
        app.path("copies/edge")
    );
}

#[test]
fn directories_are_mounted_where_they_are() {
    let app = App::new(
        &with_files(r#"files = [{ source = "dir", destination = "/there" }, "dir"]"#),
        &["dir/a"],
    );
    let locked = load(&app.path("spin.toml"), None, &Files::Direct)
        .unwrap()
        .app;
    let files = &locked.component("edge").unwrap().files;
    let mounts: Vec<_> = files
        .iter()
        .map(|mount| (mount.content.source.clone().unwrap(), mount.path.clone()))
        .collect();
    assert_eq!(
        mounts,
        [
            (app.url("dir"), PathBuf::from("/there")),
            (app.url("dir"), PathBuf::from("dir"))
        ]
    );
}

#[test]
fn what_cannot_be_loaded_is_refused() {
    let outside = tempfile::NamedTempFile::new().unwrap();
    let outside = format!("files = [\"{}\"]", outside.path().display());
    for (lines, files, words) in [
        (
            "files = [\"none.txt\"]",
            "copied",
            "doesn't appear to be a glob pattern",
        ),
        (
            "files = [{ source = \"none\", destination = \"/\" }]",
            "copied",
            "\"none\" does not exist",
        ),
        (
            "files = [{ source = \"a\", destination = \"/\" }]",
            "copied",
            "is not a valid destination file name",
        ),
        (
            "files = [{ source = \"a\", destination = \"../b\" }]",
            "copied",
            "leads out of the component's files",
        ),
        (
            "files = [\"../**/*\"]",
            "copied",
            "outside the application directory",
        ),
        (
            outside.as_str(),
            "copied",
            "leads out of the component's files",
        ),
        (
            "files = [\"a\"]",
            "direct",
            "only directory mounts are supported",
        ),
        (
            "files = [\"dir\"]\nexclude_files = [\"x\"]",
            "direct",
            "using --direct-mounts",
        ),
        (
            "[component.u]\nsource = { url = \"http://h/u.wasm\", digest = \"sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\" }",
            "copied",
            "its source is the URL \"http://h/u.wasm\", which would have to be fetched",
        ),
        (
            "[component.p]\nsource = { package = \"a:b\", version = \"1.0.0\" }",
            "copied",
            "its source is the package \"a:b@1.0.0\"",
        ),
        (
            "[component.edge.dependencies]\n\"a:b\" = \"^1\"",
            "copied",
            "dependency `a:b`: its source is the package \"a:b\", ^1",
        ),
    ] {
        let app = App::new(&with_files(lines), &["a", "dir/b"]);
        let files = match files {
            "direct" => Files::Direct,
            _ => app.files(),
        };
        let error = load(&app.path("spin.toml"), None, &files).unwrap_err();
        assert!(error.to_string().contains(words), "{lines}: {error}");
        assert!(
            error.to_string().starts_with("failed to load component"),
            "{error}"
        );
    }
}

#[test]
fn a_manifest_that_is_not_good_or_not_there_is_refused() {
    let app = App::new("[[trigger.http]]\nroute = \"/\"\ncomponent = \"none\"", &[]);
    let error = app.load().unwrap_err().to_string();
    assert!(
        error.contains("spin.toml is no manifest that can be run:\nline 7"),
        "{error}"
    );
    let error = load(Path::new("/not/there/spin.toml"), None, &Files::Direct).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("failed to read the manifest /not/there")
    );
}

#[test]
fn urls_of_files_are_paths_again() {
    assert_eq!(file_path("file:///a/b%20c").unwrap(), Path::new("/a/b c"));
    for url in ["http://h/a", "nothing", "file://host/a"] {
        assert!(file_path(url).is_err(), "{url}");
    }
}
