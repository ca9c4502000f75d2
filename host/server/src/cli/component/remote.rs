//! The commands that ask the admin port of a server.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use comfy_table::{Table, presets};

use crate::admin::{ChangeLine, ChangeReport, ListReport, ModelReport};
use crate::files;
use crate::wiring::MAX_MIB;

use super::super::flag::{self, Flag, Value};
use super::super::format::Format;
use super::super::http::{self, Question, plain};
use super::super::{complain, print, print_error, usage};

/// How long a server may take to compile a component and to try it before every version.
const PATIENCE: Duration = Duration::from_secs(600);

/// The environment variable with the token.
const VARIABLE: &str = "TENSORGATE_ADMIN_TOKEN";

#[derive(Debug, Default)]
struct Options {
    url: Option<String>,
    token_file: Option<PathBuf>,
    model: Option<String>,
    version: Option<i64>,
    format: Format,
    help: bool,
}

const URL: Flag<Options> = Flag {
    name: "url",
    default: "http://localhost:8502",
    value: Value::Text(|o, v| o.url = Some(v.to_owned())),
    acts: true,
    help: "Where the server's admin port is; without TLS.",
};
const TOKEN: Flag<Options> = Flag {
    name: "token_file",
    default: "",
    value: Value::Text(|o, v| o.token_file = Some(v.into())),
    acts: true,
    help: "A file whose first line is the token; empty for TENSORGATE_ADMIN_TOKEN.",
};
const MODEL: Flag<Options> = Flag {
    name: "model",
    default: "",
    value: Value::Text(|o, v| o.model = Some(v.to_owned()).filter(|name| !name.is_empty())),
    acts: true,
    help: "The model.",
};
const VERSION: Flag<Options> = Flag {
    name: "version",
    default: "",
    value: Value::Other("number, 0 or above", |o, v| {
        o.version = Some(v.parse().ok().filter(|version| *version >= 0)?);
        Some(())
    }),
    acts: true,
    help: "One version of it; all that have none of their own without this flag.",
};
const FORMAT: Flag<Options> = Flag {
    name: "format",
    default: "table",
    value: Value::Other(Format::CHOICES, |o, v| {
        o.format = Format::parse(v)?;
        Some(())
    }),
    acts: true,
    help: Format::HELP,
};
const HELP: Flag<Options> = Flag {
    name: "help",
    default: "false",
    value: Value::Bool(|o, v| o.help = v),
    acts: true,
    help: "Prints this and ends.",
};

/// One of the commands: its flags, its usage, and what it takes beside flags.
struct Command {
    flags: &'static [Flag<Options>],
    usage: &'static str,
}

const PUSH: Command = Command {
    flags: &[MODEL, VERSION, URL, TOKEN, FORMAT, HELP],
    usage: "tensorgate component push --model=NAME [--version=N] <file.wasm>",
};
const LIST: Command = Command {
    flags: &[MODEL, URL, TOKEN, FORMAT, HELP],
    usage: "tensorgate component list [--model=NAME]",
};
const ROLL_BACK: Command = Command {
    flags: &[MODEL, VERSION, URL, TOKEN, FORMAT, HELP],
    usage: "tensorgate component rollback --model=NAME [--version=N]",
};

/// Puts a component before a model.
pub(super) fn push(args: &[String]) -> ExitCode {
    told(&PUSH, args, |options, files| {
        let [file] = files else {
            return Err(Failed::Misused(format!("usage: {}", PUSH.usage)));
        };
        let path = format!("/v1/components?{}", query(options, true)?);
        let kind = format!("a component of {MAX_MIB} MiB at most");
        let wasm = files::read(Path::new(file), &kind, MAX_MIB << 20)
            .map_err(|error| Failed::Failed(format!("cannot read {file}: {error}")))?;
        let body = ask(options, "POST", &path, &wasm)?;
        show(&body, options.format, |report: &ChangeReport| {
            changed(report)
        })
    })
}

/// Prints what stands before models.
pub(super) fn list(args: &[String]) -> ExitCode {
    told(&LIST, args, |options, files| {
        nothing_more(&LIST, files)?;
        let path = format!("/v1/components?{}", query(options, false)?);
        let body = ask(options, "GET", &path, b"")?;
        show(&body, options.format, |report: &ListReport| listed(report))
    })
}

