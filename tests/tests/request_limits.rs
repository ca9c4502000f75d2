//! Bounds on what one request may be and take: the length that a model's operator allows, the
//! memory that the component has, the share of HTTP. Each is met with a message that names it, by
//! REST and by gRPC.

use std::thread;

use tensorgate_tests::grpc::{Client, wire};
use tensorgate_tests::http::Connection;
use tensorgate_tests::models::path;
use tensorgate_tests::server::Server;

const PREDICT: &str = "/tensorflow.serving.PredictionService/Predict";
const RESOURCE_EXHAUSTED: Option<u32> = Some(8);

fn error(message: &str) -> String {
    format!("{{\n    \"error\": \"{message}\"\n}}")
}

fn grpc(server: &Server) -> Client {
    Client::connect(server.grpc_port().expect("it is open"))
}

#[test]
fn a_model_takes_bodies_and_messages_as_long_as_its_limit_says() {
    let half_plus_two = path("half_plus_two");
    let server = Server::with_models(
        &[("m", &half_plus_two, ""), ("free", &half_plus_two, "")],
        &["--model_limits=m:concurrency=8:body_bytes=1000"],
    );
    let body = |length: usize| {
        let start = r#"{"instances": [0.0]"#;
        format!("{start}{}}}", " ".repeat(length - start.len() - 1))
    };
    let told = "Model m takes requests of at most 1000 bytes (--model_limits)";
    assert_eq!(server.post("/v1/models/m:predict", &body(1000)).status, 200);
    for path in [
        "/v1/models/m:predict",
        "/V1/Models/%6D/versions/123:predict",
    ] {
        let answer = server.post(path, &body(1001));
        assert_eq!((answer.status, answer.body), (413, error(told)), "{path}");
    }
    assert_eq!(
        server.post("/v1/models/free:predict", &body(1001)).status,
        200
    );

    let mut client = grpc(&server);
    let mut predict = |model: &str, floats: usize| {
        let x = wire::floats(&vec![1.0; floats]);
        let message = wire::predict(model, "serving_default", &[("x", x)]);
        (message.len(), client.call(PREDICT, &message))
    };
    let (length, reply) = predict("m", 200);
    assert!(length <= 1000);
    assert_eq!(reply.status, Some(0), "{}", reply.message);
    // A small message, which the component has whole, and one that it sees only the head of.
    for floats in [300, 100_000] {
        let (_, reply) = predict("m", floats);
        assert_eq!(
            (reply.status, reply.message.as_str()),
            (RESOURCE_EXHAUSTED, told)
        );
        let (_, reply) = predict("free", floats);
        assert_eq!(reply.status, Some(0), "{}", reply.message);
    }
}

#[test]
fn what_takes_more_memory_than_there_is_names_the_flag() {
    let server = Server::with_model("m", &path("slow"), &["--sandbox_memory_bytes=33554432"]);
    let told = "handling this request takes more than the 33554432 bytes of memory that one \
                request may use (--sandbox_memory_bytes=33554432)";
    let numbers = "1,".repeat(3_000_000);
    let answer = server.post(
        "/v1/models/m:predict",
        &format!(r#"{{"inputs": {{"steps": [{numbers}1]}}}}"#),
    );
    assert_eq!((answer.status, answer.body), (413, error(told)));

    // Each byte becomes a number of eight.
    let count = 8_000_000;
    let ones = wire::bytes(10, &vec![1; count]);
    let int64 = 9;
    let steps = wire::tensor(int64, &[count as u64], &ones);
    let message = wire::predict("m", "serving_default", &[("steps", steps)]);
    let reply = grpc(&server).call(PREDICT, &message);
    assert_eq!(
        (reply.status, reply.message.as_str()),
        (RESOURCE_EXHAUSTED, told)
    );
    let answer = server.post("/v1/models/m:predict", r#"{"inputs": {"steps": 1}}"#);
    assert_eq!(answer.status, 200, "{}", answer.body);
}

#[test]
fn threads_for_http_take_nothing_from_grpc() {
    let flags = ["--rest_api_num_threads=1", "--sandbox_max_waiting=0"];
    let server = Server::with_model("m", &path("slow"), &flags);
    let endless = format!(r#"{{"inputs": {{"steps": {}}}}}"#, u64::MAX >> 2);
    let mut busy = server.connect();
    let send = |busy: &mut Connection| {
        busy.send("POST", "/v1/models/m:predict", &[], endless.as_bytes())
            .expect("it is sent");
    };
    send(&mut busy);
    // While it is the one request of HTTP that is handled, there is no room for another.
    while server.get("/v1/models/m").status != 503 {
        // It may have come while the other one was being handled.
        if busy.has_answer().expect("it is open") {
            assert_eq!(busy.answer(false).expect("it is answered").status, 503);
            send(&mut busy);
        }
    }
    let replies: Vec<_> = thread::scope(|scope| {
        let one = || {
            let int64 = 9;
            let steps = wire::tensor(int64, &[], &wire::number(10, 1));
            let message = wire::predict("m", "serving_default", &[("steps", steps)]);
            grpc(&server).call(PREDICT, &message)
        };
        let calls: Vec<_> = (0..2).map(|_| scope.spawn(one)).collect();
        let replies = calls.into_iter().map(|call| call.join());
        replies.map(|reply| reply.expect("no panic")).collect()
    });
    for reply in replies {
        assert_eq!(reply.status, Some(0), "{}", reply.message);
    }
    assert_eq!(server.get("/v1/models/m").status, 503);
    assert!(!busy.has_answer().expect("it is open"));
}
