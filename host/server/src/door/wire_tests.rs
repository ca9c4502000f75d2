//! The door over real connections: TCP, UNIX sockets and TLS, with a handler that a test drives.

use axum::body::{Body, HttpBody};
use http::{HeaderMap, Request, Response, Version};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{mpsc, watch};
use tower::ServiceExt as _;

use super::connection::Duplex;
use super::tls_tests::secured;
use super::*;

pub(super) const ECHO: &str = "/tensorflow.serving.PredictionService/Echo";
const STUCK: &str = "/tensorflow.serving.PredictionService/Stuck";

/// Long enough for the slowest machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Echoes, or stays stuck; ready when the test says so.
pub(super) struct Scripted {
    ready: watch::Receiver<bool>,
    /// Hears of every call that is stuck, and of its end.
    stuck: mpsc::Sender<&'static str>,
}

/// Tells when a call is dropped.
struct Told(mpsc::Sender<&'static str>);

impl Drop for Told {
    fn drop(&mut self) {
        self.0.try_send("ended").expect("the test listens");
    }
}

impl Scripted {
    async fn be_stuck(&self) -> Error {
        self.stuck.try_send("begun").expect("the test listens");
        let _told = Told(self.stuck.clone());
        std::future::pending().await
    }
}

impl Handler for Scripted {
    async fn handle(&self, request: RestRequest, _: Terms) -> Result<RestResponse, Error> {
        if request.path.ends_with("stuck") {
            return Err(self.be_stuck().await);
        }
        Ok(RestResponse {
            status: 200,
            headers: vec![("content-type".to_owned(), "text/echo".to_owned())],
            body: request.body,
        })
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
        match call.method.as_str() {
            ECHO => Ok(vec![call.message]),
            STUCK => Err(self.be_stuck().await),
            method => Err(Error::unimplemented(format!("no {method}"))),
        }
    }

    fn not_ready(&self) -> Option<String> {
        (!*self.ready.borrow()).then(|| "not yet".to_owned())
    }

    fn models(&self) -> ModelsHealth {
        ModelsHealth::default()
    }

    async fn until_ready(&self, ready: bool) {
        let mut now = self.ready.clone();
        now.wait_for(|now| *now == ready)
            .await
            .expect("the test lives");
    }
}

/// A door with everything that a test holds of it.
pub(super) struct Stage {
    pub(super) door: Arc<Door<Scripted>>,
    pub(super) ready: watch::Sender<bool>,
    stuck: mpsc::Receiver<&'static str>,
}

pub(super) fn stage() -> Stage {
    let (ready, is_ready) = watch::channel(true);
    let (tell, stuck) = mpsc::channel(16);
    let door = Door::new(DoorOptions {
        timeout: None,
        max_body_bytes: 1 << 20,
        model_limits: ModelLimits::default(),
        max_buffered_bytes: 1 << 20,
        cors: false,
        pace: Pace {
            idle: PATIENCE,
            least: 0,
        },
        metrics: None,
    });
    door.open(Scripted {
        ready: is_ready,
        stuck: tell,
    });
    Stage { door, ready, stuck }
}

pub(super) fn connections() -> Connections {
    Connections {
        tls: None,
        idle: PATIENCE,
        http2: Http2::default(),
    }
}

pub(super) fn serve(routes: Router, how: Connections) -> (u16, Listening) {
    let listener = Listener::bind(Some([127, 0, 0, 1].into()), 0).unwrap();
    (listener.port(), listener.serve(routes, Arc::new(how)))
}

pub(super) fn grpc(stage: &Stage, options: GrpcOptions) -> Router {
    grpc_routes(&stage.door, options).unwrap()
}

pub(super) async fn connect(port: u16) -> TcpStream {
    TcpStream::connect(("127.0.0.1", port)).await.unwrap()
}

/// What a client over HTTP/2 sends requests with. The connection ends with it.
pub(super) type Http2Client = http2::SendRequest<Body>;

pub(super) async fn http2(stream: impl Duplex + 'static) -> hyper::Result<Http2Client> {
    let io = TokioIo::new(stream);
    let (client, connection) = http2::handshake(TokioExecutor::new(), io).await?;
    tokio::spawn(connection);
    Ok(client)
}

fn framed(flag: u8, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap();
    [&[flag][..], &length.to_be_bytes(), message].concat()
}

pub(super) fn call(method: &str, message: &[u8]) -> Request<Body> {
    Request::post(format!("http://x{method}"))
        .version(Version::HTTP_2)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(framed(0, message).into())
        .unwrap()
}

fn with(mut request: Request<Body>, name: &'static str, value: &str) -> Request<Body> {
    request.headers_mut().insert(name, value.parse().unwrap());
    request
}

/// The status, wherever it stands, and the frame.
pub(super) async fn status_and_frame<B>(response: Response<B>) -> (String, Bytes)
where
    B: HttpBody<Data = Bytes, Error: std::fmt::Debug>,
{
    let (parts, body) = response.into_parts();
    let collected = body.collect().await.unwrap();
    let none = HeaderMap::new();
    let trailers = collected.trailers().unwrap_or(&none);
    let status = trailers
        .get("grpc-status")
        .or(parts.headers.get("grpc-status"));
    let status = status.unwrap().to_str().unwrap().to_owned();
    (status, collected.to_bytes())
}

pub(super) async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work)
        .await
        .expect("it takes no such time")
}

