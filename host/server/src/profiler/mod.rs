//! TensorFlow's profiler service (`tensorflow.ProfilerService`): what the runs of a while did, for
//! TensorBoard.
//!
//! In come a method and a message, out comes an answer. The trace goes into a file on this
//! machine, where the client says, as the original's does; that is where
//! `tf.profiler.experimental.client.trace` and TensorBoard look for it.
//!
//! **Invariant:** a client can make this process create one file per call, below a directory
//! `plugins/profile`, with the name of a trace, where there was no file before. It cannot
//! overwrite anything.
//!
//! **Cancellation:** a client that goes away ends its trace, and nothing is written.

mod messages;
mod repository;
mod xspace;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use prost::Message as _;
use tensorgate_tensorflow::Tracer;
use tensorgate_types::{Error, Result};
use tokio::sync::Notify;

use messages::{ProfileRequest, ProfileResponse, TerminateRequest};

/// The paths of the service begin so.
pub(crate) const SERVICE: &str = "/tensorflow.ProfilerService/";

/// The longest trace, and the longest wait before one: somebody who wants more asks again.
const MAX_DURATION: Duration = Duration::from_secs(600);

/// The service.
#[derive(Debug)]
pub(crate) struct Profiler {
    tracer: Tracer,
    /// The session that runs, to be ended early.
    session: Mutex<Option<(String, Arc<Notify>)>>,
}

/// A trace under way. Dropped, it is over.
struct Watching<'a>(&'a Profiler);

impl Drop for Watching<'_> {
    fn drop(&mut self) {
        drop(self.0.tracer.stop());
        self.0.set_session(None);
    }
}

impl Profiler {
    /// Traces the runs that `tracer` sees.
    pub(crate) fn new(tracer: Tracer) -> Self {
        Self {
            tracer,
            session: Mutex::new(None),
        }
    }

    /// Answers a call of the service.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for a message that is none and for a place where no trace is written,
    /// `UNAVAILABLE` while another session runs, `UNIMPLEMENTED` for methods that are not here.
    pub(crate) async fn handle(&self, method: &str, message: &[u8]) -> Result<Bytes> {
        match method.strip_prefix(SERVICE) {
            Some("Profile") => self.profile(decode(message)?).await,
            Some("Terminate") => self.terminate(&decode(message)?),
            // As the original for anything but TPUs.
            Some("Monitor") => Err(Error::unimplemented("unimplemented.")),
            _ => Err(Error::unimplemented(format!("there is no method {method}"))),
        }
    }

    async fn profile(&self, request: ProfileRequest) -> Result<Bytes> {
        let options = request.opts.clone().unwrap_or_default();
        let duration = match options.duration_ms {
            0 => request.duration_ms,
            duration => duration,
        };
        let duration = Duration::from_millis(duration);
        if duration.is_zero() || duration > MAX_DURATION {
            return Err(Error::invalid_argument(format!(
                "a trace of {} ms; expected 1 to {} ms",
                duration.as_millis(),
                MAX_DURATION.as_millis()
            )));
        }
        let file = repository::file(&request)?;
        tokio::time::sleep(delay(options.start_timestamp_ns)?).await;
        if !self.tracer.start() {
            return Err(Error::unavailable(
                "Another profiler session is active; try again when it has ended",
            ));
        }
        let ended = Arc::new(Notify::new());
        self.set_session(Some((request.session_id.clone(), Arc::clone(&ended))));
        let watching = Watching(self);
        tokio::select! {
            () = tokio::time::sleep(duration) => {}
            () = ended.notified() => {}
        }
        let trace = self.tracer.stop();
        drop(watching);
        if trace.operations.is_empty() {
            let empty_trace = true;
            return Ok(encode(&ProfileResponse {
                empty_trace,
                xspace: None,
            }));
        }
        let host = request.host_name.clone();
        let bytes = tokio::task::spawn_blocking(move || {
            let bytes = Bytes::from(xspace::xspace(&trace, &host).encode_to_vec());
            if let Some(file) = &file {
                repository::write(file, &bytes)?;
                tracing::info!("Wrote a trace of {} runs to {}", trace.runs, file.display());
            }
            Ok::<_, Error>(bytes)
        })
        .await
        .map_err(|error| Error::internal("the trace was lost").with_source(error))??;
        Ok(encode(&ProfileResponse {
            empty_trace: false,
            xspace: request.emit_xspace.then_some(bytes),
        }))
    }

    fn terminate(&self, request: &TerminateRequest) -> Result<Bytes> {
        let session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        match &*session {
            Some((id, ended)) if *id == request.session_id => {
                ended.notify_one();
                Ok(Bytes::new())
            }
            _ => Err(Error::not_found(format!(
                "there is no profiler session {}",
                request.session_id
            ))),
        }
    }

