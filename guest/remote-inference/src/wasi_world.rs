//! The world as WASI and Spin have it.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use wasi::clocks::monotonic_clock;
use wasi::http::outgoing_handler;
use wasi::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, IncomingBody, IncomingResponse, Method,
    OutgoingBody, OutgoingRequest, RequestOptions, Scheme,
};
use wasi::io::poll::{Pollable, poll};
use wasi::io::streams::StreamError;

use crate::bindings::fermyon::spin::key_value::Store;
use crate::bindings::fermyon::spin::variables;
use crate::world::{Failure, Request, Response, World};

/// As much of a body as is asked for at a time.
const READ: u64 = 1 << 20;

/// The largest answer that is taken in: the component's memory is no larger than four times that.
const MAX_ANSWER: usize = 1 << 30;

/// The world.
pub(crate) struct Wasi;

/// A request on its way.
pub(crate) struct Sent(FutureIncomingResponse);

/// Waits until it is ready; false when the time was over first.
fn ready(what: &Pollable, until: Instant) -> bool {
    let left = until.saturating_duration_since(Instant::now());
    let nanos = u64::try_from(left.as_nanos()).unwrap_or(u64::MAX);
    let timer = monotonic_clock::subscribe_duration(nanos);
    poll(&[what, &timer]).contains(&0)
}

fn failure(code: &ErrorCode) -> Failure {
    match code {
        ErrorCode::HttpRequestDenied => Failure::Refused("this component may not".to_owned()),
        ErrorCode::HttpRequestUriInvalid => Failure::Refused("no valid address".to_owned()),
        ErrorCode::ConnectionTimeout
        | ErrorCode::ConnectionReadTimeout
        | ErrorCode::ConnectionWriteTimeout
        | ErrorCode::HttpResponseTimeout => Failure::Broken("it does not answer".to_owned()),
        ErrorCode::ConnectionRefused => Failure::Broken("nobody listens there".to_owned()),
        ErrorCode::DnsError(_) | ErrorCode::DnsTimeout | ErrorCode::DestinationNotFound => {
            Failure::Broken("its name is not known".to_owned())
        }
        ErrorCode::ConnectionTerminated | ErrorCode::HttpResponseIncomplete => {
            Failure::Broken("the connection ended".to_owned())
        }
        ErrorCode::HttpProtocolError => {
            Failure::Broken("what answers there does not speak HTTP".to_owned())
        }
        other => Failure::Broken(other.to_string()),
    }
}

fn write_body(body: &OutgoingBody, pieces: &[Vec<u8>], until: Instant) -> Result<(), Failure> {
    let broken = |_| Failure::Broken("the connection ended".to_owned());
    let stream = body.write().map_err(broken)?;
    let writable = stream.subscribe();
    let broken = |_: StreamError| Failure::Broken("the connection ended".to_owned());
    for piece in pieces {
        let mut left = &piece[..];
        while !left.is_empty() {
            let room = stream.check_write().map_err(broken)?;
            let room = usize::try_from(room).unwrap_or(usize::MAX).min(left.len());
            if room == 0 {
                if !ready(&writable, until) {
                    return Err(Failure::Late);
                }
                continue;
            }
            let (now, later) = left.split_at(room);
            stream.write(now).map_err(broken)?;
            left = later;
        }
    }
    stream.flush().map_err(broken)
}

fn read_body(response: &IncomingResponse, until: Instant) -> Result<Vec<u8>, Failure> {
    let broken = || Failure::Broken("the answer ended early".to_owned());
    let body: IncomingBody = response.consume().map_err(|()| broken())?;
    let stream = body.stream().map_err(|()| broken())?;
    let readable = stream.subscribe();
    let mut bytes = Vec::new();
    loop {
        match stream.read(READ) {
            Ok(piece) if piece.is_empty() => {
                if !ready(&readable, until) {
                    return Err(Failure::Late);
                }
            }
            Ok(piece) if bytes.is_empty() => bytes = piece,
            Ok(piece) if bytes.len() + piece.len() <= MAX_ANSWER => bytes.extend(piece),
            Ok(_) => {
                let what = format!("its answer has more than {MAX_ANSWER} bytes");
                return Err(Failure::Refused(what));
            }
            Err(StreamError::Closed) => return Ok(bytes),
            Err(StreamError::LastOperationFailed(_)) => return Err(broken()),
        }
    }
}