#[tokio::test]
async fn answers_calls_over_http_2_and_unix_sockets() {
    let stage = stage();
    let routes = grpc(&stage, GrpcOptions::default());
    let (port, _listening) = serve(routes.clone(), connections());
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let socket = Listener::bind_unix(&path).unwrap();
    let socket = socket.serve(routes, Arc::new(connections()));
    let large = vec![7; 500_000];
    for mut client in [
        http2(connect(port).await).await.unwrap(),
        http2(UnixStream::connect(&path).await.unwrap())
            .await
            .unwrap(),
    ] {
        for message in [&b""[..], b"message", &large] {
            let response = client.send_request(call(ECHO, message)).await.unwrap();
            assert_eq!(response.headers()["content-type"], "application/grpc");
            let (status, frame) = status_and_frame(response).await;
            assert_eq!(status, "0");
            assert!(frame == framed(0, message));
        }
        let nope = call("/tensorflow.serving.Nope/Nope", b"");
        let response = client.send_request(nope).await.unwrap();
        assert_eq!(response.headers()["grpc-status"], "12");
        assert!(response.headers().contains_key("x-request-id"));
    }
    assert_eq!(stage.door.budget.used(), 0);
    within(socket.shut_down()).await;
    assert!(!path.try_exists().unwrap());
}

#[tokio::test]
async fn packs_answers_when_told_to_and_asked_for_it() {
    let stage = stage();
    let options = GrpcOptions {
        answers: super::grpc::Encoding::Gzip,
        ..GrpcOptions::default()
    };
    let routes = grpc(&stage, options);
    let ask = |accept: &str| with(call(ECHO, b"message"), "grpc-accept-encoding", accept);
    let packed = routes.clone().oneshot(ask("identity,gzip")).await.unwrap();
    assert_eq!(packed.headers()["grpc-encoding"], "gzip");
    let (_, frame) = status_and_frame(packed).await;
    assert_eq!(frame[0], 1);
    let mut request = call(ECHO, b"");
    *request.body_mut() = frame.into();
    let request = with(request, "grpc-encoding", "gzip");
    let (status, frame) = status_and_frame(routes.clone().oneshot(request).await.unwrap()).await;
    assert_eq!(
        (status.as_str(), &frame[..]),
        ("0", &framed(0, b"message")[..])
    );
    let plain = routes.clone().oneshot(ask("deflate")).await.unwrap();
    assert!(!plain.headers().contains_key("grpc-encoding"));

    let unknown = with(call(ECHO, b"m"), "grpc-encoding", "snappy");
    let response = routes.oneshot(unknown).await.unwrap();
    assert_eq!(response.headers()["grpc-status"], "12");
    let accepted = "identity, deflate, gzip";
    assert_eq!(response.headers()["grpc-accept-encoding"], accepted);
}

