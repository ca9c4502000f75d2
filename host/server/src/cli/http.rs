//! A request to a server, for commands that ask one: by HTTP/1.0, with a bound on time and length.
//!
//! **Invariant:** whoever answers may be anybody, and gets no say in what a terminal does.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::{Duration, Instant};

/// The longest answer: that of ten thousand models is shorter.
const MAX_ANSWER: usize = 16 << 20;

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question<'a> {
    pub(super) method: &'a str,
    /// Path and query.
    pub(super) path: &'a str,
    /// The token of the admin port.
    pub(super) token: Option<&'a str>,
    pub(super) body: &'a [u8],
    /// How long the whole may take.
    pub(super) patience: Duration,
}

/// `host:port` of `http://host:port`.
pub(super) fn authority(url: &str) -> Option<&str> {
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

/// The status and the body of the answer, as long as it comes in time.
pub(super) fn ask(authority: &str, question: Question<'_>) -> io::Result<(u16, String)> {
    let patience = question.patience;
    let give_up = Instant::now() + patience;
    talk(authority, question, give_up).map_err(|error| match error.kind() {
        ErrorKind::TimedOut | ErrorKind::WouldBlock => {
            io::Error::other(format!("the server did not answer in {patience:?}"))
        }
        _ => error,
    })
}

fn talk(authority: &str, question: Question<'_>, give_up: Instant) -> io::Result<(u16, String)> {
    let Question {
        method,
        path,
        token,
        body,
        ..
    } = question;
    let mut stream = connect(authority, give_up)?;
    let authorization = token.map_or_else(String::new, |token| {
        format!("Authorization: Bearer {token}\r\n")
    });
    // By HTTP/1.0 the answer ends with the connection, and is not cut into chunks.
    let head = format!(
        "{method} {path} HTTP/1.0\r\nHost: {authority}\r\nAccept: application/json\r\n\
         {authorization}Content-Length: {}\r\n\r\n",
        body.len()
    );
    stream.set_write_timeout(Some(left(give_up)?))?;
    stream.write_all(head.as_bytes())?;
    // Who refuses a request may do so before its end: its answer says more than a broken pipe.
    let sent = stream.write_all(body);
    let answer = read(&mut stream, give_up);
    let answer = match (answer, sent) {
        (Ok(answer), Err(error)) if answer.is_empty() => return Err(error),
        (answer, _) => answer?,
    };
    let answer =
        String::from_utf8(answer).map_err(|_| io::Error::other("what it answered is no text"))?;
    split(&answer)
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

/// The status and the body of an answer.
fn split(answer: &str) -> io::Result<(u16, String)> {
    let no_http = || io::Error::other("what answers there speaks no HTTP");
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .filter(|(head, _)| head.starts_with("HTTP/"))
        .ok_or_else(no_http)?;
    let status = head.split([' ', '\r']).nth(1).ok_or_else(no_http)?;
    let status = status.parse().map_err(|_| no_http())?;
    Ok((status, body.to_owned()))
}

/// Text without control characters, other than ends of lines.
pub(super) fn plain(text: &str) -> String {
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
    fn an_answer_has_a_status_and_a_body() {
        let answer = split("HTTP/1.1 200 OK\r\na: b\r\n\r\nyes").unwrap();
        assert_eq!(answer, (200, "yes".to_owned()));
        let answer = split("HTTP/1.1 404\r\n\r\n").unwrap();
        assert_eq!(answer, (404, String::new()));
        for other in ["SSH-2.0", "HTTP/1.1\r\n\r\n", "HTTP/1.1 x\r\n\r\n"] {
            assert!(split(other).is_err(), "{other}");
        }
    }

    #[test]
    fn who_does_not_answer_is_not_waited_for() {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let authority = silent.local_addr().unwrap().to_string();
        let question = Question {
            method: "GET",
            path: "/",
            token: None,
            body: b"",
            patience: Duration::from_millis(10),
        };
        let error = ask(&authority, question).unwrap_err();
        assert_eq!(error.to_string(), "the server did not answer in 10ms");
    }
}
