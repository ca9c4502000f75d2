//! A loop that does not end. Under `/calls` it calls the host in each round, under `/model` it
//! opens and drops a model in each round, so that it is never at work for long in one piece.

use std::hint::black_box;

use tensorgate_test_programs::{Guest, Request, Response, inference, open_model};

struct EndlessLoop;

tensorgate_test_programs::rest_only!(EndlessLoop);

impl Guest for EndlessLoop {
    fn handle(request: Request) -> Response {
        let mut round = 0_u64;
        loop {
            round = black_box(round.wrapping_add(1));
            match request.path.as_str() {
                "/calls" => drop(inference::status("m", None)),
                "/model" => drop(open_model()),
                _ => {}
            }
        }
    }
}
