//! Brings together what is known of a request: what the gateway component reports, what the
//! runtime took, by which door it came, how long it was, and how it ended.
//!
//! The component and the models are called on the task of the request. So what they say is left
//! in a place of that task, and read when the request has ended: nothing is shared between
//! requests but the counters. Tasks that do something for the request are given the same place.
//!
//! **Cancellation:** a request whose client went away is not counted: nobody was answered.

use std::fmt::Write as _;
use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tensorgate_edge::{EdgeError, Outcome, Telemetry, Usage, Work};
use tensorgate_types::{Error, Priority};

use crate::door::Terms;
use crate::metrics::{Api, Ended, Entrypoint, Metrics};

tokio::task_local! {
    /// What is known of the request that this task handles.
    static REQUEST: Arc<Mutex<Seen>>;
}

/// What is known of the request of this task, where it has one.
fn here<T>(look: impl FnOnce(MutexGuard<'_, Seen>) -> T) -> Option<T> {
    let lock = |seen: &Arc<Mutex<Seen>>| look(seen.lock().unwrap_or_else(PoisonError::into_inner));
    REQUEST.try_with(lock).ok()
}

/// How urgent the request of this task is.
pub(crate) fn priority() -> Priority {
    here(|seen| seen.priority).unwrap_or_default()
}

/// `work`, as something that is done for the request of this task.
pub(crate) fn for_request(work: Work) -> Work {
    match REQUEST.try_with(Arc::clone) {
        Ok(seen) => Box::pin(REQUEST.scope(seen, work)),
        Err(_) => work,
    }
}

/// `work`, as something that nobody asked for: it gives way to all requests.
pub(crate) fn for_nobody(work: Work) -> Work {
    let seen = Seen {
        priority: Priority::Low,
        ..Seen::default()
    };
    Box::pin(REQUEST.scope(Arc::new(Mutex::new(seen)), work))
}

#[derive(Debug, Default)]
struct Seen {
    priority: Priority,
    outcome: Option<Outcome>,
    in_model: Option<Duration>,
    in_processor: Option<Usage>,
}

/// Counts how requests ended.
#[derive(Debug)]
pub(crate) struct Outcomes {
    metrics: Arc<Metrics>,
    /// Each counts by itself; no order between them.
    requests: AtomicU64,
    errors: AtomicU64,
}

impl Outcomes {
    pub(crate) fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            metrics,
            requests: AtomicU64::new(0),
            errors: AtomicU64::new(0),
        }
    }

    /// Requests that ended so far, and how many of them with an error.
    pub(crate) fn totals(&self) -> (u64, u64) {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (read(&self.requests), read(&self.errors))
    }

    /// Handles a client's request, and counts how it ended. `api` is what the door can tell of
    /// it, for a request that the component never reports.
    pub(crate) async fn of_client<T>(
        &self,
        entrypoint: Entrypoint,
        api: Api,
        terms: &Terms,
        call: impl Future<Output = Result<T, EdgeError>>,
    ) -> Result<T, EdgeError> {
        let start = Instant::now();
        let (result, seen) = watched(terms.priority, call).await;
        if let Some(timing) = &terms.timing {
            timing.say(server_timing(&seen, start.elapsed()));
        }
        let failure = result.as_ref().err().map(|error| error.code() as u32);
        // A component of one's own need not report. Then nothing is known but a failure.
        let code = failure.or(seen.outcome.as_ref().map(|outcome| outcome.code));
        if let Some(code) = code {
            self.requests.fetch_add(1, Ordering::Relaxed);
            self.errors
                .fetch_add(u64::from(code != 0), Ordering::Relaxed);
            let took = start.elapsed();
            self.metrics
                .requests
                .record(&ended(&seen, entrypoint, api, code, took));
        }
        result
    }

    /// Handles a request that `model` is warmed up with, whatever name is in it.
    pub(crate) async fn of_warm_up<T>(
        &self,
        model: &str,
        api: Api,
        call: impl Future<Output = Result<Result<T, Error>, EdgeError>>,
    ) -> Result<T, Error> {
        let start = Instant::now();
        let (result, seen) = watched(Priority::default(), call).await;
        let result = result.map_err(Error::from).flatten();
        let code = result.as_ref().err().map_or(0, |error| error.code() as u32);
        let took = start.elapsed();
        let ended = ended(&seen, Entrypoint::Grpc, api, code, took);
        let ended = Ended { model, ..ended };
        self.metrics.requests.record_warm_up(&ended);
        result
    }
}

