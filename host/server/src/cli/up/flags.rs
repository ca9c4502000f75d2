//! The flags of `tensorgate up` and of the trigger plugin: Spin's own, by Spin's names, long and
//! short. Flags of `tensorgate serve` may stand beside them and are for the models.

use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;
use std::time::Duration;

use tensorgate_spin::run::Limits;
use tensorgate_spin::variables::Setting;

use super::super::flag::{Flag, Value};

/// How the routes are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Format {
    #[default]
    Plain,
    Json,
}

/// What was asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Options {
    // --- What is run, and how it is made ---
    pub(super) from: Option<PathBuf>,
    pub(super) build: bool,
    pub(super) watch: bool,
    pub(super) profile: Option<String>,
    pub(super) env: Vec<(String, String)>,
    pub(super) components: Vec<String>,
    pub(super) direct_mounts: bool,
    // --- How it is run ---
    pub(crate) listen: Option<SocketAddr>,
    pub(crate) find_free_port: bool,
    pub(crate) format: Format,
    pub(crate) variables: Vec<Setting>,
    pub(crate) key_values: Vec<(String, String)>,
    pub(crate) state_dir: Option<String>,
    pub(crate) log_dir: Option<PathBuf>,
    pub(crate) truncate_logs: bool,
    pub(crate) quiet: bool,
    pub(crate) follow: Vec<String>,
    pub(crate) writable: bool,
    pub(crate) disable_cache: bool,
    pub(crate) max_instances: Option<usize>,
    pub(crate) max_instance_memory: Option<usize>,
    pub(crate) max_instance_cpu: Option<Duration>,
    pub(crate) request_timeout: Option<Duration>,
    pub(crate) help: bool,
    // --- What Spin asks of a plugin ---
    pub(crate) help_args_only: bool,
    pub(crate) launch_metadata_only: bool,
}

impl Options {
    /// Where to listen: Spin's address when nobody says.
    pub(crate) fn address(&self) -> SocketAddr {
        self.listen
            .unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 3000)))
    }

    /// What instances may use.
    pub(crate) fn limits(&self) -> Limits {
        let default = Limits::default();
        Limits {
            instances: self.max_instances.unwrap_or(default.instances),
            memory: self.max_instance_memory.unwrap_or(default.memory),
            cpu: self.max_instance_cpu.unwrap_or(default.cpu),
            life: self.request_timeout.unwrap_or(default.life),
            ..default
        }
    }
}

type Row = Flag<Options>;

const fn row(
    name: &'static str,
    default: &'static str,
    value: Value<Options>,
    help: &'static str,
) -> Row {
    Flag {
        name,
        default,
        value,
        acts: true,
        help,
    }
}

/// Flags that Spin has before a trigger is started.
pub(super) const UP: &[Row] = &[
    row(
        "from",
        "spin.toml",
        Value::Text(|o, v| o.from = Some(v.into())),
        "The app: a manifest, a directory with a spin.toml in it, or a component (a .wasm file). \
         Short: -f.",
    ),
    row(
        "build",
        "false",
        Value::Bool(|o, v| o.build = v),
        "Builds the app first, as its manifest says.",
    ),
    row(
        "watch",
        "false",
        Value::Bool(|o, v| o.watch = v),
        "Builds again and runs what came of it whenever a file of build.watch, a component or the \
         manifest changes. A build that fails leaves running what ran.",
    ),
    row(
        "profile",
        "",
        Value::Text(|o, v| o.profile = Some(v.to_owned()).filter(|name| !name.is_empty())),
        "The build profile to build and run.",
    ),
    row(
        "env",
        "",
        Value::Other("KEY=VALUE", |o, v| {
            o.env.push(pair(v)?);
            Some(())
        }),
        "An environment variable for all components. May be given several times. Short: -e.",
    ),
    row(
        "component-id",
        "",
        Value::Text(|o, v| o.components.push(v.to_owned())),
        "Runs this component alone. May be given several times. Short: -c.",
    ),
    row(
        "direct-mounts",
        "false",
        Value::Bool(|o, v| o.direct_mounts = v),
        "Mounts directories of files where they are, and does not copy them.",
    ),
];

