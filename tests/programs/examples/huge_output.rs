//! Answers that nobody can send, one per path.

use tensorgate_test_programs::{Guest, Request, Response, answer};

struct HugeOutput;

tensorgate_test_programs::rest_only!(HugeOutput);

impl Guest for HugeOutput {
    fn handle(request: Request) -> Response {
        let mut response = answer(200, "fine");
        let mut header = |name: &str, value: &str| {
            response.headers.push((name.to_owned(), value.to_owned()));
        };
        match request.path.as_str() {
            "/body" => response.body = vec![b'x'; 8 << 20],
            "/headers" => (0..100_000).for_each(|_| header("a", "b")),
            "/header-size" => header("a", &"b".repeat(1 << 20)),
            "/header-name" => header("not a name", "b"),
            "/header-value" => header("a", "b\r\nset-cookie: c"),
            "/header-reserved" => header("transfer-encoding", "chunked"),
            "/status" => response.status = 42,
            _ => {}
        }
        response
    }
}