/// Puts back what stood before a model.
pub(super) fn roll_back(args: &[String]) -> ExitCode {
    told(&ROLL_BACK, args, |options, files| {
        nothing_more(&ROLL_BACK, files)?;
        let path = format!("/v1/components/rollback?{}", query(options, true)?);
        let body = ask(options, "POST", &path, b"")?;
        show(&body, options.format, |report: &ChangeReport| {
            changed(report)
        })
    })
}

/// Why there is no answer.
#[derive(Debug, PartialEq, Eq)]
enum Failed {
    /// The command line cannot be understood.
    Misused(String),
    Failed(String),
}

fn told(
    command: &Command,
    args: &[String],
    run: impl FnOnce(&Options, &[String]) -> Result<String, Failed>,
) -> ExitCode {
    let flags: Vec<_> = command.flags.iter().collect();
    let mut options = Options::default();
    let found = match flag::parse(&flags, args, &mut options) {
        Ok(found) => found,
        Err(error) => return complain(&error.to_string()),
    };
    if options.help {
        let (usage, flags) = (command.usage, usage::help(&flags));
        print(&format!("usage: {usage}\n\n{flags}"));
        return ExitCode::SUCCESS;
    }
    if let Some(unknown) = found.unknown.iter().find(|arg| arg.starts_with('-')) {
        return complain(&format!("unknown argument: {unknown}"));
    }
    match run(&options, &found.unknown) {
        Ok(text) => {
            print(&text);
            ExitCode::SUCCESS
        }
        Err(Failed::Misused(message)) => complain(&message),
        Err(Failed::Failed(message)) => {
            print_error(&format!("tensorgate: {}\n", plain(&message)));
            ExitCode::FAILURE
        }
    }
}

fn nothing_more(command: &Command, files: &[String]) -> Result<(), Failed> {
    match files {
        [] => Ok(()),
        _ => Err(Failed::Misused(format!("usage: {}", command.usage))),
    }
}

fn query(options: &Options, needs_model: bool) -> Result<String, Failed> {
    let mut query = match &options.model {
        Some(model) => format!("model={}", percent_encode(model)),
        None if needs_model => {
            return Err(Failed::Misused(
                "which model? expected --model=NAME".to_owned(),
            ));
        }
        None => String::new(),
    };
    if let Some(version) = options.version {
        let _ = write!(query, "&version={version}");
    }
    Ok(query)
}

pub(super) fn percent_encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

/// The body of an answer that is none of an error.
fn ask(options: &Options, method: &str, path: &str, body: &[u8]) -> Result<String, Failed> {
    let url = options.url.as_deref().unwrap_or(URL.default);
    let authority = http::authority(url).ok_or_else(|| {
        Failed::Misused(format!(
            "the URL '{url}' is none of an HTTP port; expected http://host:port"
        ))
    })?;
    let token = token(options)?;
    let question = Question {
        method,
        path,
        token: Some(&token),
        headers: &[],
        body,
        patience: PATIENCE,
    };
    let failed = |what: &dyn std::fmt::Display| Failed::Failed(format!("{url}: {what}"));
    match http::ask(authority, question) {
        Ok((200, body)) => Ok(body),
        Ok((status, body)) => Err(failed(&refusal(status, &body))),
        Err(error) => Err(failed(&error)),
    }
}

/// What a server says that refuses.
fn refusal(status: u16, body: &str) -> String {
    let message = serde_json::from_str::<serde_json::Value>(body)
        .ok()
        .and_then(|body| Some(body.get("error")?.as_str()?.to_owned()));
    message.unwrap_or_else(|| format!("it answered with status {status}"))
}

fn token(options: &Options) -> Result<String, Failed> {
    let text = match &options.token_file {
        Some(file) => files::text(file)
            .map_err(|error| Failed::Failed(format!("cannot read {}: {error}", file.display())))?,
        None => std::env::var(VARIABLE).map_err(|_| {
            Failed::Misused(format!(
                "there is no token: expected --token_file=FILE, or the variable {VARIABLE}"
            ))
        })?,
    };
    let token = text.lines().next().unwrap_or_default().trim();
    // It goes into a header.
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Failed::Failed(
            "the token is none: expected visible characters in the first line".to_owned(),
        ));
    }
    Ok(token.to_owned())
}