/// Flags that Spin passes on to triggers.
pub(crate) const RUN: &[Row] = &[
    row(
        "listen",
        "127.0.0.1:3000",
        Value::Other("address and port", |o, v| {
            o.listen = Some(address(v)?);
            Some(())
        }),
        "Where to listen. Also: SPIN_HTTP_LISTEN_ADDR.",
    ),
    row(
        "find-free-port",
        "false",
        Value::Bool(|o, v| o.find_free_port = v),
        "Takes the next free port where the one of --listen is taken.",
    ),
    row(
        "format",
        "plain",
        Value::Other("plain or json", |o, v| {
            o.format = match v {
                "plain" => Format::Plain,
                "json" => Format::Json,
                _ => return None,
            };
            Some(())
        }),
        "How the routes are printed at the start.",
    ),
    row(
        "variable",
        "",
        Value::Other("KEY=VALUE, KEY=@FILE, @FILE.json or @FILE.toml", |o, v| {
            o.variables.push(v.parse().ok()?);
            Some(())
        }),
        "A variable of the app. May be given several times. Also: SPIN_VARIABLE_<NAME>.",
    ),
    row(
        "key-value",
        "",
        Value::Other("KEY=VALUE", |o, v| {
            o.key_values.push(pair(v)?);
            Some(())
        }),
        "An entry of the default key-value store, set before anything runs. May be given several \
         times.",
    ),
    row(
        "state-dir",
        ".spin",
        Value::Text(|o, v| o.state_dir = Some(v.to_owned())),
        "Where logs and the key-value store are kept, beside the manifest unless this says \
         otherwise; empty for nowhere.",
    ),
    row(
        "log-dir",
        ".spin/logs",
        Value::Text(|o, v| o.log_dir = Some(v.into())),
        "Where what components print is written; empty for nowhere. Short: -L. Also: SPIN_LOG_DIR.",
    ),
    row(
        "truncate-logs",
        "false",
        Value::Bool(|o, v| o.truncate_logs = v),
        "Begins these files anew.",
    ),
    row(
        "quiet",
        "false",
        Value::Bool(|o, v| o.quiet = v),
        "Shows nothing of what components print. Short: -q.",
    ),
    row(
        "follow",
        "",
        Value::Text(|o, v| o.follow.push(v.to_owned())),
        "Shows only what this component prints. May be given several times.",
    ),
    row(
        "allow-transient-write",
        "false",
        Value::Bool(|o, v| o.writable = v),
        "Lets components write to their files.",
    ),
    row(
        "disable-cache",
        "false",
        Value::Bool(|o, v| o.disable_cache = v),
        "Compiles components at each start.",
    ),
    row(
        "max-instances",
        "256",
        Value::Other("count, 1 to 4096", |o, v| {
            o.max_instances = Some(v.parse().ok().filter(|count| (1..=4096).contains(count))?);
            Some(())
        }),
        "Requests that are inside components at the same time; 1024 more may wait, and others are \
         answered with 503.",
    ),
    row(
        "max-instance-memory",
        "536870912",
        Value::Other("bytes, 1 MiB to 4 GiB", |o, v| {
            let bytes = v.parse().ok();
            o.max_instance_memory =
                Some(bytes.filter(|bytes| (1 << 20..=4 << 30).contains(bytes))?);
            Some(())
        }),
        "Memory of one instance. Also: SPIN_MAX_INSTANCE_MEMORY.",
    ),
    row(
        "max-instance-cpu",
        "30s",
        Value::Other("time, such as 500ms or 30s", |o, v| {
            o.max_instance_cpu = Some(duration(v)?);
            Some(())
        }),
        "How long one instance may compute; what it waits for is not counted.",
    ),
    row(
        "request-timeout",
        "300s",
        Value::Other("time, such as 500ms or 30s", |o, v| {
            o.request_timeout = Some(duration(v)?);
            Some(())
        }),
        "How long one instance may live, its waiting included.",
    ),
    row(
        "help",
        "false",
        Value::Bool(|o, v| o.help = v),
        "Prints this and ends. Short: -h.",
    ),
];

/// Flags that Spin gives a plugin when it wants to know something of it.
pub(crate) const PLUGIN: &[Row] = &[
    row(
        "help-args-only",
        "false",
        Value::Bool(|o, v| o.help_args_only = v),
        "Prints these flags and ends.",
    ),
    row(
        "launch-metadata-only",
        "false",
        Value::Bool(|o, v| o.launch_metadata_only = v),
        "Prints the names of these flags as JSON to standard error and ends.",
    ),
];

/// Short names, with their long ones.
pub(crate) const SHORT: [(&str, &str); 7] = [
    ("-f", "--from"),
    ("-e", "--env"),
    ("-c", "--component-id"),
    ("-q", "--quiet"),
    ("-L", "--log-dir"),
    ("-h", "--help"),
    ("--sh", "--quiet"),
];

