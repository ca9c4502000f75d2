//! Sleeps for a year.

use std::time::Duration;

use tensorgate_test_programs::{Guest, Request, Response, answer};

struct Sleeper;

tensorgate_test_programs::rest_only!(Sleeper);

impl Guest for Sleeper {
    fn handle(request: Request) -> Response {
        if request.path == "/short" {
            std::thread::sleep(Duration::from_millis(1));
        } else {
            std::thread::sleep(Duration::from_secs(365 * 24 * 3600));
        }
        answer(200, "awake")
    }
}
