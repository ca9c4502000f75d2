//! The door with a handler that a test drives instead of the component.

use std::sync::Mutex;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::Request;
use http_body_util::BodyExt as _;
use tensorgate_types::Deadline;
use tensorgate_types::ErrorCode;
use tower::ServiceExt as _;

use super::*;

/// Answers with what it was asked; remembers it.
#[derive(Default)]
struct Echo {
    seen: Arc<Mutex<Vec<(RestRequest, Deadline)>>>,
    fails: Option<Error>,
    not_ready: Option<String>,
    models: ModelsHealth,
}

impl Handler for Echo {
    async fn handle(&self, request: RestRequest, terms: Terms) -> Result<RestResponse, Error> {
        let seen = (request.clone(), terms.deadline);
        self.seen.lock().unwrap().push(seen);
        match &self.fails {
            Some(error) => Err(error.clone()),
            None => Ok(RestResponse {
                status: 418,
                headers: vec![("content-type".to_owned(), "text/echo".to_owned())],
                body: request.body,
            }),
        }
    }

    async fn exchange(
        &self,
        request: RestRequest,
        terms: Terms,
    ) -> Result<ExchangeResponse, Error> {
        let RestResponse {
            status,
            headers,
            body,
        } = self.handle(request, terms).await?;
        Ok(ExchangeResponse {
            status,
            headers,
            chunks: vec![body],
        })
    }

    async fn grpc(&self, call: GrpcRequest, _: Terms) -> Result<Vec<Bytes>, Error> {
        Ok(vec![call.message])
    }

    fn not_ready(&self) -> Option<String> {
        self.not_ready.clone()
    }

    fn models(&self) -> ModelsHealth {
        self.models.clone()
    }

    async fn until_ready(&self, ready: bool) {
        if self.not_ready.is_none() != ready {
            std::future::pending::<()>().await;
        }
    }
}

fn options() -> DoorOptions {
    DoorOptions {
        timeout: Some(Duration::from_secs(30)),
        max_body_bytes: 16,
        model_limits: ModelLimits::default(),
        max_buffered_bytes: 1024,
        cors: false,
        metrics: None,
        pace: Pace {
            idle: IDLE,
            least: 0,
        },
    }
}

fn door_with(options: DoorOptions, handler: Echo) -> Arc<Door<Echo>> {
    let door = Door::new(options);
    door.open(handler);
    door
}

async fn send(door: &Arc<Door<Echo>>, request: Request<Body>) -> Response {
    door.routes().oneshot(request).await.unwrap()
}

async fn body(response: Response) -> Bytes {
    response.into_body().collect().await.unwrap().to_bytes()
}

fn post(path: &str, body: impl Into<Body>) -> Request<Body> {
    Request::post(path).body(body.into()).unwrap()
}

fn get_path(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

#[tokio::test]
async fn passes_on_what_the_component_needs_and_nothing_else() {
    let echo = Echo::default();
    let seen = Arc::clone(&echo.seen);
    let door = door_with(options(), echo);
    let request = Request::post("/V1/models/m%2Fn:predict?x=1")
        .header("content-type", "text/csv")
        .header("accept", "*/*")
        .header("authorization", "secret")
        .body(Body::from("body"))
        .unwrap();
    let response = send(&door, request).await;
    assert_eq!(response.status(), 418);
    assert_eq!(response.headers()["content-type"], "text/echo");
    assert!(response.headers().contains_key("x-request-id"));
    assert_eq!(body(response).await, "body");
    let seen = seen.lock().unwrap();
    let (request, deadline) = &seen[0];
    assert_eq!(request.method, "POST");
    assert_eq!(request.path, "/V1/models/m%2Fn:predict?x=1");
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        request.headers,
        [pair("content-type", "text/csv"), pair("accept", "*/*")]
    );
    assert!(deadline.instant().is_some());
}