#[tokio::test]
async fn limits_are_statuses() {
    let stage = stage();
    let options = GrpcOptions {
        max_receive_bytes: 100,
        max_send_bytes: Some(10),
        ..GrpcOptions::default()
    };
    let routes = grpc(&stage, options);
    for (request, status, message) in [
        (
            call(ECHO, &[0; 101]),
            "8",
            "Received message larger than max (101 vs. 100)",
        ),
        (
            call(ECHO, &[0; 11]),
            "8",
            "Sent message larger than max (11 vs. 10)",
        ),
        (
            with(call(ECHO, b"m"), "grpc-timeout", "0m"),
            "4",
            "Deadline Exceeded",
        ),
        (
            with(call(ECHO, b"m"), "grpc-timeout", "soon"),
            "13",
            "Error parsing 'grpc-timeout' metadata",
        ),
        (call("/no.Service/Method", b"m"), "12", ""),
    ] {
        let response = routes.clone().oneshot(request).await.unwrap();
        let headers = response.headers();
        assert_eq!(headers["grpc-status"], status, "{message}");
        let said = headers
            .get("grpc-message")
            .map_or("", |m| m.to_str().unwrap());
        assert_eq!(said, message);
    }
    assert_eq!(stage.door.budget.used(), 0);
}

#[tokio::test]
async fn what_is_no_call_gets_an_http_status() {
    let stage = stage();
    let routes = grpc(&stage, GrpcOptions::default());
    let mut old = call(ECHO, b"");
    *old.version_mut() = Version::HTTP_11;
    let mut get = call(ECHO, b"");
    *get.method_mut() = http::Method::GET;
    let kind = |kind| with(call(ECHO, b""), "content-type", kind);
    for (request, status) in [
        (old, 400),
        (get, 405),
        (kind("application/json"), 415),
        (kind("application/grpc-web"), 415),
        (kind("application/grpc+proto"), 200),
        (kind("application/grpc;charset=utf-8"), 200),
    ] {
        let what = format!("{request:?}");
        let response = routes.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), status, "{what}");
    }
}

#[tokio::test]
async fn as_many_calls_are_handled_as_may_be() {
    let mut stage = stage();
    let options = GrpcOptions {
        concurrent_calls: Some(1),
        ..GrpcOptions::default()
    };
    let routes = grpc(&stage, options);
    let stuck = tokio::spawn(routes.clone().oneshot(call(STUCK, b"")));
    assert_eq!(within(stage.stuck.recv()).await, Some("begun"));
    let late = with(call(ECHO, b"m"), "grpc-timeout", "10m");
    let response = within(routes.clone().oneshot(late)).await.unwrap();
    assert_eq!(response.headers()["grpc-status"], "4");
    stuck.abort();
    assert_eq!(within(stage.stuck.recv()).await, Some("ended"));
    let response = within(routes.oneshot(call(ECHO, b"m"))).await.unwrap();
    assert_eq!(status_and_frame(response).await.0, "0");
}

#[tokio::test]
async fn a_client_that_gives_up_ends_its_call() {
    let mut stage = stage();
    let (port, _listening) = serve(grpc(&stage, GrpcOptions::default()), connections());
    let mut client = http2(connect(port).await).await.unwrap();
    let answer = tokio::spawn(client.send_request(call(STUCK, b"")));
    assert_eq!(within(stage.stuck.recv()).await, Some("begun"));
    answer.abort();
    assert_eq!(within(stage.stuck.recv()).await, Some("ended"));
    // The connection is none the worse for it.
    let response = client.send_request(call(ECHO, b"m")).await.unwrap();
    assert_eq!(status_and_frame(response).await.0, "0");
}