/// What took how long, in milliseconds, as a `Server-Timing` header says it.
fn server_timing(seen: &Seen, total: Duration) -> String {
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    let mut text = format!("total;dur={:.3}", millis(total));
    if let Some(model) = seen.in_model {
        let _ = write!(text, ", model;dur={:.3}", millis(model));
    }
    if let Some(usage) = seen.in_processor {
        let Usage { took, own, memory } = usage;
        let (took, own) = (millis(took), millis(own));
        let _ = write!(
            text,
            ", processor;dur={took:.3}, processor-own;dur={own:.3}, \
             processor-memory;desc=\"{memory}\""
        );
    }
    text
}

/// Does `call`, and gives with its result what was said meanwhile.
async fn watched<T>(priority: Priority, call: impl Future<Output = T>) -> (T, Seen) {
    let watched = async {
        let result = call.await;
        let seen = here(|mut seen| mem::take(&mut *seen));
        (result, seen.unwrap_or_default())
    };
    let seen = Seen {
        priority,
        ..Seen::default()
    };
    REQUEST.scope(Arc::new(Mutex::new(seen)), watched).await
}

fn ended(seen: &Seen, entrypoint: Entrypoint, api: Api, code: u32, took: Duration) -> Ended<'_> {
    let outcome = seen.outcome.as_ref();
    Ended {
        entrypoint,
        model: outcome.map_or("", |outcome| outcome.model.as_str()),
        version: outcome.and_then(|outcome| outcome.version),
        api: outcome.map_or(api, |outcome| Api::from_word(&outcome.api)),
        rows: outcome.map_or(0, |outcome| outcome.rows),
        code,
        took,
        in_model: seen.in_model,
    }
}

/// Waits for a run, and notes for the request of this task how long it was. Several runs of one
/// request add up.
pub(crate) async fn in_model<T>(run: impl Future<Output = T>) -> T {
    let start = Instant::now();
    let result = run.await;
    let took = start.elapsed();
    // Outside of a request there is nobody to note it for.
    here(|mut seen| *seen.in_model.get_or_insert_default() += took);
    result
}

/// Takes the component's report of the request of this task.
#[derive(Debug)]
pub(crate) struct Reports;

impl Telemetry for Reports {
    fn report(&self, outcome: Outcome) {
        tracing::debug!(
            model = outcome.model,
            version = outcome.version,
            api = outcome.api,
            signature = outcome.signature,
            rows = outcome.rows,
            code = outcome.code,
            "request ended"
        );
        // The trait says that this is the request's task, and every request is watched.
        here(|mut seen| seen.outcome = Some(outcome));
    }