    fn set_session(&self, session: Option<(String, Arc<Notify>)>) {
        *self.session.lock().unwrap_or_else(PoisonError::into_inner) = session;
    }
}

fn decode<M: prost::Message + Default>(message: &[u8]) -> Result<M> {
    M::decode(message)
        .map_err(|error| Error::invalid_argument(format!("the message cannot be read: {error}")))
}

fn encode(message: &impl prost::Message) -> Bytes {
    Bytes::from(message.encode_to_vec())
}

/// How long until a time in nanoseconds since 1970; clients whose clock is ahead must wait.
fn delay(start_ns: u64) -> Result<Duration> {
    let start = SystemTime::UNIX_EPOCH + Duration::from_nanos(start_ns);
    let delay = start.duration_since(SystemTime::now()).unwrap_or_default();
    if delay > MAX_DURATION {
        return Err(Error::invalid_argument(format!(
            "the trace would begin in {} s; expected {} s at most",
            delay.as_secs(),
            MAX_DURATION.as_secs()
        )));
    }
    Ok(delay)
}

#[cfg(test)]
mod tests {
    use tensorgate_types::ErrorCode;

    use super::*;

    fn request(duration_ms: u64) -> ProfileRequest {
        ProfileRequest {
            duration_ms,
            session_id: "s".to_owned(),
            host_name: "here".to_owned(),
            ..ProfileRequest::default()
        }
    }

    async fn call(profiler: &Profiler, request: &ProfileRequest) -> Result<ProfileResponse> {
        let method = "/tensorflow.ProfilerService/Profile";
        let answer = profiler.handle(method, &request.encode_to_vec()).await?;
        Ok(ProfileResponse::decode(answer).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn a_while_in_which_nothing_ran_is_an_empty_trace() {
        let profiler = Profiler::new(Tracer::default());
        let answer = call(&profiler, &request(50)).await.unwrap();
        assert!(answer.empty_trace);
        assert_eq!(answer.xspace, None);
    }

    #[tokio::test(start_paused = true)]
    async fn one_session_at_a_time_and_one_that_is_left_or_ended_is_over() {
        let profiler = Profiler::new(Tracer::default());
        let first = request(5_000);
        let terminate = |id: &str| {
            let session_id = id.to_owned();
            TerminateRequest { session_id }.encode_to_vec()
        };
        let end = "/tensorflow.ProfilerService/Terminate";
        let missing = profiler.handle(end, &terminate("s")).await.unwrap_err();
        assert_eq!(missing.code(), ErrorCode::NotFound);
        {
            let mut left = std::pin::pin!(call(&profiler, &first));
            let poll = std::future::poll_fn(|cx| std::task::Poll::Ready(left.as_mut().poll(cx)));
            // A wait of no time ends at the next turn.
            assert!(poll.await.is_pending());
            tokio::task::yield_now().await;
        }
        let (first, second, ended) = tokio::join!(
            call(&profiler, &first),
            async {
                tokio::time::sleep(Duration::from_millis(100)).await;
                call(&profiler, &request(10)).await
            },
            async {
                tokio::time::sleep(Duration::from_millis(200)).await;
                profiler.handle(end, &terminate("s")).await
            }
        );
        assert!(first.unwrap().empty_trace);
        assert_eq!(second.unwrap_err().code(), ErrorCode::Unavailable);
        assert!(ended.unwrap().is_empty());
    }

    #[tokio::test]
    async fn what_makes_no_sense_is_refused() {
        let profiler = Profiler::new(Tracer::default());
        for duration in [0, 600_001, u64::MAX] {
            let error = call(&profiler, &request(duration)).await.unwrap_err();
            assert_eq!(error.code(), ErrorCode::InvalidArgument);
        }
        let late = ProfileRequest {
            opts: Some(messages::ProfileOptions {
                start_timestamp_ns: u64::MAX,
                duration_ms: 1,
            }),
            ..request(1)
        };
        let error = call(&profiler, &late).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidArgument);
        let outside = ProfileRequest {
            repository_root: "/tmp/log/plugins/profile/..".to_owned(),
            ..request(1)
        };
        let error = call(&profiler, &outside).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidArgument);
        let code = async |method: &str, message: &[u8]| {
            let answer = profiler.handle(method, message).await;
            answer.unwrap_err().code()
        };
        let profile = "/tensorflow.ProfilerService/Profile";
        assert_eq!(code(profile, b"\xff").await, ErrorCode::InvalidArgument);
        let monitor = "/tensorflow.ProfilerService/Monitor";
        assert_eq!(code(monitor, b"").await, ErrorCode::Unimplemented);
        assert_eq!(code("/other", b"").await, ErrorCode::Unimplemented);
    }
}
