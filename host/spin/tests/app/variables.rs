//! Who gives variables their values, and what components see of them.

use std::fs;
use std::path::Path;

use serde_json::json;
use tensorgate_spin::lock::LockedApp;
use tensorgate_spin::variables::{Error, Providers, Setting, Variables};

fn app() -> LockedApp {
    let app = json!({
        "spin_lock_version": 0,
        "variables": {
            "plain": { "default": "from default" },
            "needed": { "secret": true }
        },
        "triggers": [],
        "components": [{
            "id": "edge",
            "source": { "content_type": "application/wasm", "source": "file:///e.wasm" },
            "config": { "mixed": "<{{ plain }}>", "token": "{{needed}}", "fixed": "f" }
        }]
    });
    LockedApp::from_json(app.to_string().as_bytes()).unwrap()
}

fn settings(texts: &[&str]) -> Vec<Setting> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn environment(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|&(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

#[test]
fn the_first_who_has_a_value_gives_it() {
    let folder = tempfile::tempdir().unwrap();
    let dotenv = folder.path().join(".env");
    fs::write(
        &dotenv,
        "# a comment\nSPIN_VARIABLE_PLAIN='from dotenv'\nSPIN_VARIABLE_NEEDED=secret\nOTHER=1\n",
    )
    .unwrap();
    /// What was set by hand, the environment, `.env`, and the value that comes of it.
    type Case<'a> = (
        &'a [&'a str],
        &'a [(&'a str, &'a str)],
        Option<&'a Path>,
        &'a str,
    );
    let env = &[("SPIN_VARIABLE_PLAIN", "from env")];
    let file = Some(dotenv.as_path());
    let cases: [Case<'_>; 4] = [
        (&["plain=from hand"], env, file, "<from hand>"),
        (&[], env, file, "<from env>"),
        (&[], &[], file, "<from dotenv>"),
        (&["needed=x"], &[], None, "<from default>"),
    ];
    for (set, env, dotenv, plain) in cases {
        let providers = Providers::new(&settings(set), environment(env), dotenv).unwrap();
        let variables = Variables::resolve(&app(), &providers).unwrap();
        assert_eq!(variables.get("edge", "mixed").unwrap(), plain);
    }
}

#[test]
fn values_are_set_by_hand_in_four_ways() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let text = write("value.txt", "from a file\n");
    let json = write("all.json", r#"{ "needed": "from json" }"#);
    let toml = write("all.toml", r#"needed = "from toml""#);
    for (setting, value) in [
        ("needed=a=b".to_owned(), "a=b"),
        (format!("needed=@{text}"), "from a file\n"),
        (format!("@{json}"), "from json"),
        (format!("@{toml}"), "from toml"),
    ] {
        let providers = Providers::new(&settings(&[&setting]), [], None).unwrap();
        let variables = Variables::resolve(&app(), &providers).unwrap();
        assert_eq!(variables.get("edge", "token").unwrap(), value, "{setting}");
    }
    for (setting, words) in [
        ("needed", "must be in the form 'key=value' or '@file'"),
        ("@file.yaml", "must end in .json or .toml"),
    ] {
        let error = setting.parse::<Setting>().unwrap_err();
        assert!(error.contains(words), "{setting}: {error}");
    }
    let broken = write("broken.json", r#"{ "needed": 987654321 }"#);
    for (setting, words) in [
        ("needed=@/not/there".to_owned(), "failed to read /not/there"),
        (format!("@{broken}"), "expected a table of strings"),
    ] {
        let error = Providers::new(&settings(&[&setting]), [], None).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
        assert!(!error.to_string().contains("987654321"), "{error}");
    }
}

#[test]
fn a_required_one_without_a_value_stops_the_app() {
    let error = Variables::resolve(&app(), &Providers::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "provider error: no provider resolved required variable(s): [Key(\"needed\")]"
    );
}

#[test]
fn components_see_their_own_and_no_others() {
    let providers = Providers::new(&settings(&["needed=hush"]), [], None).unwrap();
    let variables = Variables::resolve(&app(), &providers).unwrap();
    assert_eq!(variables.get("edge", "token").unwrap(), "hush");
    assert_eq!(
        variables.render("http://{{ plain }}").unwrap(),
        "http://from default"
    );
    for (component, name, expected) in [
        (
            "edge",
            "needed",
            "undefined variable: no variable for \"edge\".\"needed\"",
        ),
        (
            "other",
            "token",
            "undefined variable: no variable for component \"other\"",
        ),
        (
            "edge",
            "Token",
            "invalid variable name: \"Token\": invalid character 'T'",
        ),
        ("edge", "", "invalid variable name: \"\": must not be empty"),
        ("edge", "1a", "must start with a lowercase ASCII letter"),
        (
            "edge",
            "a_",
            "must end with a lowercase ASCII letter or digit",
        ),
        (
            "edge",
            "a__b",
            "must not contain multiple consecutive underscores",
        ),
    ] {
        let error = variables.get(component, name).unwrap_err().to_string();
        assert!(error.contains(expected), "{component}.{name}: {error}");
    }
    assert!(matches!(
        variables.render("{{ other }}"),
        Err(Error::InvalidTemplate(_))
    ));
}

#[test]
fn values_are_never_printed() {
    let settings = settings(&["needed=hush"]);
    let providers = Providers::new(
        &settings,
        environment(&[("SPIN_VARIABLE_PLAIN", "hush")]),
        None,
    );
    let providers = providers.unwrap();
    let variables = Variables::resolve(&app(), &providers).unwrap();
    let printed = format!("{settings:?} {providers:?} {variables:?}");
    assert!(!printed.contains("hush"), "{printed}");
    assert!(printed.contains("needed"), "{printed}");
}
