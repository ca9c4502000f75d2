//! A request to a server, for commands that ask one: by HTTP/1.0, with a bound on time and length.
//!
//! **Invariant:** whoever answers may be anybody, and gets no say in what a terminal does.

use std::fmt::Write as _;
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
    /// More headers. Nothing in them may end a line.
    pub(super) headers: &'a [(String, String)],
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

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

/// The status and the text of the answer, as long as it comes in time.
pub(super) fn ask(authority: &str, question: Question<'_>) -> io::Result<(u16, String)> {
    let answer = fetch(authority, question)?;
    let text = String::from_utf8(answer.body)
        .map_err(|_| io::Error::other("what it answered is no text"))?;
    Ok((answer.status, text))
}

/// The answer, whatever its bytes are, as long as it comes in time.
pub(super) fn fetch(authority: &str, question: Question<'_>) -> io::Result<Answer> {
    let patience = question.patience;
    let give_up = Instant::now() + patience;
    talk(authority, question, give_up).map_err(|error| match error.kind() {
        ErrorKind::TimedOut | ErrorKind::WouldBlock => {
            io::Error::other(format!("the server did not answer in {patience:?}"))
        }
        _ => error,
    })
}

fn talk(authority: &str, question: Question<'_>, give_up: Instant) -> io::Result<Answer> {
    let Question {
        method,
        path,
        token,
        headers,
        body,
        ..
    } = question;
    let mut stream = connect(authority, give_up)?;
    let authorization = token.map_or_else(String::new, |token| {
        format!("Authorization: Bearer {token}\r\n")
    });
    let mut more = String::new();
    for (name, value) in headers {
        // Infallible: a String takes everything.
        let _ = write!(more, "{name}: {value}\r\n");
    }
    if headers.is_empty() {
        more.push_str("Accept: application/json\r\n");
    }
    // By HTTP/1.0 the answer ends with the connection, and is not cut into chunks.
    let head = format!(
        "{method} {path} HTTP/1.0\r\nHost: {authority}\r\n{authorization}{more}\
         Content-Length: {}\r\n\r\n",
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
    take_apart(answer)
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
fn take_apart(mut answer: Vec<u8>) -> io::Result<Answer> {
    const END: &[u8] = b"\r\n\r\n";
    let no_http = || io::Error::other("what answers there speaks no HTTP");
    let end = answer.windows(END.len()).position(|four| four == END);
    let body = answer.split_off(end.ok_or_else(no_http)? + END.len());
    let head = String::from_utf8(answer).map_err(|_| no_http())?;
    let status = head
        .strip_prefix("HTTP/")
        .and_then(|head| head.split([' ', '\r']).nth(1)?.parse().ok())
        .ok_or_else(no_http)?;
    Ok(Answer { status, body })
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
        let split = |text: &[u8]| {
            let answer = take_apart(text.to_vec())?;
            io::Result::Ok((answer.status, answer.body))
        };
        let answer = split(b"HTTP/1.1 200 OK\r\na: b\r\n\r\nyes\xff\r\n\r\n").unwrap();
        assert_eq!(answer, (200, b"yes\xff\r\n\r\n".to_vec()));
        let answer = split(b"HTTP/1.1 404\r\n\r\n").unwrap();
        assert_eq!(answer, (404, Vec::new()));
        for other in [
            &b"SSH-2.0"[..],
            b"HTTP/1.1\r\n\r\n",
            b"HTTP/1.1 x\r\n\r\n",
            b"\xff\r\n\r\n",
        ] {
            assert!(split(other).is_err(), "{other:?}");
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
            headers: &[],
            body: b"",
            patience: Duration::from_millis(10),
        };
        let error = ask(&authority, question).unwrap_err();
        assert_eq!(error.to_string(), "the server did not answer in 10ms");
    }
}
