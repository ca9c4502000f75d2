//! Manifests, good and bad: the validator says of each bad one what is wrong with it, and where.

use std::path::Path;

use tensorgate_spin::manifest::{Problem, validate};

mod bad;
mod bad_components;

/// A small good manifest; cases put something in its place.
const GOOD: &str = r#"spin_manifest_version = 2

[application]
name = "app"

[variables]
url = { default = "http://localhost" }

[[trigger.http]]
route = "/..."
component = "edge"

[component.edge]
source = "edge.wasm"

[component.helper]
source = "helper.wasm"
"#;

fn told(problems: &[Problem]) -> String {
    problems
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn every_kind_of_bad_manifest_is_refused() {
    let mut wrong = Vec::new();
    for case in bad::CASES.iter().chain(bad_components::CASES) {
        let text = case.manifest();
        let problems = validate(&text);
        let fits = problems
            .iter()
            .any(|problem| problem.is_error() && problem.to_string().contains(case.words));
        if !fits {
            wrong.push(format!(
                "{}: expected {:?}, found {:?}",
                case.name,
                case.words,
                told(&problems)
            ));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn problems_that_the_app_survives_are_warnings() {
    for case in bad::WARNINGS {
        let problems = validate(&case.manifest());
        let fits = problems
            .iter()
            .any(|problem| !problem.is_error() && problem.to_string().contains(case.words));
        assert!(fits, "{}: {}", case.name, told(&problems));
        assert!(
            !problems.iter().any(Problem::is_error),
            "{}: {}",
            case.name,
            told(&problems)
        );
    }
}

#[test]
fn problems_name_their_place() {
    for (name, text, place, path) in [
        (
            "a rule",
            GOOD.replace("default = \"http://localhost\"", "description = \"x\""),
            (7, 1),
            "variables.url",
        ),
        (
            "an entry of a list",
            GOOD.replace(
                "source = \"edge.wasm\"",
                "source = \"edge.wasm\"\nallowed_outbound_hosts = [\"http://a\", \"b\"]",
            ),
            (15, 39),
            "component.edge.allowed_outbound_hosts.1",
        ),
        (
            "an unknown field",
            GOOD.replace("name = \"app\"", "name = \"app\"\ncolour = 1"),
            (5, 1),
            "",
        ),
        (
            "a wrong name",
            GOOD.replace("[component.helper]", "[component.my_helper]"),
            (16, 12),
            "",
        ),
        (
            "a broken text",
            GOOD.replace("\"edge.wasm\"", "edge.wasm"),
            (14, 10),
            "",
        ),
    ] {
        let problems = validate(&text);
        let [problem] = problems.as_slice() else {
            panic!("{name}: {}", told(&problems));
        };
        assert_eq!(problem.place, Some(place), "{name}: {problem}");
        assert_eq!(problem.path.join("."), path, "{name}: {problem}");
    }
}

#[test]
fn every_problem_is_named_and_not_just_the_first() {
    let text = GOOD
        .replace("default = \"http://localhost\"", "required = false")
        .replace("component = \"edge\"", "component = \"absent\"")
        .replace(
            "source = \"edge.wasm\"",
            "source = \"edge.wasm\"\nvariables = { a = \"{{ nothing }}\" }",
        );
    let problems = validate(&text);
    assert_eq!(problems.len(), 3, "{}", told(&problems));
}

#[test]
fn good_manifests_are_good() {
    let maximal = include_str!("maximal.toml");
    for (name, text) in [("small", GOOD), ("with everything", maximal)] {
        let problems = validate(text);
        assert_eq!(told(&problems), "", "{name}");
    }
}

#[test]
fn our_own_manifest_is_good() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../spin.toml");
    let text = std::fs::read_to_string(path).unwrap();
    assert_eq!(told(&validate(&text)), "");
}