#[tokio::test]
async fn what_outlives_the_end_is_answered_with_an_error() {
    let mut stage = stage();
    let (port, grpc_port) = serve(grpc(&stage, GrpcOptions::default()), connections());
    let (rest, rest_port) = serve(stage.door.routes(), connections());
    let mut client = http2(connect(port).await).await.unwrap();
    let call = tokio::spawn(client.send_request(call(STUCK, b"")));
    assert_eq!(within(stage.stuck.recv()).await, Some("begun"));
    let io = TokioIo::new(connect(rest).await);
    let (mut plain, connection) = http1::handshake(io).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = Request::post("/v1/stuck").body(Body::empty()).unwrap();
    let request = tokio::spawn(plain.send_request(request));
    assert_eq!(within(stage.stuck.recv()).await, Some("begun"));

    stage.door.drain();
    let ended = tokio::spawn(async { tokio::join!(grpc_port.shut_down(), rest_port.shut_down()) });
    // There is one thread: all that is ready runs, and connections are told to close.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    stage.door.cut();
    let answer: Response<Incoming> = within(call).await.unwrap().unwrap();
    assert_eq!(answer.headers()["grpc-status"], "14");
    assert_eq!(
        answer.headers()["grpc-message"],
        "the server is shutting down"
    );
    let answer = within(request).await.unwrap().unwrap();
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.headers()["connection"], "close");
    drop(answer);
    within(ended).await.unwrap();
    let _ = within(connection).await.unwrap();
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err());
}

#[tokio::test]
async fn idle_connections_are_closed_at_the_end() {
    let stage = stage();
    let (port, listening) = serve(stage.door.routes(), connections());
    let mut http2 = http2(connect(port).await).await.unwrap();
    let io = TokioIo::new(connect(port).await);
    let (mut http1, connection) = http1::handshake(io).await.unwrap();
    tokio::spawn(connection);
    let request = || {
        Request::post("http://x/v1/x")
            .body(Body::from("m"))
            .unwrap()
    };
    assert_eq!(http2.send_request(request()).await.unwrap().status(), 200);
    assert_eq!(http1.send_request(request()).await.unwrap().status(), 200);
    // One that has not spoken yet, too.
    let _silent = connect(port).await;
    within(listening.shut_down()).await;
}

#[tokio::test]
async fn silence_ends_a_connection() {
    let stage = stage();
    let short = || Connections {
        idle: Duration::from_millis(20),
        ..connections()
    };
    let how = Connections {
        tls: Some(secured(false).acceptor),
        ..short()
    };
    let (plain, _plain) = serve(stage.door.routes(), short());
    let (secured, _secured) = serve(grpc(&stage, GrpcOptions::default()), how);
    for (port, words) in [
        (plain, ""),
        (plain, "P"),
        (plain, "GET / HT"),
        (secured, ""),
        (secured, "\u{16}"),
    ] {
        let mut stream = connect(port).await;
        stream.write_all(words.as_bytes()).await.unwrap();
        let mut said = Vec::new();
        // An error is an end as well.
        let _ = within(stream.read_to_end(&mut said)).await;
    }
}

#[tokio::test]
async fn old_and_idle_connections_end() {
    let stage = stage();
    let short = Some(Duration::from_millis(20));
    for http2 in [
        Http2 {
            max_age: short,
            ..Http2::default()
        },
        Http2 {
            max_idle: short,
            ..Http2::default()
        },
    ] {
        let how = Connections {
            http2,
            ..connections()
        };
        let (port, _listening) = serve(grpc(&stage, GrpcOptions::default()), how);
        let io = TokioIo::new(connect(port).await);
        let (_client, connection) = http2::handshake::<_, _, Body>(TokioExecutor::new(), io)
            .await
            .unwrap();
        let _ = within(connection).await;
    }
}
