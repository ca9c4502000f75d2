//! What bounds a request, and what happens at each bound. A bound that is met is the client's
//! affair or the hour's, never a fault of the server: no 500 here.

use std::io::Write as _;
use std::thread;

use tensorgate_tests::http::{Answer, Connection};
use tensorgate_tests::models::path;
use tensorgate_tests::server::Server;

const SLOW: &str = "/v1/models/m:predict";
const STATUS: &str = "/v1/models/m";

fn steps(count: u64) -> String {
    format!(r#"{{"inputs": {{"steps": {count}}}}}"#)
}

fn error(message: &str) -> String {
    format!("{{\n    \"error\": \"{message}\"\n}}")
}

/// Sends a request that takes a while, and returns when it is inside the one slot: then there is
/// no room for any other.
fn occupy(server: &Server, count: u64) -> Connection {
    let mut busy = server.connect();
    let body = steps(count);
    let send = |busy: &mut Connection| {
        busy.send("POST", SLOW, &[], body.as_bytes())
            .expect("it is sent");
    };
    send(&mut busy);
    while server.get(STATUS).status != 503 {
        // It may have come while the other request was in the slot.
        if busy.has_answer().expect("it is open") {
            assert_eq!(busy.answer(false).expect("it is answered").status, 503);
            send(&mut busy);
        }
    }
    busy
}

#[test]
fn a_full_house_is_503_and_passes() {
    let flags = ["--sandbox_slots=1", "--sandbox_max_waiting=0"];
    let server = Server::with_model("m", &path("slow"), &flags);
    let mut busy = occupy(&server, 1_000_000);
    let refused = server.get(STATUS);
    if refused.status == 503 {
        let message = "too many requests are being handled and waiting; try again later";
        assert_eq!(refused.body, error(message));
    }
    let answer = busy.answer(false).expect("it is answered");
    assert_eq!(answer.status, 200, "{}", answer.body);
    server.wait_for(STATUS, |answer| answer.status == 200);
}

#[test]
fn an_overload_gives_503_and_never_500() {
    let flags = [
        "--sandbox_slots=2",
        "--sandbox_max_waiting=2",
        "--run_threads=1",
    ];
    let server = Server::with_model("m", &path("slow"), &flags);
    let body = steps(20_000);
    let statuses: Vec<u16> = thread::scope(|scope| {
        let clients: Vec<_> = (0..16)
            .map(|_| {
                scope.spawn(|| {
                    let mut connection = server.connect();
                    let mut ask = || -> Answer {
                        connection
                            .request("POST", SLOW, &[], body.as_bytes())
                            .expect("every request is answered")
                    };
                    (0..5).map(|_| ask().status).collect::<Vec<_>>()
                })
            })
            .collect();
        clients
            .into_iter()
            .flat_map(|client| client.join().expect("no client failed"))
            .collect()
    });
    let count = |wanted| statuses.iter().filter(|status| **status == wanted).count();
    assert_eq!(count(200) + count(503), statuses.len(), "{statuses:?}");
    assert!(count(200) > 0 && count(503) > 0, "{statuses:?}");
    assert_eq!(server.get(STATUS).status, 200);
}

#[test]
fn a_run_that_outlives_its_deadline_is_504() {
    let flags = ["--rest_api_timeout_in_ms=200"];
    let server = Server::with_model("m", &path("slow"), &flags);
    let answer = server.post(SLOW, &steps(u64::MAX >> 2));
    let late = error("Timed out waiting for notification");
    assert_eq!((answer.status, answer.body), (504, late));
    assert_eq!(server.post(SLOW, &steps(1)).status, 200);
}

#[test]
fn long_bodies_are_413_and_name_the_limit() {
    let server = Server::with_model("m", &path("half_plus_two"), &["--max_body_bytes=1000"]);
    let body = |length: usize| {
        let start = r#"{"instances": [0.0]"#;
        format!("{start}{}}}", " ".repeat(length - start.len() - 1))
    };
    let predict = "/v1/models/m:predict";
    assert_eq!(server.post(predict, &body(1000)).status, 200);
    let expected = error("the request body is longer than 1000 bytes (--max_body_bytes)");
    let answer = server.post(predict, &body(1001));
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (413, expected.as_str())
    );

    // One whose length nobody announced.
    let mut connection = server.connect();
    let head = format!("POST {predict} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n");
    let chunk = format!("3e9\r\n{}\r\n0\r\n\r\n", body(1001));
    connection.send_raw(head.as_bytes()).expect("it is sent");
    connection.send_raw(chunk.as_bytes()).expect("it is sent");
    let answer = connection.answer(false).expect("it is answered");
    assert_eq!((answer.status, answer.body), (413, expected));
    assert_eq!(server.post(predict, &body(100)).status, 200);
}

