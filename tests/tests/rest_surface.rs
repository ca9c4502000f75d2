//! What clients of the REST API rely on without thinking of it: manners of HTTP/1, paths in other
//! letters, JSON beyond the standard.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};

use bytes::Bytes;
use tensorgate_tests::PATIENCE;
use tensorgate_tests::grpc::Client;
use tensorgate_tests::models::path;
use tensorgate_tests::server::Server;

const BODY: &str = r#"{"instances": [1.0]}"#;
const ANSWER: &str = "{\n    \"predictions\": [2.5\n    ]\n}";

fn serve(name: &str, model: &str) -> Server {
    Server::with_model(name, &path(model), &[])
}

/// Sends bytes as they are on a connection of their own, and reads until `end` comes or it closes.
fn raw(server: &Server, bytes: &[u8], end: &str) -> String {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port())).expect("it is open");
    stream
        .set_read_timeout(Some(PATIENCE))
        .expect("it takes it");
    stream.write_all(bytes).expect("it is read");
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    while !String::from_utf8_lossy(&answer).ends_with(end) {
        match stream.read(&mut piece).expect("it answers") {
            0 => break,
            length => answer.extend_from_slice(&piece[..length]),
        }
    }
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn http_1_in_all_its_manners() {
    let server = serve("m", "half_plus_two");
    let length = BODY.len();
    // HTTP/1.0 ends its connection.
    let old =
        format!("POST /v1/models/m:predict HTTP/1.0\r\nContent-Length: {length}\r\n\r\n{BODY}");
    let answer = raw(&server, old.as_bytes(), "never");
    assert!(answer.starts_with("HTTP/1.0 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with(ANSWER), "{answer}");
    // A body in pieces.
    let (one, other) = BODY.split_at(5);
    let pieces = format!(
        "POST /v1/models/m:predict HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n\
         {:x}\r\n{one}\r\n{:x}\r\n{other}\r\n0\r\n\r\n",
        one.len(),
        other.len()
    );
    let answer = raw(&server, pieces.as_bytes(), ANSWER);
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    // A client that asks before it sends.
    let asks = format!(
        "POST /v1/models/m:predict HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\
         Expect: 100-continue\r\n\r\n"
    );
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port())).expect("it is open");
    stream
        .set_read_timeout(Some(PATIENCE))
        .expect("it takes it");
    stream.write_all(asks.as_bytes()).expect("it is read");
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).expect("it answers");
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    // Two requests on one connection.
    let mut kept = server.connect();
    for _ in 0..2 {
        let answer = kept.request("POST", "/v1/models/m:predict", &[], BODY.as_bytes());
        assert_eq!(answer.expect("an answer").body, ANSWER);
    }
}

#[test]
fn http_2_without_tls() {
    let server = serve("m", "half_plus_two");
    let mut client = Client::connect(server.port());
    for _ in 0..2 {
        let answer = client
            .send(
                "/v1/models/m:predict",
                &[],
                Bytes::from_static(BODY.as_bytes()),
            )
            .expect("an answer");
        assert_eq!(
            (answer.http.as_u16(), &*answer.body),
            (200, ANSWER.as_bytes())
        );
    }
}

#[test]
fn answers_say_what_they_are() {
    let server = serve("m", "half_plus_two");
    for (path, kind) in [
        ("/v1/models/m", "application/json"),
        ("/v1/models/m/metadata", "application/json"),
        ("/v1/models/nobody", "application/json"),
    ] {
        let answer = server.get(path);
        assert_eq!(answer.header("content-type"), Some(kind), "{path}");
        assert!(
            answer
                .header("date")
                .is_some_and(|date| date.ends_with("GMT"))
        );
        assert!(answer.header("content-length").is_some());
    }
}

#[test]
fn content_types_mean_nothing() {
    let server = serve("m", "half_plus_two");
    for kind in [
        "application/x-www-form-urlencoded",
        "text/plain",
        "image/jpeg",
        "",
    ] {
        let headers = [("content-type", kind), ("accept", "text/html")];
        let answer = server
            .connect()
            .request("POST", "/v1/models/m:predict", &headers, BODY.as_bytes())
            .expect("an answer");
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (200, ANSWER),
            "{kind}"
        );
    }
}

