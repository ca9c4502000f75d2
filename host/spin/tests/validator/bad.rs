//! One bad manifest for each rule, with words of what must be said of it.

use super::GOOD;

/// A manifest that differs from the good one in one place.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    change: Change,
    pub(crate) words: &'static str,
}

enum Change {
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

const fn case(name: &'static str, change: Change, words: &'static str) -> Case {
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
    // Components.
    case(
        "no source",
        Swap("source = \"edge.wasm\"", ""),
        "missing field `source`",
    ),
    case(
        "an empty source",
        Swap("\"edge.wasm\"", "\"\""),
        "empty, expected a file",
    ),
    case(
        "a source that is a number",
        Swap("\"edge.wasm\"", "1"),
        "expected a file, `{ url, digest }`",
    ),
    case(
        "a URL without a digest",
        Swap("\"edge.wasm\"", "{ url = \"http://h/e.wasm\" }"),
        "expected a file, `{ url, digest }`",
    ),
    case(
        "a digest of another kind",
        Swap(
            "\"edge.wasm\"",
            "{ url = \"http://h/e.wasm\", digest = \"md5:0\" }",
        ),
        "must start with 'sha256:'",
    ),
    case(
        "a digest that is too short",
        Swap(
            "\"edge.wasm\"",
            "{ url = \"http://h/e.wasm\", digest = \"sha256:0\" }",
        ),
        "expected 64 hexadecimal digits",
    ),
    case(
        "a package without a version",
        Swap("\"edge.wasm\"", "{ package = \"a:b\" }"),
        "expected a file, `{ url, digest }`",
    ),
    case(
        "a package's version that is none",
        Swap("\"edge.wasm\"", "{ package = \"a:b\", version = \"^1\" }"),
        "\"^1\" is not a version",
    ),
    case(
        "a package's name that is none",
        Swap("\"edge.wasm\"", "{ package = \"ab\", version = \"1.0.0\" }"),
        "\"ab\" is not a package",
    ),
    case(
        "an unknown field of a source",
        Swap("\"edge.wasm\"", "{ git = \"x\" }"),
        "unknown field `git`",
    ),
    case(
        "a component in snake case",
        Swap("[component.helper]", "[component.my_helper]"),
        "words must be separated with '-', not '_'",
    ),
    case(
        "a component twice",
        Add("[component.helper]\nsource = \"x\""),
        "duplicate key",
    ),
    case(
        "an unknown field of a component",
        Edge("memory = 1"),
        "unknown field `memory`",
    ),
    case(
        "a component's variable in kebab case",
        Edge("variables = { a-b = \"\" }"),
        "words must be separated with '_', not '-'",
    ),
    case(
        "a component's variable that is a number",
        Edge("variables = { a = 1 }"),
        "invalid type: integer",
    ),
    case(
        "a template without an end",
        Edge("variables = { a = \"{{ url\" }"),
        "unmatched '{{' in template",
    ),
    case(
        "a template of an absent variable",
        Edge("variables = { a = \"{{ other }}\" }"),
        "unknown variable \"other\"",
    ),
    case(
        "an environment that is no text",
        Edge("environment = { A = true }"),
        "invalid type: boolean",
    ),
    case(
        "a file without its destination",
        Edge("files = [{ source = \"a\" }]"),
        "missing field `destination`",
    ),
    case(
        "an unknown field of a file",
        Edge("files = [{ source = \"a\", destination = \"/\", mode = 1 }]"),
        "unknown field `mode`",
    ),
    case(
        "the directory above as files",
        Edge("files = [\"a/..\"]"),
        "can't end in a parent directory path (..)",
    ),
    case(
        "this directory as files",
        Edge("files = [\".\"]"),
        "can't end in a current directory path (.)",
    ),
    case(
        "a pattern that is none",
        Edge("files = [\"a/***\"]"),
        "failed to resolve glob pattern",
    ),
    case(
        "an exclusion that is none",
        Edge("exclude_files = [\"***\"]"),
        "invalid exclude_files glob pattern",
    ),
    case(
        "a host without a scheme",
        Edge("allowed_outbound_hosts = [\"example.com\"]"),
        "does not contain a scheme",
    ),
    case(
        "a host with a path",
        Edge("allowed_outbound_hosts = [\"http://h:80/a\"]"),
        "has a path but is not allowed to",
    ),
    case(
        "a host of no known port",
        Edge("allowed_outbound_hosts = [\"amqp://h\"]"),
        "does not have a known default port number",
    ),
    case(
        "a port that is none",
        Edge("allowed_outbound_hosts = [\"http://h:a\"]"),
        "is not a number",
    ),
    case(
        "ports that are none",
        Edge("allowed_outbound_hosts = [\"http://h:1..b\"]"),
        "contains non-number",
    ),
    case(
        "a star within a host",
        Edge("allowed_outbound_hosts = [\"http://a*\"]"),
        "wildcards are allowed only as subdomains",
    ),
    case(
        "everything, the old way",
        Edge("allowed_outbound_hosts = [\"insecure:allow-all\"]"),
        "use '*://*:*' instead",
    ),
    case(
        "a host of an absent variable",
        Edge("allowed_outbound_hosts = [\"http://{{ other }}\"]"),
        "unknown variable \"other\"",
    ),
    case(
        "an old host with a path",
        Edge("allowed_http_hosts = [\"h/a\"]"),
        "isn't a valid host or host:port string",
    ),
    case(
        "a store that is none",
        Edge("key_value_stores = [\"my store\"]"),
        "expected kebab-case or snake_case; got \"my store\"",
    ),
    case(
        "a database that is none",
        Edge("sqlite_databases = [\"a-b_c\"]"),
        "expected kebab-case or snake_case",
    ),
    case(
        "a build without a command",
        Edge("build = { workdir = \"x\" }"),
        "missing field `command`",
    ),
    case(
        "a build of no commands",
        Edge("build = { command = [] }"),
        "empty, expected a command",
    ),
    case(
        "a command that is a number",
        Edge("build = { command = 1 }"),
        "expected a command, or a list of commands",
    ),
    case(
        "an unknown field of a build",
        Edge("build = { command = \"x\", env = {} }"),
        "unknown field `env`",
    ),
    case(
        "an unknown field of a profile",
        Edge("profile = { debug = { files = [] } }"),
        "unknown field `files`",
    ),
    case(
        "a working directory of a profile",
        Edge("profile = { debug = { build = { command = \"x\", workdir = \"y\" } } }"),
        "unknown field `workdir`",
    ),
    // Dependencies.
    case(
        "a key that is none",
        Dependency("\"a:b/c@x\" = \"1\""),
        "is not a version",
    ),
    case(
        "a key in snake case",
        Dependency("my_import = \"1\""),
        "is not the name of an import",
    ),
    case(
        "a version requirement that is none",
        Dependency("\"a:b\" = \"newest\""),
        "invalid semantic version requirement \"newest\"",
    ),
    case(
        "a dependency that is nowhere",
        Dependency("\"a:b\" = { export = \"x\" }"),
        "says where it is in no way, or in several",
    ),
    case(
        "a dependency that is in two places",
        Dependency("\"a:b\" = { path = \"x\", component = \"helper\" }"),
        "says where it is in no way, or in several",
    ),
    case(
        "a dependency's URL without a digest",
        Dependency("\"a:b\" = { url = \"http://h/x\" }"),
        "says where it is in no way, or in several",
    ),
    case(
        "an unknown field of a dependency",
        Dependency("\"a:b\" = { path = \"x\", environment = {} }"),
        "unknown field `environment`",
    ),
    case(
        "a plain import without a package",
        Dependency("a-b = \"1\""),
        "dependency \"a-b\" must specify a package name",
    ),
    case(
        "a plain import of a registry without a package",
        Dependency("a-b = { version = \"1\" }"),
        "dependency \"a-b\" must specify a package name",
    ),
    case(
        "an export for a whole package",
        Dependency("\"a:b\" = { path = \"x\", export = \"c:d/e\" }"),
        "using an export to satisfy the package dependency",
    ),
    case(
        "two keys for one import",
        Dependency("\"a:b\" = { path = \"x\" }\n\"a:b/c@1.0.0\" = { path = \"y\" }"),
        "a:b dependency conflicts with a:b/c@1.0.0",
    ),
    case(
        "an absent component as a dependency",
        Dependency("\"a:b\" = { component = \"other\" }"),
        "dependency ID other does not exist",
    ),
    case(
        "a component with hosts as a dependency",
        Add(
            "[component.edge.dependencies]\n\"a:b\" = { component = \"rich\" }\n[component.rich]\nsource = \"r\"\nallowed_outbound_hosts = [\"http://h\"]\nvariables = { a = \"\" }",
        ),
        "because it specifies: allowed_outbound_hosts, variables",
    ),
    case(
        "something that cannot be inherited",
        Dependency("\"a:b\" = { path = \"x\", inherit_configuration = [\"network\"] }"),
        "a dependency cannot inherit \"network\"",
    ),
    case(
        "inheritance that is a text",
        Dependency("\"a:b\" = { path = \"x\", inherit_configuration = \"all\" }"),
        "expected true, false, or a list of",
    ),
    case(
        "inheritance said twice",
        Add(
            "[component.other]\nsource = \"o\"\ndependencies_inherit_configuration = true\ndependencies = { \"a:b\" = { path = \"x\", inherit_configuration = true } }",
        ),
        "These are mutually exclusive",
    ),
    case(
        "two keys for one import in a profile",
        Edge("profile = { p = { dependencies = { \"a:b\" = \"1\", \"a:b/c\" = \"1\" } } }"),
        "a:b dependency conflicts with a:b/c",
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
