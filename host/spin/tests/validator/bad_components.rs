//! Bad manifests whose fault is in a component or a dependency.

use super::bad::Change::{Add, Dependency, Edge, Swap};
use super::bad::{Case, case};

pub(crate) const CASES: &[Case] = &[
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