fn show<T: serde::de::DeserializeOwned>(
    body: &str,
    format: Format,
    table: impl FnOnce(&T) -> String,
) -> Result<String, Failed> {
    let report = serde_json::from_str(body).map_err(|_: serde_json::Error| {
        let error =
            io::Error::other("what it answered is none of a Tensorgate server's admin port");
        Failed::Failed(error.to_string())
    })?;
    Ok(match format {
        Format::Table => plain(&table(&report)),
        Format::Json => plain(body.trim_end()) + "\n",
    })
}

fn changed(report: &ChangeReport) -> String {
    let ChangeReport {
        model,
        change,
        versions,
    } = report;
    let versions = versions.iter().map(i64::to_string);
    let versions = versions.collect::<Vec<_>>().join(", ");
    let now = match (&change.sha256, versions.as_str()) {
        (Some(sha256), "") => format!(
            "{sha256} stands before no version that is served now: it will stand before those \
             that are loaded from now on; `tensorgate component list` shows what stands before each"
        ),
        (Some(sha256), versions) => format!("{sha256} stands before version {versions}"),
        (None, "") => "nothing that was pushed stands there any more".to_owned(),
        (None, versions) => {
            format!("what version {versions} or the configuration has stands there again")
        }
    };
    format!("{model}: {} {}: {now}\n", change.action, change.number)
}

fn listed(report: &ListReport) -> String {
    if report.components.is_empty() {
        return "no model has a processor\n".to_owned();
    }
    let models = report.components.iter().map(one_listed);
    models.collect::<Vec<_>>().join("\n")
}

fn one_listed(model: &ModelReport) -> String {
    let mut text = format!("{}\n", model.model);
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_header([
        "",
        "sha256",
        "where",
        "signatures, or when",
    ]);
    for line in &model.versions {
        table.add_row([
            format!("version {}", line.version),
            line.sha256.clone(),
            line.origin.clone(),
            line.covers.join(", "),
        ]);
    }
    for line in &model.history {
        table.add_row(row(line));
    }
    let _ = writeln!(text, "{table}");
    text
}

fn row(line: &ChangeLine) -> [String; 4] {
    let sha256 = line.sha256.clone().unwrap_or_else(|| "none".to_owned());
    let scope = match line.version {
        None => "all versions".to_owned(),
        Some(version) => format!("version {version}"),
    };
    let what = format!("{} {}", line.action, line.number);
    [what, sha256, scope, format!("at {}", line.time)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_names_the_model_and_the_version() {
        let options = Options {
            model: Some("a/b ä".to_owned()),
            version: Some(3),
            ..Options::default()
        };
        assert_eq!(
            query(&options, true),
            Ok("model=a%2Fb%20%C3%A4&version=3".to_owned())
        );
        let none = Options::default();
        assert_eq!(query(&none, false), Ok(String::new()));
        assert!(matches!(query(&none, true), Err(Failed::Misused(_))));
    }

    #[test]
    fn a_refusal_is_the_server_s_words() {
        assert_eq!(refusal(412, r#"{"error": "no store"}"#), "no store");
        assert_eq!(refusal(502, "<html>"), "it answered with status 502");
    }

    #[test]
    fn changes_and_lists_are_told_in_words() {
        let line = |sha256: Option<&str>| ChangeLine {
            number: 4,
            time: 1_700_000_000,
            action: "push".to_owned(),
            version: None,
            sha256: sha256.map(str::to_owned),
        };
        let report = ChangeReport {
            model: "m".to_owned(),
            change: line(Some("abc")),
            versions: vec![1, 2],
        };
        assert_eq!(
            changed(&report),
            "m: push 4: abc stands before version 1, 2\n"
        );
        let list = ListReport {
            components: vec![ModelReport {
                model: "m".to_owned(),
                versions: vec![crate::admin::StandingLine {
                    version: 7,
                    sha256: "abc".to_owned(),
                    origin: "pushed".to_owned(),
                    covers: vec!["serving_default".to_owned()],
                }],
                history: vec![line(None)],
            }],
        };
        let text = listed(&list);
        for words in [
            "version 7",
            "abc",
            "pushed",
            "serving_default",
            "push 4",
            "none",
        ] {
            assert!(text.contains(words), "{words}: {text}");
        }
        let body = serde_json::to_string(&list).unwrap();
        let shown = show(&body, Format::Json, listed).unwrap();
        assert_eq!(serde_json::from_str::<ListReport>(&shown).unwrap(), list);
        assert!(show("<html>", Format::Table, listed).is_err());
    }
}
