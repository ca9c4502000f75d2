//! `tensorgate status`: asks a server what runs where.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::door::{StatusReport, tables};

use super::flag::{self, Flag, Value};
use super::format::Format;
use super::{complain, print, print_error, usage};

/// How long a server may take; it has to look up a few numbers.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest answer: that of ten thousand models is shorter.
const MAX_ANSWER: usize = 16 << 20;

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
    let Some(authority) = authority(url) else {
        return complain(&format!(
            "the URL '{url}' is none of an HTTP port; expected http://host:port"
        ));
    };
    let shown = ask(authority, PATIENCE).and_then(|body| show(&body, options.format));
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

/// The body of the answer, as long as it comes in time.
fn ask(authority: &str, patience: Duration) -> io::Result<String> {
    let give_up = Instant::now() + patience;
    let in_time = |error: io::Error| match error.kind() {
        ErrorKind::TimedOut | ErrorKind::WouldBlock => {
            io::Error::other(format!("the server did not answer in {patience:?}"))
        }
        _ => error,
    };
    let mut stream = connect(authority, give_up).map_err(in_time)?;
    // By HTTP/1.0 the answer ends with the connection, and is not cut into chunks.
    let request = format!(
        "GET /health/status HTTP/1.0\r\nHost: {authority}\r\nAccept: application/json\r\n\r\n"
    );
    stream.set_write_timeout(Some(left(give_up).map_err(in_time)?))?;
    stream.write_all(request.as_bytes()).map_err(in_time)?;
    let answer = read(&mut stream, give_up).map_err(in_time)?;
    body(&String::from_utf8(answer).map_err(|_| not_a_status())?).map(str::to_owned)
}

/// The time that there is until then.
fn left(give_up: Instant) -> io::Result<Duration> {
    let left = give_up.saturating_duration_since(Instant::now());
    Some(left)
        .filter(|left| !left.is_zero())
        .ok_or_else(|| ErrorKind::TimedOut.into())
}

fn connect(authority: &str, give_up: Instant) -> io::Result<TcpStream> {
    let mut outcome = Err(io::Error::other("its name has no address"));
    for address in authority.to_socket_addrs()? {
        outcome = TcpStream::connect_timeout(&address, left(give_up)?);
        if outcome.is_ok() {
            break;
        }
    }
    outcome
}

/// Everything that comes, however slowly, until then.
fn read(stream: &mut TcpStream, give_up: Instant) -> io::Result<Vec<u8>> {
    let mut answer = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    while answer.len() <= MAX_ANSWER {
        stream.set_read_timeout(Some(left(give_up)?))?;
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(answer),
            Ok(count) => answer.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other(format!(
        "its answer has more than {MAX_ANSWER} bytes"
    )))
}

/// The body of an answer that is none of an error.
fn body(answer: &str) -> io::Result<&str> {
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .filter(|(head, _)| head.starts_with("HTTP/"))
        .ok_or_else(|| io::Error::other("what answers there speaks no HTTP"))?;
    let status = head.lines().next().unwrap_or_default();
    if status.split(' ').nth(1) == Some("200") {
        Ok(body)
    } else {
        let shown: String = status.chars().take(100).collect();
        Err(io::Error::other(format!("it answered {}", plain(&shown))))
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

/// Text without control characters, other than ends of lines.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_control() && letter != '\n' {
            plain.extend(letter.escape_default());
        } else {
            plain.push(letter);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

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
        let error = body("HTTP/1.1 500 \u{1b}[31m\r\n\r\n").unwrap_err();
        assert_eq!(error.to_string(), "it answered HTTP/1.1 500 \\u{1b}[31m");
    }

    #[test]
    fn who_does_not_answer_is_not_waited_for() {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let authority = silent.local_addr().unwrap().to_string();
        let error = ask(&authority, Duration::from_millis(10)).unwrap_err();
        assert_eq!(error.to_string(), "the server did not answer in 10ms");
    }
}
