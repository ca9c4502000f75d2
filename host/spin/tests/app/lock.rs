//! The JSON of locked apps, as Spin writes and reads it.

use serde_json::{Value, json};
use tensorgate_spin::lock::{Inherit, LockedApp};

/// What Spin 4 wrote for an app with dependencies, with its paths made short.
fn spins() -> Value {
    json!({
        "spin_lock_version": 1,
        "must_understand": ["component_host_requirements"],
        "metadata": {
            "name": "app",
            "origin": "file:///app/spin.toml",
            "trigger": { "type": "http" },
            "triggers": {},
            "version": "1.0.0"
        },
        "variables": { "url": { "default": "http://h" }, "key": { "secret": true } },
        "triggers": [{
            "id": "edge-http-trigger",
            "trigger_type": "http",
            "trigger_config": { "component": "edge", "route": "/..." }
        }],
        "components": [{
            "id": "edge",
            "metadata": {
                "allowed_outbound_hosts": ["{{ url }}"],
                "description": "answers",
                "key_value_stores": ["default"]
            },
            "source": {
                "content_type": "application/wasm",
                "source": "file:///app/edge.wasm"
            },
            "env": { "A": "b" },
            "files": [
                { "source": "file:///tmp/assets/edge", "path": "/" },
                { "inline": "aGVsbG8", "path": "/hello" }
            ],
            "config": { "url": "{{ url }}" },
            "dependencies": {
                "a:b/c@0.1.0": {
                    "source": {
                        "content_type": "application/wasm",
                        "source": "file:///app/c.wasm",
                        "digest": "sha256:00"
                    },
                    "export": "x:y/z",
                    "inherit": { "Some": ["variables"] }
                },
                "d:e": {
                    "source": {
                        "content_type": "application/wasm",
                        "source": "file:///app/e.wasm"
                    },
                    "export": null
                },
                "f:g": {
                    "source": {
                        "content_type": "application/wasm",
                        "source": "file:///app/g.wasm"
                    },
                    "export": null,
                    "inherit": "All"
                }
            },
            "host_requirements": { "local_service_chaining": "required" }
        }]
    })
}

fn read(value: &Value) -> serde_json::Result<LockedApp> {
    LockedApp::from_json(value.to_string().as_bytes())
}

#[test]
fn what_spin_writes_is_read_and_written_alike() {
    let app = read(&spins()).unwrap();
    let written: Value = serde_json::from_slice(&app.to_json().unwrap()).unwrap();
    assert_eq!(written, spins());

    let edge = app.component("edge").unwrap();
    assert_eq!(app.name(), "app");
    assert_eq!(edge.description(), "answers");
    let hosts: Vec<_> = edge.strings("allowed_outbound_hosts").collect();
    assert_eq!(hosts, ["{{ url }}"]);
    assert_eq!(edge.files[1].content.inline.as_deref(), Some(&b"hello"[..]));
    assert_eq!(edge.dependencies["f:g"].inherit, Inherit::All);
    assert_eq!(edge.dependencies["d:e"].inherit, Inherit::default());
    assert_eq!(app.triggered("http").len(), 1);
    assert!(app.triggered("redis").is_empty());
}

#[test]
fn what_is_unknown_is_passed_over_unless_it_must_be_understood() {
    let mut app = spins();
    app["new"] = json!(1);
    app["components"][0]["new"] = json!({ "a": 1 });
    app["components"][0]["host_requirements"]["flying"] = json!("optional");
    assert!(read(&app).is_ok());
    for (pointer, value, words) in [
        (
            "/must_understand/0",
            json!("flying"),
            "unknown variant `flying`",
        ),
        (
            "/components/0/host_requirements/flying",
            json!("required"),
            "does not support: flying",
        ),
        (
            "/components/0/host_requirements/middleware",
            json!("required"),
            "does not support: middleware",
        ),
        ("/spin_lock_version", json!(2), "invalid version 2"),
        (
            "/components/0/files/1/inline",
            json!("????"),
            "Invalid symbol",
        ),
        ("/components/0/id", Value::Null, "invalid type: null"),
    ] {
        let mut app = spins();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        match app.pointer_mut(parent).unwrap() {
            Value::Array(items) => items[key.parse::<usize>().unwrap()] = value,
            object => object[key] = value,
        }
        let error = read(&app).unwrap_err().to_string();
        assert!(error.contains(words), "{pointer}: {error}");
    }
}

#[test]
fn an_app_that_demands_nothing_is_of_version_0() {
    let app = read(&json!({ "spin_lock_version": 1, "triggers": [], "components": [] })).unwrap();
    let written: Value = serde_json::from_slice(&app.to_json().unwrap()).unwrap();
    assert_eq!(
        written,
        json!({ "spin_lock_version": 0, "triggers": [], "components": [] })
    );
}
