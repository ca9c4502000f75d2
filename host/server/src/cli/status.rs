//! `tensorgate status`: asks a server what runs where.

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use crate::door::{StatusReport, tables};

use super::flag::{self, Flag, Value};
use super::format::Format;
use super::http::{self, Question, plain};
use super::{complain, print, print_error, usage};

/// How long a server may take; it has to look up a few numbers.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
struct Options {
    url: Option<String>,
    format: Format,
    help: bool,
}

const FLAGS: &[Flag<Options>] = &[
    Flag {
        name: "url",
        default: "http://localhost:8501",
        value: Value::Text(|o, v| o.url = Some(v.to_owned())),
        acts: true,
        help: "Where the server's HTTP port is; without TLS.",
    },
    Flag {
        name: "format",
        default: "table",
        value: Value::Other(Format::CHOICES, |o, v| {
            o.format = Format::parse(v)?;
            Some(())
        }),
        acts: true,
        help: Format::HELP,
    },
    Flag {
        name: "help",
        default: "false",
        value: Value::Bool(|o, v| o.help = v),
        acts: true,
        help: "Prints this and ends.",
    },
];

/// Prints the status of a running server.
pub(super) fn run(args: &[String]) -> ExitCode {
    let flags: Vec<_> = FLAGS.iter().collect();
    let mut options = Options::default();
    let found = match flag::parse(&flags, args, &mut options) {
        Ok(found) => found,
        Err(error) => return complain(&error.to_string()),
    };
    if options.help {
        print(&format!(
            "usage: tensorgate status [--url=http://host:port] [--format=table|json]\n\n\
             Prints the models of a running server, its workers, their devices and memory.\n\n{}",
            usage::help(&flags)
        ));
        return ExitCode::SUCCESS;
    }
    if let Some(unknown) = found.unknown.first() {
        return complain(&format!("unknown argument: {unknown}"));
    }
    let url = options.url.as_deref().unwrap_or(FLAGS[0].default);
    let Some(authority) = http::authority(url) else {
        return complain(&format!(
            "the URL '{url}' is none of an HTTP port; expected http://host:port"
        ));
    };
    let shown = asked(authority).and_then(|body| show(&body, options.format));
    match shown {
        Ok(text) => {
            print(&text);
            ExitCode::SUCCESS
        }
        Err(error) => {
            print_error(&format!("tensorgate: no status from {url}: {error}\n"));
            ExitCode::FAILURE
        }
    }
}

/// The body of the answer.
fn asked(authority: &str) -> io::Result<String> {
    let question = Question {
        method: "GET",
        path: "/health/status",
        token: None,
        headers: &[],
        body: b"",
        patience: PATIENCE,
    };
    match http::ask(authority, question)? {
        (200, body) => Ok(body),
        (status, _) => Err(io::Error::other(format!(
            "it answered with status {status}"
        ))),
    }
}

fn not_a_status() -> io::Error {
    io::Error::other(
        "what it answered is no status of a Tensorgate server; expected a JSON object with \
         server, workers and models",
    )
}

/// What is printed of the body. Whoever answered may be anybody, and gets no say in what a
/// terminal does.
fn show(body: &str, format: Format) -> io::Result<String> {
    let report: StatusReport = serde_json::from_str(body).map_err(|_| not_a_status())?;
    Ok(match format {
        Format::Table => plain(&tables(&report)),
        Format::Json => {
            // Control characters below the space are white space here, or it would be no JSON.
            let mut text = String::with_capacity(body.len() + 1);
            for letter in body.trim_end().chars() {
                match letter {
                    '\u{7f}'..='\u{9f}' => {
                        text.extend(format!("\\u{:04x}", u32::from(letter)).chars());
                    }
                    _ => text.push(letter),
                }
            }
            text + "\n"
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_status_is_printed_and_nothing_that_moves_a_terminal() {
        let json = r#"{"server":{"pid":1,"resident_bytes":null,"devices":[]},"workers":[],
            "models":[{"name":"\u001b[31mred\u009b","version":1,"state":"AVAILABLE"}],"more":1}"#;
        // Raw, as JSON may have it.
        let json = json.replace("\\u009b", "\u{9b}");
        let table = show(&json, Format::Table).unwrap();
        assert!(table.contains("\\u{1b}[31mred\\u{9b}"), "{table}");
        assert!(table.contains("AVAILABLE"), "{table}");
        let text = show(&json, Format::Json).unwrap();
        assert_eq!(text, json.replace('\u{9b}', "\\u009b") + "\n");
        for other in ["", "<html>", "{}", "[1]", "\u{1b}[31m", &json[1..]] {
            for format in [Format::Table, Format::Json] {
                let error = show(other, format).unwrap_err().to_string();
                let words = "expected a JSON object with server, workers and models";
                assert!(error.ends_with(words), "{error}");
            }
        }
    }
}