    fn processed(&self, usage: Usage) {
        here(|mut seen| {
            let all = seen.in_processor.get_or_insert_default();
            all.took += usage.took;
            all.own += usage.own;
            all.memory = all.memory.max(usage.memory);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::door::Timing;
    use crate::metrics::page_of;

    fn outcome(code: u32) -> Outcome {
        Outcome {
            model: "m".to_owned(),
            version: Some(1),
            api: "predict".to_owned(),
            signature: "serving_default".to_owned(),
            rows: 1,
            code,
        }
    }

    fn terms() -> Terms {
        Terms {
            deadline: tensorgate_types::Deadline::NEVER,
            priority: Priority::Normal,
            timing: None,
        }
    }

    fn outcomes() -> (Outcomes, Arc<Metrics>) {
        let metrics = Metrics::new();
        metrics.requests.know(|_| true);
        (Outcomes::new(Arc::clone(&metrics)), metrics)
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_said_during_a_request_is_counted_for_it() {
        let (outcomes, metrics) = outcomes();
        for code in [0, 3, 99] {
            let request = async {
                in_model(async {}).await;
                Reports.report(outcome(code));
                Ok(())
            };
            let ended = outcomes
                .of_client(Entrypoint::Rest, Api::Other, &terms(), request)
                .await;
            assert_eq!(ended, Ok(()));
        }
        assert_eq!(outcomes.totals(), (3, 2));
        let page = page_of(&metrics);
        for line in [
            ":tensorflow:serving:request_count{model_name=\"m\",status=\"INVALID_ARGUMENT\"} 1\n",
            ":tensorflow:serving:request_count{model_name=\"m\",status=\"UNKNOWN\"} 1\n",
            ":tensorflow:serving:runtime_latency_count\
             {model_name=\"m\",API=\"Predict\",runtime=\"TF1\"} 1\n",
        ] {
            assert!(page.contains(line), "{line}{page}");
        }
    }

    #[tokio::test]
    async fn a_request_that_never_got_to_the_component_is_counted_by_its_error() {
        let (outcomes, metrics) = outcomes();
        let full = || async {
            Err::<(), _>(EdgeError::Full {
                slots: 1,
                waiting: 1,
            })
        };
        let _ = outcomes
            .of_client(Entrypoint::Rest, Api::Other, &terms(), full())
            .await;
        let _ = outcomes
            .of_client(Entrypoint::Grpc, Api::Predict, &terms(), full())
            .await;
        let page = page_of(&metrics);
        let line = ":tensorflow:serving:request_count{model_name=\"\",status=\"UNAVAILABLE\"} 2\n";
        assert!(page.contains(line), "{page}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_is_told_what_took_how_long() {
        let (outcomes, _) = outcomes();
        let terms = Terms {
            timing: Some(Timing::default()),
            ..terms()
        };
        let request = async {
            in_model(async {}).await;
            for memory in [2000, 1000] {
                Reports.processed(Usage {
                    took: Duration::from_micros(1500),
                    own: Duration::from_micros(500),
                    memory,
                });
            }
            Ok(())
        };
        let answer = outcomes.of_client(Entrypoint::Rest, Api::Other, &terms, request);
        answer.await.unwrap();
        let mut headers = http::HeaderMap::new();
        terms.timing.unwrap().put(&mut headers);
        let said = headers["server-timing"].to_str().unwrap();
        assert!(said.starts_with("total;dur="), "{said}");
        assert!(said.contains(", model;dur="), "{said}");
        let processor =
            ", processor;dur=3.000, processor-own;dur=1.000, processor-memory;desc=\"2000\"";
        assert!(said.ends_with(processor), "{said}");
    }

    #[tokio::test]
    async fn what_another_task_does_for_a_request_is_the_request_s() {
        let (outcomes, _) = outcomes();
        let wraps: [fn(Work) -> Work; 2] = [for_request, for_nobody];
        for (wrap, urgency, is_its) in [
            (wraps[0], Priority::High, true),
            (wraps[1], Priority::Low, false),
        ] {
            let terms = Terms {
                priority: Priority::High,
                timing: Some(Timing::default()),
                ..terms()
            };
            let request = async {
                let work = wrap(Box::pin(async move {
                    assert_eq!(priority(), urgency);
                    in_model(async {}).await;
                }));
                tokio::spawn(work).await.unwrap();
                Ok(())
            };
            let answer = outcomes.of_client(Entrypoint::Rest, Api::Other, &terms, request);
            answer.await.unwrap();
            let mut headers = http::HeaderMap::new();
            terms.timing.unwrap().put(&mut headers);
            let said = headers["server-timing"].to_str().unwrap();
            assert_eq!(said.contains("model;dur="), is_its, "{said}");
        }
    }

    #[tokio::test]
    async fn a_warm_up_is_no_request() {
        let (outcomes, metrics) = outcomes();
        let call = async {
            in_model(async {}).await;
            Reports.report(outcome(0));
            Ok(Ok(()))
        };
        assert!(outcomes.of_warm_up("m", Api::Predict, call).await.is_ok());
        assert_eq!(outcomes.totals(), (0, 0));
        let page = page_of(&metrics);
        assert!(
            page.contains("runtime_latency_count{model_name=\"m\""),
            "{page}"
        );
        assert!(!page.contains("request_count{"), "{page}");
    }
}
