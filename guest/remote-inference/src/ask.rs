//! One question to the host: attempts within the request's time, and what their failures mean.

use std::time::Duration;

use tensorgate_logic::remote::client::{Heard, hear};
use tensorgate_logic::remote::{CONTENT_TYPE, PATH};
use tensorgate_types::{Error, ErrorCode, Result};

use crate::settings::Settings;
use crate::world::{Failure, Request, Response, World};

/// Between the first attempt and the second; twice as long each time, up to a bound.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// As much of a stranger's answer as is told.
const MAX_TOLD: usize = 200;

/// The time of one client's request, over all that is asked for it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    ends: Duration,
}

impl Budget {
    /// Begins now.
    pub(crate) fn begin(world: &impl World, settings: &Settings) -> Self {
        let ends = world.now().saturating_add(settings.timeout);
        Self { ends }
    }

    fn left(self, world: &impl World) -> Duration {
        self.ends.saturating_sub(world.now())
    }
}

/// A question that was sent once, and may have to be sent again.
#[derive(Debug)]
pub(crate) struct Question<S> {
    url: String,
    body: Vec<Vec<u8>>,
    first: Result<S, Failure>,
}

/// Sends a question.
pub(crate) fn begin<W: World>(
    world: &W,
    settings: &Settings,
    budget: Budget,
    body: Vec<Vec<u8>>,
) -> Question<W::Sent> {
    let url = format!("{}{PATH}", settings.url);
    let first = send(world, &url, &body, budget);
    Question { url, body, first }
}

fn send<W: World>(
    world: &W,
    url: &str,
    body: &[Vec<u8>],
    budget: Budget,
) -> Result<W::Sent, Failure> {
    let timeout = budget.left(world);
    if timeout.is_zero() {
        return Err(Failure::Late);
    }
    let length: usize = body.iter().map(Vec::len).sum();
    world.send(&Request {
        url,
        headers: &[
            ("content-type", CONTENT_TYPE.to_owned()),
            ("content-length", length.to_string()),
            ("x-tensorgate-timeout", timeout_text(timeout)),
        ],
        body,
        timeout,
    })
}

/// As gRPC writes it, in at most eight digits: what is left is never rounded up to no limit.
fn timeout_text(timeout: Duration) -> String {
    match timeout.as_micros() {
        micros @ ..=99_999_999 => format!("{}u", micros.max(1)),
        _ => format!("{}m", timeout.as_millis().min(99_999_999)),
    }
}

/// Waits for the answer, and sends the question again where that may help.
///
/// # Errors
/// `UNAVAILABLE` when nobody answers, or somebody who is no host; `DEADLINE_EXCEEDED` when the time
/// is over.
pub(crate) fn finish<W: World>(
    world: &W,
    settings: &Settings,
    budget: Budget,
    question: Question<W::Sent>,
) -> Result<Answered> {
    let Question { url, body, first } = question;
    let mut sent = first;
    let mut pause = FIRST_PAUSE;
    let mut attempt = 0;
    loop {
        let answer = sent.and_then(|sent| world.receive(sent, budget.left(world)));
        let again = match judge(answer, settings) {
            Verdict::Answer(answered) => return answered,
            Verdict::Again(end) => end,
        };
        attempt += 1;
        if attempt > settings.retries || budget.left(world) <= pause {
            return again;
        }
        world.sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
        sent = send(world, &url, &body, budget);
    }
}

/// What a host says, and the bytes in which it does.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) heard: Heard,
    pub(crate) body: Vec<u8>,
}

/// What an attempt came to.
enum Verdict {
    /// This is the answer, or the end.
    Answer(Result<Answered>),
    /// It may go better; this stands if no other attempt is made.
    Again(Result<Answered>),
}

fn judge(answer: Result<Response, Failure>, settings: &Settings) -> Verdict {
    let response = match answer {
        Ok(response) => response,
        Err(Failure::Late) => {
            return Verdict::Answer(Err(Error::new(
                ErrorCode::DeadlineExceeded,
                format!(
                    "the Tensorgate host {} has not answered within the {} ms that a request may \
                     wait for it (tensorgate_timeout_ms)",
                    settings.url,
                    settings.timeout.as_millis()
                ),
            )));
        }
        Err(Failure::Broken(why)) => {
            return Verdict::Again(Err(Error::unavailable(format!(
                "the Tensorgate host {} cannot be reached: {why}",
                settings.url
            ))));
        }
        Err(Failure::Refused(why)) => {
            return Verdict::Answer(Err(Error::unavailable(format!(
                "the Tensorgate host {} cannot be asked: {why}; is the variable tensorgate_url \
                 right, and does allowed_outbound_hosts name it?",
                settings.url
            ))));
        }
    };
    if response.content_type == CONTENT_TYPE {
        let answered = match hear(&response.body) {
            Ok(heard) => Ok(Answered {
                heard,
                body: response.body,
            }),
            Err(error) => Err(Error::new(
                error.code(),
                format!("the Tensorgate host {}: {}", settings.url, error.message()),
            )),
        };
        // The code and not the status: a proxy may rewrite that one.
        let is_busy = matches!(
            &answered,
            Ok(Answered { heard: Heard::Failed(error, _), .. })
                if error.code() == ErrorCode::Unavailable
        );
        return if is_busy {
            Verdict::Again(answered)
        } else {
            Verdict::Answer(answered)
        };
    }
    let error = Err(stranger(&response, settings));
    if matches!(response.status, 502..=504) {
        Verdict::Again(error)
    } else {
        Verdict::Answer(error)
    }
}

/// An answer that does not come from the gateway: from the host's door, which has words for it
/// in JSON, or from whatever stands between.
fn stranger(response: &Response, settings: &Settings) -> Error {
    let status = response.status;
    let code = match status {
        400 => ErrorCode::InvalidArgument,
        401 => ErrorCode::Unauthenticated,
        403 => ErrorCode::PermissionDenied,
        408 | 504 => ErrorCode::DeadlineExceeded,
        413 | 429 => ErrorCode::ResourceExhausted,
        404 | 405 | 502 | 503 => ErrorCode::Unavailable,
        _ => ErrorCode::Unknown,
    };
    let json: Option<serde_json::Value> = serde_json::from_slice(&response.body).ok();
    let words = json.as_ref().and_then(|json| json.get("error")?.as_str());
    match words {
        Some(words) if status != 404 && status != 405 => Error::new(code, words),
        _ => {
            let text = String::from_utf8_lossy(&response.body);
            let start: String = text.trim().chars().take(MAX_TOLD).collect();
            let start = match &*start {
                "" => "no text",
                start => start,
            };
            Error::new(
                code,
                format!(
                    "{}{PATH} answered {status} and not as a Tensorgate host does: {start}",
                    settings.url
                ),
            )
        }
    }
}