#[tokio::test]
async fn answers_that_nobody_reads_count_until_they_are_gone() {
    let tight = DoorOptions {
        max_buffered_bytes: 10,
        ..options()
    };
    let door = door_with(tight, Echo::default());
    let unread = body(send(&door, post("/v1/x", "6 byte")).await).await;
    assert_eq!(door.budget.used(), 6);
    assert_eq!(send(&door, post("/v1/x", "6 more")).await.status(), 503);
    drop(unread);
    assert_eq!(door.budget.used(), 0);
    assert_eq!(send(&door, post("/v1/x", "6 more")).await.status(), 418);
}

#[tokio::test]
async fn no_timeout_is_no_deadline() {
    let echo = Echo::default();
    let seen = Arc::clone(&echo.seen);
    let unlimited = DoorOptions {
        timeout: None,
        ..options()
    };
    send(&door_with(unlimited, echo), post("/v1/x", "")).await;
    assert_eq!(seen.lock().unwrap()[0].1, Deadline::NEVER);
}

#[tokio::test]
async fn errors_have_the_status_and_the_body_of_the_original() {
    let fails = Some(Error::new(ErrorCode::Unavailable, "no \"room\""));
    let door = door_with(
        options(),
        Echo {
            fails,
            ..Echo::default()
        },
    );
    let response = send(&door, post("/v1/x", "")).await;
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(
        body(response).await,
        "{\n    \"error\": \"no \\\"room\\\"\"\n}"
    );
}

#[tokio::test]
async fn before_it_opens_everything_is_unavailable() {
    let door = Door::<Echo>::new(options());
    assert_eq!(send(&door, post("/v1/x", "")).await.status(), 503);
    for path in ["/health/live", "/v1/health/live", "/v2/health/live"] {
        assert_eq!(send(&door, get_path(path)).await.status(), 200);
    }
    assert_eq!(send(&door, get_path("/health/ready")).await.status(), 503);
    door.open(Echo::default());
    assert_eq!(send(&door, get_path("/health/ready")).await.status(), 200);
    door.leave();
    assert_eq!(send(&door, get_path("/health/ready")).await.status(), 503);
    assert_eq!(send(&door, get_path("/health/live")).await.status(), 200);
    assert_eq!(send(&door, post("/v1/x", "")).await.status(), 418);
    door.drain();
    assert_eq!(send(&door, get_path("/health/ready")).await.status(), 503);
}

#[tokio::test]
async fn readiness_says_what_is_missing() {
    let door = door_with(
        options(),
        Echo {
            not_ready: Some("still loading: m".to_owned()),
            models: ModelsHealth {
                waiting: vec![ModelHealth {
                    name: "m".to_owned(),
                    version: Some(1),
                    state: Some("LOADING"),
                    error: None,
                }],
                failed: vec![ModelHealth {
                    name: "n".to_owned(),
                    version: None,
                    state: None,
                    error: Some("no \"n\"".to_owned()),
                }],
            },
            ..Echo::default()
        },
    );
    for path in ["/health/ready", "/v1/health/ready", "/v2/health/ready"] {
        let response = send(&door, get_path(path)).await;
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()["content-type"], "application/json");
        assert_eq!(
            body(response).await,
            r#"{"ready":false,"reason":"still loading: m","waiting":[{"name":"m","version":1,"state":"LOADING","error":null}],"failed":[{"name":"n","version":null,"state":null,"error":"no \"n\""}]}"#
        );
    }
}

#[tokio::test]
async fn only_the_api_goes_to_the_component() {
    let echo = Echo::default();
    let seen = Arc::clone(&echo.seen);
    let door = door_with(options(), echo);
    for path in ["/", "/v1", "/v22/models/m", "/edge", "/metrics"] {
        assert_eq!(send(&door, get_path(path)).await.status(), 404, "{path}");
    }
    assert!(seen.lock().unwrap().is_empty());
    assert_eq!(send(&door, get_path("/v1/")).await.status(), 418);
}

