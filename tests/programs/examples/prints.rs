//! Prints megabytes to both outputs, and answers.

use std::io::Write;

use tensorgate_test_programs::{Guest, Request, Response, answer};

struct Prints;

tensorgate_test_programs::rest_only!(Prints);

impl Guest for Prints {
    fn handle(request: Request) -> Response {
        let line = [b'x'; 1 << 10];
        let mut written = 0;
        for _ in 0..4 << 10 {
            written += usize::from(std::io::stdout().write_all(&line).is_ok());
            written += usize::from(std::io::stderr().write_all(&line).is_ok());
        }
        if request.path == "/panic" {
            panic!("after {written} lines");
        }
        answer(200, written.to_string())
    }
}
