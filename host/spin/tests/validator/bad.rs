//! One bad manifest for each rule, with words of what must be said of it.

use super::GOOD;

/// A manifest that differs from the good one in one place.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    change: Change,
    pub(crate) words: &'static str,
}

pub(crate) enum Change {
    /// Instead of this, that.
    Swap(&'static str, &'static str),
    /// Further lines in the table of the component `edge`.
    Edge(&'static str),
    /// Further lines in the table of the trigger.
    Trigger(&'static str),
    /// Further tables.
    Add(&'static str),
    /// A dependency of the component `edge`.
    Dependency(&'static str),
}
use Change::{Add, Dependency, Edge, Swap, Trigger};

impl Case {
    pub(crate) fn manifest(&self) -> String {
        let swap = |from: &str, to: &str| {
            assert!(GOOD.contains(from), "{}: nothing to change", self.name);
            GOOD.replacen(from, to, 1)
        };
        let source = "source = \"edge.wasm\"";
        match self.change {
            Swap(from, to) => swap(from, to),
            Edge(lines) => swap(source, &format!("{source}\n{lines}")),
            Trigger(lines) => swap("route = \"/...\"", &format!("route = \"/...\"\n{lines}")),
            Add(tables) => format!("{GOOD}\n{tables}\n"),
            Dependency(line) => format!("{GOOD}\n[component.edge.dependencies]\n{line}\n"),
        }
    }
}

pub(crate) const fn case(name: &'static str, change: Change, words: &'static str) -> Case {
    Case {
        name,
        change,
        words,
    }
}

pub(crate) const CASES: &[Case] = &[
    // The file, the app.
    case("no TOML", Swap("[application]", "[application"), "line 3"),
    case(
        "no version",
        Swap("spin_manifest_version = 2", ""),
        "missing field `spin_manifest_version`",
    ),
    case(
        "version 1",
        Swap("= 2", "= \"1\""),
        "`spin doctor` upgrades it",
    ),
    case(
        "version 3",
        Swap("= 2", "= 3"),
        "expected `spin_manifest_version = 2`",
    ),
    case(
        "no application",
        Swap("[application]\nname = \"app\"", ""),
        "missing field `application`",
    ),
    case(
        "no name",
        Swap("name = \"app\"", ""),
        "missing field `name`",
    ),
    case(
        "an empty name",
        Swap("\"app\"", "\"\""),
        "expected the app's name",
    ),
    case(
        "an unknown table",
        Add("[colours]"),
        "unknown field `colours`, expected",
    ),
    case(
        "an unknown field of the app",
        Swap("name = \"app\"", "name = \"app\"\nlicense = \"x\""),
        "unknown field `license`",
    ),
    case(
        "a target that is none",
        Swap(
            "name = \"app\"",
            "name = \"app\"\ntargets = [{ uri = \"x\" }]",
        ),
        "unknown field `uri`",
    ),
    case(
        "a target that is two",
        Swap(
            "name = \"app\"",
            "name = \"app\"\ntargets = [{ url = \"x\", path = \"y\" }]",
        ),
        "expected the name of a target",
    ),
    case(
        "a base",
        Add("[application.trigger.http]\nbase = \"/api\""),
        "`base` is no longer supported",
    ),
    case(
        "a setting of all HTTP triggers",
        Add("[application.trigger.http]\nport = 1"),
        "unknown field `port`, expected `base`",
    ),
    // Variables of the app.
    case(
        "a variable neither required nor with a default",
        Swap("{ default = \"http://localhost\" }", "{ secret = true }"),
        "must be `required` OR have a `default`",
    ),
    case(
        "a variable both required and with a default",
        Swap("{ default", "{ required = true, default"),
        "must be `required` OR have a `default`",
    ),
    case(
        "a default that is no text",
        Swap("default = \"http://localhost\"", "default = 1"),
        "invalid type: integer",
    ),
    case(
        "an unknown field of a variable",
        Swap("{ default", "{ type = \"x\", default"),
        "unknown field `type`",
    ),
    case(
        "a variable in kebab case",
        Swap("url =", "my-url ="),
        "words must be separated with '_', not '-'",
    ),
    case(
        "a variable in capitals",
        Swap("url =", "URL ="),
        "must be all lowercase",
    ),
    // Triggers.
    case(
        "no trigger",
        Swap(
            "[[trigger.http]]\nroute = \"/...\"\ncomponent = \"edge\"",
            "",
        ),
        "missing field `trigger`",
    ),
    case(
        "a trigger that is no list",
        Swap("[[trigger.http]]", "[trigger.http]"),
        "invalid type: map",
    ),
    case(
        "an absent component",
        Swap("component = \"edge\"", "component = \"other\""),
        "no such component \"other\", expected one of edge, helper",
    ),
    case(
        "an absent further component",
        Add("[[trigger.other]]\ncomponents = { a = [\"other\"] }"),
        "no such component \"other\"",
    ),
    case(
        "an id that is none",
        Swap("component = \"edge\"", "component = \"my_edge\""),
        "words must be separated with '-', not '_'",
    ),
    case(
        "a component that is a number",
        Swap("component = \"edge\"", "component = 1"),
        "expected the id of a component, or its table",
    ),
    case(
        "an inline component without a source",
        Swap(
            "component = \"edge\"",
            "component = { description = \"x\" }",
        ),
        "missing field `source`",
    ),
    case(
        "an unknown field of an inline component",
        Swap(
            "component = \"edge\"",
            "component = { source = \"a\", x = 1 }",
        ),
        "unknown field `x`",
    ),
    case(
        "two triggers with one id",
        Add(
            "[[trigger.other]]\nid = \"a\"\ncomponent = \"edge\"\n[[trigger.other]]\nid = \"a\"\ncomponent = \"edge\"",
        ),
        "another trigger has the id \"a\"",
    ),
    case(
        "no route",
        Swap("route = \"/...\"", ""),
        "missing field `route`",
    ),
    case(
        "a route that is a number",
        Swap("route = \"/...\"", "route = 1"),
        "expected a pattern like \"/v1/...\", or `{ private = true }`",
    ),
    case(
        "a route that is not private",
        Swap("\"/...\"", "{ private = false }"),
        "route must be a string pattern or '{ private = true }'",
    ),
    case(
        "an unknown field of a route",
        Swap("\"/...\"", "{ hidden = true }"),
        "unknown field `hidden`",
    ),
    case(
        "a route with a star in it",
        Swap("\"/...\"", "\"/a/*rest\""),
        "error parsing route \"/a/*rest\"",
    ),
    case(
        "a route with a nameless segment",
        Swap("\"/...\"", "\"/a/:/b\""),
        "error parsing route \"/a/:/b\"",
    ),
    case(
        "an unknown field of a trigger",
        Trigger("method = \"GET\""),
        "unknown field `method`",
    ),
    case(
        "an unknown executor",
        Trigger("executor = { type = \"wasip3-unstable\" }"),
        "unknown variant `wasip3-unstable`",
    ),
    case(
        "an executor without a type",
        Trigger("executor = {}"),
        "missing field `type`",
    ),
    case(
        "CGI",
        Trigger("executor = { type = \"wagi\" }"),
        "the executor `wagi` runs CGI programs",
    ),
    case(
        "a component and an answer",
        Trigger("static_response = { body = \"x\" }"),
        "has both",
    ),
    case(
        "neither a component nor an answer",
        Swap("component = \"edge\"", ""),
        "has neither",
    ),
    case(
        "a status that is none",
        Swap(
            "component = \"edge\"",
            "static_response = { status_code = 99 }",
        ),
        "expected 200 to 599",
    ),
    case(
        "a header that is none",
        Swap(
            "component = \"edge\"",
            "static_response = { headers = { \"a b\" = \"c\" } }",
        ),
        "are no header",
    ),
    case(
        "middleware",
        Trigger("dependencies = { middleware = [{ path = \"m.wasm\" }] }"),
        "middleware is of wasi:http 0.3 and not supported here",
    ),
    case(
        "middleware that is nowhere",
        Trigger("dependencies = { middleware = [{}] }"),
        "says where it is in no way, or in several",
    ),
    case(
        "middleware with an export",
        Trigger("dependencies = { middleware = [{ path = \"m\", export = \"x\" }] }"),
        "unknown field `export`",
    ),
    case(
        "middleware of an absent component",
        Trigger("dependencies = { middleware = [{ component = \"other\" }] }"),
        "dependency ID other does not exist",
    ),
    case(
        "another kind of place before a component",
        Trigger("dependencies = { filters = [] }"),
        "unknown field `filters`, expected `middleware`",
    ),
];

pub(crate) const WARNINGS: &[Case] = &[
    case(
        "old hosts",
        Edge("allowed_http_hosts = [\"h:8080\"]"),
        "replace `allowed_http_hosts` with `allowed_outbound_hosts = [\"http://h:8080\", \"https://h:8080\"]`",
    ),
    case(
        "a base that is none",
        Add("[application.trigger.http]\nbase = \"/\""),
        "`base` is deprecated",
    ),
    case(
        "a version that is none",
        Swap("name = \"app\"", "name = \"app\"\nversion = \"one\""),
        "\"one\" is not a version",
    ),
    case(
        "a route twice",
        Add("[[trigger.http]]\nroute = \"/...\"\ncomponent = \"helper\""),
        "the component route \"/...\" is a duplicate and will never be used",
    ),
    case(
        "a reserved route",
        Swap("\"/...\"", "\"/.well-known/spin/x\""),
        "the host answers there itself",
    ),
    case(
        "two keys of a package",
        Dependency("\"a:b/c\" = { path = \"x\" }\n\"a:b/d\" = { path = \"x\" }"),
        "Spin takes one key a package",
    ),
    case(
        "no trigger at all",
        Swap(
            "[[trigger.http]]\nroute = \"/...\"\ncomponent = \"edge\"",
            "[trigger]",
        ),
        "no component ever runs",
    ),
];