/// Arguments with their long names, and before them what the environment says.
pub(crate) fn long(args: &[String], variable: impl Fn(&str) -> Option<String>) -> Vec<String> {
    const VARIABLES: [(&str, &str); 4] = [
        ("SPIN_HTTP_LISTEN_ADDR", "listen"),
        ("SPIN_LOG_DIR", "log-dir"),
        ("SPIN_MAX_INSTANCE_MEMORY", "max-instance-memory"),
        ("DISABLE_WASMTIME_CACHE", "disable-cache"),
    ];
    let mut all = Vec::new();
    for (name, flag) in VARIABLES {
        if let Some(value) = variable(name).filter(|value| !value.is_empty()) {
            all.push(format!("--{flag}={value}"));
        }
    }
    for arg in args {
        let long = SHORT.iter().find(|(short, _)| short == arg);
        all.push(long.map_or_else(|| arg.clone(), |(_, long)| (*long).to_owned()));
    }
    all
}

fn pair(text: &str) -> Option<(String, String)> {
    let (key, value) = text.split_once('=')?;
    (!key.is_empty()).then(|| (key.to_owned(), value.to_owned()))
}

/// An address, of a name that has several the one of this machine that most mean.
fn address(text: &str) -> Option<SocketAddr> {
    let found: Vec<SocketAddr> = text.to_socket_addrs().ok()?.collect();
    let usual = found
        .iter()
        .find(|address| address.ip() == Ipv4Addr::LOCALHOST);
    usual.or(found.first()).copied()
}

/// A time: a number of seconds, or with a unit.
fn duration(text: &str) -> Option<Duration> {
    let unit = text.trim_start_matches(|letter: char| letter.is_ascii_digit());
    let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
    let time = match unit {
        "" | "s" => Duration::from_secs(number),
        "ms" => Duration::from_millis(number),
        "us" | "μs" => Duration::from_micros(number),
        "ns" => Duration::from_nanos(number),
        _ => return None,
    };
    (!time.is_zero()).then_some(time)
}

#[cfg(test)]
mod tests {
    use super::super::super::flag;
    use super::*;

    fn read(args: &[&str]) -> Result<Options, String> {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let args = long(&args, |_| None);
        let flags: Vec<_> = UP.iter().chain(RUN).collect();
        let mut options = Options::default();
        let found = flag::parse(&flags, &args, &mut options).map_err(|error| error.to_string())?;
        assert_eq!(found.unknown, [""; 0]);
        Ok(options)
    }

    #[test]
    fn short_names_and_long_ones_are_the_same() {
        let short = read(&["-f", "app", "-e", "A=b=c", "-c", "one", "-c", "two", "-q"]).unwrap();
        assert_eq!(short.from, Some("app".into()));
        assert_eq!(short.env, [("A".to_owned(), "b=c".to_owned())]);
        assert_eq!(short.components, ["one", "two"]);
        assert!(short.quiet);
        let long = read(&["--from=app", "--log-dir", "logs", "--follow", "a"]).unwrap();
        assert_eq!(long.from, Some("app".into()));
        assert_eq!(long.log_dir, Some("logs".into()));
        assert_eq!(long.follow, ["a"]);
    }

    #[test]
    fn what_cannot_be_understood_is_named() {
        for (args, words) in [
            (
                &["--env", "A"][..],
                "Couldn't interpret value A for flag env",
            ),
            (&["--listen=nowhere"], "address and port"),
            (&["--format=xml"], "plain or json"),
            (&["--variable=x"], "KEY=VALUE"),
            (&["--max-instance-memory=1"], "1 MiB to 4 GiB"),
            (&["--request-timeout=0s"], "such as 500ms"),
        ] {
            let problem = read(args).unwrap_err();
            assert!(problem.contains(words), "{problem}");
        }
    }

    #[test]
    fn the_environment_says_what_no_flag_does() {
        let variable =
            |name: &str| (name == "SPIN_HTTP_LISTEN_ADDR").then(|| "127.0.0.1:5".to_owned());
        let listens = |args: &[&str]| {
            let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
            let flags: Vec<_> = RUN.iter().collect();
            let mut options = Options::default();
            flag::parse(&flags, &long(&args, variable), &mut options).unwrap();
            options.address().port()
        };
        assert_eq!(listens(&[]), 5);
        assert_eq!(listens(&["--listen=127.0.0.1:6"]), 6);
        assert_eq!(Options::default().address().port(), 3000);
    }

    #[test]
    fn times_have_units() {
        for (text, expected) in [
            ("3", Some(Duration::from_secs(3))),
            ("3s", Some(Duration::from_secs(3))),
            ("20ms", Some(Duration::from_millis(20))),
            ("0", None),
            ("3h", None),
            ("s", None),
        ] {
            assert_eq!(duration(text), expected, "{text}");
        }
    }
}