#[tokio::test]
async fn long_bodies_are_refused_by_name() {
    let door = door_with(options(), Echo::default());
    assert_eq!(
        send(&door, post("/v1/x", "0123456789abcdef"))
            .await
            .status(),
        418
    );
    let response = send(&door, post("/v1/x", "0123456789abcdefg")).await;
    assert_eq!(response.status(), 413);
    let text = body(response).await;
    assert_eq!(
        text,
        "{\n    \"error\": \"the request body is longer than 16 bytes (--max_body_bytes)\"\n}"
    );
    assert_eq!(door.budget.used(), 0);
}

#[tokio::test]
async fn bodies_are_as_long_as_their_model_takes() {
    let limited = DoorOptions {
        model_limits: ModelLimits::parse("m:body_bytes=4,n:body_bytes=99").unwrap(),
        ..options()
    };
    let door = door_with(limited, Echo::default());
    for (path, longest) in [
        ("/v1/models/m:predict", 4),
        ("/V1/MODELS/m/versions/1:predict", 4),
        ("/v1/models/%6D/labels/x:predict?y", 4),
        ("/v1/models/other:predict", 16),
        // The door's own limit holds for every model.
        ("/v1/models/n:predict", 16),
    ] {
        assert_eq!(
            send(&door, post(path, "x".repeat(longest))).await.status(),
            418,
            "{path}"
        );
        let response = send(&door, post(path, "x".repeat(longest + 1))).await;
        assert_eq!(response.status(), 413, "{path}");
        let text = body(response).await;
        let expected = match longest {
            4 => "Model m takes requests of at most 4 bytes (--model_limits)",
            _ => "the request body is longer than 16 bytes (--max_body_bytes)",
        };
        assert_eq!(text, format!("{{\n    \"error\": \"{expected}\"\n}}"));
    }
    assert_eq!(door.budget.used(), 0);
}

#[tokio::test]
async fn origins_are_answered_as_the_original_does() {
    let preflight = |origin: Option<&str>| {
        let mut request = Request::options("/v1/models/m:predict");
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        request.body(Body::empty()).unwrap()
    };
    for cors in [false, true] {
        let door = door_with(DoorOptions { cors, ..options() }, Echo::default());
        for (origin, status) in [(Some("http://a"), 200), (Some("a"), 400), (None, 400)] {
            let response = send(&door, preflight(origin)).await;
            assert_eq!(response.status(), status, "{origin:?}");
            let allowed = response.headers().get("access-control-allow-origin");
            assert_eq!(allowed.is_some(), cors);
            assert_eq!(body(response).await, "");
        }
    }
}

#[tokio::test]
async fn answers_are_packed_when_that_is_asked_for() {
    let large = "x".repeat(10_000);
    let roomy = DoorOptions {
        max_body_bytes: 20_000,
        max_buffered_bytes: 100_000,
        ..options()
    };
    let door = door_with(roomy, Echo::default());
    let ask = |accept: Option<&str>, body: &str| {
        let mut request = post("/v1/x", body.to_owned());
        if let Some(accept) = accept {
            let accept = accept.parse().unwrap();
            request.headers_mut().insert("accept-encoding", accept);
        }
        request
    };
    for (accept, text, packed) in [
        (None, large.as_str(), None),
        (Some("identity"), &large, None),
        (Some("br"), &large, None),
        (Some("gzip"), &large, Some("gzip")),
        (Some("zstd"), &large, Some("zstd")),
        (Some("gzip;q=0.5, zstd;q=0.9"), &large, Some("zstd")),
        (Some("gzip;q=0.9, zstd;q=0.5"), &large, Some("gzip")),
        (Some("gzip;q=0"), &large, None),
        (Some("gzip"), "short", None),
    ] {
        let response = send(&door, ask(accept, text)).await;
        let encoding = response.headers().get("content-encoding");
        let encoding = encoding.map(|encoding| encoding.to_str().unwrap().to_owned());
        assert_eq!(encoding.as_deref(), packed, "{accept:?}");
        let bytes = body(response).await;
        assert_eq!(bytes.len() < 1000, packed.is_some() || text == "short");
    }
    assert_eq!(door.budget.used(), 0);
}