#[test]
fn the_memory_of_all_bodies_is_bounded() {
    let server = Server::with_model("m", &path("half_plus_two"), &["--max_buffered_bytes=1000"]);
    let body = format!(r#"{{"instances": [0.0]{}}}"#, " ".repeat(300));
    let head = "POST /v1/models/m:predict HTTP/1.1\r\nhost: x\r\ncontent-length: 800\r\n\r\n";
    let (mut slow, full) = loop {
        // Announces 800 bytes and sends none of them yet: they are reserved. Where the server
        // looks at the second request first, it is the first one that is refused.
        let mut slow = server.connect();
        slow.send_raw(head.as_bytes()).expect("it is sent");
        let answer = server.post("/v1/models/m:predict", &body);
        if answer.status != 200 {
            break (slow, answer);
        }
        // Brought to its end, or what it holds could refuse the next one. An error: it was
        // refused already.
        let _refused = slow.send_raw(" ".repeat(800).as_bytes());
        let _ended = slow.answer(false);
    };
    assert_eq!(full.status, 503);
    assert!(full.body.contains("--max_buffered_bytes"), "{}", full.body);
    let rest = format!(r#"{{"instances": [0.0]{}}}"#, " ".repeat(780));
    slow.send_raw(rest.as_bytes()).expect("it is sent");
    assert_eq!(slow.answer(false).expect("it is answered").status, 200);
    assert_eq!(server.post("/v1/models/m:predict", &body).status, 200);
}

#[test]
fn who_is_refused_for_lack_of_memory_reads_why() {
    let server = Server::with_model("m", &path("half_plus_two"), &["--max_buffered_bytes=1000"]);
    // More than sockets hold: who were cut off while they send would never read the answer.
    let body = " ".repeat(16 << 20);
    for _ in 0..5 {
        let refused = server.post("/v1/models/m:predict", &body);
        assert_eq!(refused.status, 503);
        assert!(
            refused.body.contains("--max_buffered_bytes"),
            "{}",
            refused.body
        );
    }
    let body = r#"{"instances": [0.0]}"#;
    assert_eq!(server.post("/v1/models/m:predict", body).status, 200);
}

#[test]
fn packed_bodies_are_unpacked() {
    let server = Server::with_model("m", &path("half_plus_two"), &["--max_body_bytes=1000"]);
    let pack = |text: &str| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).expect("into memory");
        encoder.finish().expect("into memory")
    };
    let send = |body: &[u8]| {
        server
            .connect()
            .request(
                "POST",
                "/v1/models/m:predict",
                &[("content-encoding", "gzip")],
                body,
            )
            .expect("it is answered")
    };
    let answer = send(&pack(r#"{"instances": [1.0]}"#));
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (200, "{\n    \"predictions\": [2.5\n    ]\n}")
    );
    assert_eq!(send(&pack(&" ".repeat(100_000))).status, 413);
    // As in the original, what cannot be unpacked is no document at all.
    let broken = send(b"no gzip");
    let empty = error("JSON Parse error: The document is empty");
    assert_eq!((broken.status, broken.body), (400, empty));
}

#[test]
fn sigterm_answers_what_runs_and_ends_with_0() {
    let flags = [
        "--sandbox_slots=1",
        "--sandbox_max_waiting=0",
        "--drain_seconds=60",
    ];
    let mut server = Server::with_model("m", &path("slow"), &flags);
    let mut idle = server.connect();
    let health = idle.request("GET", "/health/ready", &[], b"");
    assert_eq!(health.expect("it is ready").status, 200);
    let mut busy = occupy(&server, 1_000_000);
    server.terminate();
    server.wait_for_line("Shutting down");
    let answer = busy.answer(false).expect("what runs is answered");
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(server.wait().code(), Some(0), "{}", server.log());
    assert!(server.is_closed());
    assert!(idle.request("GET", "/health/live", &[], b"").is_err());
}

#[test]
fn sigterm_does_not_wait_longer_than_it_may() {
    let flags = [
        "--sandbox_slots=1",
        "--sandbox_max_waiting=0",
        "--drain_seconds=0",
    ];
    let mut server = Server::with_model("m", &path("slow"), &flags);
    let _busy = occupy(&server, u64::MAX >> 2);
    server.terminate();
    server.wait_for_line("are cut off");
    assert_eq!(server.wait().code(), Some(0), "{}", server.log());
}

#[test]
fn a_model_takes_so_many_requests_at_a_time_as_its_limit_says() {
    let server = Server::with_model("m", &path("slow"), &["--model_limits=m:concurrency=1"]);
    let (mut busy, refused) = (0..100)
        .find_map(|_attempt| {
            let mut busy = server.connect();
            busy.send("POST", SLOW, &[], steps(1_000_000).as_bytes())
                .expect("it is sent");
            // Whichever of the two comes first is the one that the model takes.
            while !busy.has_answer().expect("it is open") {
                let answer = server.post(SLOW, &steps(1));
                if answer.status != 200 {
                    return Some((busy, answer));
                }
            }
            None
        })
        .expect("the long one comes first once");
    assert_eq!(refused.status, 429);
    let message = "Model m is busy: it takes 1 requests at a time (--model_limits)";
    assert_eq!(refused.body, error(message));
    // The status of a busy model can be had.
    assert_eq!(server.get(STATUS).status, 200);
    assert_eq!(busy.answer(false).expect("it is answered").status, 200);
    assert_eq!(server.post(SLOW, &steps(1)).status, 200);
}
