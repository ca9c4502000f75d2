//! `tensorgate status`: asks a server what runs where.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::process::ExitCode;
use std::time::Duration;

use super::flag::{self, Flag, Value};
use super::{complain, print, print_error, usage};

/// How long a server may take; it has to look up a few numbers.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest answer: that of ten thousand models is shorter.
const MAX_ANSWER: u64 = 16 << 20;

#[derive(Debug, Default)]
struct Options {
    url: Option<String>,
    format: Format,
    help: bool,
}

#[derive(Debug, Clone, Copy, Default)]
enum Format {
    #[default]
    Table,
    Json,
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
        value: Value::Other("table|json", |o, v| {
            o.format = match v {
                "table" => Format::Table,
                "json" => Format::Json,
                _ => return None,
            };
            Some(())
        }),
        acts: true,
        help: "How to print: `table` for people, `json` for programs.",
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
    let Some(authority) = authority(url) else {
        return complain(&format!(
            "the URL '{url}' is none of an HTTP port; expected http://host:port"
        ));
    };
    let accept = match options.format {
        Format::Table => "text/plain",
        Format::Json => "application/json",
    };
    match ask(authority, accept) {
        Ok(body) => {
            print(&body);
            ExitCode::SUCCESS
        }
        Err(error) => {
            print_error(&format!("tensorgate: no status from {url}: {error}\n"));
            ExitCode::FAILURE
        }
    }
}

/// `host:port` of `http://host:port`.
fn authority(url: &str) -> Option<&str> {
    let rest = url.strip_prefix("http://")?;
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    let (host, port) = authority.rsplit_once(':')?;
    let is_one = !host.is_empty() && port.parse::<u16>().is_ok();
    // What has other letters in it would be something else in a request.
    let is_plain = authority
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'/');
    (is_one && is_plain).then_some(authority)
}

fn ask(authority: &str, accept: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(authority)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    // By HTTP/1.0 the answer ends with the connection, and is not cut into chunks.
    let request =
        format!("GET /health/status HTTP/1.0\r\nHost: {authority}\r\nAccept: {accept}\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.take(MAX_ANSWER).read_to_string(&mut answer)?;
    body(&answer).map(str::to_owned)
}

/// The body of an answer that is none of an error.
fn body(answer: &str) -> io::Result<&str> {
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .ok_or_else(|| io::Error::other("what answers there speaks no HTTP"))?;
    let status = head.lines().next().unwrap_or_default();
    if status.split(' ').nth(1) == Some("200") {
        Ok(body)
    } else {
        Err(io::Error::other(format!("it answered {status}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_one_of_an_http_port() {
        for (url, expected) in [
            ("http://localhost:8501", Some("localhost:8501")),
            ("http://localhost:8501/", Some("localhost:8501")),
            ("http://[::1]:80", Some("[::1]:80")),
            ("https://localhost:8501", None),
            ("localhost:8501", None),
            ("http://localhost", None),
            ("http://:1", None),
            ("http://a:1/b", None),
            ("http://a/b:1", None),
            ("http://a\r\nb:1", None),
            ("http://a:70000", None),
        ] {
            assert_eq!(authority(url), expected, "{url}");
        }
    }

    #[test]
    fn only_what_went_well_has_a_body() {
        assert_eq!(body("HTTP/1.1 200 OK\r\na: b\r\n\r\nyes").unwrap(), "yes");
        let error = body("HTTP/1.1 404 Not Found\r\n\r\nno").unwrap_err();
        assert_eq!(error.to_string(), "it answered HTTP/1.1 404 Not Found");
        assert!(body("SSH-2.0").is_err());
    }
}