#[test]
fn paths_are_matched_without_regard_to_case() {
    let server = serve("m", "half_plus_two");
    let answer = server.post("/V1/Models/m:predict", BODY);
    assert_eq!((answer.status, answer.body.as_str()), (200, ANSWER));
    assert_eq!(server.get("/V1/MODELS/m/Versions/123").status, 200);
    // Names are names.
    assert_eq!(server.get("/v1/models/M").status, 404);
}

#[test]
fn names_are_percent_decoded() {
    let server = serve("a model: 1/2", "half_plus_two");
    let answer = server.post("/v1/models/a%20model%3A%201%2F2:predict", BODY);
    assert_eq!((answer.status, answer.body.as_str()), (200, ANSWER));
}

#[test]
fn json_beyond_the_standard_is_read() {
    let server = serve("m", "half_plus_two");
    for (body, expected) in [
        (
            r#"{"instances": [NaN, Infinity, -Infinity, Inf, -Inf]}"#.to_owned(),
            "{\n    \"predictions\": [NaN, Infinity, -Infinity, Infinity, -Infinity\n    ]\n}",
        ),
        (format!("\u{feff}{BODY}"), ANSWER),
        (format!("{BODY} and so on }}"), ANSWER),
        (
            format!(
                r#"{{"deep": {}{}, "instances": [1.0]}}"#,
                "[".repeat(500_000),
                "]".repeat(500_000)
            ),
            ANSWER,
        ),
        (
            r#"{"instances": [1.0], "instances": [7.0]}"#.to_owned(),
            ANSWER,
        ),
    ] {
        let answer = server.post("/v1/models/m:predict", &body);
        let start: String = body.chars().take(60).collect();
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (200, expected),
            "{start}"
        );
    }
}

#[test]
fn strings_that_are_not_utf8_are_base64() {
    let server = serve("m", "identity");
    let body =
        r#"{"signature_name": "string", "instances": [{"b64": "/w=="}, "word", {"b64": "YQ=="}]}"#;
    let answer = server.post("/v1/models/m:predict", body);
    assert_eq!(
        answer.body,
        "{\n    \"predictions\": [{\n            \"b64\": \"/w==\"\n        }, \"word\", \"a\"\n    ]\n}"
    );
}

#[test]
fn a_signature_without_inputs_can_be_called() {
    let server = serve("m", "no_inputs");
    let answer = server.post("/v1/models/m:predict", r#"{"inputs": {}}"#);
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(answer.body.contains("constant"), "{}", answer.body);
}

#[test]
fn what_the_http_library_refuses() {
    let server = serve("m", "half_plus_two");
    let ask = |method: &str, path: &str, header: (&str, &str)| {
        let body = BODY.as_bytes();
        let answer = server.connect().request(method, path, &[header], body);
        answer.expect("it is answered")
    };
    let predict = "/v1/models/m:predict";
    let trace = ask("TRACE", predict, ("x-a", "b"));
    let malformed = format!("{{\n    \"error\": \"Malformed request: TRACE {predict}\"\n}}");
    assert_eq!((trace.status, trace.body), (400, malformed));
    let deflate = ask("POST", predict, ("content-encoding", "deflate"));
    let named = "{\n    \"error\": \"content-encoding deflate is not supported: gzip is\"\n}";
    assert_eq!((deflate.status, deflate.body.as_str()), (415, named));
    let path = format!("/v1/models/{}", "m".repeat(100_000));
    let long = format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n");
    let answer = raw(&server, long.as_bytes(), "\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 414 "), "{answer}");
    // The chunks are taken; that they say to be packed changes nothing.
    let packed = format!(
        "POST {predict} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n\
         {:x}\r\n{BODY}\r\n0\r\n\r\n",
        BODY.len()
    );
    let answer = raw(&server, packed.as_bytes(), ANSWER);
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
}