fn outgoing(request: &Request<'_>) -> Result<OutgoingRequest, Failure> {
    let invalid = |what: &str| Failure::Refused(format!("{what} is not valid"));
    let headers = Fields::new();
    for (name, value) in request.headers {
        headers
            .append(&(*name).to_owned(), &value.clone().into_bytes())
            .map_err(|_| invalid(name))?;
    }
    let outgoing = OutgoingRequest::new(headers);
    let (scheme, rest) = match request.url.split_once("://") {
        Some(("https", rest)) => (Scheme::Https, rest),
        Some((_, rest)) => (Scheme::Http, rest),
        None => return Err(invalid(request.url)),
    };
    let path_at = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(path_at);
    let set = [
        outgoing.set_method(&Method::Post),
        outgoing.set_scheme(Some(&scheme)),
        outgoing.set_authority(Some(authority)),
        outgoing.set_path_with_query(Some(path)),
    ];
    if set.contains(&Err(())) {
        return Err(invalid(request.url));
    }
    Ok(outgoing)
}

impl World for Wasi {
    type Sent = Sent;

    fn send(&self, request: &Request<'_>) -> Result<Sent, Failure> {
        let until = Instant::now() + request.timeout;
        let outgoing = outgoing(request)?;
        let body = outgoing
            .body()
            .map_err(|()| Failure::Refused("the request has no body".to_owned()))?;
        let options = RequestOptions::new();
        let nanos = u64::try_from(request.timeout.as_nanos()).unwrap_or(u64::MAX);
        // A host that cannot is one that waits as long as it likes; the time is kept here too.
        let _ = options.set_connect_timeout(Some(nanos));
        let _ = options.set_first_byte_timeout(Some(nanos));
        let _ = options.set_between_bytes_timeout(Some(nanos));
        let sent =
            outgoing_handler::handle(outgoing, Some(options)).map_err(|code| failure(&code))?;
        match write_body(&body, request.body, until) {
            Ok(()) => {
                // Where it fails, the answer says why.
                let _ = OutgoingBody::finish(body, None);
            }
            Err(Failure::Late) => return Err(Failure::Late),
            // Perhaps there is an answer all the same: a host that will not read it all says so.
            Err(_) => drop(body),
        }
        Ok(Sent(sent))
    }

    fn receive(&self, Sent(sent): Sent, timeout: Duration) -> Result<Response, Failure> {
        let until = Instant::now() + timeout;
        if !ready(&sent.subscribe(), until) {
            return Err(Failure::Late);
        }
        let lost = || Failure::Broken("the answer was lost".to_owned());
        let response = sent.get().ok_or_else(lost)?.map_err(|()| lost())?;
        let response = response.map_err(|code| failure(&code))?;
        let content_type = response.headers().get(&"content-type".to_owned());
        let content_type = content_type
            .first()
            .map(|value| String::from_utf8_lossy(value).to_ascii_lowercase())
            .unwrap_or_default();
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        Ok(Response {
            status: response.status(),
            content_type: essence.to_owned(),
            body: read_body(&response, until)?,
        })
    }

    fn now(&self) -> Duration {
        Duration::from_nanos(monotonic_clock::now())
    }

    fn unix_ms(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        since.map_or(0, |since| {
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        })
    }

    fn sleep(&self, time: Duration) {
        std::thread::sleep(time);
    }

    fn environment(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn variable(&self, name: &str) -> Result<Option<String>, String> {
        match variables::get(name) {
            Ok(value) => Ok(Some(value)),
            Err(variables::Error::Undefined(_)) => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }

    fn load(&self, store: &str, key: &str) -> Option<Vec<u8>> {
        let found = Store::open(store).and_then(|store| store.get(key));
        found.unwrap_or_else(|error| {
            self.log(&format!(
                "the key-value store {store} cannot be read: {error}"
            ));
            None
        })
    }

    fn keep(&self, store: &str, key: &str, value: &[u8]) {
        let kept = Store::open(store).and_then(|store| store.set(key, value));
        if let Err(error) = kept {
            self.log(&format!(
                "the key-value store {store} cannot be written: {error}"
            ));
        }
    }

    #[expect(
        clippy::print_stderr,
        reason = "the runtime keeps it as the component's log"
    )]
    fn log(&self, text: &str) {
        eprintln!("{text}");
    }
}
